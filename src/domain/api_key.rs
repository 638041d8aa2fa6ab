//! The secret a provider knows its customer by.

use std::fmt;

use super::Secret;

/// The shortest key that is believed to be one, in characters.
const SHORTEST: usize = 16;
/// The longest key that is stored, in characters.
const LONGEST: usize = 4096;
/// How many of the last characters the masked form shows.
const SHOWN: usize = 4;

/// An API key: never printed, serialized or cloned, wiped when dropped.
pub struct ApiKey(Secret);

/// Why a text cannot be an API key; never says what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MalformedKey {
    Empty,
    TooShort,
    TooLong,
    WhiteSpace,
    ControlCharacter,
    NotAscii,
    Placeholder,
    Reference,
}

impl fmt::Display for MalformedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the key is empty"),
            Self::TooShort => write!(f, "the key is shorter than {SHORTEST} characters"),
            Self::TooLong => write!(f, "the key is longer than {LONGEST} characters"),
            Self::WhiteSpace => f.write_str("the key contains white space"),
            Self::ControlCharacter => f.write_str("the key contains a control character"),
            Self::NotAscii => f.write_str("the key contains a character outside ASCII, which no provider issues"),
            Self::Placeholder => f.write_str("the key is a placeholder from an example, not a key"),
            Self::Reference => {
                f.write_str("the key is a reference to a secret stored elsewhere, not the secret itself")
            }
        }
    }
}

impl ApiKey {
    /// The key in `secret`, exactly as it stands, or why it cannot be one.
    pub fn parse(secret: &Secret) -> Result<Self, MalformedKey> {
        // EXPOSE: the shape is checked here, once, before the value becomes a key
        let text = secret.expose();
        if text.is_empty() {
            return Err(MalformedKey::Empty);
        }
        if is_reference(text) {
            return Err(MalformedKey::Reference);
        }
        if is_placeholder(text) {
            return Err(MalformedKey::Placeholder);
        }
        if text.chars().any(char::is_whitespace) {
            return Err(MalformedKey::WhiteSpace);
        }
        if text.chars().any(char::is_control) {
            return Err(MalformedKey::ControlCharacter);
        }
        if !text.is_ascii() {
            return Err(MalformedKey::NotAscii);
        }
        match text.len() {
            ..SHORTEST => Err(MalformedKey::TooShort),
            SHORTEST..=LONGEST => Ok(Self(Secret::new(text))),
            _ => Err(MalformedKey::TooLong),
        }
    }

    /// The key itself; every caller says why in an `EXPOSE` comment.
    pub fn expose(&self) -> &str {
        // EXPOSE: accessor, the caller gives the reason
        self.0.expose()
    }

    /// A form that people recognise and nobody can use: the public `prefix`, where the key has it, and the last four characters.
    pub fn masked(&self, prefix: &str) -> String {
        // EXPOSE: only the published prefix and four characters of a long key leave
        let text = self.0.expose();
        let prefix = if text.starts_with(prefix) { prefix } else { "" };
        let hidden = text.len() - prefix.len();
        let tail = if hidden >= SHORTEST {
            text.get(text.len() - SHOWN..).unwrap_or_default()
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

/// Whether `text` says where a secret is, such as `op://vault/item/field`, as other programs resolve it.
fn is_reference(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// Whether `text` is what documentation prints where a key belongs.
///
/// Only what no provider issues: a key that merely looks dull (one letter repeated) is stored.
fn is_placeholder(text: &str) -> bool {
    const WORDS: [&str; 9] = [
        "yourapikey",
        "yourkey",
        "apikeyhere",
        "keyhere",
        "placeholder",
        "changeme",
        "replaceme",
        "insertkey",
        "myapikey",
    ];
    const FILLERS: [&str; 4] = ["xxxxxx", "******", "......", "••••••"];
    let lower = text.to_ascii_lowercase();
    let letters: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    text.contains("...")
        || text.contains('…')
        || text.starts_with(['<', '$', '{', '['])
        || FILLERS.iter().any(|filler| lower.contains(filler))
        || WORDS.iter().any(|word| letters.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ApiKey, MalformedKey> {
        ApiKey::parse(&Secret::new(text))
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_with_the_reason() {
        let long = "k".repeat(LONGEST + 1);
        for (text, why) in [
            ("", MalformedKey::Empty),
            ("sk-short", MalformedKey::TooShort),
            (long.as_str(), MalformedKey::TooLong),
            ("sk-0123456789 0123456789", MalformedKey::WhiteSpace),
            ("sk-0123456789\n", MalformedKey::WhiteSpace),
            ("sk-0123456789\u{7}0123456789", MalformedKey::ControlCharacter),
            ("sk-0123456789é0123456789", MalformedKey::NotAscii),
            ("sk-...", MalformedKey::Placeholder),
            ("YOUR_API_KEY", MalformedKey::Placeholder),
            ("sk-your-api-key-here", MalformedKey::Placeholder),
            ("<paste the key here>", MalformedKey::Placeholder),
            ("${OPENAI_API_KEY}", MalformedKey::Placeholder),
            ("sk-ant-xxxxxxxxxxxxxxxxxxxxxxxx", MalformedKey::Placeholder),
            ("op://vault/item/field", MalformedKey::Reference),
            ("op://My vault/OpenAI/credential", MalformedKey::Reference),
            ("ref+awsssm://team/openai/key", MalformedKey::Reference),
        ] {
            assert_eq!(parse(text).err(), Some(why), "{text}");
        }
    }

    #[test]
    fn dull_but_possible_keys_are_kept() {
        for text in [
            "sk-ant-api03-aaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdef",
            "sk-test-1234567890abcdef",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
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
