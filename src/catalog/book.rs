//! The models in force, and how one is found by the name that somebody wrote.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use jiff::civil::Date;

use super::{CatalogError, DatedPrice, Model, Origin, Overlay, Status, form};
use crate::domain::{ModelId, ModelKind, ModelRef, Price, ProviderId};

/// The models and their prices that are in force.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// In the order of [`Catalog::models`].
    models: Vec<Arc<Model>>,
    /// Ids and aliases, and where their models stand.
    names: BTreeMap<ModelRef, usize>,
    as_of: Date,
    digest: u64,
}

/// How many names are suggested.
const SUGGESTIONS: usize = 3;
/// Who says the user's own prices.
const CONFIG: &str = "config.toml";

/// A model that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'c> {
    pub model: &'c Model,
    pub matched: Matched,
}

/// By which name a model was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matched {
    Exact,
    /// By another name that the provider takes it by.
    Alias,
    /// By the name without the date at its end.
    WithoutDate,
}

impl Catalog {
    /// The catalogue that is built in, read once.
    pub fn built_in() -> Arc<Self> {
        static BUILT_IN: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
            let catalog = Catalog::parse(include_str!("models.json"));
            Arc::new(catalog.expect("a test reads the very same text"))
        });
        Arc::clone(&BUILT_IN)
    }

    /// The catalogue that `text` spells.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let contents = form::catalogue(text)?;
        let models = contents.models.into_iter().map(Arc::new).collect();
        Ok(Self::new(models, contents.as_of, fingerprint(0, text)))
    }

    fn new(mut models: Vec<Arc<Model>>, as_of: Date, digest: u64) -> Self {
        models.sort_by(|a, b| a.id.cmp(&b.id));
        let mut names = BTreeMap::new();
        for (at, model) in models.iter().enumerate() {
            for alias in &model.aliases {
                names.entry(model.id.provider.model(alias)).or_insert(at);
            }
        }
        // An id goes before an alias of another model.
        names.extend(models.iter().enumerate().map(|(at, model)| (model.id.clone(), at)));
        Self {
            models,
            names,
            as_of,
            digest,
        }
    }

    /// The same catalogue with `overlay` over it, and over both the prices of `overrides`, which are the user's own word.
    ///
    /// What an overlay says without dates holds from the day it was taken in: what was known of the time before stays,
    /// and so do changes that are known to come later.
    #[must_use]
    pub fn with(&self, overlay: Option<&Overlay>, overrides: &[(ModelRef, Price)]) -> Self {
        let mut models: BTreeMap<ModelRef, Arc<Model>> = self
            .models
            .iter()
            .map(|model| (model.id.clone(), Arc::clone(model)))
            .collect();
        let mut digest = self.digest;
        for said in overlay.iter().flat_map(|overlay| &overlay.models) {
            let merged = match models.get(&said.id) {
                Some(known) => Model {
                    prices: over(&known.prices, &said.prices),
                    compared: BTreeMap::new(),
                    pinned: None,
                    ..Model::clone(known)
                },
                None => said.clone(),
            };
            digest = fingerprint(digest, &form::line(&merged));
            models.insert(said.id.clone(), Arc::new(merged));
        }
        let below = Self::new(models.into_values().collect(), self.as_of, digest);
        if overrides.is_empty() {
            return below;
        }
        let mut models: BTreeMap<ModelRef, Arc<Model>> = below
            .models
            .iter()
            .map(|model| (model.id.clone(), Arc::clone(model)))
            .collect();
        for (name, price) in overrides {
            let known = below.find(name).map(|found| found.model.clone());
            let own = known.unwrap_or_else(|| Model::unknown(name.clone()));
            // An alias that has a price of its own is a model of its own.
            let aliases = if own.id == *name { own.aliases } else { Vec::new() };
            let own = Model {
                id: name.clone(),
                aliases,
                prices: vec![DatedPrice {
                    from: None,
                    price: price.clone(),
                    hours: Vec::new(),
                    origin: Origin::Config,
                    source: CONFIG.to_owned(),
                    as_of: None,
                }],
                compared: BTreeMap::new(),
                pinned: None,
                ..own
            };
            digest = fingerprint(digest, &form::line(&own));
            models.insert(name.clone(), Arc::new(own));
        }
        Self::new(models.into_values().collect(), self.as_of, digest)
    }

    /// The model of that name: exactly, by another of its names, or without a date at its end; never by resemblance.
    pub fn find(&self, name: &ModelRef) -> Option<Found<'_>> {
        let known = |name: &ModelRef| self.names.get(name).and_then(|at| self.models.get(*at));
        if let Some(model) = known(name) {
            let matched = if model.id == *name {
                Matched::Exact
            } else {
                Matched::Alias
            };
            return Some(Found { model, matched });
        }
        let undated = name.provider.model(&without_date(&name.model)?);
        known(&undated).map(|model| Found {
            model,
            matched: Matched::WithoutDate,
        })
    }

    /// The models that `name` alone means, of any provider.
    pub fn find_everywhere(&self, name: &ModelId) -> Vec<Found<'_>> {
        let mut providers: Vec<&ProviderId> = self.models().map(|model| &model.id.provider).collect();
        providers.dedup();
        let of = |provider: &ProviderId| self.find(&provider.model(name));
        providers.into_iter().filter_map(of).collect()
    }

    /// Names that `name` may have been meant for, nearest first; for hints, and never for prices.
    pub fn near(&self, name: &str) -> Vec<ModelRef> {
        let model = name.split_once('/').map_or(name, |(_, model)| model);
        let mut near: Vec<(usize, &ModelRef)> = self
            .names
            .keys()
            .filter_map(|known| {
                let whole = distance(name, &known.to_string());
                let away = whole.min(distance(model, known.model.as_str()) + 1);
                let contained = model.len() >= 4 && known.model.as_str().contains(model);
                (away <= 1 + model.len() / 4 || contained).then_some((away, known))
            })
            .collect();
        near.sort();
        near.into_iter()
            .take(SUGGESTIONS)
            .map(|(_, known)| known.clone())
            .collect()
    }

    /// All models, by provider and name.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().map(AsRef::as_ref)
    }

    /// The models of one provider, by name.
    pub fn models_of(&self, provider: &ProviderId) -> impl Iterator<Item = &Model> {
        let from = self.models.partition_point(|model| model.id.provider < *provider);
        self.models[from..]
            .iter()
            .take_while(|model| model.id.provider == *provider)
            .map(AsRef::as_ref)
    }

    /// Names this version of the prices, for records: the catalogue's date, and a fingerprint of all that is in force.
    pub fn digest(&self) -> String {
        format!("{}-{:016x}", self.as_of, self.digest)
    }

    /// When the built-in prices were looked up.
    pub fn as_of(&self) -> Date {
        self.as_of
    }
}

impl Matched {
    /// The way as results spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Alias => "alias",
            Self::WithoutDate => "without_date",
        }
    }
}

impl Model {
    /// A model of which nothing is known.
    fn unknown(id: ModelRef) -> Self {
        Self {
            id,
            kind: ModelKind::Chat,
            aliases: Vec::new(),
            context_window: None,
            max_input: None,
            max_output: None,
            capabilities: None,
            status: Status::Active,
            retires_on: None,
            prices: Vec::new(),
            not_costed: Vec::new(),
            compared: BTreeMap::new(),
            pinned: None,
        }
    }
}

/// The prices `known` with those of an overlay over them.
fn over(known: &[DatedPrice], said: &[DatedPrice]) -> Vec<DatedPrice> {
    let [only] = said else {
        return said.to_vec();
    };
    let day = only.as_of;
    let before = known.iter().filter(|price| price.from < day);
    let after = known.iter().filter(|price| price.from > day);
    let from = if known.is_empty() { None } else { day };
    let now = DatedPrice { from, ..only.clone() };
    before.cloned().chain([now]).chain(after.cloned()).collect()
}

/// How many letters must be put in, taken out or changed to make `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, from) in a.chars().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (column, to) in b.iter().enumerate() {
            let above = row[column + 1];
            let changed = diagonal + usize::from(from != *to);
            left = changed.min(above + 1).min(left + 1);
            diagonal = above;
            row[column + 1] = left;
        }
        row[0] = at + 1;
    }
    row[b.len()]
}

/// `name` without a day at its end, as `-20251101` or `-2025-11-01`.
fn without_date(name: &ModelId) -> Option<ModelId> {
    let name = name.as_str();
    let ends = |length: usize| {
        let (rest, day) = name.split_at_checked(name.len().checked_sub(length)?)?;
        let day = day.strip_prefix('-')?;
        let plain = day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        (plain && day.parse::<Date>().is_ok()).then(|| rest.parse().ok())?
    };
    ends("-2025-11-01".len()).or_else(|| ends("-20251101".len()))
}

/// FNV-1a over `before` and `text`: tells one version from the next, and nothing more.
pub(super) fn fingerprint(before: u64, text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ before;
    text.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
