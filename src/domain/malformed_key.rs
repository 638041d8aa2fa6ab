//! What is not an API key although it was given for one, and why.

use std::fmt;

/// The shortest key that is believed to be one, in characters.
pub(super) const MIN_LENGTH: usize = 16;
/// The longest key that is stored, in characters.
pub(super) const MAX_LENGTH: usize = 4096;
/// The shortest text that counts as one key when it stands twice in a row: shorter keys are themselves repetitive.
const MIN_TWIN: usize = 20;

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
    /// It says where a program finds the secret, such as `op://vault/item`.
    Reference,
    /// It names a variable that holds the secret, such as `${NAME}`.
    Variable,
    /// It is ciphertext of the program named.
    Encrypted(&'static str),
    /// A whole line of a `.env` file: the name of a variable, and its value.
    Assignment,
    /// A JSON document or a block of PEM.
    Document,
    /// Punctuation that belongs to the text around a key.
    Punctuation(&'static str),
    /// The same key twice in a row.
    Twice,
}

impl MalformedKey {
    /// Why `text` cannot be a key, if it cannot.
    pub(super) fn find(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Empty);
        }
        if let Some(program) = encrypted_by(text) {
            return Some(Self::Encrypted(program));
        }
        let is_document = text.starts_with("-----BEGIN") || (text.starts_with(['{', '[']) && text.contains('"'));
        let rules: [(bool, Self); 9] = [
            (names_variable(text), Self::Variable),
            (is_reference(text), Self::Reference),
            (is_document, Self::Document),
            (is_assignment(text), Self::Assignment),
            (is_placeholder(text), Self::Placeholder),
            (is_twice(text), Self::Twice),
            (text.chars().any(char::is_whitespace), Self::WhiteSpace),
            (text.chars().any(char::is_control), Self::ControlCharacter),
            (!text.is_ascii(), Self::NotAscii),
        ];
        let broken = rules.into_iter().find_map(|(holds, why)| holds.then_some(why));
        broken
            .or_else(|| punctuation(text).map(Self::Punctuation))
            .or(match text.len() {
                ..MIN_LENGTH => Some(Self::TooShort),
                MIN_LENGTH..=MAX_LENGTH => None,
                _ => Some(Self::TooLong),
            })
    }
}

impl fmt::Display for MalformedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the key is empty"),
            Self::TooShort => write!(f, "the key is shorter than {MIN_LENGTH} characters"),
            Self::TooLong => write!(f, "the key is longer than {MAX_LENGTH} characters"),
            Self::WhiteSpace => f.write_str("the key contains white space"),
            Self::ControlCharacter => f.write_str("the key contains a control character"),
            Self::NotAscii => f.write_str("the key contains a character outside ASCII, which no provider issues"),
            Self::Placeholder => f.write_str("the key is a placeholder from an example, not a key"),
            Self::Reference => {
                f.write_str("the key is a reference to a secret stored elsewhere, not the secret itself")
            }
            Self::Variable => f.write_str("the key is the name of a variable, not its value"),
            Self::Encrypted(program) => write!(f, "the key is encrypted by {program}: it is not the key itself"),
            Self::Assignment => f.write_str("the key begins with the name of a variable"),
            Self::Document => f.write_str("the key is a whole document, not a key"),
            Self::Punctuation(what) => write!(f, "the key contains a {what}, which no provider issues"),
            Self::Twice => f.write_str("the same key was typed twice"),
        }
    }
}

/// The program whose ciphertext `text` is.
fn encrypted_by(text: &str) -> Option<&'static str> {
    const MARKS: [(&str, &str); 8] = [
        ("encrypted:", "dotenvx"),
        ("ENC[", "SOPS"),
        ("ENC(", "Jasypt"),
        ("$ANSIBLE_VAULT", "Ansible Vault"),
        ("gAAAAA", "Fernet"),
        ("U2FsdGVkX1", "OpenSSL"),
        ("AQICAH", "AWS KMS"),
        ("-----BEGIN PGP MESSAGE", "PGP"),
    ];
    let version = text.strip_prefix("vault:v").and_then(|rest| rest.split_once(':'));
    let is_transit = version.is_some_and(|(version, _)| version.parse::<u32>().is_ok());
    let mark = MARKS.iter().find(|(mark, _)| text.starts_with(mark));
    mark.map(|(_, program)| *program)
        .or_else(|| is_transit.then_some("HashiCorp Vault"))
}

/// Whether `text` says where a secret is, such as `op://vault/item/field`, as other programs resolve it.
fn is_reference(text: &str) -> bool {
    const MARKS: [&str; 12] = [
        "vault:",
        "op:",
        "ref:",
        "ssm:",
        "sops:",
        "keyring:",
        "keychain:",
        "secretref:",
        "arn:aws:",
        "!vault",
        "@Microsoft.KeyVault(",
        "{{",
    ];
    let is_address = text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    let is_google = text.starts_with("projects/") && text.contains("/secrets/");
    is_address || is_google || MARKS.iter().any(|mark| text.starts_with(mark))
}

/// Whether `text` stands for the value of a variable: `$NAME`, `${NAME}`, `%NAME%`, `os.environ/NAME`.
fn names_variable(text: &str) -> bool {
    const MARKS: [&str; 6] = ["$", "os.environ", "process.env", "import.meta.env", "env:", "env."];
    let is_windows = text
        .strip_prefix('%')
        .and_then(|rest| rest.strip_suffix('%'))
        .is_some_and(is_name);
    is_windows || MARKS.iter().any(|mark| text.starts_with(mark))
}

/// Whether `text` is a name and a value: `NAME=value`, `export NAME=value`, `NAME: value`.
fn is_assignment(text: &str) -> bool {
    let text = ["export ", "set ", "setx "]
        .iter()
        .find_map(|word| text.strip_prefix(word))
        .unwrap_or(text);
    let parts = text.split_once('=').or_else(|| text.split_once(": "));
    // Base64 ends in `=`.
    parts.is_some_and(|(name, value)| is_name(name.trim_end()) && !value.trim_matches([' ', '=']).is_empty())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
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
        || text.starts_with(['<', '{', '['])
        || FILLERS.iter().any(|filler| lower.contains(filler))
        || WORDS.iter().any(|word| letters.contains(word))
}

/// Whether `text` is one key two times, with or without white space between.
fn is_twice(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (one, rest) = bytes.split_at(bytes.len() / 2);
    let other = rest.trim_ascii();
    let one = one.trim_ascii();
    let has_space = one.len() + other.len() < bytes.len();
    one == other && one.len() >= if has_space { MIN_LENGTH } else { MIN_TWIN } && !is_one_letter(one)
}

fn is_one_letter(text: &[u8]) -> bool {
    text.iter().all(|byte| text.first() == Some(byte))
}

/// The first character of `text` that belongs to the text around a key, in words.
fn punctuation(text: &str) -> Option<&'static str> {
    text.chars().find_map(|c| match c {
        '"' | '\'' | '`' => Some("quotation mark"),
        '\\' => Some("backslash"),
        ';' => Some("semicolon"),
        ',' => Some("comma"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_key_is_refused_with_the_reason() {
        let long = "k".repeat(MAX_LENGTH + 1);
        let twin = "sk-proj-0123456789abcdef";
        let (twins, lines) = (twin.repeat(2), format!("{twin}\n{twin}"));
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
            ("sk-ant-xxxxxxxxxxxxxxxxxxxxxxxx", MalformedKey::Placeholder),
            ("${OPENAI_API_KEY}", MalformedKey::Variable),
            ("$OPENAI_API_KEY", MalformedKey::Variable),
            ("%OPENAI_API_KEY%", MalformedKey::Variable),
            ("os.environ/OPENAI_API_KEY", MalformedKey::Variable),
            ("process.env.OPENAI_API_KEY", MalformedKey::Variable),
            ("op://vault/item/field", MalformedKey::Reference),
            ("op://My vault/OpenAI/credential", MalformedKey::Reference),
            ("ref+awsssm://team/openai/key", MalformedKey::Reference),
            ("vault:secret/data/openai#key", MalformedKey::Reference),
            ("{{ op://vault/item/field }}", MalformedKey::Reference),
            (
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:openai",
                MalformedKey::Reference,
            ),
            ("projects/1/secrets/openai/versions/latest", MalformedKey::Reference),
            ("encrypted:BD9paBaun1p0aZlG", MalformedKey::Encrypted("dotenvx")),
            (
                "ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]",
                MalformedKey::Encrypted("SOPS"),
            ),
            (
                "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZR",
                MalformedKey::Encrypted("HashiCorp Vault"),
            ),
            ("gAAAAABn0123456789abcdef==", MalformedKey::Encrypted("Fernet")),
            ("OPENAI_API_KEY=sk-0123456789abcdef", MalformedKey::Assignment),
            ("export OPENAI_API_KEY=sk-0123456789abcdef", MalformedKey::Assignment),
            ("api_key: sk-0123456789abcdef", MalformedKey::Assignment),
            ("{\"type\": \"service_account\"}", MalformedKey::Document),
            ("-----BEGIN PRIVATE KEY-----", MalformedKey::Document),
            ("sk-0123456789abcdef\"", MalformedKey::Punctuation("quotation mark")),
            ("sk-0123456789abcdef'", MalformedKey::Punctuation("quotation mark")),
            ("sk-0123456789\\nabcdef", MalformedKey::Punctuation("backslash")),
            ("sk-0123456789abcdef;", MalformedKey::Punctuation("semicolon")),
            ("sk-0123456789abcdef,", MalformedKey::Punctuation("comma")),
            (twins.as_str(), MalformedKey::Twice),
            (lines.as_str(), MalformedKey::Twice),
        ] {
            assert_eq!(MalformedKey::find(text), Some(why), "{text}");
        }
    }

    #[test]
    fn dull_but_possible_keys_are_kept() {
        for text in [
            "sk-ant-api03-aaaaaaaaaaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdef",
            "0123456789abcdef0123456789abcdef",
            "sk-test-1234567890abcdef",
            "ABSKQmVkcm9ja0FQSUtleS0wMTIzNDU2Nzg5YWJjZGVm==",
            "ABSKQmVkcm9ja0FQSUtleS0wMTIzNDU2Nzg5YWJj+/=",
            "0123456789abcdef0123456789abcdef.AbCdEfGh12345678",
        ] {
            assert_eq!(MalformedKey::find(text), None, "{text}");
        }
    }
}
