//! Limits of requests per minute: of each client's key, and by `quota` of each provider's.
//!
//! Kept in the memory of this gateway alone, and full again when it starts. As with the providers' own limits, a whole
//! minute's requests may come at once; then one comes back at a time.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};

use crate::{
    domain::Label,
    error::{Code, Error},
    gateway::http::error_response::ErrorResponse,
    storage::gateway_clients::GatewayClient,
};

/// How many requests there may be in a minute, and how many there were.
#[derive(Debug)]
pub(in crate::gateway) struct RequestLimit {
    per_minute: NonZeroU32,
    limiter: RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<Instant>>,
    /// Until when the limit is used up, as the last refused request learned.
    full_until: Option<Instant>,
}

/// The limits of the clients.
#[derive(Debug, Default)]
pub(in crate::gateway) struct ClientLimits {
    limits: Mutex<BTreeMap<Label, Option<RequestLimit>>>,
}

impl RequestLimit {
    /// Whether there may be another request: where not, after what time.
    ///
    /// What was counted is kept in `limit`, as long as it is the same.
    pub(in crate::gateway) fn take(limit: &mut Option<Self>, per_minute: NonZeroU32) -> Result<(), Duration> {
        let limit = match limit {
            Some(limit) if limit.per_minute == per_minute => limit,
            _ => limit.insert(Self {
                per_minute,
                limiter: RateLimiter::direct_with_clock(Quota::per_minute(per_minute), MonotonicClock),
                full_until: None,
            }),
        };
        limit.limiter.check().map_err(|refused| {
            limit.full_until = Some(refused.earliest_possible());
            refused.wait_time_from(MonotonicClock.now())
        })
    }

    /// How long the limit is used up, as far as that is known, where it is still the same.
    pub(in crate::gateway) fn wait(&self, per_minute: Option<NonZeroU32>) -> Option<Duration> {
        let until = self.full_until.filter(|_| per_minute == Some(self.per_minute))?;
        until.checked_duration_since(MonotonicClock.now())
    }
}

impl ClientLimits {
    /// Counts a request of `client`, where that may send one.
    pub(in crate::gateway) fn admit(&self, client: &GatewayClient) -> Result<(), ErrorResponse> {
        let Some(per_minute) = client.requests_per_minute else {
            return Ok(());
        };
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = limits.entry(client.name.clone()).or_default();
        RequestLimit::take(limit, per_minute).map_err(|wait| ErrorResponse {
            error: Error::new(
                Code::RateLimited,
                format!("the client {} may send {per_minute} requests a minute", client.name),
            )
            .hint("wait as long as `Retry-After` says; the limit was set with `api-keys client add`"),
            retry_after: Some(wait),
        })
    }
}
