//! The models of one provider: those that are kept by hand at once, the others when one of them is needed.

use std::sync::{Arc, OnceLock};

use jiff::civil::Date;

use super::{
    found::{FoundModel, Matched},
    names::{plain, without_date},
    shelf::Shelf,
};
use crate::{
    catalog::{Model, packed},
    domain::{ModelId, ModelRef},
};

/// The models of one provider.
#[derive(Debug, Clone, Default)]
pub(super) struct CatalogSection {
    /// Those whose facts are kept by hand, and those that the user named.
    kept: Arc<Shelf>,
    others: Arc<Others>,
}

/// Models that are read when one of them is needed.
#[derive(Debug, Default)]
struct Others {
    source: Source,
    shelf: OnceLock<Shelf>,
}

#[derive(Debug, Default)]
enum Source {
    #[default]
    Nothing,
    /// Of the public layer.
    Packed(&'static [u8]),
    /// Others with what was taken in over them.
    Under {
        others: Arc<Others>,
        said: Vec<Model>,
        /// What is older than this only adds.
        as_of: Date,
    },
}

impl CatalogSection {
    pub(super) fn kept(models: Vec<Arc<Model>>) -> Self {
        Self {
            kept: Arc::new(Shelf::of(models)),
            others: Arc::default(),
        }
    }

    /// Puts the public layer under what is kept.
    pub(super) fn pack(&mut self, packed: &'static [u8]) {
        self.others = Arc::new(Others {
            source: Source::Packed(packed),
            shelf: OnceLock::new(),
        });
    }

    /// The same section with what an overlay says of its models; only what it adds where that is older than `as_of`.
    pub(super) fn under(&self, said: &[&Model], as_of: Date) -> Self {
        let is_kept = |said: &Model| self.kept.known(&said.id.model).is_some();
        let (kept, others): (Vec<&Model>, Vec<&Model>) = said.iter().partition(|said| is_kept(said));
        Self {
            kept: Arc::new(self.kept.under(kept, as_of)),
            others: Arc::new(Others {
                source: Source::Under {
                    others: Arc::clone(&self.others),
                    said: others.into_iter().cloned().collect(),
                    as_of,
                },
                shelf: OnceLock::new(),
            }),
        }
    }

    /// Keeps `model`, in place of one with the same id.
    pub(super) fn keep(&mut self, model: Model) {
        self.kept = Arc::new(self.kept.with(vec![model]));
    }

    pub(super) fn find(&self, name: &ModelRef) -> Option<FoundModel<'_>> {
        find_by(name, |model| {
            self.kept.find(model).or_else(|| self.others.shelf().find(model))
        })
    }

    /// The same without reading the others.
    pub(super) fn find_kept(&self, name: &ModelRef) -> Option<FoundModel<'_>> {
        find_by(name, |model| self.kept.find(model))
    }

    /// All models, those that are kept by hand first.
    pub(super) fn models(&self) -> impl Iterator<Item = &Model> {
        // What the user named may be one of the others.
        let is_kept = |model: &&Model| self.kept.known(&model.id.model).is_some_and(|kept| kept.id == model.id);
        let others = self.others.shelf().models().filter(move |model| !is_kept(model));
        self.kept.models().chain(others)
    }

    pub(super) fn kept_models(&self) -> impl Iterator<Item = &Model> {
        self.kept.models()
    }

    /// Those that are kept and those that were taken in as new; all where there is none.
    pub(super) fn proposed(&self) -> Vec<&Model> {
        let proposed: Vec<&Model> = self.kept.models().chain(self.others.added()).collect();
        if proposed.is_empty() {
            self.models().collect()
        } else {
            proposed
        }
    }

    /// The names of what is kept, and of the others too where `all` is set.
    pub(super) fn names(&self, and_of_others: bool) -> impl Iterator<Item = &ModelId> {
        let others = and_of_others.then(|| self.others.shelf().names());
        self.kept.names().chain(others.into_iter().flatten())
    }
}

/// The model that `find` finds by `name`, by what it means the same as, or without a date at its end.
fn find_by<'s>(name: &ModelRef, find: impl Fn(&ModelId) -> Option<FoundModel<'s>>) -> Option<FoundModel<'s>> {
    let plain = plain(name);
    let as_alias = |found: FoundModel<'s>| FoundModel {
        matched: found.matched.max(Matched::Alias),
        ..found
    };
    let undated = |model: &ModelId| {
        let found = find(&without_date(model)?)?;
        let matched = Matched::WithoutDate;
        Some(FoundModel { matched, ..found })
    };
    find(&name.model)
        .or_else(|| find(plain.as_ref()?).map(as_alias))
        .or_else(|| undated(&name.model))
        .or_else(|| undated(plain.as_ref()?))
}

impl Others {
    fn shelf(&self) -> &Shelf {
        self.shelf.get_or_init(|| match &self.source {
            Source::Nothing => Shelf::default(),
            Source::Packed(packed) => {
                let models = packed::models(packed).expect("a test reads the very same text");
                Shelf::of(models.into_iter().map(Arc::new).collect())
            }
            Source::Under { others, said, as_of } => others.shelf().under(said, *as_of),
        })
    }

    /// What was taken in and is not in the public layer.
    fn added(&self) -> impl Iterator<Item = &Model> {
        let (before, said): (_, &[Model]) = match &self.source {
            Source::Nothing | Source::Packed(_) => (None, &[]),
            Source::Under { others, said, .. } => (Some(others.shelf()), said),
        };
        let is_new = move |model: &&Model| before.is_some_and(|before| before.known(&model.id.model).is_none());
        said.iter().filter(is_new)
    }
}
