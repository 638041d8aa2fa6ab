//! Names that must not be confused: which provider, which of its keys, which record.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The longest provider or label, in characters.
const MAX_LENGTH: usize = 64;

/// Why a text cannot be an id or a label; never says what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct IdentityError {
    what: &'static str,
    rule: &'static str,
}

impl IdentityError {
    pub(super) const fn new(what: &'static str, rule: &'static str) -> Self {
        Self { what, rule }
    }
}

/// A provider's name, such as `anthropic`: lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderId(Arc<str>);

impl ProviderId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProviderId {
    type Err = IdentityError;

    /// Takes any letter case; `claude`, `gemini` and `ollama` mean the provider of that model family.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = IdentityError::new(
            "a provider",
            "1 to 64 lower-case letters, digits and hyphens, beginning with a letter",
        );
        let name = text.trim().to_ascii_lowercase();
        let name = match name.as_str() {
            "claude" => "anthropic",
            "gemini" => "google",
            "ollama" => "local",
            other => other,
        };
        let fits = name.len() <= MAX_LENGTH
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if fits { Ok(Self(name.into())) } else { Err(error) }
    }
}

/// Which of a provider's keys is meant; `default` where none is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

impl Label {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Label {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for Label {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = IdentityError::new(
            "a label",
            "1 to 64 letters, digits, dots, hyphens and underscores, beginning with a letter or digit",
        );
        let fits = (1..=MAX_LENGTH).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if fits { Ok(Self(text.to_owned())) } else { Err(error) }
    }
}

/// Names one stored key for good: it stays the same when the secret is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// The id made of 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = IdentityError::new("a key id", "`key_` and 32 lower-case hexadecimal digits");
        let hex = text.strip_prefix("key_").ok_or(error)?;
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).map_err(|_| error)?;
        bytes.try_into().map(Self).map_err(|_| error)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key_{}", data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ProviderId {
    type Error = IdentityError;
    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

impl TryFrom<String> for Label {
    type Error = IdentityError;
    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

impl TryFrom<String> for KeyId {
    type Error = IdentityError;
    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

impl From<ProviderId> for String {
    fn from(id: ProviderId) -> Self {
        id.as_str().to_owned()
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_known_by_their_models_names_too() {
        for (text, id) in [
            ("claude", "anthropic"),
            ("Gemini", "google"),
            ("ollama", "local"),
            (" OpenAI ", "openai"),
        ] {
            assert_eq!(text.parse::<ProviderId>().map(String::from), Ok(id.to_owned()));
        }
        for text in ["", "my provider", "ünïcode", "-x", "9x", "a/b", &"a".repeat(65)] {
            assert!(text.parse::<ProviderId>().is_err(), "{text}");
        }
    }

    #[test]
    fn labels_are_one_word() {
        for text in ["default", "work", "team-2", "a.b_c", "9"] {
            assert!(text.parse::<Label>().is_ok(), "{text}");
        }
        for text in ["", "two words", "-flag", "a:b", "a/b", "\u{202e}x", &"a".repeat(65)] {
            assert!(text.parse::<Label>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_id_reads_back_as_it_was_printed() {
        let id = KeyId::from_random([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("key_ABAB".parse::<KeyId>().is_err());
    }
}
