//! What keys look like, as far as their public beginnings tell.
//!
//! Formats change, so an unknown shape is only a warning. A shape that is known to be another
//! provider's is an error: that key would be sent to strangers.

use super::{
    PROVIDERS, Provider, ProviderKind,
    key_prefixes::{ADMIN, STRANGERS, SUBSCRIPTION, Stranger, is_aws_secret, owners},
};
use crate::domain::ApiKey;

/// Why a key is refused for a provider; never says what it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Its prefix belongs to another provider.
    #[error("the key has the form of a key for {}, not for {wanted}", title_of(owner))]
    OtherProvider { wanted: String, owner: &'static str },
    /// It administers an organisation, which is far more than using its models.
    #[error("the key is an admin key of {}, which is not stored", title_of(owner))]
    AdminKey { owner: &'static str },
    /// It is a credential of another sort.
    #[error("this is {what}, not an API key")]
    NotAKey { what: &'static str, way_out: &'static str },
}

/// What is odd about a key that is stored all the same: formats change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeWarning {
    /// It does not begin as this provider's keys do.
    #[error("the key does not have the usual prefix of {wanted} keys; it is stored anyway: validate it")]
    UnknownShape { wanted: String },
    /// It begins as another provider's keys do, and goes to an endpoint of the user's own.
    #[error(
        "the key has the form of a key for {}, and will be sent to {wanted}",
        title_of(owner)
    )]
    LooksLike { wanted: String, owner: &'static str },
    /// The provider has no address yet, so that the key cannot be checked or used.
    #[error("{wanted} has no address yet: set its base_url in config.toml before the key is added")]
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
            "Amazon Bedrock has API keys of its own: create one in its console and add that",
        ))
    } else if is_aws_secret {
        Some((
            "the secret of an access key of AWS",
            "Amazon Bedrock has API keys of its own: create one in its console and add that",
        ))
    } else {
        is_login.then_some(("a token of a login (a JWT)", SUBSCRIPTION))
    }
}

/// The name of the provider `id` as people write it.
fn title_of(id: &'static str) -> &'static str {
    let known = PROVIDERS.iter().find(|provider| provider.id == id);
    known.map_or(id, |provider| provider.title)
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
}
