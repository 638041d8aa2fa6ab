//! What a response refuses, read from its body and its status.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::rule::{ErrorPattern, RefusalKind, RefusalRule, code, message};
use crate::{
    domain::RequestOutcome,
    providers::{Provider, ProviderDef, rate_limits},
};

/// The longest error body that is read, in bytes.
const MAX_BODY: usize = 64 << 10;
/// How many errors of one body are read.
const MAX_ERRORS: usize = 8;
/// The longest message that is read, in bytes.
const MAX_MESSAGE: usize = 2_000;

/// Why a provider did not answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub kind: RefusalKind,
    /// How long the body asks to wait; a `Retry-After` header comes first where there is one.
    pub retry_after: Option<Duration>,
    /// The status of the response, or the one in its body.
    status: u16,
}

/// Rules for every provider, after its own.
static SHARED: &[RefusalRule] = &[
    code("insufficient_quota", RefusalKind::NoCredit),
    code("billing_hard_limit_reached", RefusalKind::NoCredit),
    code("billing_not_active", RefusalKind::NoCredit),
    code("billing_error", RefusalKind::NoCredit),
    code("insufficient_balance", RefusalKind::NoCredit),
    code("insufficient_balance_error", RefusalKind::NoCredit),
    code("insufficient_credits", RefusalKind::NoCredit),
    code("insufficient_funds", RefusalKind::NoCredit),
    code("not_enough_balance", RefusalKind::NoCredit),
    code("payment_required", RefusalKind::NoCredit),
    code("exceeded_current_quota_error", RefusalKind::NoCredit),
    code("unsupported_country_region_territory", RefusalKind::RegionBlocked),
    code("invalid_api_key", RefusalKind::KeyRefused),
    code("account_deactivated", RefusalKind::KeyRefused),
    code("model_not_found", RefusalKind::ModelMissing),
    code("model_not_available", RefusalKind::ModelMissing),
    code("model_decommissioned", RefusalKind::ModelMissing),
    code("invalid_model", RefusalKind::ModelMissing),
    // A page of Cloudflare's, which stands before many providers.
    message(&["error code: 1006"], RefusalKind::RegionBlocked),
    message(&["error code: 1007"], RefusalKind::RegionBlocked),
    message(&["error code: 1008"], RefusalKind::RegionBlocked),
    message(&["error code: 1009"], RefusalKind::RegionBlocked),
    message(&["error code: 1010"], RefusalKind::RegionBlocked),
    message(&["error code: 1020"], RefusalKind::RegionBlocked),
];

/// What codes mean in an error that comes without an error status, inside a 200.
static WITHOUT_STATUS: &[RefusalRule] = &[
    code("rate_limit_exceeded", RefusalKind::RateLimited),
    code("rate_limit_error", RefusalKind::RateLimited),
    code("rate_limit_reached_error", RefusalKind::RateLimited),
    code("too_many_requests", RefusalKind::RateLimited),
    code("resource_exhausted", RefusalKind::RateLimited),
    code("authentication_error", RefusalKind::KeyRefused),
    code("invalid_authentication_error", RefusalKind::KeyRefused),
    code("unauthenticated", RefusalKind::KeyRefused),
    code("permission_error", RefusalKind::NotAllowed),
    code("permission_denied", RefusalKind::NotAllowed),
    code("invalid_request_error", RefusalKind::RequestFault),
    code("invalid_argument", RefusalKind::RequestFault),
    code("invalid_prompt", RefusalKind::RequestFault),
    code("context_length_exceeded", RefusalKind::RequestFault),
    code("content_policy_violation", RefusalKind::RequestFault),
    code("content_filter", RefusalKind::RequestFault),
    code("request_too_large", RefusalKind::RequestFault),
];

/// What the response of `provider` with that status and body refuses; nothing where it is an answer.
pub fn read_refusal(provider: &Provider, status: u16, body: &[u8], now: Timestamp) -> Option<Refused> {
    let body = body.trim_ascii();
    // An error in place of a stream's first event is framed like one.
    let json = body.strip_prefix(b"data:").map_or(body, |event| {
        event.split(|byte| *byte == b'\n').next().unwrap_or_default()
    });
    let json: Option<Value> = (body.len() <= MAX_BODY)
        .then(|| serde_json::from_slice(json).ok())
        .flatten();
    let text = match json {
        Some(json @ (Value::Object(_) | Value::Array(_))) => return refusal_in(provider.def, status, &json, now),
        Some(Value::String(text)) => text,
        _ => String::from_utf8_lossy(body.get(..MAX_MESSAGE).unwrap_or(body)).into_owned(),
    };
    let facts = Facts {
        messages: vec![text.to_lowercase()],
        ..Facts::default()
    };
    (status >= 400).then(|| facts.refused(provider.def, status, None))
}

/// Only what it is that the response refuses.
pub(in crate::providers) fn kind_of(provider: &Provider, status: u16, body: &[u8]) -> Option<RefusalKind> {
    // The time only matters to when it may be tried again.
    read_refusal(provider, status, body, Timestamp::UNIX_EPOCH).map(|refused| refused.kind)
}

/// The same for a body, or an event of a stream, that is parsed already.
pub fn refusal_in(def: &ProviderDef, status: u16, event: &Value, now: Timestamp) -> Option<Refused> {
    if status < 400 && !is_error(event) {
        return None;
    }
    let mut facts = Facts::default();
    facts.read(event);
    Some(facts.refused(def, status, rate_limits::retry_after_in(event, now)))
}

/// Whether a body, or an event of a stream, reports an error.
pub(in crate::providers) fn is_error(event: &Value) -> bool {
    let Value::Object(fields) = event else {
        return match event {
            Value::Array(events) => events.iter().take(MAX_ERRORS).any(is_error),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
        };
    };
    let has_error = |holder: &Value| holder.get("error").is_some_and(says_something);
    // Cohere writes it in capitals.
    let failed = |holder: &Value| {
        let reason = holder.get("finish_reason").and_then(Value::as_str).unwrap_or_default();
        reason.eq_ignore_ascii_case("error") || reason == "network_error"
    };
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
    let code = event.pointer("/base_resp/status_code");
    let inside = ["response", "delta", "x_groq"];
    let choices = fields.get("choices").and_then(Value::as_array);
    kind == "error"
        || kind == "response.failed"
        || has_error(event)
        || failed(event)
        || code.is_some_and(|code| says_something(code) && code.as_i64() != Some(0))
        || fields.get("success") == Some(&Value::Bool(false))
        || inside
            .iter()
            .filter_map(|name| fields.get(*name))
            .any(|it| has_error(it) || failed(it))
        || choices.is_some_and(|choices| choices.iter().any(|choice| has_error(choice) || failed(choice)))
}

/// Whether an `error` is one, and not a field that has to be there.
fn says_something(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(errors) => !errors.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// What is read of an error.
#[derive(Debug, Default)]
struct Facts {
    codes: Vec<String>,
    /// In lower case.
    messages: Vec<String>,
    /// The status that the body names.
    status: Option<u16>,
    is_flagged: bool,
}

impl Facts {
    fn read(&mut self, event: &Value) {
        match event {
            Value::Array(events) => events.iter().take(MAX_ERRORS).for_each(|event| self.read(event)),
            Value::Object(fields) => {
                let choices = fields.get("choices").and_then(Value::as_array).into_iter().flatten();
                let holders = ["response", "delta", "x_groq"]
                    .into_iter()
                    .filter_map(|name| fields.get(name));
                for holder in holders.chain(choices.take(MAX_ERRORS)) {
                    self.read_error(holder.get("error"));
                }
                for name in ["error", "errors", "detail", "base_resp"] {
                    self.read_error(fields.get(name));
                }
                self.read_fields(fields);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn read_error(&mut self, error: Option<&Value>) {
        match error {
            Some(Value::String(message)) => self.read_message(message),
            Some(Value::Object(fields)) => self.read_fields(fields),
            Some(Value::Array(errors)) => errors
                .iter()
                .take(MAX_ERRORS)
                .for_each(|error| self.read_error(Some(error))),
            Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => {}
        }
    }

    fn read_fields(&mut self, fields: &Map<String, Value>) {
        for name in ["code", "type", "status", "status_code", "http_code", "reason", "__type"] {
            let said = match fields.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => continue,
            };
            let status = said.parse().ok().filter(|status| (400..600).contains(status));
            self.status = self.status.or(status);
            self.codes.push(said);
        }
        for name in ["message", "msg", "status_msg"] {
            if let Some(Value::String(message)) = fields.get(name) {
                self.read_message(message);
            }
        }
        for details in fields
            .get("details")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .take(MAX_ERRORS)
        {
            let reason = details.get("reason").and_then(Value::as_str);
            self.codes.extend(reason.map(str::to_owned));
        }
        if let Some(Value::Object(metadata)) = fields.get("metadata") {
            let limit = metadata.get("limit_source").and_then(Value::as_str);
            self.codes.extend(limit.map(str::to_owned));
            self.is_flagged |= metadata.contains_key("flagged_input");
        }
    }

    fn read_message(&mut self, message: &str) {
        let end = message.floor_char_boundary(MAX_MESSAGE);
        self.messages
            .push(message.get(..end).unwrap_or_default().to_lowercase());
    }

    fn refused(&self, def: &ProviderDef, status: u16, retry_after: Option<Duration>) -> Refused {
        let has_status = status >= 400;
        let status = if has_status {
            status
        } else {
            self.status.unwrap_or(status)
        };
        let first = |rules: &[RefusalRule]| rules.iter().find(|rule| self.matches(rule.said)).map(|rule| rule.kind);
        let kind = first(def.refusals).or_else(|| first(SHARED));
        let kind = kind.unwrap_or_else(|| match status {
            401 => RefusalKind::KeyRefused,
            402 => RefusalKind::NoCredit,
            403 if self.is_flagged => RefusalKind::RequestFault,
            403 => RefusalKind::NotAllowed,
            // Other things may be missing as well: a path, a file, a batch.
            404 | 410 if self.is_about_model() => RefusalKind::ModelMissing,
            408 | 500.. => RefusalKind::ServerFailed,
            429 => RefusalKind::RateLimited,
            451 => RefusalKind::RegionBlocked,
            400.. => RefusalKind::RequestFault,
            _ => first(WITHOUT_STATUS).unwrap_or(RefusalKind::ServerFailed),
        });
        Refused {
            kind,
            retry_after,
            status,
        }
    }

    fn matches(&self, said: ErrorPattern) -> bool {
        match said {
            ErrorPattern::Code(code) => self.codes.iter().any(|it| it.eq_ignore_ascii_case(code)),
            ErrorPattern::Message(parts) => self.messages.iter().any(|message| {
                let Some((first, later)) = parts.split_first() else {
                    return false;
                };
                let rest = message.trim_start().strip_prefix(first);
                later
                    .iter()
                    .try_fold(rest, |rest, part| Some(Some(rest?.split_once(part)?.1)))
                    .flatten()
                    .is_some()
            }),
        }
    }

    fn is_about_model(&self) -> bool {
        self.messages
            .iter()
            .any(|message| message.contains("model") || message.contains("endpoints found for"))
    }
}

impl Refused {
    /// The status that says the same in every provider's place, for the usage record and the key's health.
    pub fn status(&self) -> u16 {
        match self.kind {
            RefusalKind::NoCredit => 402,
            RefusalKind::KeyRefused => 401,
            RefusalKind::NotAllowed => 403,
            RefusalKind::RateLimited => 429,
            RefusalKind::RegionBlocked => RequestOutcome::REGION_BLOCKED,
            RefusalKind::ModelMissing => 404,
            RefusalKind::ServerFailed if matches!(self.status, 408 | 500..) => self.status,
            RefusalKind::ServerFailed => 502,
            // A status that says something else elsewhere would be misread.
            RefusalKind::RequestFault if matches!(self.status, 404..=407 | 409..=428 | 430..=450 | 452..=498) => {
                self.status
            }
            RefusalKind::RequestFault => 400,
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
