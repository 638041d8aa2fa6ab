//! The configuration's tables, read field by field.

use std::{collections::BTreeMap, time::Duration};

use jiff::tz::TimeZone;

use super::{
    ConfigError, Project,
    config::{
        AgentLogsConfig, BudgetConfig, CacheConfig, Config, GatewayConfig, KeysInChat, MasterKey, ModelAliases,
        PriceOverride, ProviderConfig, QualityOverride, RoutingConfig, VaultConfig,
    },
    destinations, environment,
    section::{self, Field, Section, meant},
};
use crate::{
    domain::{Billionths, Label, ModelId, ModelRef, Objective, ProviderId, Rate, Rates, Task, Usd},
    providers::{Address, KeyConfig, PROVIDERS, Provider},
};

/// The highest rate limit that is taken, in requests per minute.
const MAX_REQUESTS: u32 = 1_000_000;
/// The highest weight of a key or provider.
const MAX_WEIGHT: u32 = 100;
/// The highest amount of money that is taken, in US dollars.
const MAX_DOLLARS: Billionths = Billionths(1_000_000_000 * Billionths::ONE.0);
/// The best that a model can be at a task.
const MAX_POINTS: Billionths = Billionths(100 * Billionths::ONE.0);
/// The longest time that is taken, in seconds.
const MAX_SECONDS: u32 = 86_400;
/// The most memory that is taken, in MiB.
const MAX_MEBIBYTES: u32 = 2_048;
/// The most providers, models of a provider, or prices that a file may list.
const MAX_ENTRIES: usize = 1_000;

impl Config {
    /// The configuration that `text` spells.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        // The mark that some editors put before a text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let table = section::parse(text)?;
        let mut root = Section::root(text, table.get_ref());
        let mut config = Self::default();
        if let Some(vault) = root.section("vault")? {
            config.vault = self::vault(vault)?;
        }
        if let Some(all) = root.section("providers")? {
            config.providers = providers(&all)?;
        }
        if let Some(routing) = root.section("routing")? {
            config.routing = self::routing(routing, &config.providers)?;
        }
        if let Some(budget) = root.section("budget")? {
            config.budget = self::budget(budget)?;
        }
        if let Some(logs) = root.section("agent_logs")? {
            config.agent_logs = agent_logs(logs)?;
        }
        if let Some(alerts) = root.section("alerts")? {
            config.alerts = destinations::destinations(alerts)?;
        }
        if let Some(gateway) = root.section("gateway")? {
            config.gateway = self::gateway(gateway)?;
        }
        if let Some(projects) = root.section("projects")? {
            config.projects = self::projects(&projects)?;
        }
        if let Some(prices) = root.field("prices") {
            config.prices = self::prices(prices)?;
        }
        if let Some(quality) = root.field("quality") {
            config.quality = self::quality(quality)?;
        }
        root.finish()?;
        Ok(config)
    }
}

fn vault(mut section: Section<'_, '_>) -> Result<VaultConfig, ConfigError> {
    let mut vault = VaultConfig::default();
    if let Some(field) = section.field("master_key") {
        vault.master_key = field.choice(&MasterKey::NAMED)?;
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

fn providers(all: &Section<'_, '_>) -> Result<BTreeMap<ProviderId, ProviderConfig>, ConfigError> {
    let mut providers = BTreeMap::new();
    for (name, field) in all.each() {
        let id: ProviderId = name
            .parse()
            .map_err(|_| field.wrong("is not a provider's name: lower-case letters, digits and hyphens"))?;
        if providers.len() >= MAX_ENTRIES {
            return Err(field.wrong(format!("exceeds the maximum of {MAX_ENTRIES} entries")));
        }
        let twice = field.wrong("is configured twice, under two of its names");
        let said = provider(&id, field)?;
        if providers.insert(id, said).is_some() {
            return Err(twice);
        }
    }
    Ok(providers)
}

fn projects(all: &Section<'_, '_>) -> Result<Vec<Project>, ConfigError> {
    let mut projects = Vec::new();
    for (pattern, field) in all.each() {
        Project::check(&pattern).map_err(|rule| field.wrong(format!("is a folder whose pattern {rule}")))?;
        let label = field
            .text()?
            .parse()
            .map_err(|_| field.wrong("must be a key's label: letters, digits, dots, hyphens and underscores"))?;
        if projects.len() >= MAX_ENTRIES {
            return Err(field.wrong(format!("exceeds the maximum of {MAX_ENTRIES} entries")));
        }
        projects.push(Project { pattern, label });
    }
    Ok(projects)
}

fn provider(id: &ProviderId, field: Field<'_, '_>) -> Result<ProviderConfig, ConfigError> {
    let built_in = PROVIDERS.iter().map(|def| def.id);
    let unknown = field.wrong(format!(
        "is not a built-in provider{}; for an endpoint of your own set kind = \"openai-compatible\" and base_url",
        meant(id.as_str(), built_in)
    ));
    let no_address = field.wrong("needs a base_url");
    let is_built_in = Provider::built_in(id).is_some();
    let mut section = field.section()?;
    let mut said = ProviderConfig::default();
    if let Some(kind) = section.field("kind") {
        kind.choice(&[("openai-compatible", ())])?;
        if is_built_in {
            return Err(kind.wrong("cannot be set for a built-in provider; choose another name for your endpoint"));
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
        said.rate_limit = Some(field.count(MAX_REQUESTS)?).filter(|limit| *limit > 0);
    }
    if let Some(field) = section.field("models") {
        let items = field.items()?;
        let mut models = Vec::new();
        for item in &items {
            let model = model_name(item)?;
            if !models.contains(&model) {
                models.push(model);
            }
        }
        said.models = Some(models);
    }
    if let Some(field) = section.field("weight") {
        said.weight = weight(&field)?;
    }
    if let Some(keys) = section.section("keys")? {
        for (name, field) in keys.each() {
            let label: Label = name
                .parse()
                .map_err(|_| field.wrong("is not a key's label: letters, digits, dots, hyphens and underscores"))?;
            said.keys.insert(label, key(field, said.rate_limit)?);
        }
    }
    section.finish()?;
    Ok(said)
}

fn key(field: Field<'_, '_>, rate_limit: Option<u32>) -> Result<KeyConfig, ConfigError> {
    let mut section = field.section()?;
    let mut said = KeyConfig {
        weight: 1,
        pool: None,
        rate_limit,
    };
    if let Some(field) = section.field("weight") {
        said.weight = weight(&field)?;
    }
    if let Some(field) = section.field("pool") {
        let name = field.text()?.parse::<Label>();
        let name = name.map_err(|_| field.wrong("must be a name: letters, digits, dots, hyphens and underscores"))?;
        said.pool = Some(name.into());
    }
    if let Some(field) = section.field("rate_limit") {
        said.rate_limit = Some(field.count(MAX_REQUESTS)?).filter(|limit| *limit > 0);
    }
    section.finish()?;
    Ok(said)
}

fn weight(field: &Field<'_, '_>) -> Result<u32, ConfigError> {
    let weight = field.count(MAX_WEIGHT).ok().filter(|weight| *weight > 0);
    weight.ok_or_else(|| field.wrong(format!("must be a whole number from 1 to {MAX_WEIGHT}")))
}

fn routing(
    mut section: Section<'_, '_>,
    configured: &BTreeMap<ProviderId, ProviderConfig>,
) -> Result<RoutingConfig, ConfigError> {
    let mut routing = RoutingConfig::default();
    let known = |name: &str, field: &Field<'_, '_>| {
        let id: Option<ProviderId> = name.parse().ok();
        id.filter(|id| configured.contains_key(id) || Provider::built_in(id).is_some())
            .ok_or_else(|| {
                let all = PROVIDERS
                    .iter()
                    .map(|def| def.id)
                    .chain(configured.keys().map(ProviderId::as_str));
                let meant = meant(name, all);
                field.wrong(format!(
                    "names a provider that is neither built in nor configured{meant}"
                ))
            })
    };
    if let Some(field) = section.field("fallback_order") {
        routing.fallback_order.clear();
        for item in field.items()? {
            let group = if item.is_list() { item.items()? } else { vec![item] };
            routing.fallback_order.push(Vec::new());
            for item in group {
                let id = known(item.text()?, &item)?;
                if routing.fallback_order.iter().flatten().any(|named| *named == id) {
                    return Err(item.wrong("names a provider a second time"));
                }
                routing.fallback_order.last_mut().expect("just pushed").push(id);
            }
        }
    }
    if let Some(field) = section.field("objective") {
        routing.objective = field.choice(&Objective::ALL.map(|objective| (objective.as_str(), objective)))?;
    }
    if let Some(mut tasks) = section.section("tasks")? {
        for task in Task::ALL {
            let Some(field) = tasks.field(task.as_str()) else {
                continue;
            };
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

fn budget(mut section: Section<'_, '_>) -> Result<BudgetConfig, ConfigError> {
    let mut budget = BudgetConfig::default();
    if let Some(field) = section.field("enabled") {
        budget.enabled = field.switch()?;
    }
    if let Some(field) = section.field("daily_limit") {
        budget.daily_limit = field.decimal(MAX_DOLLARS)?.into();
    }
    if let Some(field) = section.field("monthly_limit") {
        budget.monthly_limit = field.decimal(MAX_DOLLARS)?.into();
    }
    if let Some(field) = section.field("alert_threshold") {
        budget.alert_threshold = field.decimal(Billionths::ONE)?;
    }
    if let Some(field) = section.field("unpriced_cap") {
        let cap: Usd = field.decimal(MAX_DOLLARS)?.into();
        budget.unpriced_cap = Some(cap).filter(|cap| *cap > Usd::ZERO);
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

fn gateway(mut section: Section<'_, '_>) -> Result<GatewayConfig, ConfigError> {
    let mut gateway = GatewayConfig::default();
    if let Some(field) = section.field("max_wait") {
        gateway.max_wait = seconds(&field)?;
    }
    if let Some(field) = section.field("translate") {
        gateway.translate = field.switch()?;
    }
    if let Some(field) = section.field("echo_model") {
        gateway.echo_model = field.switch()?;
    }
    if let Some(section) = section.section("cache")? {
        gateway.cache = cache(section)?;
    }
    if let Some(section) = section.section("models")? {
        gateway.models = models(&section)?;
    }
    section.finish()?;
    Ok(gateway)
}

fn models(section: &Section<'_, '_>) -> Result<ModelAliases, ConfigError> {
    let mut aliases = Vec::new();
    for (name, field) in section.each() {
        let items = if field.is_list() { field.items()? } else { vec![field] };
        let mut targets = Vec::new();
        for item in items {
            let target = item.text()?;
            if target.is_empty() || target.contains('*') || target.starts_with("auto") {
                return Err(item.wrong("must name a model, as `provider/model` or as the catalog does"));
            }
            targets.push(target.to_owned());
        }
        aliases.push((name, targets));
    }
    Ok(ModelAliases(aliases))
}

pub(super) fn agent_logs(mut section: Section<'_, '_>) -> Result<AgentLogsConfig, ConfigError> {
    let mut logs = AgentLogsConfig::default();
    if let Some(field) = section.field("auto_import") {
        logs.auto_import = field.switch()?;
    }
    if let Some(field) = section.field("billed") {
        for item in field.items()? {
            let name = item.text()?;
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 64 || !name.chars().all(is_name) {
                return Err(item.wrong("must be an agent's name, such as \"claude-code\""));
            }
            logs.billed.push(name.to_owned());
        }
    }
    section.finish()?;
    Ok(logs)
}

fn cache(mut section: Section<'_, '_>) -> Result<CacheConfig, ConfigError> {
    let mut cache = CacheConfig::default();
    if let Some(field) = section.field("enabled") {
        cache.enabled = field.switch()?;
    }
    if let Some(field) = section.field("ttl") {
        cache.ttl = seconds(&field)?;
    }
    if let Some(field) = section.field("max_size") {
        cache.max_size = usize::try_from(field.count(MAX_MEBIBYTES)?).unwrap_or(usize::MAX) << 20;
    }
    section.finish()?;
    Ok(cache)
}

fn prices(field: Field<'_, '_>) -> Result<Vec<PriceOverride>, ConfigError> {
    let too_many = field.wrong(format!("has too many entries: at most {MAX_ENTRIES}"));
    let items = field.items()?;
    if items.len() > MAX_ENTRIES {
        return Err(too_many);
    }
    let mut prices: Vec<PriceOverride> = Vec::with_capacity(items.len());
    for item in items {
        let missing = |name: &str| item.wrong(format!("needs `{name}`"));
        let (no_model, no_input, no_output) = (missing("model"), missing("input"), missing("output"));
        let (no_batch_input, no_batch_output) = (missing("batch_input"), missing("batch_output"));
        let mut section = item.section()?;
        let field = section.field("model").ok_or(no_model)?;
        let model: ModelRef = model_name(&field)?
            .as_str()
            .parse()
            .map_err(|_| field.wrong("must be \"provider/model\""))?;
        if prices.iter().any(|price| price.model == model) {
            return Err(field.wrong("names a model a second time"));
        }
        let mut price = |name| {
            let field = section.field(name);
            field
                .map(|field| field.decimal(MAX_DOLLARS).map(Rate::from))
                .transpose()
        };
        let standard = Rates {
            input: price("input")?.ok_or(no_input)?,
            output: price("output")?.ok_or(no_output)?,
            cache_read: price("cache_read")?,
            cache_write: price("cache_write")?,
            cache_write_1h: price("cache_write_1h")?,
            reasoning: price("reasoning")?,
            ..Rates::default()
        };
        let (batch_input, batch_output) = (price("batch_input")?, price("batch_output")?);
        section.finish()?;
        let batch = match (batch_input, batch_output) {
            (None, None) => None,
            (Some(input), Some(output)) => Some(Rates {
                input,
                output,
                ..Rates::default()
            }),
            (Some(_), None) => return Err(no_batch_output),
            (None, Some(_)) => return Err(no_batch_input),
        };
        prices.push(PriceOverride { model, standard, batch });
    }
    Ok(prices)
}

fn quality(field: Field<'_, '_>) -> Result<Vec<QualityOverride>, ConfigError> {
    let too_many = field.wrong(format!("has too many entries: at most {MAX_ENTRIES}"));
    let items = field.items()?;
    if items.len() > MAX_ENTRIES {
        return Err(too_many);
    }
    let mut figures = Vec::with_capacity(items.len());
    for item in items {
        let [no_model, no_points] = ["model", "points"].map(|name| item.wrong(format!("needs `{name}`")));
        let mut section = item.section()?;
        let model = model_name(&section.field("model").ok_or(no_model)?)?;
        let points = section.field("points").ok_or(no_points)?.decimal(MAX_POINTS)?;
        let tasks = Task::ALL.map(|task| (task.as_str(), task));
        let task = section.field("task").map(|field| field.choice(&tasks)).transpose()?;
        section.finish()?;
        figures.push(QualityOverride {
            model,
            task,
            points: u32::try_from(points.0 / (Billionths::ONE.0 / 100)).unwrap_or(u32::MAX),
        });
    }
    Ok(figures)
}

fn seconds(field: &Field<'_, '_>) -> Result<Duration, ConfigError> {
    field
        .count(MAX_SECONDS)
        .map(|seconds| Duration::from_secs(seconds.into()))
}

fn variable_name(field: &Field<'_, '_>) -> Result<String, ConfigError> {
    let name = field.text()?;
    if environment::is_variable_name(name) {
        Ok(name.to_owned())
    } else {
        Err(field.wrong("must be a variable's name: letters, digits and underscores"))
    }
}

fn model_name(field: &Field<'_, '_>) -> Result<ModelId, ConfigError> {
    checked_model(field.text()?, field)
}

fn checked_model(name: &str, field: &Field<'_, '_>) -> Result<ModelId, ConfigError> {
    name.parse()
        .map_err(|_| field.wrong("must be a model's name: 1 to 200 letters, digits and characters of -._:/@+~"))
}
