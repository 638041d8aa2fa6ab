//! genai-prices' set: a list of providers, each with models that have prices by date and by service, in US dollars per
//! million tokens.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::entry::{
    RawFields, SetEntry, SetError, SetModel, Skip, counts_searches, is_free, misformed, of_a_million, rate, shown,
    tidied,
};
use crate::{
    catalog::{ModelStatus, limits::MAX_MODELS},
    domain::{ExtraRates, ModelId, ModelKind, ModelRef, Price, ProviderId, Rate, Rates, Service, ServiceRates, Tier},
};

/// What the set calls the built-in providers, where the names differ.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("aws", "bedrock"),
    ("azure", "azure-openai"),
    ("moonshotai", "moonshot"),
    ("voyageai", "voyage"),
    ("x-ai", "xai"),
];

/// Built-in providers that the set calls by the same name.
const SAME_NAMES: &[&str] = &[
    "anthropic",
    "cerebras",
    "cohere",
    "deepseek",
    "fireworks",
    "google",
    "groq",
    "minimax",
    "mistral",
    "openai",
    "openrouter",
    "perplexity",
    "together",
    "zai",
];

/// What the name of a price ends in: what is counted.
const UNITS: &[&str] = &["mtok", "kcount", "hours", "kpages", "mchars"];

#[derive(Deserialize)]
struct ProviderForm<'a> {
    id: String,
    #[serde(borrow)]
    models: Vec<GenaiModel<'a>>,
}

#[derive(Deserialize)]
struct GenaiModel<'a> {
    id: String,
    #[serde(borrow, rename = "match")]
    names: &'a RawValue,
    context_window: Option<u64>,
    deprecated: Option<bool>,
    /// One table, or a list of tables with conditions.
    #[serde(borrow)]
    prices: &'a RawValue,
    #[serde(borrow, default)]
    price_variants: Vec<Conditional<'a>>,
}

#[derive(Deserialize)]
struct Conditional<'a> {
    /// Of variants only: what selects them.
    #[serde(default)]
    when: BTreeMap<String, String>,
    constraint: Option<Constraint>,
    #[serde(borrow)]
    prices: RawFields<'a>,
}

#[derive(Deserialize)]
struct Constraint {
    /// Nothing for hours of the day.
    start_date: Option<Date>,
}

/// A rate that may be another for long prompts.
#[derive(Clone, Default)]
struct Tiered {
    base: Rate,
    /// Above so many tokens of input.
    above: Vec<(u64, Rate)>,
}

#[derive(Deserialize)]
struct TieredForm<'a> {
    #[serde(borrow)]
    base: &'a RawValue,
    #[serde(borrow)]
    tiers: Vec<GenaiTier<'a>>,
}

#[derive(Deserialize)]
struct GenaiTier<'a> {
    start: u64,
    #[serde(borrow)]
    price: &'a RawValue,
}

/// What a model's name may be, of which only equality is a name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Clause {
    Equals { equals: String },
    Or { or: Vec<Clause> },
    Other(serde::de::IgnoredAny),
}

type Table = BTreeMap<String, Tiered>;

pub(super) fn read(text: &str) -> Result<Vec<SetEntry>, SetError> {
    let providers: Vec<ProviderForm<'_>> = serde_json::from_str(text).map_err(|why| misformed(&why))?;
    if providers.iter().map(|provider| provider.models.len()).sum::<usize>() > MAX_MODELS {
        return Err(SetError::TooManyModels);
    }
    let mut entries = Vec::new();
    for provider in &providers {
        let same = SAME_NAMES.iter().find(|name| **name == provider.id);
        let ours = OTHER_NAMES
            .iter()
            .find(|(theirs, _)| *theirs == provider.id)
            .map(|(_, ours)| ours)
            .or(same);
        let Some(id) = ours.and_then(|ours| ours.parse::<ProviderId>().ok()) else {
            entries.extend(provider.models.iter().map(|_| Err(Skip::OtherProvider)));
            continue;
        };
        for model in &provider.models {
            entries.push(self::model(&id, model)?);
        }
    }
    Ok(entries)
}

fn model(provider: &ProviderId, form: &GenaiModel<'_>) -> Result<SetEntry, SetError> {
    let Ok(name) = form.id.parse::<ModelId>() else {
        return Ok(Err(Skip::Name));
    };
    let id = provider.model(&name);
    let conditional: Vec<Conditional<'_>> = if form.prices.get().starts_with('[') {
        serde_json::from_str(form.prices.get()).map_err(|why| misformed(&why))?
    } else {
        vec![Conditional {
            when: BTreeMap::new(),
            constraint: None,
            prices: serde_json::from_str(form.prices.get()).map_err(|why| misformed(&why))?,
        }]
    };
    let begins = |entry: &Conditional<'_>| entry.constraint.as_ref().and_then(|constraint| constraint.start_date);
    let by_the_hour = |entry: &Conditional<'_>| entry.constraint.is_some() && begins(entry).is_none();
    let mut dated = conditional
        .iter()
        .map(|entry| Ok((begins(entry), table(&id, &entry.prices)?)))
        .collect::<Result<Vec<_>, SetError>>()?;
    let mut variants = Vec::new();
    for variant in &form.price_variants {
        variants.push((service(&variant.when), begins(variant), table(&id, &variant.prices)?));
    }
    if conditional.iter().chain(&form.price_variants).any(by_the_hour) {
        return Ok(Err(Skip::ByTheHour));
    }
    dated.sort_by_key(|(from, _)| *from);
    let kind = kind(&form.id, &dated);
    let mut prices = Vec::with_capacity(dated.len());
    for (at, (from, standard)) in dated.iter().enumerate() {
        let end = dated.get(at + 1).and_then(|(from, _)| *from);
        // The first variant that holds wins, rate by rate; what it does not have is as usual.
        let of = |asked: Service| {
            let holds = |begins: Option<Date>| end.is_none_or(|end| begins.is_none_or(|begins| begins < end));
            let mut holding = variants
                .iter()
                .filter(|(service, begins, _)| *service == Some(asked) && holds(*begins))
                .map(|(_, _, table)| table)
                .filter(|table| !table.is_empty())
                .peekable();
            holding.peek()?;
            let mut rates = Table::new();
            for table in holding.chain([standard]) {
                for (name, rate) in table {
                    rates.entry(name.clone()).or_insert_with(|| rate.clone());
                }
            }
            Some(rates)
        };
        let Some(price) = price(provider, kind, standard, of) else {
            return Ok(Err(Skip::NotByTokens));
        };
        if (price.offered.standard.input, price.offered.standard.output) == (Rate::ZERO, Rate::ZERO)
            && !is_free(&form.id)
        {
            return Ok(Err(Skip::Nothing));
        }
        prices.push((*from, price));
    }
    if prices.first().is_none_or(|(from, _)| from.is_some()) || !prices.is_sorted_by(|a, b| a.0 < b.0) {
        return Ok(Err(Skip::ByTheHour));
    }
    let clause = serde_json::from_str(form.names.get()).map_err(|why| misformed(&why))?;
    let mut names = vec![name];
    collect_names(&clause, &mut names);
    Ok(Ok(SetModel {
        provider: provider.clone(),
        names,
        kind,
        context_window: form.context_window.filter(|window| *window > 0),
        max_output: None,
        capabilities: None,
        status: if form.deprecated == Some(true) {
            ModelStatus::Deprecated
        } else {
            ModelStatus::Active
        },
        retires_on: None,
        prices,
    }))
}

/// The set does not say what a model is for; its name does, and that it gives no text.
fn kind(name: &str, dated: &[(Option<Date>, Table)]) -> ModelKind {
    if dated.iter().any(|(_, table)| table.contains_key("output_mtok")) {
        ModelKind::Chat
    } else if name.contains("rerank") {
        ModelKind::Rerank
    } else {
        ModelKind::Embedding
    }
}

fn service(when: &BTreeMap<String, String>) -> Option<Service> {
    let mut when = when.iter();
    let (Some((key, value)), None) = (when.next(), when.next()) else {
        return None;
    };
    match (key.as_str(), value.as_str()) {
        ("processing", "batch") => Some(Service::Batch),
        ("service_tier", "flex") => Some(Service::Flex),
        ("service_tier", "priority") => Some(Service::Priority),
        ("service_tier" | "speed", "fast") => Some(Service::Fast),
        _ => None,
    }
}

fn collect_names(clause: &Clause, names: &mut Vec<ModelId>) {
    match clause {
        Clause::Equals { equals } => {
            if let Ok(name) = equals.parse()
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        Clause::Or { or } => or.iter().for_each(|clause| collect_names(clause, names)),
        Clause::Other(_) => {}
    }
}

/// The prices by name, each a price.
fn table(id: &ModelRef, fields: &RawFields<'_>) -> Result<Table, SetError> {
    let mut table = Table::new();
    for (field, raw) in &fields.0 {
        let wrong = |rule| SetError::Price {
            model: id.clone(),
            field: shown(field),
            rule,
        };
        if !UNITS.iter().any(|unit| field.rsplit('_').next() == Some(unit)) {
            return Err(wrong("is a price per something that is not known"));
        }
        let tiered = if raw.get().starts_with('{') {
            let form: TieredForm<'_> = serde_json::from_str(raw.get()).map_err(|_| wrong("is not a price"))?;
            let above = |tier: &GenaiTier<'_>| Ok((tier.start, rate(tier.price, 0)?));
            if !form.tiers.is_sorted_by(|a, b| a.start < b.start) {
                return Err(wrong("has tiers that do not ascend"));
            }
            Tiered {
                base: rate(form.base, 0).map_err(wrong)?,
                above: form.tiers.iter().map(above).collect::<Result<_, _>>().map_err(wrong)?,
            }
        } else {
            Tiered {
                base: rate(raw, 0).map_err(wrong)?,
                above: Vec::new(),
            }
        };
        table.insert(field.clone(), tiered);
    }
    Ok(table)
}

fn price(
    provider: &ProviderId,
    kind: ModelKind,
    standard: &Table,
    of: impl Fn(Service) -> Option<Table>,
) -> Option<Price> {
    let rates = |table: &Table, input_tokens: u64| {
        let rate = |name: &str| {
            table.get(name).map(|rate| {
                let reached = rate.above.iter().rev().find(|(start, _)| *start < input_tokens);
                reached.map_or(rate.base, |(_, rate)| *rate)
            })
        };
        let fee = |name: &str| rate(name).filter(|_| counts_searches(provider)).map(of_a_million);
        let rates = Rates {
            input: rate("input_mtok")?,
            output: rate("output_mtok").unwrap_or_default(),
            cache_read: rate("cache_read_mtok"),
            cache_write: rate("cache_write_mtok"),
            cache_write_1h: rate("cache_write_1h_mtok"),
            reasoning: rate("output_reasoning_mtok"),
            extra: ExtraRates {
                audio_input: rate("input_audio_mtok"),
                audio_cache_read: rate("cache_audio_read_mtok"),
                image_input: rate("input_image_mtok"),
                audio_output: rate("output_audio_mtok"),
                image_output: rate("output_image_mtok"),
                citations: rate("output_citation_mtok"),
                characters: None,
                searches: fee("web_searches_kcount"),
                requests: fee("requests_kcount").map(|fee| [fee; 3]),
            },
        };
        Some(tidied(kind, rates))
    };
    let services = Service::ALL.map(|service| match service {
        Service::Standard => Some(standard.clone()),
        Service::Batch | Service::Flex | Service::Priority | Service::Fast => of(service),
    });
    let at = |input_tokens: u64| {
        ServiceRates::from_each(|service| {
            let table = Service::ALL
                .iter()
                .position(|it| *it == service)
                .and_then(|at| services[at].as_ref());
            rates(table?, input_tokens)
        })
    };
    let mut starts: Vec<u64> = services
        .iter()
        .flatten()
        .flat_map(|table| table.values())
        .flat_map(|rate| rate.above.iter().map(|(start, _)| *start))
        .collect();
    starts.sort_unstable();
    starts.dedup();
    let tier = |start: u64| {
        let from_input_tokens = start.saturating_add(1);
        let offered = at(from_input_tokens)?;
        Some(Tier {
            from_input_tokens,
            offered,
        })
    };
    Some(Price {
        offered: at(0)?,
        tiers: starts.into_iter().filter_map(tier).collect(),
    })
}
