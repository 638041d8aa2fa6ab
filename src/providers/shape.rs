//! What keys look like, as far as their public beginnings tell.
//!
//! Formats change, so an unknown shape is only a warning. A shape that is known to be another
//! provider's is an error: that key would be sent to strangers.

use std::fmt;

use super::{PROVIDERS, Provider, ProviderKind};
use crate::domain::ApiKey;

/// A public beginning of keys, and whose keys begin so.
pub(super) struct Prefix {
    pub(super) text: &'static str,
    pub(super) owners: &'static [&'static str],
    /// How much of a key must follow before text counts as one.
    pub(super) tail: TailRule,
}

/// What must follow a prefix in text that is not known to be a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum TailRule {
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
pub(super) const PREFIXES: &[Prefix] = &[
    prefix("sk-ant-", &["anthropic"], TailRule::Any(12)),
    prefix("sk-proj-", &["openai"], TailRule::Any(12)),
    prefix("sk-svcacct-", &["openai"], TailRule::Any(12)),
    prefix("sk-service-", &["openai"], TailRule::Run(12)),
    prefix("sk-or-v1-", &["openrouter"], TailRule::Any(12)),
    prefix("sk-api-", &["minimax"], TailRule::Run(12)),
    prefix(
        "sk-",
        &["openai", "anthropic", "openrouter", "deepseek", "moonshot", "minimax"],
        TailRule::Run(12),
    ),
    prefix("AIza", &["google"], TailRule::Any(12)),
    prefix("AQ.", &["google"], TailRule::Random(20)),
    prefix("gsk_", &["groq"], TailRule::Run(12)),
    prefix("xai-", &["xai"], TailRule::Run(12)),
    prefix("tgp_v1_", &["together"], TailRule::Any(12)),
    prefix("fw_", &["fireworks"], TailRule::Random(16)),
    prefix("pplx-", &["perplexity"], TailRule::Run(12)),
    prefix("pa-", &["voyage"], TailRule::Random(20)),
    prefix("al-", &["voyage"], TailRule::Random(20)),
    prefix("hf_", &["huggingface"], TailRule::Run(12)),
    prefix("api_org_", &["huggingface"], TailRule::Run(12)),
    prefix("r8_", &["replicate"], TailRule::Run(12)),
    prefix("csk-", &["cerebras"], TailRule::Run(12)),
    prefix("nvapi-", &["nvidia"], TailRule::Any(12)),
    prefix("vck_", &["vercel"], TailRule::Run(12)),
    prefix("sk_", &["elevenlabs"], TailRule::Run(12)),
    prefix("ABSK", &["bedrock"], TailRule::Random(20)),
    prefix("bedrock-api-key-", &["bedrock"], TailRule::Any(12)),
];

/// Keys that administer an organisation, by prefix, with their issuer.
pub(super) const ADMIN: &[(&str, &str)] = &[("sk-ant-admin", "Anthropic"), ("sk-admin-", "OpenAI")];

/// A credential that is no key of any provider's API, and how to come by one.
pub(super) struct Stranger {
    pub(super) prefix: &'static str,
    pub(super) what: &'static str,
    way_out: &'static str,
    /// Hosts that take it for a key all the same.
    hosts: &'static [&'static str],
}

const CONSOLE: &str = "make an API key in the provider's console, and add that";
const SUBSCRIPTION: &str = "a subscription's login stays with its own program; make an API key in the provider's console: those are billed by use";
const REVOKE: &str =
    "treat it as exposed if it was in a chat: revoke it where it was made; then add the key of the provider";
const GITHUB: &[&str] = &["github.ai", "githubcopilot.com", "models.inference.ai.azure.com"];

/// Tokens of logins, of code forges and clouds, and of our own gateway, by prefix.
pub(super) const STRANGERS: &[Stranger] = &[
    stranger("sk-ant-oat", "a login token of a Claude subscription", SUBSCRIPTION),
    stranger("sk-ant-ort", "a refresh token of a Claude subscription", SUBSCRIPTION),
    stranger("sk-ant-sid", "a session cookie of claude.ai", SUBSCRIPTION),
    stranger("sess-", "a session token of OpenAI's website", SUBSCRIPTION),
    stranger("ya29.", "an access token of a Google login", CONSOLE),
    stranger("1//0", "a refresh token of a Google login", CONSOLE),
    stranger("GOCSPX-", "a client secret of Google's logins", CONSOLE),
    github("ghp_", "a token of GitHub"),
    github("gho_", "a token of GitHub"),
    github("ghu_", "a token of GitHub"),
    github("ghs_", "a token of GitHub"),
    stranger("ghr_", "a refresh token of GitHub", REVOKE),
    github("github_pat_", "a token of GitHub"),
    stranger("glpat-", "a token of GitLab", REVOKE),
    stranger("npm_", "a token of npm", REVOKE),
    stranger("xoxb-", "a token of Slack", REVOKE),
    stranger("xoxp-", "a token of Slack", REVOKE),
    stranger("sk_live_", "a key of Stripe", REVOKE),
    stranger("rk_live_", "a key of Stripe", REVOKE),
    stranger("sk_test_", "a key of Stripe", REVOKE),
    stranger(
        "akc_",
        "a client key of this program's own gateway",
        "the provider's own key belongs here; a client key goes into the program that asks the gateway",
    ),
];

/// What stands inside every key of OpenAI's older forms.
const OPENAI_MARK: &str = "T3BlbkFJ";

/// Why a key is refused for a provider; never says what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeError {
    /// Its prefix belongs to another provider.
    OtherProvider { wanted: String, owner: &'static str },
    /// It administers an organisation, which is far more than using its models.
    AdminKey { owner: &'static str },
    /// It is a credential of another sort.
    NotAKey { what: &'static str, way_out: &'static str },
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
    if let Some((what, way_out)) = credential_of_another_sort(provider, text) {
        return Err(ShapeError::NotAKey { what, way_out });
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

/// What `text` is, where it is no key of any provider's, and the way out.
fn credential_of_another_sort(provider: &Provider, text: &str) -> Option<(&'static str, &'static str)> {
    const LOGINS: [&str; 3] = ["anthropic", "openai", "google"];
    let host = provider.origin.rsplit("//").next().unwrap_or_default();
    let takes = |stranger: &Stranger| stranger.hosts.iter().any(|taken| host.ends_with(taken));
    let stranger = STRANGERS
        .iter()
        .find(|stranger| text.starts_with(stranger.prefix) && !takes(stranger));
    let is_aws = text.len() == 20
        && (text.starts_with("AKIA") || text.starts_with("ASIA"))
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let is_aws_secret = provider.kind == ProviderKind::BuiltIn && text.contains(['/', '+']) && is_aws_secret(text);
    // Elsewhere keys may have that form.
    let is_login = LOGINS.contains(&provider.id.as_str()) && text.starts_with("eyJ") && text.matches('.').count() == 2;
    if let Some(stranger) = stranger {
        Some((stranger.what, stranger.way_out))
    } else if is_aws {
        Some((
            "the id of an access key of AWS",
            "Amazon Bedrock has API keys of its own: make one in its console, and add that",
        ))
    } else if is_aws_secret {
        Some((
            "the secret of an access key of AWS",
            "Amazon Bedrock has API keys of its own: make one in its console, and add that",
        ))
    } else {
        is_login.then_some(("a token of a login (a JWT)", SUBSCRIPTION))
    }
}

/// Whether `text` has the form of the secret of an access key of AWS; other random text may have it too.
pub(super) fn is_aws_secret(text: &str) -> bool {
    let has = |is: fn(&u8) -> bool| text.bytes().any(|byte| is(&byte));
    text.len() == 40
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
}

const fn stranger(prefix: &'static str, what: &'static str, way_out: &'static str) -> Stranger {
    Stranger {
        prefix,
        what,
        way_out,
        hosts: &[],
    }
}

/// GitHub's own models take its tokens for keys.
const fn github(prefix: &'static str, what: &'static str) -> Stranger {
    Stranger {
        hosts: GITHUB,
        ..stranger(prefix, what, REVOKE)
    }
}

/// The providers whose keys begin as `key` does; none where nobody is known to issue such keys.
fn owners(key: &str) -> &'static [&'static str] {
    let longest = PREFIXES
        .iter()
        .filter(|prefix| key.starts_with(prefix.text))
        // A prefix of two or three letters means something only before a long tail.
        .filter(|prefix| match prefix.tail {
            TailRule::Any(_) | TailRule::Run(_) => true,
            TailRule::Random(_) => key.len() - prefix.text.len() >= 32,
        })
        .max_by_key(|prefix| prefix.text.len());
    match longest {
        Some(prefix) if prefix.text == "sk-" && key.contains(OPENAI_MARK) => &["openai"],
        Some(prefix) => prefix.owners,
        None => &[],
    }
}

const fn prefix(text: &'static str, owners: &'static [&'static str], tail: TailRule) -> Prefix {
    Prefix { text, owners, tail }
}

/// The name of the provider `id` as people write it.
fn title_of(id: &'static str) -> &'static str {
    let known = PROVIDERS.iter().find(|provider| provider.id == id);
    known.map_or(id, |provider| provider.title)
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherProvider { wanted, owner } => {
                let owner = title_of(owner);
                write!(f, "the key has the form of a key for {owner}, not for {wanted}")
            }
            Self::NotAKey { what, .. } => write!(f, "this is {what}, not an API key"),
            Self::AdminKey { owner } => {
                let owner = title_of(owner);
                write!(f, "the key is an admin key of {owner}, which is not stored")
            }
        }
    }
}

impl std::error::Error for ShapeError {}

impl fmt::Display for ShapeWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownShape { wanted } => write!(
                f,
                "the key does not have the usual prefix of {wanted} keys; it is stored anyway: validate it"
            ),
            Self::LooksLike { wanted, owner } => {
                let owner = title_of(owner);
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
    use super::*;
    use crate::domain::Secret;

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
    fn credentials_of_another_sort_are_refused_for_every_provider() {
        for key in [
            "sk-ant-oat01-0123456789abcdef",
            "sk-ant-ort01-0123456789abcdef",
            "sk-ant-sid01-0123456789abcdef",
            "ghp_0123456789abcdefghijABCDEFGHIJ012345",
            "github_pat_0123456789abcdefghijABCDEFGHIJ",
            "AKIAIOSFODNN7EXAMPLE",
            "ASIAIOSFODNN7EXAMPLE",
            "akc_0123456789abcdefghijABCDEFGHIJ",
            "ya29.a0AfH6SMBx0123456789",
        ] {
            for provider in [
                "anthropic",
                "openai",
                "google",
                "mistral",
                "elevenlabs",
                "local",
                "my-vllm",
            ] {
                assert!(
                    matches!(check(provider, key), Err(ShapeError::NotAKey { .. })),
                    "{provider} {key}"
                );
            }
        }
        let login = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.0123456789abcdef";
        assert!(matches!(check("openai", login), Err(ShapeError::NotAKey { .. })));
        assert!(check("minimax", login).is_ok() && check("my-vllm", login).is_ok());
        assert!(check("google", "AKIAIOSFODNN7EXAMPLE0").is_ok(), "one character more");
        let mut github_models = Provider::own("github".parse().expect("a name"));
        github_models.origin = "https://models.github.ai".to_owned();
        let token = ApiKey::parse(&Secret::new("ghp_0123456789abcdefghijABCDEFGHIJ012345")).expect("well formed");
        assert!(check_shape(&github_models, &token).is_ok());
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
}
