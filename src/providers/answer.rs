//! A response of a provider, and what can be read from it without repeating it.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use super::looks_like_key;
use crate::domain::{ApiKey, KeyStatus};

/// The longest id or scope that is believed, in characters.
const MAX_NAME: usize = 128;
/// The most scopes that are kept.
const MAX_SCOPES: usize = 32;
/// The shortest piece of a key that must not be repeated.
const PIECE: usize = 8;

/// What a provider answered, as far as it is used.
pub struct ProviderResponse<'a> {
    title: &'a str,
    http_status: u16,
    /// The body, where all of it is JSON.
    json: Option<Value>,
    body: BodyKind,
    /// The body in lower case, for looking for words and never for showing.
    text: String,
    /// The provider's id of the account, where a header names it.
    account_header: Option<&'a str>,
    /// The key that was sent, to keep it out of what is read.
    key: Option<&'a ApiKey>,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    Empty,
    /// A whole JSON object or list.
    Json,
    /// The beginning of a JSON object or list that goes on past the cap.
    LongJson,
    /// Some other text.
    Text,
    /// A page for a browser: not from the provider's API.
    Html,
    /// No text at all.
    Binary,
}

/// What an answer says of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyVerdict {
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

impl<'a> ProviderResponse<'a> {
    /// The answer of the provider `title` to a request that carried `key`.
    ///
    /// `is_cut` says that the body went on past `body`.
    pub fn new(title: &'a str, http_status: u16, body: &[u8], is_cut: bool, key: Option<&'a ApiKey>) -> Self {
        let json: Option<Value> = serde_json::from_slice(body)
            .ok()
            .filter(|json: &Value| json.is_object() || json.is_array());
        let (text, is_text) = match str::from_utf8(body) {
            Ok(text) => (text, true),
            Err(why) => {
                let (good, _) = body.split_at(why.valid_up_to());
                // Where the cap cut a character in two, the rest is text all the same.
                (
                    str::from_utf8(good).unwrap_or_default(),
                    is_cut && why.error_len().is_none(),
                )
            }
        };
        let start = text.trim_start();
        let body = if json.is_some() {
            BodyKind::Json
        } else if !is_text {
            BodyKind::Binary
        } else if start.is_empty() {
            BodyKind::Empty
        } else if start.starts_with('<') {
            BodyKind::Html
        } else if is_cut && start.starts_with(['{', '[']) {
            BodyKind::LongJson
        } else {
            BodyKind::Text
        };
        Self {
            title,
            http_status,
            json,
            body,
            text: text.to_lowercase(),
            account_header: None,
            key,
        }
    }

    #[must_use]
    pub(super) fn with_account_header(mut self, account: Option<&'a str>) -> Self {
        self.account_header = account;
        self
    }

    pub(super) fn http_status(&self) -> u16 {
        self.http_status
    }

    pub(super) fn body(&self) -> BodyKind {
        self.body
    }

    /// Whether the answer came from the provider's API, not from something in between.
    pub(super) fn is_json(&self) -> bool {
        match self.body {
            BodyKind::Json | BodyKind::LongJson => true,
            BodyKind::Empty | BodyKind::Text | BodyKind::Html | BodyKind::Binary => false,
        }
    }

    /// Whether the body holds one of the `words`, in lower case.
    pub(super) fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.text.contains(word))
    }

    /// The value at a JSON pointer such as `/error/code`.
    pub(super) fn at(&self, pointer: &str) -> Option<&Value> {
        self.json.as_ref()?.pointer(pointer)
    }

    /// Whether the key that was sent begins with the published `prefix`.
    pub(super) fn is_of_key(&self, prefix: &str) -> bool {
        // EXPOSE: compared with a published prefix; nothing of it leaves
        self.key.is_some_and(|key| key.expose().starts_with(prefix))
    }

    pub(super) fn flag(&self, pointer: &str) -> Option<bool> {
        self.at(pointer)?.as_bool()
    }

    /// The account that the body names at one of the `pointers`, else the one that a header names.
    pub(super) fn account(&self, pointers: &[&str]) -> Option<Account> {
        let named = pointers.iter().find_map(|pointer| match self.at(pointer)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        });
        named
            .or_else(|| self.account_header.map(str::to_owned))
            .filter(|name| self.is_harmless(name, true))
            .map(Account)
    }

    /// The scopes that the body lists after `mark`, in lower case.
    pub(super) fn scopes_after(&self, mark: &str) -> Vec<String> {
        let Some((_, rest)) = self.text.split_once(mark) else {
            return Vec::new();
        };
        let end = rest.find(['"', '\\', '\n', '(']).unwrap_or(rest.len());
        let list = rest.get(..end).unwrap_or_default();
        // A full stop ends the list; inside a scope it is followed by a letter.
        let list = list.split(". ").next().unwrap_or_default();
        list.split(|c: char| c == ',' || c.is_whitespace())
            .map(|scope| scope.trim_matches('.'))
            .filter(|scope| !scope.is_empty() && self.is_harmless(scope, false))
            .take(MAX_SCOPES)
            .map(str::to_owned)
            .collect()
    }

    fn verdict(&self, status: KeyStatus, message: &str) -> KeyVerdict {
        KeyVerdict::new(status, format!("{} {message}", self.title))
    }

    /// Whether `name` can be repeated: an id or a scope by its letters, and no part of the key.
    ///
    /// An id of an account may be random; what is shown to people may not look like a key.
    fn is_harmless(&self, name: &str, is_id: bool) -> bool {
        let plain = (1..=MAX_NAME).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '*' | '-'));
        // EXPOSE: compared with what the provider sent, so that no part of the key is repeated
        let key = self
            .key
            .map(|key| key.expose().to_ascii_lowercase())
            .map(zeroize::Zeroizing::new);
        let of_key = key.is_some_and(|key| {
            let name = name.to_ascii_lowercase();
            name.contains(key.as_str())
                || (name.len() >= PIECE && key.contains(&name))
                || key.as_bytes().windows(PIECE).any(|piece| {
                    piece.iter().any(u8::is_ascii_digit) && name.as_bytes().windows(PIECE).any(|part| part == piece)
                })
        });
        plain && !of_key && (is_id || !looks_like_key(name))
    }
}

impl KeyVerdict {
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

    #[must_use]
    pub(super) fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    #[must_use]
    pub(super) fn restricted(mut self, missing_scopes: Vec<String>) -> Self {
        self.restricted = true;
        self.missing_scopes = missing_scopes;
        self
    }
}

/// The sentences: our own words, one for each thing an answer can mean.
impl ProviderResponse<'_> {
    pub(super) fn valid(&self) -> KeyVerdict {
        self.verdict(KeyStatus::Valid, "accepts the key")
            .account(self.account(&[]))
    }

    pub(super) fn reachable(&self) -> KeyVerdict {
        self.verdict(KeyStatus::Valid, "answers; no key is needed")
    }

    pub(super) fn valid_restricted(&self, missing_scopes: Vec<String>) -> KeyVerdict {
        self.verdict(
            KeyStatus::Valid,
            "accepts the key, which is restricted to part of the API",
        )
        .restricted(missing_scopes)
        .account(self.account(&[]))
    }

    pub(super) fn invalid(&self) -> KeyVerdict {
        self.verdict(
            KeyStatus::Invalid,
            "does not accept the key: it is wrong or was revoked",
        )
    }

    pub(super) fn invalid_because(&self, why: &str) -> KeyVerdict {
        self.verdict(KeyStatus::Invalid, why)
    }

    pub(super) fn expired(&self) -> KeyVerdict {
        self.verdict(KeyStatus::Expired, "says that the key has expired")
    }

    pub(super) fn no_credit(&self) -> KeyVerdict {
        self.verdict(
            KeyStatus::NoCredit,
            "knows the key, but there is no credit or quota behind it",
        )
    }

    pub(super) fn forbidden(&self, why: &str) -> KeyVerdict {
        self.verdict(KeyStatus::Forbidden, why)
    }

    pub(super) fn rate_limited(&self) -> KeyVerdict {
        self.verdict(
            KeyStatus::RateLimited,
            "limits the rate of checks; key status unknown, try again later",
        )
    }

    /// The answer says nothing of the key.
    pub(super) fn undetermined(&self, why: &str) -> KeyVerdict {
        self.verdict(KeyStatus::Unreachable, why)
    }
}

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

impl fmt::Debug for ProviderResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} {:?})", self.http_status, self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Secret;

    fn body(bytes: &[u8], is_cut: bool) -> BodyKind {
        ProviderResponse::new("Test", 200, bytes, is_cut, None).body()
    }

    #[test]
    fn a_body_is_told_by_its_beginning() {
        assert_eq!(body(b"", false), BodyKind::Empty);
        assert_eq!(body(b" \n", false), BodyKind::Empty);
        assert_eq!(body(b"{\"data\":[]}", false), BodyKind::Json);
        assert_eq!(body(b"{\"data\":[", false), BodyKind::Text);
        assert_eq!(body(b"{\"data\":[", true), BodyKind::LongJson);
        assert_eq!(body(b"<!DOCTYPE html>", false), BodyKind::Html);
        assert_eq!(body(b"unauthorized", false), BodyKind::Text);
        assert_eq!(body(b"123", false), BodyKind::Text);
        assert_eq!(body(b"\x1f\x8b\x08\x00", false), BodyKind::Binary);
        assert_eq!(
            body("{\"a\":\"é".as_bytes().split_last().expect("long").1, true),
            BodyKind::LongJson
        );
    }

    #[test]
    fn scopes_are_repeated_only_where_they_are_plain_and_no_part_of_the_key() {
        let key = ApiKey::parse(&Secret::new("sk-proj-0123456789abcdefghij")).expect("well formed");
        let answer = |text: &str| {
            let body = serde_json::json!({"error": {"message": text}}).to_string();
            ProviderResponse::new("Test", 401, body.as_bytes(), false, Some(&key)).scopes_after("missing scopes:")
        };
        assert_eq!(
            answer("Missing scopes: api.model.read, model.request. Check that you have the right role."),
            ["api.model.read", "model.request"]
        );
        assert_eq!(answer("Missing scopes: api-key:model:*"), ["api-key:model:*"]);
        for echo in [
            "Missing scopes: sk-proj-0123456789abcdefghij",
            "Missing scopes: xsk-proj-0123456789abcdefghijx",
            "Missing scopes: 0123456789",
            "Missing scopes: SK-PROJ-0123456789ABCDEFGHIJ",
            "Missing scopes: a.0123456789.b",
            "Missing scopes: <script>",
            "Nothing is missing",
        ] {
            assert_eq!(answer(echo), Vec::<String>::new(), "{echo}");
        }
    }
}
