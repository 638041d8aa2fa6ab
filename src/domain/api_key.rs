//! The secret a provider knows its customer by.

use std::fmt;

use super::{
    Secret,
    malformed_key::{MIN_LENGTH, MalformedKey},
};

/// How many of the last characters the masked form shows.
const SHOWN_CHARACTERS: usize = 4;

/// An API key: never printed, serialized or cloned, wiped when dropped.
pub struct ApiKey(Secret);

impl ApiKey {
    /// The key in `secret`, exactly as it stands, or why it cannot be one.
    pub fn parse(secret: &Secret) -> Result<Self, MalformedKey> {
        // EXPOSE: the shape is checked here, once, before the value becomes a key
        let text = secret.expose();
        match MalformedKey::find(text) {
            Some(why) => Err(why),
            None => Ok(Self(Secret::new(text))),
        }
    }

    /// A key that was checked when it came in, by the rules of that time.
    pub fn stored(secret: &str) -> Self {
        Self(Secret::new(secret))
    }

    /// The key itself; every caller says why in an `EXPOSE` comment.
    pub fn expose(&self) -> &str {
        // EXPOSE: accessor, the caller gives the reason
        self.0.expose()
    }

    /// A form that people recognize and that opens nothing: the public `prefix`, where the key has it, and the last four characters.
    pub fn masked(&self, prefix: &str) -> String {
        // EXPOSE: only the published prefix and four characters of a long key leave
        let text = self.0.expose();
        let prefix = if text.starts_with(prefix) { prefix } else { "" };
        let hidden = text.len() - prefix.len();
        let tail = if hidden >= MIN_LENGTH {
            text.get(text.len() - SHOWN_CHARACTERS..).unwrap_or_default()
        } else {
            ""
        };
        format!("{prefix}…{tail}")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ApiKey, MalformedKey> {
        ApiKey::parse(&Secret::new(text))
    }

    #[test]
    fn what_was_stored_by_older_rules_stays_a_key() {
        let odd = "sk-0123456789,abcdef";
        assert!(parse(odd).is_err());
        // EXPOSE: a made-up value in a test
        assert_eq!(ApiKey::stored(odd).expose(), odd);
    }

    #[test]
    fn the_masked_form_shows_the_prefix_and_four_characters_at_most() {
        let key = parse("sk-ant-api03-0123456789abcdefWXYZ").expect("well formed");
        assert_eq!(key.masked("sk-ant-"), "sk-ant-…WXYZ");
        assert_eq!(key.masked("gsk_"), "…WXYZ");
        let short = parse("sk-ant-0123456789").expect("well formed");
        assert_eq!(short.masked("sk-ant-"), "sk-ant-…");
        assert_eq!(format!("{key:?}"), "[redacted]");
    }
}
