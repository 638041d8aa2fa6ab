//! What a provider said of a key.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A provider's answer about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// The provider accepts the key.
    Valid,
    /// The provider says that it does not know the key, or has revoked it.
    Invalid,
    /// The provider says that the key has expired.
    Expired,
    /// The key is good, but there is no credit or quota behind it.
    NoCredit,
    /// The key is live, but blocked or restricted away from this use.
    Forbidden,
    /// The provider asks to slow down and says nothing of the key.
    RateLimited,
    /// No answer, or one that says nothing of the key.
    Unreachable,
    /// The text cannot be a key of this provider and was never sent.
    Malformed,
}

impl KeyStatus {
    /// The status as results and files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::NoCredit => "no_credit",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
            Self::Unreachable => "unreachable",
            Self::Malformed => "malformed",
        }
    }

    /// Whether the provider accepts the key, or nothing where it could not say.
    pub fn is_valid(self) -> Option<bool> {
        match self {
            Self::Valid | Self::NoCredit | Self::Forbidden => Some(true),
            Self::Invalid | Self::Expired | Self::Malformed => Some(false),
            Self::RateLimited | Self::Unreachable => None,
        }
    }
}

/// The last answer of the provider about one version of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    pub status: KeyStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// One sentence of our own; never text that the provider sent.
    pub message: String,
    /// Whether the key is good for part of the provider's API only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restricted: bool,
    /// Permissions that the provider says the key lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_scopes: Vec<String>,
    pub latency_ms: u64,
    pub validated_at: Timestamp,
}
