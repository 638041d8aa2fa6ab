//! What a request would cost, and what it would cost elsewhere.

use jiff::{Timestamp, civil::Date};

use super::price_lookup::{self, Priced, Pricing, Unpriced};
use crate::{
    app::App,
    catalog::{Catalog, Model},
    domain::{Cost, ModelId, ModelKind, ModelRef, Rates, Service, Span, Tokens, Usd, last_days},
    error::{Code, Error, Result},
    providers::Provider,
    storage::ledger::{Dimension, Filter},
};

/// How many days back a model counts as used.
const USED_DAYS: u16 = 30;
/// The most alternatives that are named.
const MAX_ALTERNATIVES: usize = 20;
/// What the model is called where a provider runs here and any model costs the same: nothing.
const ANY_MODEL: &str = "any";

/// A request whose cost is estimated.
#[derive(Debug)]
pub struct CostQuery {
    pub provider: Provider,
    /// Nothing for the model that the provider is used with.
    pub model: Option<ModelId>,
    pub tokens: Tokens,
    pub service: Service,
}

/// What it would cost.
#[derive(Debug)]
pub struct CostEstimate {
    pub model: ModelRef,
    pub chosen: Chosen,
    pub cost: Cost,
    pub priced: Priced,
    /// The rates that the cost is made of: those of a long prompt, of the hour, of the batch service.
    pub rates: Rates,
    /// The day (UTC) of the next price that is announced.
    pub next_price_from: Option<Date>,
    /// The most tokens of the request that the model takes, where the request has more.
    pub too_long_for: Option<u64>,
}

/// Why this model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    Asked,
    Configured,
    MostUsed,
    /// Of the provider's models for chats the one of middle price.
    Typical,
}

/// What the request would cost now.
pub fn estimate(app: &App, ask: &CostQuery) -> Result<CostEstimate> {
    let (now, catalog, config) = (app.now(), app.catalog()?, app.settings().current());
    let (name, chosen) = match &ask.model {
        Some(name) => (
            price_lookup::named(&catalog, &ask.provider.id, name).model,
            Chosen::Asked,
        ),
        None => usual_model(app, &catalog, ask)?,
    };
    let model = ask.provider.id.model(&name);
    let priced = match price_lookup::price_of(&catalog, &config, &model, now).of_tokens() {
        Pricing::Priced(priced) => priced,
        Pricing::Unpriced(why) => return Err(unpriced(&catalog, &model, why)),
    };
    let Some(rates) = priced.price.rates(ask.service, ask.tokens.input()).copied() else {
        let message = format!("no {} price of {model} is known", ask.service.as_str());
        return Err(Error::new(Code::InvalidArgument, message)
            .hint(format!("omit `{}` for the standard price", ask.service.as_str())));
    };
    let known = catalog.find(&model).map(|found| found.model);
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    Ok(CostEstimate {
        chosen,
        cost: rates.cost(&ask.tokens),
        rates,
        next_price_from: known.and_then(|known| {
            known
                .prices
                .iter()
                .filter_map(|dated| dated.from)
                .find(|from| *from > today)
        }),
        too_long_for: known
            .and_then(|known| known.context_window)
            .filter(|room| length(&ask.tokens) > *room),
        priced,
        model,
    })
}

/// Other models for the same request.
#[derive(Debug)]
pub struct CostAlternatives {
    /// With what it would cost there, cheapest first.
    pub cheapest: Vec<(ModelRef, Usd)>,
    /// How many more there are.
    pub omitted: usize,
}

/// What the same request would cost with other models of the same kind that could take it.
pub fn alternatives(app: &App, estimate: &CostEstimate, ask: &CostQuery) -> Result<CostAlternatives> {
    let (now, catalog, config) = (app.now(), app.catalog()?, app.settings().current());
    let kind = catalog
        .find(&estimate.model)
        .map_or(ModelKind::Chat, |found| found.model.kind);
    let fits = |model: &&Model| {
        model.kind == kind
            && model.is_served_at(now)
            && model.id != estimate.priced.model
            && model.context_window.is_none_or(|room| length(&ask.tokens) <= room)
            && model.max_output.is_none_or(|most| ask.tokens.output() <= most)
    };
    let mut alternatives = Vec::new();
    for provider in config.providers().iter().filter(|provider| provider.enabled) {
        for model in catalog.kept_of(&provider.id).filter(fits) {
            let price = price_lookup::price_at(provider, Some(model), now);
            let cost = price.and_then(|price| price.cost(ask.service, &ask.tokens));
            alternatives.extend(cost.map(|cost| (&model.id, cost.total)));
        }
    }
    alternatives.sort_by(|(one, a), (other, b)| a.cmp(b).then_with(|| one.cmp(other)));
    let omitted = alternatives.len().saturating_sub(MAX_ALTERNATIVES);
    alternatives.truncate(MAX_ALTERNATIVES);
    Ok(CostAlternatives {
        cheapest: alternatives
            .into_iter()
            .map(|(model, cost)| (model.clone(), cost))
            .collect(),
        omitted,
    })
}

/// The model that a provider is used with where none is named.
fn usual_model(app: &App, catalog: &Catalog, ask: &CostQuery) -> Result<(ModelId, Chosen)> {
    let provider = &ask.provider;
    if let Some(first) = configured_model(provider) {
        return Ok((first.clone(), Chosen::Configured));
    }
    if let Some(used) = most_used(app, catalog, ask)? {
        return Ok((used, Chosen::MostUsed));
    }
    if let Some(model) = middle_model(catalog, provider, ModelKind::Chat, app.now()) {
        return Ok((model, Chosen::Typical));
    }
    if price_lookup::free(provider).is_some() {
        return Ok((ANY_MODEL.parse()?, Chosen::Typical));
    }
    Err(Error::new(
        Code::InvalidArgument,
        format!("no model of {} is known; `model` is needed", provider.id),
    )
    .hint(format!(
        "name a model, and give its price as [[prices]] with model = \"{}/MODEL\" in config.toml",
        provider.id
    )))
}

/// The model that stands for its provider before any is used: the first configured one, else the one of middle price.
pub fn typical_model(catalog: &Catalog, provider: &Provider, now: Timestamp) -> Option<ModelId> {
    let middle = |kind| middle_model(catalog, provider, kind, now);
    let configured = configured_model(provider).cloned();
    configured
        .or_else(|| middle(ModelKind::Chat))
        .or_else(|| middle(ModelKind::Embedding))
}

fn configured_model(provider: &Provider) -> Option<&ModelId> {
    provider.models.as_ref()?.first()
}

/// Of the provider's models of one kind the one of middle price.
fn middle_model(catalog: &Catalog, provider: &Provider, kind: ModelKind, now: Timestamp) -> Option<ModelId> {
    let mut models: Vec<(Usd, &ModelId)> = catalog
        .proposed_of(&provider.id)
        .into_iter()
        .filter(|model| model.kind == kind && model.is_served_at(now))
        .filter_map(|model| Some((typical_cost(model.price_at(now)?.offered.standard), &model.id.model)))
        .collect();
    models.sort_unstable();
    models.get(models.len() / 2).map(|(_, model)| (*model).clone())
}

/// The provider's model that the most requests of the last days went to, of those that can be used: with a known
/// price, and for chats where there is an answer.
fn most_used(app: &App, catalog: &Catalog, ask: &CostQuery) -> Result<Option<ModelId>> {
    let (now, settings) = (app.now(), app.settings().current());
    let days = last_days(USED_DAYS, now, &settings.budget.time_zone);
    let from = days.first().map_or(now, |(_, day)| day.from);
    let filter = Filter {
        provider: Some(ask.provider.id.clone()),
        ..Filter::default()
    };
    let fits = |model: &ModelRef| {
        let kind = catalog.find(model).map(|found| found.model.kind);
        let answers = ask.tokens.output() == 0 || kind.is_none_or(|kind| kind == ModelKind::Chat);
        answers
            && price_lookup::price_of(catalog, &settings, model, now)
                .priced()
                .is_some()
    };
    let used = app
        .ledger()
        .grouped(Span { from, to: now }, &filter, Dimension::Model)?;
    let most = used
        .into_iter()
        .filter_map(|(name, totals)| Some((name?.parse::<ModelRef>().ok()?, totals.requests)))
        .filter(|(model, _)| fits(model))
        .max_by(|(one, a), (other, b)| a.cmp(b).then_with(|| other.cmp(one)));
    Ok(most.map(|(model, _)| model.model))
}

/// What a million tokens cost, a fifth of them output: orders models by price.
fn typical_cost(rates: Rates) -> Usd {
    (rates.input.times(800_000) + rates.output.times(200_000)).rounded()
}

fn length(tokens: &Tokens) -> u64 {
    tokens.input() + tokens.output()
}

fn unpriced(catalog: &Catalog, model: &ModelRef, why: Unpriced) -> Error {
    let near: Vec<String> = catalog
        .near(&model.to_string())
        .iter()
        .map(ToString::to_string)
        .collect();
    let meant = if near.is_empty() {
        String::new()
    } else {
        format!("did you mean {}? ", near.join(", "))
    };
    Error::new(Code::UnknownModel, format!("{}: {model}", why.as_str())).hint(format!(
        "{meant}give its price as [[prices]] with model = \"{model}\" in config.toml"
    ))
}
