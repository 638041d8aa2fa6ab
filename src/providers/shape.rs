//! What keys look like, as far as their public beginnings tell.

use std::fmt;

use super::Provider;
use crate::domain::ApiKey;

/// Why a key is refused for a provider; never says what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeError {
    /// Its prefix belongs to another provider.
    OtherProvider { wanted: String, owner: &'static str },
    /// It administers an organisation, which is far more than using its models.
    AdminKey { owner: &'static str },
}

/// What is odd about a key that is stored all the same: formats change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeWarning {
    /// It does not begin as this provider's keys do.
    UnknownShape { wanted: String },
}

/// Checks `key` against what is known of `provider`'s keys.
pub fn check_shape(provider: &Provider, key: &ApiKey) -> Result<Vec<ShapeWarning>, ShapeError> {
    let _ = (provider, key);
    Ok(Vec::new())
}

/// Whether `text` holds something that looks like an API key.
pub fn looks_like_key(text: &str) -> bool {
    text.contains("sk-ant-")
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherProvider { wanted, owner } => {
                write!(f, "the key has the form of a key for {owner}, not for {wanted}")
            }
            Self::AdminKey { owner } => write!(f, "the key is an administration key of {owner}"),
        }
    }
}

impl std::error::Error for ShapeError {}

impl fmt::Display for ShapeWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownShape { wanted } => write!(
                f,
                "the key does not look like the keys that {wanted} is known to issue; it is stored as it is, validate it"
            ),
        }
    }
}
