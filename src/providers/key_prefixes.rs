//! The public beginnings of keys, and whose they are.

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
    pub(super) way_out: &'static str,
    /// Hosts that take it for a key all the same.
    pub(super) hosts: &'static [&'static str],
}

const CONSOLE: &str = "create an API key in the provider's console and add that";
pub(super) const SUBSCRIPTION: &str = "a subscription's login stays with its own program; create an API key in the provider's console, which is billed by usage";
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

/// The providers whose keys begin as `key` does; none where no provider is known to issue such keys.
pub(super) fn owners(key: &str) -> &'static [&'static str] {
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

const fn prefix(text: &'static str, owners: &'static [&'static str], tail: TailRule) -> Prefix {
    Prefix { text, owners, tail }
}

#[cfg(test)]
mod tests {
    use super::PREFIXES;
    use crate::providers::PROVIDERS;

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
