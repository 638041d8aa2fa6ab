//! An error as a client's own library understands it.

use std::time::Duration;

use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};
use serde_json::{Value, json};

use super::body::{self, ResponseBody};
use crate::error::{Code, Error};

/// Why a request gets no answer of a provider.
#[derive(Debug)]
pub(in crate::gateway) struct ErrorResponse {
    pub(in crate::gateway) error: Error,
    /// In what time another try has a chance.
    pub(in crate::gateway) retry_after: Option<Duration>,
}

/// Whose API a client speaks: errors and lists of models are in its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum ErrorFormat {
    OpenAi,
    Anthropic,
    Google,
}

impl From<Error> for ErrorResponse {
    fn from(error: Error) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

impl ErrorResponse {
    /// Whether another try has a chance, and sooner than after `other`.
    fn is_over_before(&self, other: &Self) -> bool {
        let wait = self.retry_after;
        wait.is_some_and(|wait| other.retry_after.is_none_or(|other| wait < other))
    }

    /// The first of two reasons, or the one that is over sooner, where that is known of it.
    pub(in crate::gateway) fn or_sooner(self, second: Self) -> Self {
        if second.is_over_before(&self) { second } else { self }
    }

    pub(in crate::gateway) fn status(&self) -> StatusCode {
        match self.error.code() {
            Code::ClientKeyInvalid => StatusCode::UNAUTHORIZED,
            Code::OverBudget | Code::PriceUnknown => StatusCode::PAYMENT_REQUIRED,
            // Not 409, which clients try again.
            Code::ForeignRequest | Code::ProviderNotAllowed | Code::OriginChanged => StatusCode::FORBIDDEN,
            Code::NoSuchRoute | Code::UnknownModel | Code::UnknownProvider => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::UpgradeRefused => StatusCode::UPGRADE_REQUIRED,
            Code::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Code::ProviderUnreachable => StatusCode::BAD_GATEWAY,
            Code::ProviderTooSlow => StatusCode::GATEWAY_TIMEOUT,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            // What is wrong with the vault, a key or the ledger is for the person at the gateway to fix.
            Code::NoRoute
            | Code::MalformedKey
            | Code::KeyInWrongPlace
            | Code::KeyInChatRefused
            | Code::KeyRequired
            | Code::InputPending
            | Code::InputDeclined
            | Code::VariableMissing
            | Code::KeyNotFound
            | Code::DestinationNotFound
            | Code::LabelTaken
            | Code::KeyExpired
            | Code::KeyUnchanged
            | Code::KeyRejected
            | Code::OtherAccount
            | Code::NothingToUndo
            | Code::VaultAbsent
            | Code::VaultExists
            | Code::VaultMissing
            | Code::VaultLocked
            | Code::WrongPassphrase
            | Code::VaultDamaged
            | Code::VaultTooNew
            | Code::VaultForeign
            | Code::VaultRolledBack
            | Code::VaultForked
            | Code::VaultFull
            | Code::SlotNotFound
            | Code::LastSlot
            | Code::KeychainUnavailable
            | Code::KeychainEntryMissing
            | Code::KeyFileMissing
            | Code::AuditBroken
            | Code::LedgerDamaged
            | Code::LedgerTooNew
            | Code::BackupDamaged
            | Code::BackupTooNew
            | Code::RestoreRefused
            | Code::ClientsDamaged
            | Code::ClientNotFound
            | Code::ClientExists
            | Code::AddressUnavailable
            | Code::UnsafeFile
            | Code::StorageFailed
            | Code::Busy
            | Code::ConfigInvalid
            | Code::PriceOverlayInvalid
            | Code::PriceOverlayDamaged
            | Code::HomeMissing
            | Code::ClientConfigInvalid
            | Code::ServerNameTaken
            | Code::SettingTaken
            | Code::CommandFailed
            | Code::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The answer, in the client's own format.
    pub(in crate::gateway) fn into_response(self, format: ErrorFormat, request_id: &str) -> Response<ResponseBody> {
        let status = self.status();
        let text = format.body(&self.error, status, request_id).to_string();
        let mut response = Response::new(body::full(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, in_seconds(wait).into());
            // OpenAI's and Anthropic's libraries know this one, too.
            let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            headers.insert("retry-after-ms", milliseconds.saturating_add(1).into());
        }
        if status == StatusCode::PAYMENT_REQUIRED || status == StatusCode::SERVICE_UNAVAILABLE {
            // Libraries that know this header do not ask again at once for what will not change by itself.
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        response
    }
}

/// A wait as `Retry-After` says it: in whole seconds, rather too long than too short.
pub(in crate::gateway) fn in_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl ErrorFormat {
    fn body(self, error: &Error, status: StatusCode, request_id: &str) -> Value {
        let message = match error.hint_text() {
            Some(hint) => format!("{} ({hint})", error.message()),
            None => error.message().to_owned(),
        };
        let code = error.code().as_str();
        match self {
            Self::OpenAi => json!({"error": {
                "message": message,
                "type": openai_type(status),
                "param": null,
                "code": code,
            }}),
            Self::Anthropic => json!({
                "type": "error",
                "error": {"type": anthropic_type(status), "message": message, "code": code},
                "request_id": request_id,
            }),
            Self::Google => json!({"error": {
                "code": status.as_u16(),
                "message": message,
                "status": google_status(status),
                "details": [{"reason": code}],
            }}),
        }
    }
}

fn openai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn google_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        402 | 429 => "RESOURCE_EXHAUSTED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        504 => "DEADLINE_EXCEEDED",
        502 | 503 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_person_has_configured_is_no_failure_to_try_again() {
        let response = ErrorResponse::from(Error::new(Code::OriginChanged, "another address"));
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
}
