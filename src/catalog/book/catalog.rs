//! The models in force, and how one is found by the name that a request has for it.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock},
};

use jiff::civil::Date;
use strsim::levenshtein;

use super::{
    fingerprint::{Fingerprint, SEED},
    found::{FoundModel, Matched},
    section::CatalogSection,
};
use crate::{
    catalog::{
        CatalogError, DatedPrice, Model, Origin, Overlay, form,
        packed::{self, PUBLIC},
    },
    domain::{ModelId, ModelRef, Price, ProviderId},
};

/// The models and their prices that are in force.
#[derive(Debug, Clone)]
pub struct Catalog {
    sections: BTreeMap<ProviderId, CatalogSection>,
    as_of: Date,
    digest: u64,
}

/// How many names are suggested.
const MAX_SUGGESTIONS: usize = 3;
/// Where the user's own prices are from.
const CONFIG: &str = "config.toml";

impl Catalog {
    /// The catalog that is built in: what is kept by hand is read once, the public layer by provider when one is needed.
    pub fn built_in() -> Arc<Self> {
        static BUILT_IN: LazyLock<Arc<Catalog>> = LazyLock::new(|| Arc::new(Catalog::read()));
        Arc::clone(&BUILT_IN)
    }

    /// The same, read anew; for measuring what that costs.
    pub fn read() -> Self {
        let kept = Self::parse(include_str!("../models.json")).expect("a test reads the very same text");
        kept.and_public()
    }

    /// The catalog that `text` spells.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let contents = form::built_in(text)?;
        let mut by_provider: BTreeMap<ProviderId, Vec<Arc<Model>>> = BTreeMap::new();
        for model in contents.models {
            let of_provider = by_provider.entry(model.id.provider.clone()).or_default();
            of_provider.push(Arc::new(model));
        }
        let mut digest = Fingerprint(SEED);
        digest.write(text.as_bytes());
        Ok(Self {
            sections: by_provider
                .into_iter()
                .map(|(provider, models)| (provider, CatalogSection::kept(models)))
                .collect(),
            as_of: contents.as_of,
            digest: digest.finish(),
        })
    }

    /// The same catalog with the public layer under it.
    fn and_public(mut self) -> Self {
        let mut digest = Fingerprint(self.digest);
        for (provider, packed) in PUBLIC {
            let provider: ProviderId = provider.parse().expect("a test parses the very same name");
            digest.write(packed::fingerprint(packed));
            self.sections.entry(provider).or_default().pack(packed);
        }
        self.digest = digest.finish();
        self
    }

    /// The same catalog with `overlay` over it, and over both the prices of `overrides`, which are the user's own word.
    ///
    /// What an overlay says without dates holds from the day it was taken in: what was known of the time before stays,
    /// and so do changes that are known to come later. Where the overlay is older than what is built in, it only adds.
    #[must_use]
    pub fn with(&self, overlay: Option<&Overlay>, overrides: &[(ModelRef, Price)]) -> Self {
        let mut digest = Fingerprint(self.digest);
        let mut it = self.clone();
        let mut by_provider: BTreeMap<&ProviderId, Vec<&Model>> = BTreeMap::new();
        for said in overlay.iter().flat_map(|overlay| &overlay.models) {
            said.hash(&mut digest);
            by_provider.entry(&said.id.provider).or_default().push(said);
        }
        for (provider, said) in by_provider {
            let section = it.sections.entry(provider.clone()).or_default();
            *section = section.under(&said, self.as_of);
        }
        for (name, price) in overrides {
            (name, price).hash(&mut digest);
            let model = it.own_word(name, price);
            let section = it.sections.entry(name.provider.clone()).or_default();
            section.keep(model);
        }
        it.digest = digest.finish();
        it
    }

    /// The model `name` at the user's own price.
    fn own_word(&self, name: &ModelRef, price: &Price) -> Model {
        let known = self.find(name).map(|found| found.model.clone());
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
    }

    /// The model of that name: exactly, by another of its names, or without a date at its end; never by resemblance.
    pub fn find(&self, name: &ModelRef) -> Option<FoundModel<'_>> {
        self.sections.get(&name.provider)?.find(name)
    }

    /// The models that `name` alone means, of any provider: of those that are kept by hand, else of all.
    pub fn find_everywhere(&self, name: &ModelId) -> Vec<FoundModel<'_>> {
        let kept =
            |(provider, section): (&ProviderId, &'_ CatalogSection)| section.find_kept(&provider.model(name)).is_some();
        let by_hand: Vec<&ProviderId> = self
            .sections
            .iter()
            .filter(|(provider, section)| kept((provider, section)))
            .map(|(provider, _)| provider)
            .collect();
        let of = |provider: &ProviderId| self.find(&provider.model(name));
        if by_hand.is_empty() {
            self.sections.keys().filter_map(of).collect()
        } else {
            by_hand.into_iter().filter_map(of).collect()
        }
    }

    /// Names that `name` may have been meant for, nearest first; for hints, and never for prices.
    ///
    /// Of providers that `name` does not begin with, only what is kept by hand is compared.
    pub fn near(&self, name: &str) -> Vec<ModelRef> {
        let (provider, model) = name
            .split_once('/')
            .map_or((None, name), |(first, rest)| (Some(first), rest));
        let mut near: Vec<(usize, ModelRef)> = Vec::new();
        for (id, section) in &self.sections {
            let is_named = provider == Some(id.as_str());
            for known in section.names(is_named) {
                let known = id.model(known);
                let whole = levenshtein(name, &known.to_string());
                let away = whole.min(levenshtein(model, known.model.as_str()) + 1);
                let contained = model.len() >= 4 && known.model.as_str().contains(model);
                if away <= 1 + model.len() / 4 || contained {
                    near.push((away, known));
                }
            }
        }
        near.sort();
        near.into_iter().take(MAX_SUGGESTIONS).map(|(_, known)| known).collect()
    }

    /// All models, by provider; those that are kept by hand first.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.sections.values().flat_map(CatalogSection::models)
    }

    /// The models of one provider, those that are kept by hand first.
    pub fn models_of(&self, provider: &ProviderId) -> impl Iterator<Item = &Model> {
        self.sections.get(provider).into_iter().flat_map(CatalogSection::models)
    }

    /// The models of one provider whose facts are kept by hand, or that the user named.
    pub fn kept_of(&self, provider: &ProviderId) -> impl Iterator<Item = &Model> {
        self.sections
            .get(provider)
            .into_iter()
            .flat_map(CatalogSection::kept_models)
    }

    /// The models of one provider that are worth proposing: those that are kept by hand and new ones that were taken in;
    /// where there is none, all.
    pub fn proposed_of(&self, provider: &ProviderId) -> Vec<&Model> {
        let section = self.sections.get(provider);
        section.map(CatalogSection::proposed).unwrap_or_default()
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

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
