//! What each provider's answers mean.
//!
//! Only an answer by which the provider itself says no to the key makes it `invalid`. Trouble,
//! limits, refusals and whatever stands in between say nothing of it. From the providers'
//! documentation and the rule sets of secret scanners, November 2026.

use jiff::Timestamp;
use serde_json::Value;

use super::answer::{BodyKind, KeyVerdict, ProviderResponse};
use crate::domain::KeyStatus;

/// What status codes mean everywhere; the other readings fall back on it.
pub(super) fn usual(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match (answer.http_status(), answer.body()) {
        (200..=299, BodyKind::Json | BodyKind::LongJson) => answer.valid(),
        (200..=299, BodyKind::Empty | BodyKind::Text | BodyKind::Html | BodyKind::Binary) => {
            answer.undetermined("sent a response that is not from its API; check base_url and the network")
        }
        (300..=399, _) => answer.undetermined("redirected elsewhere, which is not followed; check base_url"),
        (_, BodyKind::Html | BodyKind::Binary) => {
            answer.undetermined("could not be reached: something else answered in its place; check the network")
        }
        (401, _) if says_expired(answer) => answer.expired(),
        (401, _) => answer.invalid(),
        (402, _) => answer.no_credit(),
        (403, _) if !answer.is_json() => {
            answer.undetermined("was not reached: something on the way refuses the request; check the network")
        }
        (403, _) => answer.forbidden("knows the key, but blocks it or does not allow it this request"),
        (404, _) => answer.undetermined("found nothing at this address; check base_url"),
        (429, _) => answer.rate_limited(),
        (500..=599, _) => answer.undetermined("returned a server error; key status unknown, try again later"),
        _ => answer.undetermined("returned an unexpected response; key status unknown"),
    }
}

/// For providers that answer 403 to a wrong key as well as to a restricted one.
pub(super) fn vague_403(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match answer.http_status() {
        403 if answer.is_json() => {
            answer.undetermined("refused the request without saying whether the key is invalid or restricted")
        }
        _ => usual(answer),
    }
}

/// A code that says so, and no mention of it among other reasons.
fn says_expired(answer: &ProviderResponse<'_>) -> bool {
    answer.says(&["expired_api_key", "api_key_expired", "key_expired"])
}

pub(super) fn anthropic(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match answer.http_status() {
        400 if answer.says(&["usage limits"]) => answer.no_credit(),
        _ => usual(answer),
    }
}

pub(super) fn openai(answer: &ProviderResponse<'_>) -> KeyVerdict {
    let code = answer.at("/error/code").and_then(Value::as_str).unwrap_or_default();
    match answer.http_status() {
        401 | 403 if answer.says(&["missing scopes"]) => {
            answer.valid_restricted(answer.scopes_after("missing scopes:"))
        }
        401 if code == "ip_not_authorized"
            || answer.says(&["ip address", "ip not authorized", "ip_not_authorized"]) =>
        {
            answer.forbidden("knows the key, but does not allow it from this network address")
        }
        401 if matches!(
            code,
            "invalid_organization" | "mismatched_organization" | "mismatched_project"
        ) || answer.says(&["member of an organization", "no such organization"]) =>
        {
            answer.forbidden("knows the key, but not as a member of the organization asked for")
        }
        401 if matches!(code, "account_deactivated" | "organization_deactivated") => {
            answer.forbidden("knows the key, but its account is closed")
        }
        429 if answer.says(&["insufficient_quota"]) => answer.no_credit(),
        _ => usual(answer),
    }
}

pub(super) fn google(answer: &ProviderResponse<'_>) -> KeyVerdict {
    let verdict = google_by_status(answer);
    // Keys that begin so need no further check.
    if verdict.status == KeyStatus::Invalid && answer.is_of_key("AIza") {
        answer.invalid_because(
            "does not accept the key: since September 2026 it refuses standard keys (`AIza…`); make a new one, which begins with `AQ.`",
        )
    } else {
        verdict
    }
}

fn google_by_status(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match answer.http_status() {
        400 if answer.says(&["api_key_invalid", "api key not valid"]) => {
            if answer.says(&["api key expired"]) {
                answer.expired()
            } else {
                answer.invalid()
            }
        }
        401 if answer.says(&["access_token_type_unsupported"]) => {
            answer.undetermined("treats the key as another kind of credential; key status unknown")
        }
        403 if answer.says(&["api_key_service_blocked"]) => {
            answer.forbidden("knows the key, but it is not allowed to use the Gemini API")
        }
        403 if answer.says(&[
            "api_key_http_referrer_blocked",
            "api_key_ip_address_blocked",
            "api_key_ios_app_blocked",
            "api_key_android_app_blocked",
        ]) =>
        {
            answer.forbidden("knows the key, but it is restricted to another site, address or app")
        }
        403 if answer.says(&["reported as leaked"]) => {
            answer.forbidden("blocked the key because it was found in public; create a new one")
        }
        _ => usual(answer),
    }
}

/// An endpoint that needs no key only has to be reachable.
pub(super) fn ollama(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match answer.http_status() {
        200..=299 if answer.is_json() => answer.reachable(),
        _ => usual(answer),
    }
}

pub(super) fn xai(answer: &ProviderResponse<'_>) -> KeyVerdict {
    let is_set = |pointer| answer.flag(pointer) == Some(true);
    match answer.http_status() {
        200..=299 if answer.body() == BodyKind::Json => {
            let account = answer.account(&["/team_id", "/user_id"]);
            if is_set("/api_key_disabled") {
                answer.forbidden("knows the key, but it is disabled").account(account)
            } else if is_set("/api_key_blocked") || is_set("/team_blocked") {
                answer
                    .forbidden("knows the key, but it or its team is blocked")
                    .account(account)
            } else {
                answer.valid().account(account)
            }
        }
        200..=299 => unread(answer),
        400 if answer.says(&["api key is blocked", "api key is disabled", "key is currently blocked"]) => {
            answer.forbidden("knows the key, but it is disabled")
        }
        400 if answer.says(&["incorrect api key", "invalid api key", "api key not found"]) => answer.invalid(),
        _ => usual(answer),
    }
}

pub(super) fn openrouter(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match answer.http_status() {
        200..=299 if answer.body() == BodyKind::Json => {
            let account = answer.account(&["/data/organization_id", "/data/workspace_id", "/data/creator_user_id"]);
            let is_set = |pointer| answer.flag(pointer) == Some(true);
            let left = answer.at("/data/limit_remaining").and_then(Value::as_f64);
            let mut verdict = if is_set("/data/is_management_key") || is_set("/data/is_provisioning_key") {
                answer.forbidden("knows the key, but as a management key, which cannot use models")
            } else if left.is_some_and(|left| left <= 0.0) {
                answer.no_credit()
            } else {
                answer.valid()
            };
            verdict.expires_at = answer.at("/data/expires_at").and_then(timestamp);
            verdict.account(account)
        }
        200..=299 => unread(answer),
        _ => usual(answer),
    }
}

pub(super) fn cohere(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match (answer.http_status(), answer.flag("/valid")) {
        (200..=299, Some(true)) => answer
            .valid()
            .account(answer.account(&["/organization_id", "/owner_id"])),
        (200..=299, Some(false)) => answer.invalid(),
        (200..=299, None) => unread(answer),
        _ => usual(answer),
    }
}

/// Asked for a model that does not exist: a complaint about that means that the key was good.
pub(super) fn perplexity(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match answer.http_status() {
        400 | 404 | 422 if answer.body() == BodyKind::Json => answer.valid(),
        200..=299 => unread(answer),
        _ => vague_403(answer),
    }
}

/// Asked for a model that does not exist, as above; a wrong key may come as another status.
pub(super) fn voyage(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match answer.http_status() {
        400..=499 if answer.says(&["provided api key is invalid"]) && answer.is_json() => answer.invalid(),
        400 | 403 if answer.body() == BodyKind::Json => answer.valid(),
        200..=299 => unread(answer),
        _ => usual(answer),
    }
}

pub(super) fn hugging_face(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match answer.http_status() {
        200..=299 if answer.body() == BodyKind::Json => answer.valid().account(answer.account(&["/id", "/name"])),
        401 if answer.is_json() && answer.says(&["expired"]) => answer.expired(),
        _ => usual(answer),
    }
}

pub(super) fn replicate(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match answer.http_status() {
        200..=299 if answer.body() == BodyKind::Json => answer.valid().account(answer.account(&["/username"])),
        _ => usual(answer),
    }
}

pub(super) fn elevenlabs(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match answer.http_status() {
        200..=299 if answer.body() == BodyKind::Json => answer.valid().account(answer.account(&["/user_id"])),
        401 if answer.says(&["missing_permissions"]) => answer.valid_restricted(
            answer
                .scopes_after("missing the permission")
                .into_iter()
                .take(1)
                .collect(),
        ),
        _ => vague_403(answer),
    }
}

/// Errors may come with a success status and a code of their own in the body.
pub(super) fn minimax(answer: &ProviderResponse<'_>) -> KeyVerdict {
    let code = answer.at("/base_resp/status_code").and_then(Value::as_i64);
    match (answer.http_status(), code) {
        (200..=299, Some(1004 | 2049)) => answer.invalid(),
        (200..=299, Some(1008)) => answer.no_credit(),
        (200..=299, Some(1002)) => answer.rate_limited(),
        (200..=299, Some(1..)) => answer.undetermined("returned a server error; key status unknown"),
        _ => vague_403(answer),
    }
}

pub(super) fn z_ai(answer: &ProviderResponse<'_>) -> KeyVerdict {
    match answer.http_status() {
        429 if answer.says(&["insufficient balance"]) => answer.no_credit(),
        _ => usual(answer),
    }
}

/// A success that does not say what had to be read from it.
fn unread(answer: &ProviderResponse<'_>) -> KeyVerdict {
    answer.undetermined("returned an unexpected response; key status unknown")
}

fn timestamp(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}
