//! Models of one provider and their names.

use std::{collections::BTreeMap, sync::Arc};

use jiff::civil::Date;

use super::found::{FoundModel, Matched};
use crate::{
    catalog::{DatedPrice, Model, ModelStatus},
    domain::{ModelId, ModelKind, ModelRef},
};

/// Models of one provider, by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    models: Vec<Arc<Model>>,
    /// Ids and aliases, and where their models stand.
    names: BTreeMap<ModelId, usize>,
}

impl Shelf {
    pub(super) fn of(mut models: Vec<Arc<Model>>) -> Self {
        models.sort_by(|a, b| a.id.cmp(&b.id));
        let mut names = BTreeMap::new();
        for (at, model) in models.iter().enumerate() {
            for alias in &model.aliases {
                names.entry(alias.clone()).or_insert(at);
            }
        }
        // An id goes before an alias of another model.
        names.extend(
            models
                .iter()
                .enumerate()
                .map(|(at, model)| (model.id.model.clone(), at)),
        );
        Self { models, names }
    }

    pub(super) fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().map(AsRef::as_ref)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &ModelId> {
        self.names.keys()
    }

    /// The model that has `name` as its id or alias.
    pub(super) fn known(&self, name: &ModelId) -> Option<&Model> {
        let at = self.names.get(name)?;
        self.models.get(*at).map(AsRef::as_ref)
    }

    pub(super) fn find(&self, name: &ModelId) -> Option<FoundModel<'_>> {
        let model = self.known(name)?;
        let matched = if model.id.model == *name {
            Matched::Exact
        } else {
            Matched::Alias
        };
        Some(FoundModel { model, matched })
    }

    /// The same shelf with `models` put in place of those with the same id, or added.
    pub(super) fn with(&self, models: Vec<Model>) -> Self {
        let put_in: BTreeMap<ModelRef, Arc<Model>> = models
            .into_iter()
            .map(|model| (model.id.clone(), Arc::new(model)))
            .collect();
        let stays = |model: &&Arc<Model>| !put_in.contains_key(&model.id);
        let kept = self.models.iter().filter(stays).cloned();
        Self::of(kept.chain(put_in.values().cloned()).collect())
    }

    /// The same shelf with what an overlay says; only what it adds where that is older than `as_of`.
    pub(super) fn under<'m>(&self, said: impl IntoIterator<Item = &'m Model>, as_of: Date) -> Self {
        let merged = said.into_iter().filter_map(|said| match self.known(&said.id.model) {
            Some(_) if is_older(said, as_of) => None,
            Some(known) if known.id == said.id => Some(Model {
                prices: over(&known.prices, &said.prices),
                compared: BTreeMap::new(),
                pinned: None,
                ..known.clone()
            }),
            _ => Some(said.clone()),
        });
        self.with(merged.collect())
    }
}

impl Model {
    /// A model of which nothing is known.
    pub(super) fn unknown(id: ModelRef) -> Self {
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

fn is_older(said: &Model, as_of: Date) -> bool {
    said.prices.iter().all(|dated| dated.as_of < Some(as_of))
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
