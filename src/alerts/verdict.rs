//! What a channel's answer means.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendVerdict {
    Accepted,
    /// To be tried again; the receiver may have said when.
    Retry {
        why: String,
        after: Option<SignedDuration>,
    },
    /// The destination takes no messages any more.
    Dead {
        why: String,
    },
}

/// Slack's words for what is wrong; no other text of an answer is repeated.
const REASONS: [&str; 9] = [
    "no_service",
    "invalid_token",
    "no_team",
    "user_not_found",
    "channel_not_found",
    "channel_is_archived",
    "action_prohibited",
    "posting_to_general_channel_denied",
    "invalid_payload",
];

impl SendVerdict {
    /// What the answer of a server means, `asked` being its `Retry-After`.
    pub fn of_http(status: u16, asked: Option<Duration>, body: &[u8]) -> Self {
        let why = match REASONS.into_iter().find(|reason| body == reason.as_bytes()) {
            Some(reason) => format!("HTTP {status} {reason}"),
            None => format!("HTTP {status}"),
        };
        match status {
            200..=299 => Self::Accepted,
            // Nothing is sent where a redirect leads: the address was entered for this server.
            300..=399 => Self::Dead {
                why: format!("{why}, a redirect, which is not followed"),
            },
            408 | 409 | 425 | 429 | 500.. => Self::Retry {
                why,
                after: asked
                    .and_then(|asked| SignedDuration::try_from(asked).ok())
                    .or_else(|| stated(body)),
            },
            _ => Self::Dead { why },
        }
    }

    /// Nothing was answered, for a reason of ours.
    pub fn retry(why: impl Into<String>) -> Self {
        Self::Retry {
            why: why.into(),
            after: None,
        }
    }

    /// What it is in one line.
    pub fn as_text(&self) -> &str {
        match self {
            Self::Accepted => "accepted",
            Self::Retry { why, .. } | Self::Dead { why } => why,
        }
    }
}

/// How long to wait, as Discord and Telegram say it.
fn stated(body: &[u8]) -> Option<SignedDuration> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let seconds = body
        .get("retry_after")
        .or_else(|| body.pointer("/parameters/retry_after"))?;
    let seconds = Duration::try_from_secs_f64(seconds.as_f64()?).ok()?;
    SignedDuration::try_from(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_accepted_tried_again_or_the_end() {
        let of = |status, body: &str| SendVerdict::of_http(status, None, body.as_bytes());
        assert_eq!(of(204, ""), SendVerdict::Accepted);
        for (status, body, why) in [
            (404, "no_service", "HTTP 404 no_service"),
            (401, "{\"secret\": 1}", "HTTP 401"),
            (302, "", "HTTP 302, a redirect, which is not followed"),
        ] {
            assert_eq!(of(status, body), SendVerdict::Dead { why: why.to_owned() });
        }
        let after = |body| match of(429, body) {
            SendVerdict::Retry { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            after("{\"retry_after\": 1.5}"),
            Some(SignedDuration::from_millis(1_500))
        );
        assert_eq!(
            after("{\"parameters\": {\"retry_after\": 7}}"),
            Some(SignedDuration::from_secs(7))
        );
        assert_eq!(after("{\"retry_after\": -1}"), None);
        assert_eq!(of(503, ""), SendVerdict::retry("HTTP 503"));
    }
}
