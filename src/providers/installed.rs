//! Which models a server on this machine has: read from its own API, and not too often.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use super::{Checker, ModelListing, Provider};

/// How long an answer is kept before the server is asked again.
const MAX_AGE: SignedDuration = SignedDuration::from_secs(30);

/// The last answers of the servers on this machine.
#[derive(Debug, Default)]
pub struct Listings(Mutex<BTreeMap<String, Arc<CachedListing>>>);

/// What one server said, and when; the first request holds the lock, so that others wait for the same answer.
type CachedListing = tokio::sync::Mutex<Option<(Timestamp, ModelListing)>>;

impl Listings {
    /// What the server of `provider` said within the last half minute, asking it where that is too long ago.
    pub async fn of(&self, checker: &Checker, provider: &Provider, now: Timestamp) -> ModelListing {
        let known = {
            let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(servers.entry(provider.base_url.clone()).or_default())
        };
        let mut known = known.lock().await;
        if let Some((at, listing)) = &*known {
            let age = now.duration_since(*at);
            if !age.is_negative() && age < MAX_AGE {
                return listing.clone();
            }
        }
        let listing = checker.installed(provider).await;
        *known = Some((now, listing.clone()));
        listing
    }
}
