//! What `config.toml` can say.

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use jiff::tz::TimeZone;

use super::{environment, projects::Project};
use crate::{
    alerts::Destination,
    domain::{Billionths, Label, ModelId, ModelRef, Objective, ProviderId, Rates, Task, Usd, nearest},
    providers::{self, Address, KeyConfig, PROVIDERS, Provider},
};

/// The whole configuration; its default is what is built in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    pub vault: VaultConfig,
    /// What the file says of providers: changes of built-in ones, and endpoints of the user's own.
    pub providers: BTreeMap<ProviderId, ProviderConfig>,
    pub routing: RoutingConfig,
    pub budget: BudgetConfig,
    pub gateway: GatewayConfig,
    pub agent_logs: AgentLogsConfig,
    /// The destinations of alerts.
    pub alerts: Vec<Destination>,
    pub prices: Vec<PriceOverride>,
    pub quality: Vec<QualityOverride>,
    /// Which keys belong to which folders.
    pub projects: Vec<Project>,
    in_force: InForce,
}

/// The providers as they are in force: put together when they are first needed, as every call needs some.
#[derive(Debug, Clone, Default)]
struct InForce(OnceLock<Vec<Provider>>);

impl PartialEq for InForce {
    /// They follow from the rest of the configuration.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for InForce {}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultConfig {
    pub master_key: MasterKey,
    /// The variable that holds the passphrase where there is no terminal.
    pub passphrase_env: String,
    pub keys_in_chat: KeysInChat,
}

/// What opens a new vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterKey {
    /// The system's keychain, else a key file.
    Auto,
    Keychain,
    Passphrase,
    KeyFile,
}

impl MasterKey {
    /// All of them, as they are spelled.
    pub const NAMED: [(&str, Self); 4] = [
        ("auto", Self::Auto),
        ("keychain", Self::Keychain),
        ("passphrase", Self::Passphrase),
        ("key-file", Self::KeyFile),
    ];
}

/// Whether a key may come as a tool's argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysInChat {
    Allow,
    Warn,
    Refuse,
}

/// What the file says of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Whether it is an OpenAI-compatible endpoint of the user's own, not a built-in provider.
    pub own: bool,
    pub enabled: bool,
    pub base_url: Option<Address>,
    pub env_var: Option<String>,
    /// Requests per minute; nothing is no limit.
    pub rate_limit: Option<u32>,
    /// Only these models, in this order; nothing is all.
    pub models: Option<Vec<ModelId>>,
    /// Its share of the requests among providers of equal rank.
    pub weight: u32,
    pub keys: BTreeMap<Label, KeyConfig>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingConfig {
    /// Providers of equal rank are in one group.
    pub fallback_order: Vec<Vec<ProviderId>>,
    pub objective: Objective,
    /// For every task a provider, and a model where one is named.
    pub tasks: BTreeMap<Task, (ProviderId, Option<ModelId>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetConfig {
    pub enabled: bool,
    pub daily_limit: Usd,
    pub monthly_limit: Usd,
    /// The part of a limit at which an alert is due, from 0 to 1.
    pub alert_threshold: Billionths,
    /// Where days and months begin.
    pub time_zone: TimeZone,
    /// What is set aside for a request of unknown price; without it such requests are refused where the limits
    /// are enforced.
    pub unpriced_cap: Option<Usd>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// How long a request may wait for a key to be free.
    pub max_wait: Duration,
    /// Whether a request may be translated for a provider that does not offer its API.
    pub translate: bool,
    /// Whether a response names the model as the request did.
    pub echo_model: bool,
    pub cache: CacheConfig,
    pub models: ModelAliases,
}

/// Names that clients ask for, and the models that answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelAliases(pub(super) Vec<(String, Vec<String>)>);

/// The logs of coding agents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentLogsConfig {
    /// Whether what is new in them is imported whenever usage is shown.
    pub auto_import: bool,
    /// The agents that are billed by the token; a plan covers all others.
    pub billed: Vec<String>,
}

/// The gateway's cache of answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    pub enabled: bool,
    /// How long an answer is given again.
    pub ttl: Duration,
    /// What all answers may take together, in bytes.
    pub max_size: usize,
}

/// A price of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceOverride {
    pub model: ModelRef,
    pub standard: Rates,
    pub batch: Option<Rates>,
}

/// How good the user finds a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualityOverride {
    pub model: ModelId,
    /// Nothing for all tasks.
    pub task: Option<Task>,
    /// From 0 to 100, in hundredths.
    pub points: u32,
}

/// A provider that is neither built in nor configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", unknown(.name.as_deref()))]
pub struct UnknownProvider {
    /// The name, where it can be repeated: a key typed in its place cannot.
    pub name: Option<String>,
    /// The provider that was probably meant.
    pub nearest: Option<String>,
    pub known: Vec<String>,
}

impl Config {
    /// The provider called `name`, as the configuration has it.
    pub fn provider(&self, name: &str) -> Result<Provider, UnknownProvider> {
        let id: Option<ProviderId> = name.parse().ok();
        let known = id.as_ref().and_then(|id| self.known(id)).cloned();
        known.ok_or_else(|| {
            let name = id.map(String::from).filter(|name| !providers::may_be_key(name));
            let known = || self.providers().iter().map(|known| known.id.as_str());
            UnknownProvider {
                nearest: name.as_ref().and_then(|name| nearest(name, known())).map(str::to_owned),
                name,
                known: known().map(str::to_owned).collect(),
            }
        })
    }

    /// The same by its id.
    pub fn known(&self, id: &ProviderId) -> Option<&Provider> {
        self.providers().iter().find(|provider| provider.id == *id)
    }

    /// All providers, built-in ones first, each as the configuration has it.
    pub fn providers(&self) -> &[Provider] {
        self.in_force.0.get_or_init(|| {
            let built_in = PROVIDERS.iter().filter_map(|def| def.id.parse().ok());
            let own = self
                .providers
                .iter()
                .filter(|(_, said)| said.own)
                .map(|(id, _)| id.clone());
            built_in.chain(own).filter_map(|id| self.put_together(&id)).collect()
        })
    }

    fn put_together(&self, id: &ProviderId) -> Option<Provider> {
        let said = self.providers.get(id);
        let mut provider = match said {
            Some(said) if said.own => Provider::own(id.clone()),
            _ => Provider::built_in(id)?,
        };
        if let Some(said) = said {
            provider.enabled = said.enabled;
            provider.rate_limit = said.rate_limit;
            provider.models.clone_from(&said.models);
            provider.weight = said.weight;
            provider.keys.clone_from(&said.keys);
            if let Some(address) = &said.base_url {
                provider.move_to(address);
            }
            if let Some(name) = &said.env_var {
                provider.env_var.clone_from(name);
            }
        }
        Some(provider)
    }
}

impl Default for VaultConfig {
    fn default() -> Self {
        Self {
            master_key: MasterKey::Auto,
            passphrase_env: environment::PASSPHRASE.name.to_owned(),
            keys_in_chat: KeysInChat::Warn,
        }
    }
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            own: false,
            enabled: true,
            base_url: None,
            env_var: None,
            rate_limit: None,
            models: None,
            weight: 1,
            keys: BTreeMap::new(),
        }
    }
}

impl Default for RoutingConfig {
    fn default() -> Self {
        let provider = |name: &str| name.parse::<ProviderId>().expect("a name of PROVIDERS");
        let default = |task| match task {
            Task::CodeGeneration | Task::CodeReview | Task::Chat | Task::Summarization => "anthropic",
            Task::Analysis | Task::DataExtraction => "openai",
            Task::Embeddings => "local",
        };
        Self {
            fallback_order: ["anthropic", "openai", "google", "local"]
                .map(|name| vec![provider(name)])
                .to_vec(),
            objective: Objective::Balanced,
            tasks: Task::ALL.map(|task| (task, (provider(default(task)), None))).into(),
        }
    }
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            daily_limit: Usd::from_nano(10_000_000_000),
            monthly_limit: Usd::from_nano(100_000_000_000),
            alert_threshold: Billionths(800_000_000),
            time_zone: TimeZone::UTC,
            unpriced_cap: Some(Usd::from_nano(100_000_000)),
        }
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_secs(10),
            translate: false,
            echo_model: false,
            cache: CacheConfig::default(),
            models: ModelAliases::default(),
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            ttl: Duration::from_hours(1),
            max_size: 64 << 20,
        }
    }
}

impl ModelAliases {
    /// The models that answer in the place of `name`, the first of them first: those of the name itself, else those of
    /// the longest pattern that it fits.
    pub fn targets_of(&self, name: &str) -> Option<&[String]> {
        let fitting = self.0.iter().filter(|(pattern, _)| fits(pattern, name));
        let best = fitting.max_by_key(|(pattern, _)| (pattern == name, pattern.len()))?;
        Some(&best.1)
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for anything.
pub fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = left.split_once(part) else {
            return false;
        };
        left = after;
    }
    left.ends_with(end)
}

impl MasterKey {
    /// The choice as the file spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Keychain => "keychain",
            Self::Passphrase => "passphrase",
            Self::KeyFile => "key-file",
        }
    }
}

fn unknown(name: Option<&str>) -> String {
    name.map_or_else(
        || "that is not the name of a provider".to_owned(),
        |name| format!("unknown provider `{name}`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pattern_that_a_name_fits_counts() {
        let config = Config::parse(
            "[gateway.models]\n\"claude-*\" = \"a/any\"\n\"claude-opus-*\" = [\"a/opus\", \"b/opus\"]\n\
             \"claude-opus-5\" = \"a/five\"\n\"*-mini*\" = \"a/mini\"\n",
        )
        .expect("a configuration");
        for (name, targets) in [
            ("claude-haiku", Some(&["a/any"][..])),
            ("claude-opus-4", Some(&["a/opus", "b/opus"])),
            ("claude-opus-5", Some(&["a/five"])),
            ("gpt-mini-2", Some(&["a/mini"])),
            ("mini", None),
            ("my-claude-1", None),
        ] {
            let found = config.gateway.models.targets_of(name);
            let found = found.map(|all| all.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found, targets.map(<[&str]>::to_vec), "{name}");
        }
        for wrong in ["\"a\" = 7", "\"a\" = \"b-*\"", "\"a\" = \"\"", "\"a\" = \"auto\""] {
            assert!(
                Config::parse(&format!("[gateway.models]\n{wrong}\n")).is_err(),
                "{wrong}"
            );
        }
    }
}
