//! Models that a provider says it does not have: requests that may go elsewhere try these last for a while.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::domain::{ModelId, ProviderId};

/// How long a model is taken for missing.
const MAX_AGE: Duration = Duration::from_mins(5);
/// How many models are remembered.
const MAX_MODELS: usize = 1_000;

/// The models that were missing lately; says nothing about the keys.
#[derive(Debug, Default)]
pub(in crate::gateway) struct MissingModels {
    since: Mutex<BTreeMap<(ProviderId, ModelId), Instant>>,
}

impl MissingModels {
    /// `provider` has answered that it does not have `model`.
    pub(in crate::gateway) fn add(&self, provider: &ProviderId, model: &ModelId, now: Instant) {
        let mut since = self.since();
        if since.len() >= MAX_MODELS {
            since.retain(|_, at| now.duration_since(*at) < MAX_AGE);
        }
        if since.len() < MAX_MODELS {
            since.insert((provider.clone(), model.clone()), now);
        }
    }

    pub(in crate::gateway) fn contains(&self, provider: &ProviderId, model: &ModelId, now: Instant) -> bool {
        let since = self.since();
        // Most of the time there are none.
        !since.is_empty()
            && since
                .get(&(provider.clone(), model.clone()))
                .is_some_and(|at| now.duration_since(*at) < MAX_AGE)
    }

    fn since(&self) -> MutexGuard<'_, BTreeMap<(ProviderId, ModelId), Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_model_is_remembered_for_some_minutes() {
        let (provider, model) = ("openai".parse().unwrap(), "m".parse().unwrap());
        let (missing, now) = (MissingModels::default(), Instant::now());
        assert!(!missing.contains(&provider, &model, now));
        missing.add(&provider, &model, now);
        assert!(missing.contains(&provider, &model, now + Duration::from_mins(4)));
        assert!(!missing.contains(&provider, &model, now + MAX_AGE));
    }

    #[test]
    fn so_many_missing_models_are_remembered_and_no_more() {
        let (missing, now) = (MissingModels::default(), Instant::now());
        let provider = "openai".parse().unwrap();
        for number in 0..=MAX_MODELS {
            missing.add(&provider, &format!("m{number}").parse().unwrap(), now);
        }
        assert_eq!(missing.since().len(), MAX_MODELS);
        missing.add(&provider, &"later".parse().unwrap(), now + MAX_AGE);
        assert_eq!(missing.since().len(), 1, "the old ones make room");
    }
}
