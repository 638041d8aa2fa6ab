//! `config.toml`, field by field.

use std::{collections::BTreeMap, fmt};

use jiff::tz::TimeZone;

use super::{
    Billionths, ConfigError, environment,
    section::{self, Field, Section},
};
use crate::{
    domain::ProviderId,
    providers::{self, Address, PROVIDERS, Provider},
};

/// The task types that requests are routed by.
pub const TASKS: [&str; 7] = [
    "code_generation",
    "code_review",
    "embeddings",
    "analysis",
    "chat",
    "summarization",
    "data_extraction",
];

/// The highest rate limit that is taken, in requests per minute.
const MOST_REQUESTS: u32 = 1_000_000;
/// The highest amount of money that is taken, in US dollars.
const MOST_DOLLARS: Billionths = Billionths(1_000_000_000 * Billionths::ONE.0);
/// The most providers, models of a provider, or prices that a file may list.
const MOST_ENTRIES: usize = 1_000;

/// The whole configuration; its default is what is built in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    pub vault: VaultConfig,
    /// What the file says of providers: changes of built-in ones, and endpoints of the user's own.
    pub providers: BTreeMap<ProviderId, ProviderConfig>,
    pub routing: Routing,
    pub budget: Budget,
    pub prices: Vec<Price>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultConfig {
    pub master_key: MasterKey,
    /// The variable that holds the passphrase where nobody can type.
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
    pub models: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    pub fallback_order: Vec<ProviderId>,
    pub objective: Objective,
    /// For every task of [`TASKS`] a provider, and a model where one is named.
    pub tasks: BTreeMap<&'static str, (ProviderId, Option<String>)>,
}

/// What a route is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    Balanced,
    Quality,
    Cost,
    Latency,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub enabled: bool,
    /// US dollars.
    pub daily_limit: Billionths,
    /// US dollars.
    pub monthly_limit: Billionths,
    /// The part of a limit at which an alert is due, from 0 to 1.
    pub alert_threshold: Billionths,
    /// Where days and months begin.
    pub time_zone: TimeZone,
}

/// A price of the user's own, in US dollars per million tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// `provider/model`.
    pub model: String,
    pub input: Billionths,
    pub output: Billionths,
    pub cache_read: Option<Billionths>,
    pub cache_write: Option<Billionths>,
    pub cache_write_1h: Option<Billionths>,
    pub batch_input: Option<Billionths>,
    pub batch_output: Option<Billionths>,
    pub reasoning: Option<Billionths>,
}

/// A provider that is neither built in nor configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownProvider {
    /// The name, where it can be repeated: a key typed in its place cannot.
    pub name: Option<String>,
    pub known: Vec<String>,
}

impl Config {
    /// The configuration that `text` spells.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let table = section::parse(text)?;
        let mut root = Section::root(text, table.get_ref());
        let mut config = Self::default();
        if let Some(vault) = root.section("vault")? {
            config.vault = read_vault(vault)?;
        }
        if let Some(all) = root.section("providers")? {
            config.providers = read_providers(&all)?;
        }
        if let Some(routing) = root.section("routing")? {
            config.routing = read_routing(routing, &config.providers)?;
        }
        if let Some(budget) = root.section("budget")? {
            config.budget = read_budget(budget)?;
        }
        if let Some(prices) = root.field("prices") {
            config.prices = read_prices(prices)?;
        }
        root.finish()?;
        Ok(config)
    }

    /// The provider called `name`, as the configuration has it.
    pub fn provider(&self, name: &str) -> Result<Provider, UnknownProvider> {
        let id: Option<ProviderId> = name.parse().ok();
        id.as_ref().and_then(|id| self.find(id)).ok_or_else(|| UnknownProvider {
            name: id
                .map(String::from)
                .filter(|name| name.len() <= 40 && !providers::looks_like_key(name)),
            known: self
                .providers()
                .into_iter()
                .map(|provider| provider.id.into())
                .collect(),
        })
    }

    /// All providers, built-in ones first, each as the configuration has it.
    pub fn providers(&self) -> Vec<Provider> {
        let built_in = PROVIDERS.iter().filter_map(|def| def.id.parse().ok());
        let own = self
            .providers
            .iter()
            .filter(|(_, said)| said.own)
            .map(|(id, _)| id.clone());
        built_in.chain(own).filter_map(|id| self.find(&id)).collect()
    }

    fn find(&self, id: &ProviderId) -> Option<Provider> {
        let said = self.providers.get(id);
        let mut provider = match said {
            Some(said) if said.own => Provider::own(id.clone()),
            _ => Provider::built_in(id)?,
        };
        if let Some(said) = said {
            provider.enabled = said.enabled;
            provider.rate_limit = said.rate_limit;
            provider.models.clone_from(&said.models);
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

fn read_vault(mut section: Section<'_, '_>) -> Result<VaultConfig, ConfigError> {
    let mut vault = VaultConfig::default();
    if let Some(field) = section.field("master_key") {
        vault.master_key = field.choice(&[
            ("auto", MasterKey::Auto),
            ("keychain", MasterKey::Keychain),
            ("passphrase", MasterKey::Passphrase),
            ("key-file", MasterKey::KeyFile),
        ])?;
    }
    if let Some(field) = section.field("passphrase_env") {
        vault.passphrase_env = variable_name(&field)?;
    }
    if let Some(field) = section.field("keys_in_chat") {
        vault.keys_in_chat = field.choice(&[
            ("allow", KeysInChat::Allow),
            ("warn", KeysInChat::Warn),
            ("refuse", KeysInChat::Refuse),
        ])?;
    }
    section.finish()?;
    Ok(vault)
}

fn read_providers(all: &Section<'_, '_>) -> Result<BTreeMap<ProviderId, ProviderConfig>, ConfigError> {
    let mut providers = BTreeMap::new();
    for (name, field) in all.each() {
        let id: ProviderId = name
            .parse()
            .map_err(|_| field.wrong("is not a provider's name: lower-case letters, digits and hyphens"))?;
        if providers.len() >= MOST_ENTRIES {
            return Err(field.wrong(format!("is one too many: at most {MOST_ENTRIES}")));
        }
        let twice = field.wrong("is configured twice, under two of its names");
        let said = read_provider(&id, field)?;
        if providers.insert(id, said).is_some() {
            return Err(twice);
        }
    }
    Ok(providers)
}

fn read_provider(id: &ProviderId, field: Field<'_, '_>) -> Result<ProviderConfig, ConfigError> {
    let unknown = field
        .wrong("is not a built-in provider; for an endpoint of your own set kind = \"openai-compatible\" and base_url");
    let no_address = field.wrong("needs a base_url");
    let is_built_in = Provider::built_in(id).is_some();
    let mut section = field.section()?;
    let mut said = ProviderConfig::default();
    if let Some(kind) = section.field("kind") {
        kind.choice(&[("openai-compatible", ())])?;
        if is_built_in {
            return Err(kind.wrong("cannot be set for a built-in provider; give your endpoint a name of its own"));
        }
        said.own = true;
    } else if !is_built_in {
        return Err(unknown);
    }
    if let Some(field) = section.field("enabled") {
        said.enabled = field.switch()?;
    }
    if let Some(field) = section.field("base_url") {
        said.base_url = Some(Address::parse(field.text()?).map_err(|why| field.wrong(why.to_string()))?);
    } else if said.own {
        return Err(no_address);
    }
    if let Some(field) = section.field("env_var") {
        said.env_var = Some(variable_name(&field)?);
    }
    if let Some(field) = section.field("rate_limit") {
        said.rate_limit = Some(field.count(MOST_REQUESTS)?).filter(|limit| *limit > 0);
    }
    if let Some(field) = section.field("models") {
        let items = field.items()?;
        said.models = Some(items.iter().map(model_name).collect::<Result<_, _>>()?);
    }
    section.finish()?;
    Ok(said)
}

fn read_routing(
    mut section: Section<'_, '_>,
    configured: &BTreeMap<ProviderId, ProviderConfig>,
) -> Result<Routing, ConfigError> {
    let mut routing = Routing::default();
    let known = |name: &str, field: &Field<'_, '_>| {
        let id: Option<ProviderId> = name.parse().ok();
        id.filter(|id| configured.contains_key(id) || Provider::built_in(id).is_some())
            .ok_or_else(|| field.wrong("names a provider that is neither built in nor configured"))
    };
    if let Some(field) = section.field("fallback_order") {
        routing.fallback_order.clear();
        for item in field.items()? {
            let id = known(item.text()?, &item)?;
            if routing.fallback_order.contains(&id) {
                return Err(item.wrong("names a provider a second time"));
            }
            routing.fallback_order.push(id);
        }
    }
    if let Some(field) = section.field("objective") {
        routing.objective = field.choice(&[
            ("balanced", Objective::Balanced),
            ("quality", Objective::Quality),
            ("cost", Objective::Cost),
            ("latency", Objective::Latency),
        ])?;
    }
    if let Some(mut tasks) = section.section("tasks")? {
        for task in TASKS {
            let Some(field) = tasks.field(task) else { continue };
            let text = field.text()?;
            let target = match text.split_once('/') {
                None => (known(text, &field)?, None),
                Some((provider, model)) => (known(provider, &field)?, Some(checked_model(model, &field)?)),
            };
            routing.tasks.insert(task, target);
        }
        tasks.finish()?;
    }
    section.finish()?;
    Ok(routing)
}

fn read_budget(mut section: Section<'_, '_>) -> Result<Budget, ConfigError> {
    let mut budget = Budget::default();
    if let Some(field) = section.field("enabled") {
        budget.enabled = field.switch()?;
    }
    if let Some(field) = section.field("daily_limit") {
        budget.daily_limit = field.decimal(MOST_DOLLARS)?;
    }
    if let Some(field) = section.field("monthly_limit") {
        budget.monthly_limit = field.decimal(MOST_DOLLARS)?;
    }
    if let Some(field) = section.field("alert_threshold") {
        budget.alert_threshold = field.decimal(Billionths::ONE)?;
    }
    if let Some(field) = section.field("time_zone") {
        budget.time_zone = match field.text()? {
            "UTC" => TimeZone::UTC,
            "local" => TimeZone::system(),
            name => TimeZone::get(name)
                .map_err(|_| field.wrong("must be \"UTC\", \"local\" or an IANA name such as \"Europe/Berlin\""))?,
        };
    }
    section.finish()?;
    Ok(budget)
}

fn read_prices(field: Field<'_, '_>) -> Result<Vec<Price>, ConfigError> {
    let too_many = field.wrong(format!("has too many entries: at most {MOST_ENTRIES}"));
    let items = field.items()?;
    if items.len() > MOST_ENTRIES {
        return Err(too_many);
    }
    let mut prices: Vec<Price> = Vec::with_capacity(items.len());
    for item in items {
        let missing = |name: &str| item.wrong(format!("needs `{name}`"));
        let (no_model, no_input, no_output) = (missing("model"), missing("input"), missing("output"));
        let mut section = item.section()?;
        let field = section.field("model").ok_or(no_model)?;
        let model = model_name(&field)?;
        if model
            .split_once('/')
            .is_none_or(|(provider, _)| provider.parse::<ProviderId>().is_err())
        {
            return Err(field.wrong("must be \"provider/model\""));
        }
        if prices.iter().any(|price| price.model == model) {
            return Err(field.wrong("names a model a second time"));
        }
        let mut price = |name| section.field(name).map(|field| field.decimal(MOST_DOLLARS)).transpose();
        prices.push(Price {
            model,
            input: price("input")?.ok_or(no_input)?,
            output: price("output")?.ok_or(no_output)?,
            cache_read: price("cache_read")?,
            cache_write: price("cache_write")?,
            cache_write_1h: price("cache_write_1h")?,
            batch_input: price("batch_input")?,
            batch_output: price("batch_output")?,
            reasoning: price("reasoning")?,
        });
        section.finish()?;
    }
    Ok(prices)
}

fn variable_name(field: &Field<'_, '_>) -> Result<String, ConfigError> {
    let name = field.text()?;
    if environment::is_variable_name(name) {
        Ok(name.to_owned())
    } else {
        Err(field.wrong("must be a variable's name: letters, digits and underscores"))
    }
}

fn model_name(field: &Field<'_, '_>) -> Result<String, ConfigError> {
    checked_model(field.text()?, field)
}

fn checked_model(name: &str, field: &Field<'_, '_>) -> Result<String, ConfigError> {
    let fits = (1..=200).contains(&name.len()) && name.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if fits {
        Ok(name.to_owned())
    } else {
        Err(field.wrong("must be a model's name: 1 to 200 characters without white space"))
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
        }
    }
}

impl Default for Routing {
    fn default() -> Self {
        let provider = |name: &str| name.parse::<ProviderId>().expect("a name of PROVIDERS");
        let tasks = [
            ("code_generation", "anthropic"),
            ("code_review", "anthropic"),
            ("chat", "anthropic"),
            ("summarization", "anthropic"),
            ("analysis", "openai"),
            ("data_extraction", "openai"),
            ("embeddings", "local"),
        ];
        Self {
            fallback_order: ["anthropic", "openai", "google", "local"].map(provider).to_vec(),
            objective: Objective::Balanced,
            tasks: tasks.map(|(task, name)| (task, (provider(name), None))).into(),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            enabled: true,
            daily_limit: Billionths(10 * Billionths::ONE.0),
            monthly_limit: Billionths(100 * Billionths::ONE.0),
            alert_threshold: Billionths(800_000_000),
            time_zone: TimeZone::UTC,
        }
    }
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

impl fmt::Display for UnknownProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "there is no provider `{name}`"),
            None => f.write_str("that is not the name of a provider"),
        }
    }
}

impl std::error::Error for UnknownProvider {}
