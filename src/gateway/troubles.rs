//! Which keys are tried first, and which are left alone.
//!
//! What is known of the keys' health is shared with every other process through the ledger, and sets the order. That a
//! provider has said how long a key must wait is kept here besides: such a key is not tried at all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    app::App,
    domain::{HealthState, Label, ProviderId, UsageRecord},
    services::{
        health::{self, Healths},
        lending::Lent,
    },
};

/// How old what is known may be.
const FRESH: Duration = Duration::from_secs(1);
/// The longest wait of a provider's that is believed.
const LONGEST: Duration = Duration::from_hours(1);

/// What is known of the keys.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    known: Mutex<(Option<Instant>, Arc<Healths>)>,
    told: Mutex<BTreeMap<(ProviderId, Label), Instant>>,
}

impl Troubles {
    /// The keys in the order to try them, without those that have to wait; or how long the first of them has to, where
    /// each has to.
    pub(super) fn order(&self, app: &App, provider: &ProviderId, keys: Vec<Lent>) -> Result<Vec<Lent>, Duration> {
        let (at, now, known) = (Instant::now(), app.now(), self.known(app));
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |key: &Lent| (provider.clone(), key.label.clone());
        let wait = |key: &Lent| told.get(&name(key)).and_then(|until| until.checked_duration_since(at));
        let rank = |key: &Lent| match known.get(&name(key)).map(|health| health.state(key.mended_at, now)) {
            None | Some(HealthState::Healthy | HealthState::Due { .. }) => 0,
            Some(HealthState::Probing { .. }) => 1,
            Some(HealthState::Cooling { .. }) => 2,
            Some(HealthState::Out { .. }) => 3,
        };
        let first = keys.iter().filter_map(wait).min();
        let mut open: Vec<Lent> = keys.into_iter().filter(|key| wait(key).is_none()).collect();
        open.sort_by_key(rank);
        match first {
            Some(first) if open.is_empty() => Err(first),
            _ => Ok(open),
        }
    }

    /// A provider has said how long a key must wait.
    pub(super) fn wait(&self, provider: &ProviderId, label: &Label, how_long: Duration) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + how_long.min(LONGEST);
        told.insert((provider.clone(), label.clone()), until);
    }

    /// Learns from how a request ended, once it is recorded.
    pub(super) fn learn(&self, app: &App, record: &UsageRecord, retry_after: Option<Duration>) {
        let (provider, Some(label)) = (&record.model.provider, &record.label) else {
            return;
        };
        let is_known = self.known(app).contains_key(&(provider.clone(), label.clone()));
        if record.outcome.success && !is_known {
            return;
        }
        let retry_after = retry_after.and_then(|wait| wait.try_into().ok());
        if let Err(why) = health::observe(app, provider, Some(label), &record.outcome, retry_after) {
            tracing::warn!(
                error = why.code().as_str(),
                "nothing was learnt of the provider's health"
            );
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }

    fn known(&self, app: &App) -> Arc<Healths> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0.is_none_or(|at| at.elapsed() >= FRESH) {
            known.0 = Some(Instant::now());
            drop(known);
            // Another process may hold the ledger: others go on with what was known before, and no other request waits.
            let read = tokio::task::block_in_place(|| health::all(app));
            known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(all) = read {
                known.1 = Arc::new(all);
            }
        }
        Arc::clone(&known.1)
    }
}
