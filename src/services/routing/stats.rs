//! What is known of every provider: whether it can be used, how it fares, what it costs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    gather::RoutingSnapshot,
    reason::phrase,
    supply::{KeySupply, Supply, Verdict},
    tail::percentile,
};
use crate::{
    app::App,
    catalog::Catalog,
    domain::{Billionths, HealthState, ModelRef, ProviderId, Rate, Signal, Task, utc_text},
    error::Result,
    providers::Provider,
    services::{cost_estimate, price_lookup},
    settings::Config,
    storage::ledger::{Dimension, Filter, Past, Totals},
};

/// How many models of each provider are named where all providers are shown: of those that can be used, and of the others.
const MAX_MODELS: [usize; 2] = [12, 3];
/// How long a price holds at least, in seconds.
const HOUR: i64 = 3_600;

/// Every provider.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stats {
    pub providers: Vec<ProviderStats>,
    pub total_providers: usize,
    pub available_providers: usize,
    pub enabled_providers: usize,
}

/// One provider.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProviderStats {
    pub provider: String,
    pub enabled: bool,
    /// Whether a request could go there now
    pub available: bool,
    /// `ready`, or the verdict on all its candidates
    pub status: &'static str,
    /// The same in words
    pub availability_reason: String,
    /// How many keys are stored; null where the vault is closed
    pub keys: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_states: Vec<KeyStats>,
    /// Models that are served now, as far as is known
    pub models: Vec<String>,
    /// How many more there are; ask for the one provider to see them
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models_omitted: Option<usize>,
    /// Requests per minute; 0 for no limit
    pub rate_limit: u32,
    /// How it fares, by the requests of the last day
    pub health: HealthStats,
    /// Of the last answers, within a day
    pub latency: Latency,
    /// Of the last 30 days, from 0 to 1; null without requests
    pub success_rate: Option<Billionths>,
    /// Of the last 30 days
    pub requests: u64,
    /// In US dollars per million tokens
    pub price: PriceStats,
}

/// One key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyStats {
    pub label: String,
    /// `ready`, or the verdict on candidates with it
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// With it and the keys that share its quota
    pub requests_last_minute: u32,
    /// Its pool of quota, where it shares one
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// How a provider fares.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HealthStats {
    /// `healthy`, `failing` where most of the last requests failed, `cooling`, `probing`, `out`, `unreachable`, or
    /// `unknown` before the first request
    pub status: &'static str,
    /// `closed` lets requests through, `half_open` one, `open` none
    pub circuit: &'static str,
    /// When it last answered or was checked
    pub last_check: Option<String>,
    pub last_error: Option<String>,
    pub cooldown_until: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Latency {
    pub p50_ms: Option<u32>,
    pub p95_ms: Option<u32>,
    pub samples: usize,
}

/// What it costs, in US dollars per million tokens.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PriceStats {
    /// The first configured model, else one of middle price
    pub model: Option<String>,
    pub input_per_million: Option<Rate>,
    pub output_per_million: Option<Rate>,
}

/// Every provider.
pub fn overview(app: &App, state: &Arc<RoutingSnapshot>) -> Result<Arc<Stats>> {
    if let Some(kept) = app.kept::<KnownStats>()
        && Arc::ptr_eq(&kept.state, state)
    {
        return Ok(Arc::clone(&kept.stats));
    }
    let known = Arc::new(KnownStats {
        state: Arc::clone(state),
        stats: Arc::new(stats(app, state, None)?),
    });
    app.keep(&known);
    Ok(Arc::clone(&known.stats))
}

/// What was made of one state.
#[derive(Debug)]
struct KnownStats {
    state: Arc<RoutingSnapshot>,
    stats: Arc<Stats>,
}

/// Every provider, or one.
pub fn stats(app: &App, state: &RoutingSnapshot, only: Option<&Provider>) -> Result<Stats> {
    let usage = usage(app, state)?;
    let mut past: BTreeMap<&ProviderId, Vec<&Past>> = BTreeMap::new();
    for it in state.past().iter() {
        past.entry(&it.asked.model.provider).or_default().push(it);
    }
    let supplies: BTreeMap<_, _> = state
        .all_supplies(Task::Chat, only.is_some())
        .into_iter()
        .map(|supply| (supply.provider.clone(), supply))
        .collect();
    let prices = TypicalPrices::in_force(app, state);
    let mut providers = Vec::new();
    for provider in state.providers() {
        if only.is_some_and(|only| only.id != provider.id) {
            continue;
        }
        let Some(supply) = supplies.get(&provider.id) else {
            continue;
        };
        let totals = usage.get(provider.id.as_str()).copied().unwrap_or_default();
        let past = past.get(&provider.id).map(Vec::as_slice).unwrap_or_default();
        let price = prices.of(state, provider);
        let mut stats = of_provider(state, provider, supply, (&totals, past), price);
        if only.is_none() {
            let most = MAX_MODELS[usize::from(!stats.available)];
            let omitted = stats.models.len().saturating_sub(most);
            stats.models.truncate(most);
            stats.models_omitted = (omitted > 0).then_some(omitted);
        }
        providers.push(stats);
    }
    let count = |is: fn(&ProviderStats) -> bool| providers.iter().filter(|it| is(it)).count();
    Ok(Stats {
        total_providers: providers.len(),
        available_providers: count(|it| it.available),
        enabled_providers: count(|it| it.enabled),
        providers,
    })
}

/// What requests of the last days came to, by provider.
fn usage(app: &App, state: &RoutingSnapshot) -> Result<BTreeMap<String, Totals>> {
    let filter = Filter::default();
    let grouped = app.ledger().grouped(state.last_days(), &filter, Dimension::Provider)?;
    Ok(grouped
        .into_iter()
        .filter_map(|(name, totals)| Some((name?, totals)))
        .collect())
}

fn of_provider(
    state: &RoutingSnapshot,
    provider: &Provider,
    supply: &Supply,
    (totals, past): (&Totals, &[&Past]),
    price: PriceStats,
) -> ProviderStats {
    let obstacle = supply.obstacle.or_else(|| supply.key_obstacle(state.now));
    let records = state.records(&provider.id);
    let mut latencies: Vec<u32> = past
        .iter()
        .filter(|past| past.outcome.success)
        .filter_map(|past| past.outcome.latency_ms)
        .collect();
    latencies.sort_unstable();
    ProviderStats {
        provider: provider.id.to_string(),
        enabled: provider.enabled,
        available: obstacle.is_none(),
        status: status(obstacle),
        availability_reason: obstacle.map_or_else(|| "ready".to_owned(), phrase),
        keys: records.as_ref().map(Vec::len),
        key_states: supply
            .keys
            .iter()
            .filter(|_| records.as_ref().is_some_and(|records| !records.is_empty()))
            .map(|key| of_key(state, provider, key))
            .collect(),
        models: state
            .served_models(provider, supply)
            .into_iter()
            .map(ToString::to_string)
            .collect(),
        models_omitted: None,
        rate_limit: provider.rate_limit.unwrap_or(0),
        health: health(state, provider, supply, past),
        latency: Latency {
            p50_ms: percentile(&latencies, 50),
            p95_ms: percentile(&latencies, 95),
            samples: latencies.len(),
        },
        success_rate: Billionths::ratio(totals.requests - totals.errors, totals.requests),
        requests: totals.requests,
        price,
    }
}

fn status(obstacle: Option<Verdict>) -> &'static str {
    obstacle.map_or("ready", Verdict::as_str)
}

fn of_key(state: &RoutingSnapshot, provider: &Provider, key: &KeySupply) -> KeyStats {
    let obstacle = key.obstacle(state.now);
    KeyStats {
        label: key.label.to_string(),
        state: status(obstacle),
        until: obstacle.and_then(Verdict::until).map(utc_text),
        requests_last_minute: key.used,
        pool: provider.keys.get(&key.label).and_then(|key| key.pool.clone()),
    }
}

/// The health of the provider: that of its healthiest key.
fn health(state: &RoutingSnapshot, provider: &Provider, supply: &Supply, past: &[&Past]) -> HealthStats {
    let validated = state
        .records(&provider.id)
        .into_iter()
        .flatten()
        .filter_map(|record| Some(record.active()?.validation.as_ref()?.validated_at));
    let last_check = past.iter().map(|past| past.at).chain(validated).max();
    let failed = past
        .iter()
        .rfind(|past| !matches!(Signal::of(&past.outcome, None), Signal::Success | Signal::NoVerdict));
    let states = supply.keys.iter().map(|key| key.state(state.now));
    let rank = |it: &HealthState| match it {
        HealthState::Healthy => 0,
        HealthState::Due { .. } => 1,
        HealthState::Probing { .. } => 2,
        HealthState::Cooling { .. } => 3,
        HealthState::Out { .. } => 4,
    };
    let best = states.min_by_key(rank).unwrap_or(HealthState::Healthy);
    let (status, circuit, until) = match best {
        _ if supply.obstacle == Some(Verdict::Unreachable) => ("unreachable", "open", None),
        HealthState::Healthy if last_check.is_none() => ("unknown", "closed", None),
        HealthState::Healthy if is_failing(past) => ("failing", "closed", None),
        HealthState::Healthy => ("healthy", "closed", None),
        HealthState::Due { .. } => ("probing", "half_open", None),
        HealthState::Probing { until, .. } => ("probing", "half_open", Some(until)),
        HealthState::Cooling { until, .. } => ("cooling", "open", Some(until)),
        HealthState::Out { .. } => ("out", "open", None),
    };
    HealthStats {
        status,
        circuit,
        last_check: last_check.map(utc_text),
        last_error: failed.map(|past| {
            let what = past
                .outcome
                .status_code
                .map_or_else(|| "no answer".to_owned(), |status| format!("HTTP status {status}"));
            format!("{what} at {}", utc_text(past.at))
        }),
        cooldown_until: until.map(utc_text),
    }
}

/// Whether more of the last requests failed than succeeded; those that say nothing of the provider do not count.
fn is_failing(past: &[&Past]) -> bool {
    let (mut good, mut bad) = (0, 0);
    for past in past.iter().rev() {
        match Signal::of(&past.outcome, None) {
            Signal::Success => good += 1,
            Signal::Failed { .. } | Signal::RateLimited { .. } | Signal::NoCredit | Signal::Refused => bad += 1,
            Signal::Rejected | Signal::NoVerdict => {}
        }
        if good + bad == LAST_REQUESTS {
            break;
        }
    }
    bad > good
}

/// How many of the last requests say how a provider fares.
const LAST_REQUESTS: u32 = 20;

/// What the typical models cost, kept for an hour: finding one reads all prices of a provider.
#[derive(Debug)]
struct TypicalPrices {
    config: Arc<Config>,
    catalog: Arc<Catalog>,
    hour: i64,
    known: Mutex<BTreeMap<ProviderId, PriceStats>>,
}

impl TypicalPrices {
    fn in_force(app: &App, state: &RoutingSnapshot) -> Arc<Self> {
        let hour = state.now.as_second() / HOUR;
        if let Some(kept) = app.kept::<Self>()
            && kept.hour == hour
            && Arc::ptr_eq(&kept.config, &state.config)
            && Arc::ptr_eq(&kept.catalog, &state.catalog)
        {
            return kept;
        }
        let new = Arc::new(Self {
            config: Arc::clone(&state.config),
            catalog: Arc::clone(&state.catalog),
            hour,
            known: Mutex::default(),
        });
        app.keep(&new);
        new
    }

    fn of(&self, state: &RoutingSnapshot, provider: &Provider) -> PriceStats {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&provider.id) {
            return known.clone();
        }
        let price = price(state, provider);
        known.insert(provider.id.clone(), price.clone());
        price
    }
}

fn price(state: &RoutingSnapshot, provider: &Provider) -> PriceStats {
    let model = cost_estimate::typical_model(&state.catalog, provider, state.now);
    let price = model.as_ref().and_then(|model| {
        let name = ModelRef {
            provider: provider.id.clone(),
            model: model.clone(),
        };
        let known = state.catalog.find(&name).map(|found| found.model);
        price_lookup::price_at(provider, known, state.now)
    });
    let free = price_lookup::free(provider).map(|_| Rate::ZERO);
    PriceStats {
        model: model.map(|model| model.to_string()),
        input_per_million: price.as_ref().map(|price| price.offered.standard.input).or(free),
        output_per_million: price.as_ref().map(|price| price.offered.standard.output).or(free),
    }
}
