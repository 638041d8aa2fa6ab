//! An answer of a provider, and what can be learnt from it without repeating it.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::{ApiKey, KeyStatus};

/// The longest id or scope that is believed, in characters.
const LONGEST_NAME: usize = 128;
/// The most scopes that are kept.
const MOST_SCOPES: usize = 32;

/// What a provider answered, as far as it is looked at.
pub struct Answer<'a> {
    pub title: &'a str,
    pub http_status: u16,
    /// The body, where all of it is JSON.
    pub json: Option<Value>,
    /// The beginning of the body, lower case; for looking for words, never for showing.
    pub text: String,
    /// Whether the body went on past the cap.
    pub is_cut: bool,
    /// The provider's id of the account, where a header tells.
    pub account_header: Option<String>,
    /// The key that was sent, to keep it out of what is learnt.
    pub key: Option<&'a ApiKey>,
}

/// What an answer says of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub status: KeyStatus,
    /// A sentence of our own.
    pub message: String,
    /// Whether the key is good for part of the provider's API only.
    pub restricted: bool,
    pub missing_scopes: Vec<String>,
    pub account: Option<Account>,
    /// When the provider says that the key expires.
    pub expires_at: Option<Timestamp>,
}

/// A provider's id of an account: personal data, kept only as a keyed fingerprint.
#[derive(PartialEq, Eq, Clone)]
pub struct Account(String);

impl Account {
    /// The id itself, for fingerprinting.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[account]")
    }
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({})", self.http_status)
    }
}

impl Verdict {
    pub(super) fn new(status: KeyStatus, message: String) -> Self {
        Self {
            status,
            message,
            restricted: false,
            missing_scopes: Vec::new(),
            account: None,
            expires_at: None,
        }
    }
}
