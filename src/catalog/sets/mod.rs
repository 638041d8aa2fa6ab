//! Sets of prices that others publish, read as an overlay: LiteLLM's `model_prices_and_context_window.json` and
//! genai-prices' `data.json`.
//!
//! A set is taken as a whole or not at all: one price that cannot be true, and nothing is. What it says of a model that
//! this program cannot read in full is left out, counted, and the built-in price stays.

mod genai;
mod litellm;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
};

use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::{
    Capabilities, Catalog, DatedPrice, Matched, Model, ModelStatus, Origin, Overlay, form::MOST_MODELS,
    form::MOST_PER_MILLION,
};
use crate::domain::{Billionths, ModelId, ModelKind, ModelRef, Price, ProviderId, Rate, Rates, Service, Tier};

/// The longest file that is read, in bytes.
pub const LONGEST_SET: u64 = 16 << 20;

/// What a set says, beside what is built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What is new, and what is other than built in.
    pub overlay: Overlay,
    pub added: Vec<ModelRef>,
    pub changed: Vec<PriceChange>,
    /// Models of which the set says what is built in.
    pub unchanged: usize,
    /// How many models were left out, by reason.
    pub skipped: BTreeMap<Skip, usize>,
}

/// A model whose price the set knows differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChange {
    pub model: ModelRef,
    pub before: Rates,
    pub after: Rates,
}

/// Why something of a set was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    OtherProvider,
    NotText,
    NotByTokens,
    Nothing,
    ByTheHour,
    Name,
}

/// Why a file is not a set of prices; never quotes what stands in it but names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetError {
    TooLong,
    /// Not JSON, or not of a known shape.
    Form {
        line: usize,
        column: usize,
    },
    /// JSON, but neither of the sets that are known.
    UnknownSet,
    TooManyModels,
    /// One model, two entries.
    Twice {
        model: ModelRef,
    },
    Price {
        model: ModelRef,
        field: String,
        rule: &'static str,
    },
}

/// What a set says of one model.
struct SetModel {
    provider: ProviderId,
    /// The model's id, then other names that the set has for it.
    names: Vec<ModelId>,
    kind: ModelKind,
    context_window: Option<u64>,
    max_output: Option<u64>,
    capabilities: Option<Capabilities>,
    status: ModelStatus,
    retires_on: Option<Date>,
    /// Oldest first, the first without a date.
    prices: Vec<(Option<Date>, Price)>,
}

type SetEntry = Result<SetModel, Skip>;

/// Reads `text` as a set looked up on `today`, and keeps what `built_in` does not say.
pub fn read(text: &str, today: Date, built_in: &Catalog) -> Result<Taken, SetError> {
    if text.len() as u64 > LONGEST_SET {
        return Err(SetError::TooLong);
    }
    let (set, entries) = match text.trim_start().chars().next() {
        Some('[') => ("genai-prices", genai::read(text)?),
        Some('{') => ("litellm", litellm::read(text)?),
        _ => return Err(SetError::UnknownSet),
    };
    if !entries.iter().any(Result::is_ok) {
        return Err(SetError::UnknownSet);
    }
    let mut taken = Taken {
        overlay: Overlay {
            as_of: today,
            set: set.to_owned(),
            models: Vec::new(),
        },
        added: Vec::new(),
        changed: Vec::new(),
        unchanged: 0,
        skipped: BTreeMap::new(),
    };
    let mut own = BTreeSet::new();
    for said in entries.iter().flatten() {
        let model = said.id()?;
        if !own.insert(model.clone()) {
            return Err(SetError::Twice { model });
        }
    }
    for entry in entries {
        match entry {
            Ok(said) => taken.take(said, &own, built_in),
            Err(skip) => *taken.skipped.entry(skip).or_default() += 1,
        }
    }
    taken.tell_names_apart();
    Ok(taken)
}

impl Taken {
    /// Takes what the set says of one model; `own` are the ids of all its models.
    fn take(&mut self, said: SetModel, own: &BTreeSet<ModelRef>, built_in: &Catalog) {
        let today = self.overlay.as_of;
        let at = today
            .to_zoned(TimeZone::UTC)
            .map(|noon| noon.timestamp())
            .unwrap_or_default();
        let names: Vec<ModelRef> = said.names.iter().map(|name| said.provider.model(name)).collect();
        let Some(id) = names.first().cloned() else { return };
        // Another of the set's names for it may be the built-in one.
        let is_its_own = |name: &&ModelRef| **name == id || !own.contains(name);
        let exact = names
            .iter()
            .filter(is_its_own)
            .filter_map(|name| built_in.find(name))
            .find(|found| found.matched == Matched::Exact);
        let known = exact.or_else(|| built_in.find(&id));
        let id = exact.map_or(id, |found| found.model.id.clone());
        let mut prices = said.prices;
        // What a model is for is known better here.
        let kind = known.map_or(said.kind, |found| found.model.kind);
        if kind == ModelKind::Image {
            *self.skipped.entry(Skip::NotText).or_default() += 1;
            return;
        }
        for (_, price) in &mut prices {
            price.standard = tidied(kind, price.standard);
            price.batch = price.batch.map(|rates| tidied(kind, rates));
        }
        let in_force = known.and_then(|found| found.model.dated_price_at(at));
        if known.is_some_and(|found| agree(&found.model.prices, in_force, &prices)) {
            self.unchanged += 1;
            return;
        }
        let holds = |(from, _): &&mut (Option<Date>, Price)| from.is_none_or(|from| from <= today);
        match (in_force, prices.iter_mut().rev().find(holds)) {
            (Some(before), Some((_, after))) => {
                fill(after, &before.price);
                self.changed.push(PriceChange {
                    model: id.clone(),
                    before: before.price.standard,
                    after: after.standard,
                });
            }
            _ => self.added.push(id.clone()),
        }
        let dated = prices.into_iter().map(|(from, price)| DatedPrice {
            from,
            price,
            hours: Vec::new(),
            origin: Origin::Overlay,
            source: format!("{} {today}", self.overlay.set),
            as_of: Some(today),
        });
        self.overlay.models.push(Model {
            aliases: said.names.into_iter().filter(|name| *name != id.model).collect(),
            id,
            kind,
            context_window: said.context_window,
            max_input: None,
            max_output: said.max_output,
            capabilities: said.capabilities,
            status: said.status,
            retires_on: said.retires_on,
            prices: dated.collect(),
            not_costed: Vec::new(),
            compared: BTreeMap::new(),
            pinned: None,
        });
    }
}

impl Taken {
    /// Leaves each name to one model: to the one whose id it is, else to the first.
    fn tell_names_apart(&mut self) {
        let mut taken: BTreeSet<ModelRef> = self.overlay.models.iter().map(|model| model.id.clone()).collect();
        for model in &mut self.overlay.models {
            let provider = &model.id.provider;
            model.aliases.retain(|alias| taken.insert(provider.model(alias)));
        }
    }
}

/// Whether the set says nothing but what is known: of today, where it has one price only, else of all dates.
fn agree(known: &[DatedPrice], in_force: Option<&DatedPrice>, said: &[(Option<Date>, Price)]) -> bool {
    match said {
        [(_, only)] => in_force.is_some_and(|dated| !says_otherwise(only, &dated.price)),
        _ => {
            known.len() == said.len()
                && known
                    .iter()
                    .zip(said)
                    .all(|(dated, (from, price))| dated.from == *from && !says_otherwise(price, &dated.price))
        }
    }
}

/// Whether `said` says something else than `known`; what it does not say is no difference.
fn says_otherwise(said: &Price, known: &Price) -> bool {
    type Offered<'a> = [(Service, Option<&'a Rates>); 5];
    let services_differ = |said: Offered<'_>, known: Offered<'_>| {
        said.into_iter()
            .zip(known)
            .any(|((_, said), (_, known))| said.is_some_and(|said| known.is_none_or(|known| rates_differ(said, known))))
    };
    let tiers_differ = |(said, known): (&Tier, &Tier)| {
        !is_same_tier(said, known) || services_differ(said.by_service(), known.by_service())
    };
    services_differ(said.by_service(), known.by_service())
        || said.tiers.len() != known.tiers.len()
        || said.tiers.iter().zip(&known.tiers).any(tiers_differ)
}

fn rates_differ(said: &Rates, known: &Rates) -> bool {
    let write = known.cache_write.unwrap_or(known.input);
    let differs = |said: Option<Rate>, known: Rate| said.is_some_and(|said| said != known);
    said.input != known.input
        || said.output != known.output
        || differs(said.cache_read, known.cache_read.unwrap_or(known.input))
        || differs(said.cache_write, write)
        || differs(said.cache_write_1h, known.cache_write_1h.unwrap_or(write))
        || differs(said.reasoning, known.reasoning.unwrap_or(known.output))
}

/// Puts into `said` the services that only `known` has, where the two agree on plain input and output.
fn fill(said: &mut Price, known: &Price) {
    let agree = |said: &Rates, known: &Rates| (said.input, said.output) == (known.input, known.output);
    if agree(&said.standard, &known.standard) {
        said.batch = said.batch.or(known.batch);
        said.flex = said.flex.or(known.flex);
        said.priority = said.priority.or(known.priority);
        said.fast = said.fast.or(known.fast);
    }
    for (said, known) in said.tiers.iter_mut().zip(&known.tiers) {
        if is_same_tier(said, known) && agree(&said.rates, &known.rates) {
            said.batch = said.batch.or(known.batch);
            said.flex = said.flex.or(known.flex);
            said.priority = said.priority.or(known.priority);
            said.fast = said.fast.or(known.fast);
        }
    }
}

/// At a threshold or only above it: sets differ by a token and mean the same.
fn is_same_tier(one: &Tier, other: &Tier) -> bool {
    one.from_input_tokens.abs_diff(other.from_input_tokens) <= 1
}

impl SetModel {
    fn id(&self) -> Result<ModelRef, SetError> {
        let model = self.names.first().ok_or(SetError::UnknownSet)?;
        Ok(self.provider.model(model))
    }
}

/// Rates by the rules of this catalog, from what a set says.
///
/// A cache write that costs less than input is a charge on top of it (`packaging/catalogue` says where that is from).
fn tidied(kind: ModelKind, mut rates: Rates) -> Rates {
    if matches!(kind, ModelKind::Embedding | ModelKind::Rerank) {
        return Rates {
            input: rates.input,
            ..Rates::default()
        };
    }
    let instead_of_input = |write: Rate| match write {
        write if write < rates.input => Some(Rate::from(Billionths(
            write.per_million().0.saturating_add(rates.input.per_million().0),
        ))),
        write => Some(write),
    };
    let other_than = |usual: Rate| move |rate: &Rate| *rate != usual;
    rates.cache_write = rates
        .cache_write
        .and_then(instead_of_input)
        .filter(other_than(rates.input));
    rates.cache_write_1h = rates
        .cache_write_1h
        .and_then(instead_of_input)
        .filter(other_than(rates.input));
    rates.reasoning = rates.reasoning.filter(other_than(rates.output));
    rates
}

/// The price that `raw` spells in US dollars per ten to the power of `shift` less than a million tokens.
fn rate(raw: &RawValue, shift: i32) -> Result<Rate, &'static str> {
    let text = raw.get();
    if text.starts_with('-') {
        return Err("is below zero");
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("is not a number");
    }
    Billionths::parse_rounded(text, shift)
        .filter(|amount| *amount <= MOST_PER_MILLION)
        .map(Rate::from)
        .ok_or("is more than any model costs")
}

/// A field's name as it may be shown.
fn shown(field: &str) -> String {
    field
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(80)
        .collect()
}

fn misformed(why: &serde_json::Error) -> SetError {
    SetError::Form {
        line: why.line(),
        column: why.column(),
    }
}

/// The fields of an object, in order, each unread; an error where there are more than a set has models.
struct RawFields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> de::Visitor<'de> for Visitor<'a> {
            type Value = RawFields<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<RawFields<'a>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                    if fields.len() > MOST_MODELS {
                        break;
                    }
                }
                // The rest is read over, or the reader would take it for a mistake.
                while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
                Ok(RawFields(fields))
            }
        }
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

impl Skip {
    /// The reason as results spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtherProvider => "of a provider that is not built in",
            Self::NotText => "neither for text nor for embeddings",
            Self::NotByTokens => "not charged by the token",
            Self::Nothing => "priced at nothing, which may mean unknown",
            Self::ByTheHour => "with prices by the hour or in other forms that are not read",
            Self::Name => "whose name cannot be one",
        }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the file is longer than {} MiB", LONGEST_SET >> 20),
            Self::Form { line, column } => {
                write!(
                    f,
                    "the file is not JSON of a known form, at line {line}, column {column}"
                )
            }
            Self::UnknownSet => f.write_str("the file is neither LiteLLM's nor genai-prices' set of prices"),
            Self::TooManyModels => write!(f, "the file lists more than {MOST_MODELS} models"),
            Self::Twice { model } => write!(f, "the file lists {model} twice"),
            Self::Price { model, field, rule } => write!(f, "{model}: `{field}` {rule}"),
        }
    }
}

impl std::error::Error for SetError {}
