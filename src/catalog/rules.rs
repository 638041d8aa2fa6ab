//! What must be true of models in any file.

use std::collections::BTreeSet;

use super::{error::CatalogError, model::Model};
use crate::domain::{Capability, ModelKind, Rate, Rates};

/// The most prices that a model may have.
const MAX_PRICES: usize = 100;

/// No name may mean two models.
pub(super) fn check_names(models: &[Model]) -> Result<(), CatalogError> {
    let mut names = BTreeSet::new();
    for model in models {
        let own = std::iter::once(&model.id.model).chain(&model.aliases);
        for name in own {
            if !names.insert((&model.id.provider, name)) {
                return Err(CatalogError::Model {
                    model: model.id.clone(),
                    rule: "has a name that another model of the provider has too",
                });
            }
        }
    }
    Ok(())
}

impl Model {
    /// The rule that the model breaks, if it does.
    pub(super) fn broken_rule(&self) -> Option<&'static str> {
        let prices = &self.prices;
        if self.context_window == Some(0) || self.max_output == Some(0) {
            return Some("has no room for a token");
        }
        if prices.len() > MAX_PRICES {
            return Some("has too many prices");
        }
        if prices.first().is_some_and(|first| first.from.is_some()) {
            return Some("has no price for the time before its first date");
        }
        if !prices.is_sorted_by(|a, b| a.from < b.from) {
            return Some("has prices that are not in the order of their dates");
        }
        if prices.iter().any(|dated| {
            !dated
                .price
                .tiers
                .is_sorted_by(|a, b| a.from_input_tokens < b.from_input_tokens)
        }) {
            return Some("has tiers that do not ascend");
        }
        if self.context_window.is_some_and(|window| self.max_input > Some(window)) {
            return Some("takes more input than its context window holds");
        }
        if prices
            .iter()
            .flat_map(|dated| &dated.hours)
            .any(|hours| hours.from_minute >= hours.to_minute)
        {
            return Some("has hours that end before they begin");
        }
        let gives_text = matches!(self.kind, ModelKind::Chat | ModelKind::Image);
        let nonsense =
            |rates: &Rates| rates.output != Rate::ZERO || rates.cache_write.is_some() || rates.reasoning.is_some();
        if !gives_text && prices.iter().any(|dated| nonsense(&dated.price.offered.standard)) {
            return Some("gives no text, and has a price for text");
        }
        if !gives_text && self.can(Capability::Tools) == Some(true) {
            return Some("gives no text, and calls tools");
        }
        None
    }
}
