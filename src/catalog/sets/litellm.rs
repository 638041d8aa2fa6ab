//! LiteLLM's set: an object of models by name, with a field for each rate in US dollars per token.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::entry::{RawFields, SetEntry, SetError, SetModel, Skip, is_free, misformed, rate, shown, tidied};
use crate::{
    catalog::{ModelStatus, limits::MAX_MODELS},
    domain::{
        Capability, ExtraRates, ModelId, ModelKind, ModelRef, Price, ProviderId, Rate, Rates, ServiceRates, Tier,
    },
};

/// What LiteLLM calls the built-in providers.
const PROVIDERS: &[(&str, &str)] = &[
    ("anthropic", "anthropic"),
    ("azure", "azure-openai"),
    ("azure_ai", "azure-openai"),
    ("bedrock", "bedrock"),
    ("bedrock_converse", "bedrock"),
    ("bedrock_mantle", "bedrock"),
    ("cerebras", "cerebras"),
    ("cohere", "cohere"),
    ("cohere_chat", "cohere"),
    ("deepseek", "deepseek"),
    ("fireworks_ai", "fireworks"),
    ("gemini", "google"),
    ("groq", "groq"),
    ("minimax", "minimax"),
    ("mistral", "mistral"),
    ("moonshot", "moonshot"),
    ("nvidia_nim", "nvidia"),
    ("openai", "openai"),
    ("openrouter", "openrouter"),
    ("perplexity", "perplexity"),
    ("replicate", "replicate"),
    ("together_ai", "together"),
    ("vercel_ai_gateway", "vercel"),
    ("voyage", "voyage"),
    ("xai", "xai"),
    ("zai", "zai"),
];

/// What follows `_cost_per_` in the names of fields: what is counted.
const UNITS: &[&str] = &[
    "1k_calls",
    "1k_tokens",
    "audio",
    "character",
    "credit",
    "gb",
    "image",
    "page",
    "pixel",
    "query",
    "reasoning",
    "request",
    "second",
    "session",
    "text",
    "token",
    "unit",
    "video",
];

const CAPABILITIES: &[(&str, Capability)] = &[
    ("supports_function_calling", Capability::Tools),
    ("supports_vision", Capability::Vision),
    ("supports_response_schema", Capability::JsonSchema),
    ("supports_reasoning", Capability::Reasoning),
    ("supports_prompt_caching", Capability::PromptCaching),
];

/// US dollars per token are six places smaller than per million.
const PER_TOKEN: i32 = 6;

type LitellmModel<'a> = BTreeMap<String, &'a RawValue>;

pub(super) fn read(text: &str) -> Result<Vec<SetEntry>, SetError> {
    let RawFields(models) = serde_json::from_str(text).map_err(|why| misformed(&why))?;
    if models.len() > MAX_MODELS {
        return Err(SetError::TooManyModels);
    }
    // The same model may stand there with and without its provider in front; with it is meant for sure.
    let mut entries: BTreeMap<String, SetEntry> = BTreeMap::new();
    let mut skipped = Vec::new();
    let mut names = BTreeSet::new();
    for (name, raw) in models {
        if !names.insert(name.clone()) {
            return Err(SetError::NamedTwice);
        }
        let Ok(RawFields(fields)) = serde_json::from_str(raw.get()) else {
            return Err(SetError::UnknownSet);
        };
        let fields: LitellmModel<'_> = fields.into_iter().collect();
        match model(&name, &fields)? {
            Ok(said) => {
                let id = said.id()?.to_string();
                let prefixed = name.split_once('/').is_some_and(|(_, rest)| id.ends_with(rest));
                if prefixed || !entries.contains_key(&id) {
                    entries.insert(id, Ok(said));
                }
            }
            Err(skip) => skipped.push(Err(skip)),
        }
    }
    Ok(entries.into_values().chain(skipped).collect())
}

fn model(name: &str, fields: &LitellmModel<'_>) -> Result<SetEntry, SetError> {
    let theirs: String = value(fields, "litellm_provider").unwrap_or_default();
    let ours = PROVIDERS.iter().find(|(known, _)| *known == theirs);
    let Some(provider) = ours.and_then(|(_, ours)| ours.parse::<ProviderId>().ok()) else {
        return Ok(Err(Skip::OtherProvider));
    };
    let within = |folder: &str| name.strip_prefix(folder)?.strip_prefix('/');
    let bare = within(&theirs).or_else(|| within(provider.as_str())).unwrap_or(name);
    let Ok(model) = bare.parse::<ModelId>() else {
        return Ok(Err(Skip::Name));
    };
    let id = provider.model(&model);
    check(&id, fields)?;
    let kind = match value::<String>(fields, "mode").as_deref() {
        Some("chat" | "completion" | "responses") => ModelKind::Chat,
        Some("embedding") => ModelKind::Embedding,
        Some("rerank") => ModelKind::Rerank,
        _ => return Ok(Err(Skip::NotText)),
    };
    if fields.contains_key("off_peak_pricing") || fields.contains_key("tiered_pricing") {
        return Ok(Err(Skip::ByTheHour));
    }
    let Some(price) = price(&id, kind, fields)? else {
        return Ok(Err(Skip::NotByTokens));
    };
    if (price.offered.standard.input, price.offered.standard.output) == (Rate::ZERO, Rate::ZERO) && !is_free(bare) {
        return Ok(Err(Skip::Nothing));
    }
    let can = CAPABILITIES
        .iter()
        .filter(|(field, _)| value(fields, field) == Some(true));
    let count = |field| value::<u64>(fields, field).filter(|count| *count > 0);
    Ok(Ok(SetModel {
        provider,
        names: vec![model],
        kind,
        context_window: count("max_input_tokens"),
        max_output: count("max_output_tokens"),
        capabilities: (kind == ModelKind::Chat).then(|| can.map(|(_, can)| *can).collect()),
        status: ModelStatus::Active,
        retires_on: value(fields, "deprecation_date"),
        prices: vec![(None, price)],
    }))
}

/// Every price must be one, also those that are not read: a set with a mistake is not to be trusted.
fn check(id: &ModelRef, fields: &LitellmModel<'_>) -> Result<(), SetError> {
    for (field, raw) in fields {
        let Some((_, unit)) = field.split_once("cost_per_") else {
            continue;
        };
        let wrong = |rule| SetError::Price {
            model: id.clone(),
            field: shown(field),
            rule,
        };
        let known = |known: &&&str| {
            let rest = unit.strip_prefix(**known);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        if UNITS.iter().find(known).is_none() {
            return Err(wrong("is a price per something that is not known"));
        }
        if unit.starts_with("token") {
            rate(raw, PER_TOKEN).map_err(wrong)?;
        } else if raw.get().starts_with('-') {
            return Err(wrong("is below zero"));
        }
    }
    Ok(())
}

fn price(id: &ModelRef, kind: ModelKind, fields: &LitellmModel<'_>) -> Result<Option<Price>, SetError> {
    let rates = |above: &str, service: &str| -> Result<Option<Rates>, SetError> {
        let rate = |name: &str| {
            let field = format!("{name}{above}{service}");
            let read = fields.get(&field).map(|raw| rate(raw, PER_TOKEN));
            read.transpose().map_err(|rule| SetError::Price {
                model: id.clone(),
                field: shown(&field),
                rule,
            })
        };
        let Some(input) = rate("input_cost_per_token")? else {
            return Ok(None);
        };
        let rates = Rates {
            input,
            output: rate("output_cost_per_token")?.unwrap_or_default(),
            cache_read: rate("cache_read_input_token_cost")?,
            cache_write: rate("cache_creation_input_token_cost")?,
            cache_write_1h: rate("cache_creation_input_token_cost_above_1hr")?,
            reasoning: rate("output_cost_per_reasoning_token")?,
            extra: ExtraRates {
                audio_input: rate("input_cost_per_audio_token")?,
                audio_cache_read: rate("cache_read_input_audio_token_cost")?,
                image_input: rate("input_cost_per_image_token")?,
                audio_output: rate("output_cost_per_audio_token")?,
                image_output: rate("output_cost_per_image_token")?,
                citations: rate("citation_cost_per_token")?,
                // Fees are spelled in ways that differ by provider: what is known of them stays.
                characters: None,
                searches: None,
                requests: None,
            },
        };
        Ok(Some(tidied(kind, rates)))
    };
    let offered = |above: &str| -> Result<Option<ServiceRates>, SetError> {
        let Some(standard) = rates(above, "")? else {
            return Ok(None);
        };
        Ok(Some(ServiceRates {
            standard,
            batch: rates(above, "_batches")?,
            flex: rates(above, "_flex")?,
            priority: rates(above, "_priority")?,
            fast: None,
        }))
    };
    let Some(usual) = offered("")? else {
        return Ok(None);
    };
    let mut thresholds: Vec<u64> = fields
        .keys()
        .filter_map(|field| {
            field
                .strip_prefix("input_cost_per_token_above_")?
                .strip_suffix("k_tokens")?
                .parse()
                .ok()
        })
        .collect();
    thresholds.sort_unstable();
    let mut tiers = Vec::with_capacity(thresholds.len());
    for thousands in thresholds {
        if let Some(offered) = offered(&format!("_above_{thousands}k_tokens"))? {
            let from_input_tokens = thousands.saturating_mul(1_000).saturating_add(1);
            tiers.push(Tier {
                from_input_tokens,
                offered,
            });
        }
    }
    Ok(Some(Price { offered: usual, tiers }))
}

/// The field `name`, where it has the requested type.
fn value<T: DeserializeOwned>(fields: &LitellmModel<'_>, name: &str) -> Option<T> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}
