//! Keys and tokens in bytes that may hold anything: where each stands, and what it is.

use aho_corasick::{AhoCorasick, MatchKind};

use super::{
    PROVIDERS,
    key_prefixes::{ADMIN, PREFIXES, STRANGERS, TailRule, is_aws_secret},
};
use crate::domain::{ApiKey, Secret};

/// The longest that is taken for one key, in bytes.
pub const MAX_FOUND: usize = 4096;
/// The id of an access key of AWS: this many characters in all.
const AWS: usize = 20;
/// What stands before the ids of AWS's access keys.
const AWS_PREFIXES: [&str; 2] = ["AKIA", "ASIA"];
/// The names under which files, variables and responses of AWS hold the secret of an access key.
const AWS_SECRET_NAMES: [&str; 4] = [
    "aws_secret_access_key",
    "AWS_SECRET_ACCESS_KEY",
    "SecretAccessKey",
    "secretAccessKey",
];

/// Finds everything that begins as keys and tokens do, and what is assigned to the name of a key, at the speed of memory.
#[derive(Debug)]
pub struct KeyFinder {
    prefixes: AhoCorasick,
    sorts: Vec<Sort>,
}

/// What begins with one prefix, or is assigned to one name.
#[derive(Debug, Clone, Copy)]
struct Sort {
    prefix: &'static str,
    tail: TailRule,
    whose: KeyOrigin,
}

#[derive(Debug, Clone, Copy)]
enum KeyOrigin {
    Providers(&'static [&'static str]),
    Admin(&'static str),
    Other(&'static str),
    /// The prefix is the name of a variable; the key is its value.
    NamedKey(&'static str),
    NamedAwsSecret,
}

/// A key or token in text that was looked through; what it is itself is not in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKey {
    /// Where it begins and ends.
    pub range: std::ops::Range<usize>,
    /// What it is, in words.
    pub what: String,
    /// As people recognise it.
    pub masked: String,
    /// The provider whose key it is, where the prefix says so.
    pub provider: Option<&'static str>,
}

impl KeyFinder {
    pub fn new() -> Option<Self> {
        let of_providers = PREFIXES.iter().map(|prefix| Sort {
            prefix: prefix.text,
            tail: prefix.tail,
            whose: KeyOrigin::Providers(prefix.owners),
        });
        let admin = ADMIN.iter().map(|(prefix, owner)| Sort {
            prefix,
            tail: TailRule::Any(12),
            whose: KeyOrigin::Admin(owner),
        });
        let strangers = STRANGERS.iter().map(|stranger| Sort {
            prefix: stranger.prefix,
            tail: TailRule::Run(10),
            whose: KeyOrigin::Other(stranger.what),
        });
        let aws = AWS_PREFIXES.map(|prefix| Sort {
            prefix,
            tail: TailRule::Any(16),
            whose: KeyOrigin::Other("the id of an access key of AWS"),
        });
        // Keys of some providers begin like anything else; what they are assigned to gives them away.
        let named = PROVIDERS.iter().flat_map(|provider| {
            provider.env_vars.iter().map(|name| Sort {
                prefix: name,
                tail: TailRule::Run(20),
                whose: KeyOrigin::NamedKey(provider.id),
            })
        });
        let aws_secrets = AWS_SECRET_NAMES.map(|prefix| Sort {
            prefix,
            tail: TailRule::Any(40),
            whose: KeyOrigin::NamedAwsSecret,
        });
        let prefixed = of_providers.chain(admin).chain(strangers).chain(aws);
        let sorts: Vec<Sort> = prefixed.chain(named).chain(aws_secrets).collect();
        let prefixes = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(sorts.iter().map(|sort| sort.prefix))
            .ok()?;
        Some(Self { prefixes, sorts })
    }

    /// Every key and token in `bytes`, in order.
    pub fn find<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = FoundKey> + 'a {
        self.prefixes.find_iter(bytes).filter_map(move |found| {
            let sort = self.sorts.get(found.pattern().as_usize())?;
            match sort.whose {
                KeyOrigin::NamedKey(_) | KeyOrigin::NamedAwsSecret => {
                    let start = found.end() + before_value(bytes.get(found.end()..)?)?;
                    let value = token_at(bytes, start, |byte| is_token(byte) || b"+/=".contains(&byte))?;
                    // What has a prefix is found by that.
                    let has_prefix = self.prefixes.find(value).is_some_and(|prefix| prefix.start() == 0);
                    sort.of(value, start).filter(|_| !has_prefix)
                }
                KeyOrigin::Providers(_) | KeyOrigin::Admin(_) | KeyOrigin::Other(_) => {
                    is_start(bytes, found.start()).then_some(())?;
                    sort.of(token_at(bytes, found.start(), is_token)?, found.start())
                }
            }
        })
    }
}

/// The run of bytes from `start` that are all part of a key.
fn token_at(bytes: &[u8], start: usize, is_part: impl Fn(u8) -> bool) -> Option<&str> {
    let rest = bytes.get(start..)?;
    let parts = rest.iter().take(MAX_FOUND).take_while(|byte| is_part(**byte));
    let token = rest.get(..parts.count())?;
    Some(std::str::from_utf8(token).ok()?.trim_end_matches('.'))
}

/// How many bytes of an assignment stand between a name and its value, in shells, settings, code and JSON, also where
/// JSON is quoted in JSON.
fn before_value(rest: &[u8]) -> Option<usize> {
    const MAX_SPACES: usize = 32;
    let padding = |from: usize| {
        let padded = rest.get(from..)?.iter().take(MAX_SPACES);
        Some(from + padded.take_while(|byte| b" \t\"'\\`".contains(byte)).count())
    };
    let sign = padding(0)?;
    matches!(rest.get(sign)?, b'=' | b':').then_some(())?;
    padding(sign + 1)
}

impl Sort {
    fn of(&self, token: &str, start: usize) -> Option<FoundKey> {
        let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let fits = match self.whose {
            KeyOrigin::NamedAwsSecret => is_aws_secret(token),
            KeyOrigin::NamedKey(_) => self.tail.fits(token),
            KeyOrigin::Other(_) if AWS_PREFIXES.contains(&self.prefix) => {
                token.len() == AWS && token.bytes().all(is_upper)
            }
            KeyOrigin::Providers(_) | KeyOrigin::Admin(_) | KeyOrigin::Other(_) => {
                self.tail.fits(token.get(self.prefix.len()..)?)
            }
        };
        // Neither placeholders nor what is too short for a key.
        let key = ApiKey::parse(&Secret::new(token)).ok().filter(|_| fits)?;
        let (what, provider) = match self.whose {
            KeyOrigin::NamedKey(owner) => (format!("a key of {owner}"), Some(owner)),
            KeyOrigin::NamedAwsSecret => ("the secret of an access key of AWS".to_owned(), None),
            KeyOrigin::Providers([owner]) => (format!("a key of {owner}"), Some(*owner)),
            KeyOrigin::Providers(_) => ("a key of a provider".to_owned(), None),
            KeyOrigin::Admin(owner) => (format!("an administration key of {owner}"), None),
            KeyOrigin::Other(what) => (what.to_owned(), None),
        };
        Some(FoundKey {
            range: start..start + token.len(),
            what,
            masked: key.masked(self.prefix),
            provider,
        })
    }
}

/// Whether a word begins at `at`, also behind a line end or tab that JSON has escaped.
fn is_start(bytes: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| bytes.get(at)).copied();
    match before(1) {
        Some(b'n' | b'r' | b't') if before(2) == Some(b'\\') => true,
        Some(before) => !before.is_ascii_alphanumeric(),
        None => true,
    }
}

/// Whether it is a part of most providers' keys.
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let finder = KeyFinder::new().expect("built");
        finder
            .find(text.as_bytes())
            .map(|found| (text.get(found.range).expect("whole").to_owned(), found.what))
            .collect()
    }

    #[test]
    fn keys_are_found_wherever_they_stand_and_whole() {
        let key = "sk-ant-api03-AbCdEfGhIjKl0123456789mnopQRST";
        for text in [
            key.to_owned(),
            format!("X={key}\n"),
            format!("{{\"text\":\"my key is\\n{key}\\nok\"}}"),
            format!("Bearer {key}, and {key}."),
        ] {
            let found = found(&text);
            assert!(!found.is_empty(), "{text}");
            assert!(
                found
                    .iter()
                    .all(|(token, what)| token == key && what == "a key of anthropic"),
                "{found:?}"
            );
        }
        for (text, what) in [
            ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "a token of GitHub"),
            (
                "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
                "the id of an access key of AWS",
            ),
            ("sk-0123456789abcdef0123456789abcdef", "a key of a provider"),
            ("sk-ant-admin01-0123456789abcdef", "an administration key of Anthropic"),
            ("MISTRAL_API_KEY=aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1gH", "a key of mistral"),
            (
                r#"{"text":"{\"COHERE_API_KEY\": \"aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1gH\"}"}"#,
                "a key of cohere",
            ),
            (
                "aws_secret_access_key = aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1gH/+aB3dE5",
                "the secret of an access key of AWS",
            ),
            (
                r#""SecretAccessKey": "aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1gH/+aB3dE5""#,
                "the secret of an access key of AWS",
            ),
        ] {
            assert_eq!(found(text).first().map(|(_, what)| what.as_str()), Some(what), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_the_beginning_of_a_key_is_none() {
        for text in [
            "sk-ant-...",
            "sk-ant-api03-xxxxxxxxxxxxxxxxxxxxxxxx",
            "sk-your-api-key-here-0123456789",
            "risk-0123456789abcdef0123456789abcdef",
            "AKIAIOSFODNN7EXAMPLE0",
            "sk-learn-pipeline-for-classification",
            "key_0123456789abcdef0123456789abcdef",
            "MISTRAL_API_KEY=$MISTRAL_API_KEY_OF_2026",
            "MISTRAL_API_KEY: process.env.MISTRAL_API_KEY",
            "MISTRAL_API_KEY=your-api-key-0123456789abcdef",
            "MISTRAL_API_KEY aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1gH",
            "aws_secret_access_key = not/a/secret/but/a/path/of/the/40/chars",
        ] {
            assert_eq!(found(text), Vec::new(), "{text}");
        }
    }
}
