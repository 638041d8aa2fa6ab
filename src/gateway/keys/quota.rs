//! What is left of the providers' quotas, by what they say and by what is configured: who has none waits before a
//! provider has to refuse.
//!
//! Kept in the memory of this gateway alone. A provider counts the requests of every process, and says with each response
//! what they left; what a refusal says of the key is shared through the ledger as well, by [`super::health`].

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::HeaderMap;
use jiff::Timestamp;
use tokio::time::Instant;

use super::rate_limit::RequestLimit;
use crate::{
    domain::{Label, ModelId, ProviderId},
    gateway::request::prepared_request::PreparedRequest,
    providers::{self, QuotaHolder, QuotaUnit, Remaining},
};

/// What is believed of a wait.
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_hours(1);
/// The longest cooldown that is made up where a provider does not say how long to wait.
const MAX_GUESSED_WAIT: Duration = Duration::from_mins(10);
/// Of how many models of a key is remembered what is left.
const MAX_MODELS: usize = 100;

/// What is known of each quota.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Quotas {
    known: Mutex<BTreeMap<(ProviderId, QuotaHolder), KeyQuota>>,
}

#[derive(Debug, Default)]
struct KeyQuota {
    /// Until when the provider wants to be left alone.
    until: Option<Instant>,
    /// When the provider refused last without saying for how long.
    unexplained: Option<Instant>,
    /// What the configuration allows.
    limit: Option<RequestLimit>,
    /// What is left, as said at that time; each model has quotas of its own.
    left: BTreeMap<ModelId, (Instant, Vec<Remaining>)>,
}

/// How much quota a key has for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::gateway) struct Headroom {
    /// How long it has to wait.
    pub(in crate::gateway) wait: Option<Duration>,
    /// How much of what the request may need is not there, in thousandths.
    pub(in crate::gateway) missing: u64,
    /// Whether the provider has refused it lately without saying for how long.
    pub(in crate::gateway) is_unexplained: bool,
}

impl Quotas {
    /// How much quota the key `label` has for `prepared`.
    pub(in crate::gateway) fn headroom(&self, prepared: &PreparedRequest, label: Option<&Label>) -> Headroom {
        let known = self.known();
        let Some(known) = known.get(&holder(prepared, label)) else {
            return Headroom::default();
        };
        let now = Instant::now();
        let stated = known.until.and_then(|until| until.checked_duration_since(now));
        let limited = known.limit.as_ref();
        let limited = limited.and_then(|limit| limit.wait(prepared.provider.rate_limit_of(label)));
        let left = known.left.get(&prepared.model.model).into_iter();
        let left = left.flat_map(|(at, left)| left.iter().map(move |one| (now.duration_since(*at), one)));
        let waits = left.clone().filter_map(|(elapsed, one)| {
            // What the response will need is a guess, and not every provider counts it in advance.
            let needed = match one.counted {
                QuotaUnit::Requests | QuotaUnit::OutputTokens => 1,
                QuotaUnit::Tokens | QuotaUnit::InputTokens => prepared.input,
            };
            let wait = one.ready_in(needed.max(1)).min(MAX_WAIT);
            wait.checked_sub(elapsed)
                .filter(|wait| one.left == 0 && !wait.is_zero())
        });
        Headroom {
            wait: stated.into_iter().chain(limited).chain(waits).max(),
            is_unexplained: known
                .unexplained
                .is_some_and(|at| now.duration_since(at) < MAX_GUESSED_WAIT),
            missing: left
                .map(|(elapsed, one)| missing(one.after(elapsed), needed(prepared, one.counted)))
                .max()
                .unwrap_or(0),
        }
    }

    /// Takes note of what a response to `prepared` with those headers says is left.
    pub(in crate::gateway) fn learn(
        &self,
        prepared: &PreparedRequest,
        label: Option<&Label>,
        headers: &HeaderMap,
        now: Timestamp,
    ) {
        let mut said = providers::remaining(headers, now).peekable();
        if said.peek().is_none() {
            return;
        }
        let mut known = self.known();
        let left = &mut known.entry(holder(prepared, label)).or_default().left;
        if left.len() >= MAX_MODELS && !left.contains_key(&prepared.model.model) {
            left.retain(|_, (at, left)| left.iter().any(|one| at.elapsed() < one.full_in));
            if left.len() >= MAX_MODELS {
                return;
            }
        }
        left.insert(prepared.model.model.clone(), (Instant::now(), said.collect()));
    }

    /// Uses the quota of the key `label` for one request, or says how long that has to wait: others may have used it up
    /// since its quota was checked.
    pub(in crate::gateway) fn take(&self, prepared: &PreparedRequest, label: Option<&Label>) -> Result<(), Duration> {
        let per_minute = prepared.provider.rate_limit_of(label);
        let mut known = self.known();
        let known = match per_minute {
            Some(_) => known.entry(holder(prepared, label)).or_default(),
            None => match known.get_mut(&holder(prepared, label)) {
                Some(known) => known,
                None => return Ok(()),
            },
        };
        let stated = known
            .until
            .and_then(|until| until.checked_duration_since(Instant::now()));
        match (stated, per_minute) {
            (Some(wait), _) => Err(wait),
            (None, Some(per_minute)) => RequestLimit::take(&mut known.limit, per_minute),
            (None, None) => Ok(()),
        }
    }

    /// The provider wants the key `label` to wait; returns for how long it does.
    pub(in crate::gateway) fn wait(
        &self,
        prepared: &PreparedRequest,
        label: Option<&Label>,
        stated: Duration,
    ) -> Duration {
        let wait = stated.clamp(MIN_WAIT, MAX_WAIT);
        let until = Instant::now() + wait;
        let mut known = self.known();
        let known = known.entry(holder(prepared, label)).or_default();
        // A request that was sent earlier may be answered later, and asks for less.
        known.until = known.until.max(Some(until));
        known.unexplained = None;
        // What was said before is worth less than that.
        known.left.remove(&prepared.model.model);
        wait
    }

    /// The provider has refused the key `label`, and does not say for how long.
    pub(in crate::gateway) fn refuse(&self, prepared: &PreparedRequest, label: Option<&Label>) {
        let mut known = self.known();
        known.entry(holder(prepared, label)).or_default().unexplained = Some(Instant::now());
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<(ProviderId, QuotaHolder), KeyQuota>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait until there is enough for `prepared`, by the headers of a refused that does not say it itself.
pub(in crate::gateway) fn until_enough(
    prepared: &PreparedRequest,
    headers: &HeaderMap,
    now: Timestamp,
) -> Option<Duration> {
    let waits = providers::remaining(headers, now).map(|one| one.ready_in(needed(prepared, one.counted)));
    waits.max().filter(|wait| !wait.is_zero())
}

fn holder(prepared: &PreparedRequest, label: Option<&Label>) -> (ProviderId, QuotaHolder) {
    (prepared.provider.id.clone(), prepared.provider.quota_holder(label))
}

/// What `prepared` may need.
fn needed(prepared: &PreparedRequest, counted: QuotaUnit) -> u64 {
    match counted {
        QuotaUnit::Requests => 1,
        QuotaUnit::Tokens => prepared.input.saturating_add(prepared.output),
        QuotaUnit::InputTokens => prepared.input,
        QuotaUnit::OutputTokens => prepared.output,
    }
}

/// How much of `needed` is not there, in thousandths.
fn missing(left: u64, needed: u64) -> u64 {
    let short = u128::from(needed.saturating_sub(left)) * 1_000;
    short.div_ceil(u128::from(needed.max(1))).try_into().unwrap_or(1_000)
}
