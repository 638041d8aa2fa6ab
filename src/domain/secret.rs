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

    /// The same text without what comes along when people copy and paste: white space, quotes around it, `Bearer`.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        let mut text: &str = &self.0;
        loop {
            let less = unwrapped(text);
            if less.len() == text.len() {
                return Self::new(text);
            }
            text = less;
        }
    }

    /// The same text without the escaped line ends at its end, as scripts leave them, if it has any.
    pub fn without_escaped_line_end(&self) -> Option<Self> {
        let mut text: &str = &self.0;
        while let Some(less) = ["\\n", "\\r"].iter().find_map(|end| text.strip_suffix(end)) {
            text = less;
        }
        (text.len() < self.0.len()).then(|| Self::new(text).trimmed())
    }
}

/// `text` without the outermost of what is pasted along with a key.
fn unwrapped(text: &str) -> &str {
    const QUOTES: [(char, char); 6] = [
        ('"', '"'),
        ('\'', '\''),
        ('`', '`'),
        ('\u{201c}', '\u{201d}'),
        ('\u{2018}', '\u{2019}'),
        ('\u{ab}', '\u{bb}'),
    ];
    // Neither the mark that begins a text nor a space without width is white space to Unicode.
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'));
    let word = ["authorization:", "bearer"].iter().find_map(|word| {
        let (start, rest) = text.split_at_checked(word.len())?;
        let is_whole = word.ends_with(':') || rest.starts_with(char::is_whitespace);
        (start.eq_ignore_ascii_case(word) && is_whole).then_some(rest)
    });
    word.or_else(|| {
        QUOTES
            .iter()
            .find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close))
    })
    .unwrap_or(text)
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
        for pasted in [
            "abc",
            "  abc\n",
            "\r\n\tabc\r\n",
            "\u{feff}abc\u{200b}",
            "\"abc\"",
            "'abc' ",
            "' \"abc\" '",
            "\u{201c}abc\u{201d}",
            "Bearer abc",
            "bearer  abc",
            "\"Bearer abc\"",
            "Authorization: Bearer abc",
            "`abc`",
        ] {
            let secret = Secret::new(pasted);
            // EXPOSE: a made-up value in a test
            assert_eq!(secret.trimmed().expose(), "abc");
        }
    }

    #[test]
    fn what_belongs_to_a_key_stays() {
        for pasted in ["Bearerabc", "\"abc", "abc'", "abc\\n", "\"abc'"] {
            // EXPOSE: a made-up value in a test
            assert_eq!(Secret::new(pasted).trimmed().expose(), pasted);
        }
    }

    #[test]
    fn escaped_line_ends_are_taken_off_the_end_only() {
        let cleaned = |text: &str| Secret::new(text).without_escaped_line_end();
        for text in ["abc\\n", "abc\\r\\n", "abc\\n\\n", "abc \\n"] {
            // EXPOSE: a made-up value in a test
            assert_eq!(cleaned(text).expect("cleaned").expose(), "abc");
        }
        assert!(cleaned("a\\nbc").is_none() && cleaned("abc").is_none());
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
