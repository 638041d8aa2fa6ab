//! What keys look like, as far as their public beginnings tell.
//!
//! Formats change, so an unknown shape is only a warning. A shape that is known to be another
//! provider's is an error: that key would be sent to strangers.

use std::fmt;

use super::{Provider, ProviderKind};
use crate::domain::ApiKey;

/// A public beginning of keys, and whose keys begin so.
struct Prefix {
    text: &'static str,
    owners: &'static [&'static str],
    /// How much of a key must follow before text counts as one.
    tail: Tail,
}

/// What must follow a prefix in text that is not known to be a key.
#[derive(Clone, Copy)]
enum Tail {
    /// Nobody writes the prefix by accident: this many characters of any kind.
    Any(usize),
    /// The prefix is part of ordinary names: a run of this many letters and digits, with a digit.
    Run(usize),
    /// The prefix is two or three letters: such a run with both letter cases and a digit.
    Random(usize),
}

/// Known prefixes; the longest that fits decides.
///
/// `sk-` alone is ambiguous and says only who is not meant. From the rule sets of secret scanners,
/// November 2026.
const PREFIXES: &[Prefix] = &[
    prefix("sk-ant-", &["anthropic"], Tail::Any(12)),
    prefix("sk-proj-", &["openai"], Tail::Any(12)),
    prefix("sk-svcacct-", &["openai"], Tail::Any(12)),
    prefix("sk-service-", &["openai"], Tail::Run(12)),
    prefix("sk-or-v1-", &["openrouter"], Tail::Any(12)),
    prefix("sk-api-", &["minimax"], Tail::Run(12)),
    prefix(
        "sk-",
        &["openai", "anthropic", "openrouter", "deepseek", "moonshot", "minimax"],
        Tail::Run(12),
    ),
    prefix("AIza", &["google"], Tail::Any(12)),
    prefix("AQ.", &["google"], Tail::Random(20)),
    prefix("gsk_", &["groq"], Tail::Run(12)),
    prefix("xai-", &["xai"], Tail::Run(12)),
    prefix("tgp_v1_", &["together"], Tail::Any(12)),
    prefix("fw_", &["fireworks"], Tail::Random(16)),
    prefix("pplx-", &["perplexity"], Tail::Run(12)),
    prefix("pa-", &["voyage"], Tail::Random(20)),
    prefix("al-", &["voyage"], Tail::Random(20)),
    prefix("hf_", &["huggingface"], Tail::Run(12)),
    prefix("api_org_", &["huggingface"], Tail::Run(12)),
    prefix("r8_", &["replicate"], Tail::Run(12)),
    prefix("csk-", &["cerebras"], Tail::Run(12)),
    prefix("nvapi-", &["nvidia"], Tail::Any(12)),
    prefix("vck_", &["vercel"], Tail::Run(12)),
    prefix("sk_", &["elevenlabs"], Tail::Run(12)),
    prefix("ABSK", &["bedrock"], Tail::Random(20)),
    prefix("bedrock-api-key-", &["bedrock"], Tail::Any(12)),
];

/// Keys that administer an organisation, by prefix, with their issuer.
const ADMIN: &[(&str, &str)] = &[("sk-ant-admin", "Anthropic"), ("sk-admin-", "OpenAI")];

/// What stands inside every key of OpenAI's older forms.
const OPENAI_MARK: &str = "T3BlbkFJ";

/// The shortest text without a known prefix that is taken for a key.
const RANDOM: usize = 32;
/// How much of what follows a prefix is looked at.
const TAIL: usize = 256;

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
    /// It begins as another provider's keys do, and goes to an endpoint of the user's own.
    LooksLike { wanted: String, owner: &'static str },
    /// The provider has no address yet, so that the key cannot be checked or used.
    NoAddress { wanted: String },
}

/// Checks `key` against what is known of `provider`'s keys.
pub fn check_shape(provider: &Provider, key: &ApiKey) -> Result<Vec<ShapeWarning>, ShapeError> {
    // EXPOSE: compared with published prefixes; nothing of it leaves
    let text = key.expose();
    let id = provider.id.as_str();
    let wanted = || provider.title.clone();
    if let Some((_, owner)) = ADMIN.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        return Err(ShapeError::AdminKey { owner });
    }
    let mut warnings = Vec::new();
    if provider.base_url.is_empty() {
        warnings.push(ShapeWarning::NoAddress { wanted: wanted() });
    }
    let owners = owners(text);
    match (provider.kind, owners) {
        (_, owners) if owners.contains(&id) => {}
        (ProviderKind::BuiltIn, [owner, ..]) => {
            return Err(ShapeError::OtherProvider {
                wanted: wanted(),
                owner,
            });
        }
        // A key of one's own proxy often begins with a bare `sk-`.
        (ProviderKind::OpenAiCompatible, [owner]) => warnings.push(ShapeWarning::LooksLike {
            wanted: wanted(),
            owner,
        }),
        (ProviderKind::BuiltIn, []) if !provider.def.prefixes.is_empty() => {
            warnings.push(ShapeWarning::UnknownShape { wanted: wanted() });
        }
        (ProviderKind::BuiltIn | ProviderKind::OpenAiCompatible, _) => {}
    }
    Ok(warnings)
}

/// The providers whose keys begin as `key` does; none where nobody is known to issue such keys.
fn owners(key: &str) -> &'static [&'static str] {
    let longest = PREFIXES
        .iter()
        .filter(|prefix| key.starts_with(prefix.text))
        // A prefix of two or three letters means something only before a long tail.
        .filter(|prefix| match prefix.tail {
            Tail::Any(_) | Tail::Run(_) => true,
            Tail::Random(_) => key.len() - prefix.text.len() >= 32,
        })
        .max_by_key(|prefix| prefix.text.len());
    match longest {
        Some(prefix) if prefix.text == "sk-" && key.contains(OPENAI_MARK) => &["openai"],
        Some(prefix) => prefix.owners,
        None => &[],
    }
}

/// Whether `text` holds something that looks like an API key.
///
/// A known prefix with a long tail anywhere in the text, or 32 and more characters in which both
/// letter cases and digits alternate as they do in nothing that people write. Not a UUID, a hash
/// in hexadecimal, a model's name or an address.
pub fn looks_like_key(text: &str) -> bool {
    text.split(|c: char| !is_token(c)).any(|token| {
        token.len() >= SHORTEST_TOKEN
            && (has_prefixed_key(token) || token.split('.').any(looks_random) || is_pair(token))
    })
}

/// No token shorter than the shortest prefix with its tail is looked at.
const SHORTEST_TOKEN: usize = 15;

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Whether a known prefix stands at the beginning of a word of `token`, before a long tail.
fn has_prefixed_key(token: &str) -> bool {
    let is_start = |at: usize| {
        at == 0
            || token
                .as_bytes()
                .get(at - 1)
                .is_some_and(|before| !before.is_ascii_alphanumeric())
    };
    PREFIXES
        .iter()
        .map(|prefix| (prefix.text, prefix.tail))
        .chain(ADMIN.iter().map(|(text, _)| (*text, Tail::Any(12))))
        .any(|(prefix, tail)| {
            token
                .match_indices(prefix)
                .filter(|(at, _)| is_start(*at))
                .any(|(at, _)| token.get(at + prefix.len()..).is_some_and(|rest| tail.fits(rest)))
        })
}

impl Tail {
    fn fits(self, rest: &str) -> bool {
        let rest = rest.get(..TAIL).unwrap_or(rest);
        match self {
            Self::Any(length) => rest.trim_end_matches(['.', '-', '_']).len() >= length,
            Self::Run(length) => runs(rest).any(|run| {
                let has = |is: fn(&u8) -> bool| run.bytes().any(|byte| is(&byte));
                let mixed = has(u8::is_ascii_digit) || has(u8::is_ascii_uppercase);
                run.len() >= length && (mixed || run.len() >= 2 * length)
            }),
            Self::Random(length) => runs(rest).any(|run| run.len() >= length && Classes::of(run).are_mixed()),
        }
    }
}

/// The unbroken stretches of letters and digits.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(['-', '_', '.'])
}

/// How often letters of both cases and digits stand in a text, and how often they alternate.
struct Classes {
    upper: usize,
    lower: usize,
    digit: usize,
    changes: usize,
}

impl Classes {
    fn of(text: &str) -> Self {
        let class = |byte: u8| match byte {
            b'A'..=b'Z' => 0,
            b'a'..=b'z' => 1,
            b'0'..=b'9' => 2,
            _ => 3,
        };
        let count = |wanted| text.bytes().filter(|byte| class(*byte) == wanted).count();
        let pairs = text.as_bytes().windows(2);
        Self {
            upper: count(0),
            lower: count(1),
            digit: count(2),
            changes: pairs
                .filter(|pair| {
                    let [a, b] = [pair[0], pair[1]].map(class);
                    a != b && a != 3 && b != 3
                })
                .count(),
        }
    }

    fn are_mixed(&self) -> bool {
        self.upper >= 2 && self.lower >= 2 && self.digit >= 2
    }
}

/// Whether `text` is a long stretch in which letter cases and digits alternate.
///
/// In random letters and digits about six of ten neighbours differ in kind; in words joined by
/// capitals, hyphens and version numbers fewer than four of ten do.
fn looks_random(text: &str) -> bool {
    if text.len() < RANDOM || !runs(text).any(|run| run.len() >= 20) {
        return false;
    }
    let classes = Classes::of(text);
    classes.are_mixed() && classes.changes * 5 >= text.len() * 2
}

/// Whether `token` is 32 hexadecimal digits, a dot and a mixed tail: how two providers write keys.
fn is_pair(token: &str) -> bool {
    token.split_once('.').is_some_and(|(id, secret)| {
        id.len() == 32
            && id.bytes().all(|byte| byte.is_ascii_hexdigit())
            && secret.len() >= 16
            && Classes::of(secret).are_mixed()
    })
}

const fn prefix(text: &'static str, owners: &'static [&'static str], tail: Tail) -> Prefix {
    Prefix { text, owners, tail }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherProvider { wanted, owner } => {
                write!(f, "the key has the form of a key for {owner}, not for {wanted}")
            }
            Self::AdminKey { owner } => write!(f, "the key is an administration key of {owner}, which is not stored"),
        }
    }
}

impl std::error::Error for ShapeError {}

impl fmt::Display for ShapeWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownShape { wanted } => write!(
                f,
                "the key does not begin as the keys of {wanted} are known to; it is stored as it is: validate it"
            ),
            Self::LooksLike { wanted, owner } => {
                write!(
                    f,
                    "the key has the form of a key for {owner}, and will be sent to {wanted}"
                )
            }
            Self::NoAddress { wanted } => {
                write!(
                    f,
                    "{wanted} has no address yet: set its base_url in config.toml before the key is added"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{domain::Secret, providers::PROVIDERS};

    fn check(provider: &str, key: &str) -> Result<Vec<ShapeWarning>, ShapeError> {
        let provider = match provider.parse().ok().and_then(|id| Provider::built_in(&id)) {
            Some(provider) => provider,
            None => Provider::own(provider.parse().expect("a name")),
        };
        check_shape(&provider, &ApiKey::parse(&Secret::new(key)).expect("well formed"))
    }

    #[test]
    fn a_key_of_another_provider_is_refused() {
        for (provider, key) in [
            ("openai", "sk-ant-api03-0123456789abcdef"),
            ("anthropic", "sk-proj-0123456789abcdef"),
            ("anthropic", "gsk_0123456789abcdefghij"),
            ("google", "sk-0123456789abcdef0123456789abcdef"),
            ("mistral", "sk-0123456789abcdef0123456789abcdef"),
            ("deepseek", "sk-or-v1-0123456789abcdef"),
            ("deepseek", "sk-abcdefghijklmnopqrstT3BlbkFJabcdefghijklmnopqrst"),
            ("openai", "AIzaSyA0123456789abcdefghijklmnopqrstuv"),
            ("openrouter", "xai-0123456789abcdef0123"),
        ] {
            assert!(
                matches!(check(provider, key), Err(ShapeError::OtherProvider { .. })),
                "{provider} {key}"
            );
        }
    }

    #[test]
    fn an_administration_key_is_refused_everywhere() {
        for provider in ["openai", "anthropic", "google", "my-vllm"] {
            for key in ["sk-ant-admin01-0123456789abcdef", "sk-admin-0123456789abcdef"] {
                assert!(
                    matches!(check(provider, key), Err(ShapeError::AdminKey { .. })),
                    "{provider} {key}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_shape_is_a_warning() {
        for (provider, key, warned) in [
            ("anthropic", "sk-ant-api03-0123456789abcdef", false),
            ("anthropic", "sk-0123456789abcdef0123456789abcdef", false),
            ("anthropic", "brand-new-format-0123456789", true),
            ("openai", "sk-0123456789abcdef0123456789abcdef", false),
            ("google", "0123456789abcdef0123456789abcdef", true),
            ("mistral", "0123456789abcdef0123456789abcdef", false),
            ("local", "0123456789abcdef0123456789abcdef", false),
            ("mistral", "pa-short-0123456789", false),
        ] {
            let warnings = check(provider, key).expect(key);
            assert_eq!(!warnings.is_empty(), warned, "{provider} {key}");
        }
        assert_eq!(
            check("azure-openai", "0123456789abcdef0123456789abcdef")
                .expect("kept")
                .len(),
            1
        );
    }

    #[test]
    fn every_prefix_belongs_to_a_provider_that_lists_it() {
        for prefix in PREFIXES {
            for owner in prefix.owners {
                let def = PROVIDERS.iter().find(|def| def.id == *owner).expect(owner);
                assert!(
                    prefix.text == "sk-" || def.prefixes.iter().any(|listed| listed.starts_with(prefix.text)),
                    "{owner} {}",
                    prefix.text
                );
            }
        }
        for def in PROVIDERS {
            for prefix in def.prefixes {
                assert!(PREFIXES.iter().any(|known| prefix.starts_with(known.text)), "{prefix}");
            }
        }
    }

    #[test]
    fn keys_are_seen_wherever_they_stand() {
        for text in [
            "sk-ant-api03-AbCdEfGhIjKl",
            "my key is sk-ant-api03-canary-do-not-leak, keep it",
            "(sk-proj-abcdefghijkl)",
            "https://example.com/?key=AIzaSyA0123456789abcdefghijklmnopqrstuv",
            "Authorization:Bearer gsk_0123456789abcdef",
            "export X=sk-0123456789abcdef0123456789abcdef",
            "sk-admin-0123456789abcdef",
            "hf_abcdefghijABCDEFGHIJabcdefghijABCD",
            "Zx3kQ9vB2nM7pL4tR8wY1cF6hJ5dS0aG",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.x",
            "0123456789abcdef0123456789abcdef.AbCdEfGh12345678",
        ] {
            assert!(looks_like_key(text), "{text}");
        }
    }

    #[test]
    fn ordinary_text_is_not_taken_for_a_key() {
        for text in [
            "",
            "anthropic",
            "team key for the summarization service, owned by platform",
            "550e8400-e29b-41d4-a716-446655440000",
            "550E8400-E29B-41D4-A716-446655440000",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "https://github.com/rust-lang/rust/commit/59807616e1fa2540724bfbac14d7976d7e4a3860",
            "https://docs.example.com/Guides/GettingStarted/2026/Chapter01-Introduction",
            "claude-sonnet-4-5-20250929",
            "meta-llama/Meta-Llama-3.1-405B-Instruct-Turbo",
            "Qwen3-Coder-480B-A35B-Instruct-FP8-dynamic",
            "accounts/fireworks/models/deepseek-v3p1-terminus",
            "pplx-70b-online",
            "xai-grok-4-fast-reasoning-latest",
            "hf_transformers_cache_directory",
            "sk-learn-pipeline-for-classification",
            "sk-...",
            "sk-your-key-here",
            "risk-assessment-2026-quarterly-report",
            "task-0123456789abcdef",
            "pa-system-for-the-conference-room",
            "al-khwarizmi-algorithm-lecture-notes",
            "ThisIsAVeryLongIdentifierInCamelCase2026WithNumbers",
            "ANTHROPIC_API_KEY",
            "2026-11-22T10:30:00.123456789Z",
            "key_0123456789abcdef0123456789abcdef",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2",
        ] {
            assert!(!looks_like_key(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_known_prefix_with_a_random_tail_is_seen(
            at in 0..PREFIXES.len(),
            tail in "[A-Z][a-z][0-9]([A-Za-z0-9]{8}[A-Z][0-9][a-z]){4}",
            before in "([a-z ]{0,20} )?",
            after in "( [a-z ]{0,20})?",
        ) {
            let text = format!("{before}{}{tail}{after}", PREFIXES[at].text);
            prop_assert!(looks_like_key(&text), "{}", text);
        }

        #[test]
        fn long_alternating_text_is_seen(text in "([A-Z][a-z][0-9]|[a-z][A-Z][0-9]|[0-9][a-z]){16,40}") {
            prop_assert!(looks_like_key(&text));
        }

        #[test]
        fn words_are_never_taken_for_a_key(text in "([A-Za-z]?[a-z]{1,9}[ ,./_-]){0,30}") {
            prop_assert!(!looks_like_key(&text));
        }

        #[test]
        fn hexadecimal_of_one_case_is_never_taken_for_a_key(text in "[0-9a-f]{0,128}|[0-9A-F]{0,128}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}") {
            prop_assert!(!looks_like_key(&text));
        }

        #[test]
        fn any_text_is_looked_through(text in ".{0,300}") {
            let _ = looks_like_key(&text);
        }
    }

    #[test]
    fn nearly_all_random_text_of_forty_characters_is_seen() {
        // A fixed sequence (Knuth's linear congruential one), so that the figure is the same every time.
        let mut state = 42u64;
        let mut letter = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
            char::from(letters[usize::try_from(state >> 33).expect("31 bits") % letters.len()])
        };
        let seen = (0..1000)
            .filter(|_| looks_like_key(&(0..40).map(|_| letter()).collect::<String>()))
            .count();
        assert!(seen >= 970, "{seen} of 1000");
    }
}
