//! The money that this process has leased, and what is reserved of it: in memory alone.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    domain::Usd,
    storage::ledger::{Granted, LeaseChange, LeaseId, LeaseState, Limit},
};

/// After how long a lease that nobody reserves from is given back.
const IDLE: Duration = Duration::from_secs(1);
/// What is kept without use is at most this part of what is left of the budgets: near a limit nothing is.
const PART: i64 = 16;
/// For how many requests like the present one is leased ahead.
const AHEAD: u64 = 64;

/// Names a lease within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LeaseKey(u64);

/// Money that is reserved for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reservation {
    pub(super) lease: LeaseKey,
    pub(super) amount: Usd,
}

/// All leases of this process.
#[derive(Debug, Default)]
pub(super) struct Leases {
    given: u64,
    all: BTreeMap<LeaseKey, Lease>,
}

/// One for each client, and each set of budgets that its requests must fit into.
#[derive(Debug)]
struct Lease {
    id: Option<LeaseId>,
    client: Option<String>,
    limits: Vec<Limit>,
    /// As the ledger has it.
    amount: Usd,
    /// What is reserved for requests under way.
    reserved: Usd,
    /// What requests have cost that are not recorded in the ledger yet.
    settled: Usd,
    /// What was left of the budgets when the ledger was asked last.
    room: Usd,
    /// From then on others may have it.
    until: Timestamp,
    used: Instant,
}

/// What a lease is to become, and what it was.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) key: LeaseKey,
    id: Option<LeaseId>,
    client: Option<String>,
    limits: Vec<Limit>,
    keep: Usd,
    pub(super) asks: Vec<Usd>,
    slice: Usd,
    before: (Usd, Usd),
}

impl Lease {
    fn unused(&self) -> Usd {
        (self.amount - self.reserved - self.settled).or_zero()
    }

    fn is_for(&self, client: Option<&str>, limits: &[Limit]) -> bool {
        self.client.as_deref() == client && self.limits == limits
    }
}

impl Leases {
    /// Reserves `amount` where there is a lease with so much left; else the lease to ask the ledger for.
    pub(super) fn reserve(
        &mut self,
        client: Option<&str>,
        limits: &[Limit],
        amount: Usd,
        now: Timestamp,
    ) -> Result<Reservation, LeaseKey> {
        let found = self.all.iter_mut().find(|(_, lease)| lease.is_for(client, limits));
        let Some((key, lease)) = found else {
            self.given += 1;
            let key = LeaseKey(self.given);
            self.all.insert(
                key,
                Lease {
                    id: None,
                    client: client.map(str::to_owned),
                    limits: limits.to_vec(),
                    amount: Usd::ZERO,
                    reserved: Usd::ZERO,
                    settled: Usd::ZERO,
                    room: Usd::ZERO,
                    until: now,
                    used: Instant::now(),
                },
            );
            return Err(key);
        };
        lease.used = Instant::now();
        if lease.until <= now || lease.unused() < amount {
            return Err(*key);
        }
        lease.reserved = lease.reserved + amount;
        Ok(Reservation { lease: *key, amount })
    }

    /// Gives back what was reserved for a request that cost `cost`, and will be recorded.
    pub(super) fn settle(&mut self, reservation: Reservation, cost: Usd) {
        if let Some(lease) = self.all.get_mut(&reservation.lease) {
            lease.reserved = lease.reserved - reservation.amount;
            lease.settled = lease.settled + cost;
        }
    }

    /// Gives back what was reserved for a request that cost nothing.
    pub(super) fn release(&mut self, reservation: Reservation) {
        self.settle(reservation, Usd::ZERO);
    }

    /// What is to become of each lease once all that was settled is recorded: what is asked for is added, what nobody
    /// needs is given back; `all` of what is unused where requests would be refused else.
    pub(super) fn changes(&mut self, mut asks: BTreeMap<LeaseKey, Vec<Usd>>, all: bool, renew: bool) -> Vec<Change> {
        let mut changes = Vec::new();
        for (key, lease) in &mut self.all {
            let asks = asks.remove(key).unwrap_or_default();
            let kept = if all || !asks.is_empty() || lease.used.elapsed() >= IDLE {
                Usd::ZERO
            } else {
                lease.unused().min(Usd::from_nano(lease.room.nano() / PART))
            };
            let keep = lease.reserved + kept;
            if asks.is_empty() && keep == lease.amount && lease.settled == Usd::ZERO && !renew {
                continue;
            }
            // So much for each of them, and as much again for others like them.
            let usual = asks.iter().copied().max().unwrap_or_default();
            changes.push(Change {
                key: *key,
                id: lease.id,
                client: lease.client.clone(),
                limits: lease.limits.clone(),
                keep,
                slice: usual.scaled(AHEAD, 1),
                asks,
                before: (lease.amount, lease.settled),
            });
            lease.amount = keep;
            lease.settled = Usd::ZERO;
        }
        changes
    }

    /// The ledger has made `change`; what was asked for is reserved.
    pub(super) fn changed(&mut self, change: &Change, state: &LeaseState, until: Timestamp) {
        let Some(lease) = self.all.get_mut(&change.key) else {
            return;
        };
        lease.id = state.id;
        // Others reserve and settle meanwhile, but nobody else changes the amount.
        lease.amount = state.amount;
        lease.room = state.room;
        lease.until = until;
        let granted = change.asks.iter().zip(&state.asks);
        let granted = granted.filter(|(_, granted)| **granted == Granted::Yes);
        lease.reserved = lease.reserved + granted.map(|(ask, _)| *ask).sum();
        let is_empty = lease.id.is_none() && lease.reserved == Usd::ZERO && lease.settled == Usd::ZERO;
        if is_empty && lease.used.elapsed() >= IDLE {
            self.all.remove(&change.key);
        }
    }

    /// The ledger could not make `change`: all is as it was.
    pub(super) fn failed(&mut self, change: &Change) {
        if let Some(lease) = self.all.get_mut(&change.key) {
            let (amount, settled) = change.before;
            lease.amount = amount;
            lease.settled = lease.settled + settled;
        }
    }

    /// Whether there is something unused in them, that could be given back.
    pub(super) fn have_unused(&self) -> bool {
        self.all.values().any(|lease| lease.unused() > Usd::ZERO)
    }

    /// Whether one of them is to be given back once it is idle.
    pub(super) fn are_held(&self) -> bool {
        self.all.values().any(|lease| lease.id.is_some())
    }
}

impl Change {
    /// The change as the ledger takes it.
    pub(super) fn as_lease_change(&self) -> LeaseChange<'_> {
        LeaseChange {
            id: self.id,
            client: self.client.as_deref(),
            limits: &self.limits,
            keep: self.keep,
            asks: &self.asks,
            slice: self.slice,
        }
    }
}
