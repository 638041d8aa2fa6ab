//! Which keys are tried first, and which are left alone.
//!
//! What is known of the keys' health is shared with every other process through the ledger, and sets the order; so does
//! what is left of their quota. A key that has to wait is not tried at all.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{LentKey, quota::Headroom};
use crate::{
    app::App,
    domain::{HealthState, Trouble, UsageRecord},
    error::Code,
    gateway::request::prepared_request::PreparedRequest,
    services::health::{self, Healths},
    storage::ledger::Ledger,
};

/// How old what is known may be.
const MAX_AGE: Duration = Duration::from_secs(1);

/// What is known of the keys.
#[derive(Debug, Default)]
pub(in crate::gateway) struct KeyHealth {
    known: Mutex<CachedHealths>,
}

#[derive(Debug, Default)]
struct CachedHealths {
    /// When it was read.
    at: Option<Instant>,
    all: Arc<Healths>,
}

impl KeyHealth {
    /// The keys in the order to try them, the one that routing chose first where its quota suffices, without those that
    /// have to wait; where each has to wait, the shortest wait.
    pub(in crate::gateway) fn order(
        &self,
        now: Timestamp,
        prepared: &PreparedRequest,
        keys: Vec<LentKey>,
        headroom: impl Fn(&LentKey) -> Headroom,
    ) -> Result<Vec<LentKey>, Duration> {
        let known = Arc::clone(&self.known().all);
        let mut first: Option<Duration> = None;
        let mut open = Vec::with_capacity(keys.len());
        for key in keys {
            let headroom = headroom(&key);
            let health = known.get(&(prepared.provider.id.clone(), key.label.clone()));
            let state = health.map(|health| health.state(key.restored_at, now));
            let (rank, cooling) = match state {
                None | Some(HealthState::Healthy | HealthState::Due { .. }) => (0, None),
                Some(HealthState::Probing { .. }) => (1, None),
                Some(HealthState::Cooling { trouble, until }) => {
                    (2, Some(until).filter(|_| trouble == Trouble::RateLimited))
                }
                Some(HealthState::Out { .. }) => (3, None),
            };
            // A wait that another process got, or this gateway before a restart, holds as well; but a cooldown
            // without a stated length does not keep the only key from being tried.
            let cooling = cooling.filter(|_| !headroom.is_unexplained);
            let cooling = cooling.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
            if let Some(wait) = headroom.wait.max(cooling) {
                first = Some(first.map_or(wait, |first| first.min(wait)));
            } else {
                let is_chosen = headroom.missing == 0 && prepared.label.as_ref() == Some(&key.label);
                open.push(((!is_chosen, rank, headroom.missing), key));
            }
        }
        open.sort_by_key(|(order, _)| *order);
        match first {
            Some(first) if open.is_empty() => Err(first),
            _ => Ok(open.into_iter().map(|(_, key)| key).collect()),
        }
    }

    /// Updates a key's health by how a request ended, once it is recorded; false where `ledger` is busy.
    pub(in crate::gateway) fn learn(
        &self,
        app: &App,
        ledger: &Ledger,
        record: &UsageRecord,
        retry_after: Option<Duration>,
    ) -> bool {
        let (provider, Some(label)) = (&record.model.provider, &record.label) else {
            return true;
        };
        let is_known = self.known().all.contains_key(&(provider.clone(), label.clone()));
        if record.outcome.success && !is_known {
            return true;
        }
        let retry_after = retry_after.and_then(|wait| wait.try_into().ok());
        if let Err(why) = health::observe(app, ledger, provider, Some(label), &record.outcome, retry_after) {
            if why.code() == Code::Busy {
                return false;
            }
            tracing::warn!(error = why.code().as_str(), "the key's health could not be updated");
        }
        self.known().at = None;
        true
    }

    /// Reads the health of all keys again where it is old; other requests use the old one meanwhile.
    pub(in crate::gateway) async fn refresh(&self, app: &Arc<App>) {
        {
            let mut known = self.known();
            if known.at.is_some_and(|at| at.elapsed() < MAX_AGE) {
                return;
            }
            known.at = Some(Instant::now());
        }
        let app = Arc::clone(app);
        if let Ok(Ok(all)) = tokio::task::spawn_blocking(move || health::all(&app)).await {
            self.known().all = Arc::new(all);
        }
    }

    fn known(&self) -> MutexGuard<'_, CachedHealths> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
