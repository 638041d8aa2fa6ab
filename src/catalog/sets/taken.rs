//! What is taken from a set, compared with what is known.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    changes::RateChange,
    changes::{between, filled},
    entry::{MAX_SET_BYTES, SetError, Skip},
    entry::{SetModel, tidied},
    genai, litellm,
};
use crate::{
    catalog::{Catalog, DatedPrice, Matched, Model, Origin, Overlay},
    domain::{ModelKind, ModelRef, Price, Rates, ServiceRates},
};

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
            price.tidy(kind);
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
                before: before.price.offered.standard,
                after: after.offered.standard,
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

impl Price {
    /// The price by the rules of this catalog, for a model of that kind.
    fn tidy(&mut self, kind: ModelKind) {
        let tiers = self.tiers.iter_mut().map(|tier| &mut tier.offered);
        for offered in std::iter::once(&mut self.offered).chain(tiers) {
            let before = *offered;
            let tidy = |service| before.of(service).map(|rates| tidied(kind, *rates));
            *offered = ServiceRates::from_each(tidy).unwrap_or(before);
        }
    }
}
