//! Whether text holds a key: by known beginnings, and by being random as nothing else is.
//!
//! Keys turn up where they do not belong: in descriptions, names, and the configuration.

use super::key_prefixes::{ADMIN, PREFIXES, TailRule};

/// The shortest text without a known prefix that is taken for a key.
const RANDOM: usize = 32;
/// How much of what follows a prefix is read.
const TAIL: usize = 256;

/// Whether `text` holds something that looks like an API key.
///
/// A known prefix with a long tail anywhere in the text, or 32 and more characters in which both
/// letter cases and digits alternate as they do in nothing that people write. Not a UUID, a hash
/// in hexadecimal, a model's name or an address.
pub fn looks_like_key(text: &str) -> bool {
    has_key_form(text) || text.split(|c: char| !is_token(c) || c == '.').any(looks_random)
}

/// Whether `text` holds what has the form of a key, however random the rest of it is.
///
/// For ids of requests and sessions, which are as random as keys.
pub fn has_key_form(text: &str) -> bool {
    text.split(|c: char| !is_token(c))
        .any(|token| token.len() >= MIN_TOKEN && (has_prefixed_key(token) || is_pair(token)))
}

/// Whether one `word` may be a key: random, of a key's form, or a long run of letters and digits, as many keys are.
///
/// For deciding whether an unknown name can be repeated in an error.
pub fn may_be_key(word: &str) -> bool {
    let is_mixed =
        |run: &str| run.bytes().any(|byte| byte.is_ascii_digit()) && run.bytes().any(|byte| byte.is_ascii_alphabetic());
    looks_like_key(word) || word.len() > MAX_WORD || runs(word).any(|run| run.len() >= RUN && is_mixed(run))
}

/// The longest word that is repeated.
const MAX_WORD: usize = 64;
/// The shortest run of letters and digits that may be a key without a prefix: the shortest key there is.
const RUN: usize = 16;

/// The length of the shortest prefix with its tail; shorter tokens are skipped.
const MIN_TOKEN: usize = 15;

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
        .chain(ADMIN.iter().map(|(text, _)| (*text, TailRule::Any(12))))
        .any(|(prefix, tail)| {
            token
                .match_indices(prefix)
                .filter(|(at, _)| is_start(*at))
                .any(|(at, _)| token.get(at + prefix.len()..).is_some_and(|rest| tail.fits(rest)))
        })
}

impl TailRule {
    pub(super) fn fits(self, rest: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    #[test]
    fn ids_are_random_and_keys_in_their_place_are_seen_all_the_same() {
        for id in [
            "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
            "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7a1B2c",
            "resp_67ccd2bed1ec8190B14f964aBc0542670bb6A6b452d3795b",
            "gen-1732450000-Xk3pQ9vB2nM7pL4tR8wY",
            "msg_01XFDUDYJgAACzvnptvVoYEL",
            "msg_vrtx_01Hk3pQ9vB2nM7pL4tR8wY1c",
            "msg_bdrk_01Hk3pQ9vB2nM7pL4tR8wY1c",
            "toolu_bdrk_01Hk3pQ9vB2nM7pL4tR8wY1c",
            "session_01Hk3pQ9vB2nM7pL4tR8wY1c",
            "req_011CSHoEeqs5C35K2UUqR7Fy",
        ] {
            assert!(!has_key_form(id), "{id}");
        }
        for key in [
            "sk-ant-api03-AbCdEfGhIjKl",
            "id-sk-proj-abcdefghijkl",
            "hf_abcdefghijABCDEFGHIJabcdefghijABCD",
            "0123456789abcdef0123456789abcdef.AbCdEfGh12345678",
        ] {
            assert!(has_key_form(key), "{key}");
        }
    }

    #[test]
    fn a_name_that_may_be_a_key_is_told_from_names() {
        for word in [
            "abcdef0123456789abcdef0123456789",
            "ABCDEF0123456789",
            "my-0123456789abcdef",
            "sk-ant-api03-abcdefghijkl",
        ] {
            assert!(may_be_key(word), "{word}");
        }
        for word in [
            "anthropic",
            "azure-openai-2",
            "my-vllm-endpoint-2",
            "OPENAI_API_KEY_2",
            "AWS_BEARER_TOKEN_BEDROCK",
            "fallback_order",
        ] {
            assert!(!may_be_key(word), "{word}");
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
