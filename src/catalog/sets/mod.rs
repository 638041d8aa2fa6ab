//! Sets of prices that others publish, read as an overlay: LiteLLM's `model_prices_and_context_window.json` and
//! genai-prices' `data.json`.
//!
//! A set is taken as a whole or not at all: one price that cannot be true, and nothing is. What it says of a model that
//! this program cannot read in full is left out, counted, and the built-in price stays.

mod changes;
mod genai;
mod litellm;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

pub use self::changes::RateChange;
use self::changes::{between, filled};
use super::{
    Capabilities, Catalog, DatedPrice, Matched, Model, ModelStatus, Origin, Overlay, form::MAX_MODELS,
    form::MAX_PER_MILLION,
};
use crate::domain::{Billionths, ModelId, ModelKind, ModelRef, Price, ProviderId, Rate, Rates};

/// The longest file that is read, in bytes.
pub const MAX_SET_BYTES: u64 = 16 << 20;

/// What a set says, beside what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What is new, and what is other than known.
    pub overlay: Overlay,
    pub added: Vec<ModelRef>,
    pub changed: Vec<PriceChange>,
    /// Models of which the set says what is known.
    pub unchanged: usize,
    /// Models of which something newer is known than what the set says.
    pub older: Vec<ModelRef>,
    /// How many models were left out, by reason.
    pub skipped: BTreeMap<Skip, usize>,
}

/// A model whose price the set knows differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChange {
    pub model: ModelRef,
    pub before: Rates,
    pub after: Rates,
    pub rates: Vec<RateChange>,
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
    /// One name, two entries.
    NamedTwice,
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

/// The set that `text` is, by its first character.
pub fn name(text: &str) -> Result<&'static str, SetError> {
    match text.trim_start().chars().next() {
        Some('[') => Ok("genai-prices"),
        Some('{') => Ok("litellm"),
        _ => Err(SetError::UnknownSet),
    }
}

/// Reads `text` as a set looked up on `day`, and keeps what `known` does not say.
pub fn read(text: &str, day: Date, known: &Catalog) -> Result<Taken, SetError> {
    if text.len() as u64 > MAX_SET_BYTES {
        return Err(SetError::TooLong);
    }
    let set = name(text)?;
    let entries = match set {
        "litellm" => litellm::read(text)?,
        _ => genai::read(text)?,
    };
    if !entries.iter().any(Result::is_ok) {
        return Err(SetError::UnknownSet);
    }
    let mut taken = Taken {
        overlay: Overlay {
            as_of: day,
            sets: [(set.to_owned(), day)].into(),
            models: Vec::new(),
        },
        added: Vec::new(),
        changed: Vec::new(),
        unchanged: 0,
        older: Vec::new(),
        skipped: BTreeMap::new(),
    };
    let mut own = BTreeSet::new();
    for said in entries.iter().flatten() {
        let model = said.id()?;
        if !own.insert(model.clone()) {
            return Err(SetError::Twice { model });
        }
    }
    let source = format!("{set} {day}");
    for entry in entries {
        match entry {
            Ok(said) => taken.take(said, &own, known, &source),
            Err(skip) => *taken.skipped.entry(skip).or_default() += 1,
        }
    }
    taken.overlay.tell_names_apart();
    Ok(taken)
}

impl Taken {
    /// Takes what the set says of one model; `own` are the ids of all its models.
    fn take(&mut self, said: SetModel, own: &BTreeSet<ModelRef>, known: &Catalog, source: &str) {
        let day = self.overlay.as_of;
        let names: Vec<ModelRef> = said.names.iter().map(|name| said.provider.model(name)).collect();
        let Some(id) = names.first().cloned() else { return };
        // Another of the set's names for it may be the known one.
        let is_its_own = |name: &&ModelRef| **name == id || !own.contains(name);
        let exact = names
            .iter()
            .filter(is_its_own)
            .filter_map(|name| known.find(name))
            .find(|found| found.matched == Matched::Exact);
        let found = exact.or_else(|| known.find(&id));
        let id = exact.map_or(id, |found| found.model.id.clone());
        // What a model is for is known better here.
        let kind = found.map_or(said.kind, |found| found.model.kind);
        if kind == ModelKind::Image {
            *self.skipped.entry(Skip::NotText).or_default() += 1;
            return;
        }
        let mut prices = said.prices;
        for (_, price) in &mut prices {
            price.standard = tidied(kind, price.standard);
            price.batch = price.batch.map(|rates| tidied(kind, rates));
        }
        if let Some((model, before)) = found.and_then(|found| Some((found.model, dated(found.model, day)?))) {
            for (_, price) in &mut prices {
                *price = filled(price, &before.price);
            }
            let rates = changes(model, &prices, day);
            let Some(after) = in_force(&prices, day).filter(|_| !rates.is_empty()) else {
                self.unchanged += 1;
                return;
            };
            if before.as_of > Some(day) {
                self.older.push(id);
                return;
            }
            self.changed.push(PriceChange {
                model: id.clone(),
                before: before.price.standard,
                after: after.standard,
                rates,
            });
        } else {
            self.added.push(id.clone());
        }
        let dated = prices.into_iter().map(|(from, price)| DatedPrice {
            from,
            price,
            hours: Vec::new(),
            origin: Origin::Overlay,
            source: source.to_owned(),
            as_of: Some(day),
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

impl Overlay {
    /// This overlay without what was taken from `set`.
    #[must_use]
    pub fn without(mut self, set: &str) -> Self {
        self.sets.remove(set);
        self.models.retain(|model| !model.is_from(set));
        self
    }

    /// This overlay with `other` over it: what both say of a model is `other`'s.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        let ids: BTreeSet<&ModelRef> = other.models.iter().map(|model| &model.id).collect();
        self.models.retain(|model| !ids.contains(&model.id));
        self.models.splice(0..0, other.models.iter().cloned());
        self.sets.extend(other.sets.clone());
        self.as_of = self.as_of.max(other.as_of);
        self.tell_names_apart();
        self
    }

    /// Leaves each name to one model: to the one whose id it is, else to the first.
    fn tell_names_apart(&mut self) {
        let mut taken: BTreeSet<ModelRef> = self.models.iter().map(|model| model.id.clone()).collect();
        for model in &mut self.models {
            let provider = &model.id.provider;
            model.aliases.retain(|alias| taken.insert(provider.model(alias)));
        }
    }
}

impl Model {
    /// Whether its prices were taken from `set`.
    fn is_from(&self, set: &str) -> bool {
        let of_set = |dated: &DatedPrice| dated.source.split(' ').next() == Some(set);
        self.prices.iter().any(of_set)
    }
}

fn dated(model: &Model, day: Date) -> Option<&DatedPrice> {
    model.dated_price_at(midnight(day))
}

fn midnight(day: Date) -> Timestamp {
    let midnight = day.to_zoned(TimeZone::UTC);
    midnight.map(|midnight| midnight.timestamp()).unwrap_or_default()
}

/// Of `prices`, the one in force on `day`.
fn in_force(prices: &[(Option<Date>, Price)], day: Date) -> Option<&Price> {
    let holds = |(from, _): &&(Option<Date>, Price)| from.is_none_or(|from| from <= day);
    prices.iter().rev().find(holds).map(|(_, price)| price)
}

/// Every rate of `prices` that is another one than the model's, on `day` and after changes that are announced.
fn changes(model: &Model, prices: &[(Option<Date>, Price)], day: Date) -> Vec<RateChange> {
    let before = |day| dated(model, day).map(|dated| &dated.price);
    let now = before(day).zip(in_force(prices, day));
    let mut changes = now.map_or_else(Vec::new, |(before, after)| between(before, after, None));
    let later = prices.iter().filter_map(|(from, price)| Some(((*from)?, price)));
    for (from, after) in later.filter(|(from, _)| *from > day) {
        if let Some(before) = before(from) {
            changes.extend(between(before, after, Some(from)));
        }
    }
    changes
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
        .filter(|amount| *amount <= MAX_PER_MILLION)
        .map(Rate::from)
        .ok_or("is more than any model costs")
}

/// Whether a model of that name is known to cost nothing; anything else at a price of nothing may be of unknown price.
fn is_free(name: &str) -> bool {
    name.ends_with(":free")
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
                    if fields.len() > MAX_MODELS {
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
            Self::TooLong => write!(f, "the file is longer than {} MiB", MAX_SET_BYTES >> 20),
            Self::Form { line, column } => {
                write!(
                    f,
                    "the file is not JSON of a known form, at line {line}, column {column}"
                )
            }
            Self::UnknownSet => f.write_str("the file is neither LiteLLM's nor genai-prices' set of prices"),
            Self::TooManyModels => write!(f, "the file lists more than {MAX_MODELS} models"),
            Self::NamedTwice => f.write_str("the file has two entries of the same name"),
            Self::Twice { model } => write!(f, "the file lists {model} twice"),
            Self::Price { model, field, rule } => write!(f, "{model}: `{field}` {rule}"),
        }
    }
}

impl std::error::Error for SetError {}
