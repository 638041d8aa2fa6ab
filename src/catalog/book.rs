//! The models in force, and how one is found by the name that somebody wrote.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use jiff::civil::Date;

use super::{Model, form};
use crate::domain::{ModelId, ModelRef, ProviderId};

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
            let text = include_str!("models.json");
            let contents = form::catalogue(text).expect("a test reads the very same text");
            let models = contents.models.into_iter().map(Arc::new).collect();
            Arc::new(Catalog::new(models, contents.as_of, fingerprint(0, text)))
        });
        Arc::clone(&BUILT_IN)
    }

    fn new(mut models: Vec<Arc<Model>>, as_of: Date, digest: u64) -> Self {
        models.sort_by(|a, b| a.id.cmp(&b.id));
        let mut names = BTreeMap::new();
        for (at, model) in models.iter().enumerate() {
            for alias in &model.aliases {
                let name = ModelRef {
                    provider: model.id.provider.clone(),
                    model: alias.clone(),
                };
                names.entry(name).or_insert(at);
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
        let undated = ModelRef {
            provider: name.provider.clone(),
            model: without_date(&name.model)?,
        };
        known(&undated).map(|model| Found {
            model,
            matched: Matched::WithoutDate,
        })
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
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_keeps_every_rule() {
        let contents = form::catalogue(include_str!("models.json")).map_err(|why| why.to_string());
        assert_eq!(contents.map(|contents| contents.models.len() > 150), Ok(true));
    }
}
