//! The models in force, and how one is found by the name that somebody wrote.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock},
};

use jiff::civil::Date;

use super::{CatalogError, DatedPrice, Model, ModelStatus, Origin, Overlay, form};
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
pub struct FoundModel<'c> {
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
    /// The catalog that is built in, read once.
    pub fn built_in() -> Arc<Self> {
        static BUILT_IN: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
            let catalog = Catalog::parse(include_str!("../models.json"));
            Arc::new(catalog.expect("a test reads the very same text"))
        });
        Arc::clone(&BUILT_IN)
    }

    /// The catalog that `text` spells.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let contents = form::built_in(text)?;
        let models = contents.models.into_iter().map(Arc::new).collect();
        let mut digest = Fingerprint(SEED);
        digest.write(text.as_bytes());
        Ok(Self::new(models, contents.as_of, digest.finish()))
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

    /// The same catalog with `overlay` over it, and over both the prices of `overrides`, which are the user's own word.
    ///
    /// What an overlay says without dates holds from the day it was taken in: what was known of the time before stays,
    /// and so do changes that are known to come later.
    #[must_use]
    pub fn with(&self, overlay: Option<&Overlay>, overrides: &[(ModelRef, Price)]) -> Self {
        let said = overlay.map(|overlay| overlay.models.as_slice()).unwrap_or_default();
        let below = self.replaced(said.iter().map(|said| match self.known(&said.id) {
            Some(known) if known.id == said.id => Model {
                prices: over(&known.prices, &said.prices),
                compared: BTreeMap::new(),
                pinned: None,
                ..known.clone()
            },
            _ => said.clone(),
        }));
        let own = |(name, price): &(ModelRef, Price)| {
            let known = below.find(name).map(|found| found.model.clone());
            let known = known.unwrap_or_else(|| Model::unknown(name.clone()));
            // An alias that has a price of its own is a model of its own.
            let aliases = if known.id == *name { known.aliases } else { Vec::new() };
            Model {
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
                ..known
            }
        };
        if overrides.is_empty() {
            return below;
        }
        below.replaced(overrides.iter().map(own))
    }

    /// The same catalog with `models` put in place of those with the same id, or added.
    fn replaced(&self, models: impl Iterator<Item = Model>) -> Self {
        let mut digest = self.digest;
        let put_in: BTreeMap<ModelRef, Arc<Model>> = models
            .map(|model| {
                let mut hasher = Fingerprint(digest);
                model.hash(&mut hasher);
                digest = hasher.finish();
                (model.id.clone(), Arc::new(model))
            })
            .collect();
        let kept = self.models.iter().filter(|model| !put_in.contains_key(&model.id));
        let models = kept.cloned().chain(put_in.values().cloned()).collect();
        Self::new(models, self.as_of, digest)
    }

    /// The model of that name: exactly, by another of its names, or without a date at its end; never by resemblance.
    pub fn find(&self, name: &ModelRef) -> Option<FoundModel<'_>> {
        if let Some(model) = self.known(name) {
            let matched = if model.id == *name {
                Matched::Exact
            } else {
                Matched::Alias
            };
            return Some(FoundModel { model, matched });
        }
        let undated = name.provider.model(&without_date(&name.model)?);
        self.known(&undated).map(|model| FoundModel {
            model,
            matched: Matched::WithoutDate,
        })
    }

    /// The model that has `name` as its id or alias.
    fn known(&self, name: &ModelRef) -> Option<&Model> {
        let at = self.names.get(name)?;
        self.models.get(*at).map(AsRef::as_ref)
    }

    /// The models that `name` alone means, of any provider.
    pub fn find_everywhere(&self, name: &ModelId) -> Vec<FoundModel<'_>> {
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

    /// Names this version of the prices, for records: the catalog's date, and a fingerprint of all that is in force.
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
            status: ModelStatus::Active,
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

/// FNV-1a: tells one version from the next, the same everywhere, and nothing more.
struct Fingerprint(u64);

/// What FNV-1a begins with.
const SEED: u64 = 0xcbf2_9ce4_8422_2325;

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        self.0 = bytes.iter().fold(self.0, step);
    }
}

#[cfg(test)]
mod tests;
