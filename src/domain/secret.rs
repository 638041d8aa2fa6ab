//! Bytes that cannot be printed, copied or serialized, and are wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// Secret text as it came in: not yet known to be a key or a passphrase.
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// A copy of `text` in a buffer of its own, wiped when dropped.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself; every caller says why in an `EXPOSE` comment.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The same text without the white space and quotes that come along when people copy and paste.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        let text = self.0.trim();
        let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
        let unquoted = ['"', '\'', '`']
            .iter()
            .find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
        Self(Zeroizing::new(unquoted.unwrap_or(text).into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(&Zeroizing::new(text)))
    }
}

/// What opens a passphrase slot of the vault.
#[derive(Debug)]
pub struct Passphrase(Secret);

impl Passphrase {
    /// Takes `secret` as it is: white space belongs to a passphrase.
    pub fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The passphrase itself; every caller says why in an `EXPOSE` comment.
    pub fn expose(&self) -> &str {
        // EXPOSE: accessor, the caller gives the reason
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_paste_around_a_key_is_taken_off() {
        for pasted in ["abc", "  abc\n", "\"abc\"", "'abc' ", "Bearer abc", "`abc`"] {
            let secret = Secret::new(pasted);
            // EXPOSE: a made-up value in a test
            assert_eq!(secret.trimmed().expose(), "abc");
        }
    }

    #[test]
    fn debug_never_prints_the_text() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[redacted]");
        assert_eq!(
            format!("{:?}", Passphrase::new(Secret::new("hunter2"))),
            "Passphrase([redacted])"
        );
    }
}
