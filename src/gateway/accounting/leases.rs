//! The money that this process has leased, and what is reserved of it: in memory alone.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    domain::Usd,
    storage::ledger::{BUDGET_PARTS, Granted, LeaseChange, LeaseId, LeaseState, SpendingLimit},
};

/// After how long an unused lease is given back.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// For how many requests like the present one is leased ahead.
const REQUESTS_LEASED_AHEAD: u64 = 64;

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
    limits: Vec<SpendingLimit>,
    /// As the ledger has it.
    amount: Usd,
    /// What is reserved for requests under way.
    reserved: Usd,
    /// What requests have cost that are not recorded in the ledger yet.
    settled: Usd,
    /// What was left of the budgets when the ledger was last read.
    left: Usd,
    /// From then on others may have it.
    until: Timestamp,
    used: Instant,
}

/// What a lease is to become, and what it was.
#[derive(Debug)]
pub(super) struct PlannedLease {
    pub(super) key: LeaseKey,
    id: Option<LeaseId>,
    client: Option<String>,
    limits: Vec<SpendingLimit>,
    keep: Usd,
    pub(super) asks: Vec<Usd>,
    slice: Usd,
    before: (Usd, Usd),
}

impl Lease {
    fn unused(&self) -> Usd {
        (self.amount - self.reserved - self.settled).or_zero()
    }

    fn is_empty(&self) -> bool {
        self.id.is_none() && self.amount == Usd::ZERO && self.reserved == Usd::ZERO && self.settled == Usd::ZERO
    }

    fn is_for(&self, client: Option<&str>, limits: &[SpendingLimit]) -> bool {
        self.client.as_deref() == client && self.limits == limits
    }
}

impl Leases {
    /// Reserves `amount` where there is a lease with so much left; else the lease to ask the ledger for.
    pub(super) fn reserve(
        &mut self,
        client: Option<&str>,
        limits: &[SpendingLimit],
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
                    left: Usd::ZERO,
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

    /// What is to become of each lease once all that was settled is recorded: what is requested is added, what is
    /// not needed is given back; `all` of what is unused where requests would be refused else.
    pub(super) fn changes(
        &mut self,
        mut asks: BTreeMap<LeaseKey, Vec<Usd>>,
        all: bool,
        renew: bool,
    ) -> Vec<PlannedLease> {
        // One that a request waits for is kept: without it the request would get no response.
        self.all
            .retain(|key, lease| asks.contains_key(key) || !lease.is_empty() || lease.used.elapsed() < IDLE_TIMEOUT);
        let mut changes = Vec::new();
        for (key, lease) in &mut self.all {
            let asks = asks.remove(key).unwrap_or_default();
            let kept = if all || lease.used.elapsed() >= IDLE_TIMEOUT {
                Usd::ZERO
            } else {
                lease.unused().min(Usd::from_nano(lease.left.nano() / BUDGET_PARTS))
            };
            let keep = lease.reserved + kept;
            if asks.is_empty() && keep == lease.amount && lease.settled == Usd::ZERO && !renew {
                continue;
            }
            // So much for each of them, and as much again for others like them.
            let usual = asks.iter().copied().max().unwrap_or_default();
            changes.push(PlannedLease {
                key: *key,
                id: lease.id,
                client: lease.client.clone(),
                limits: lease.limits.clone(),
                keep,
                slice: usual.scaled(REQUESTS_LEASED_AHEAD, 1),
                asks,
                before: (lease.amount, lease.settled),
            });
            lease.amount = keep;
            lease.settled = Usd::ZERO;
        }
        changes
    }

    /// The ledger has made `change`; what was requested is reserved.
    pub(super) fn changed(&mut self, change: &PlannedLease, state: &LeaseState, until: Timestamp) {
        let Some(lease) = self.all.get_mut(&change.key) else {
            return;
        };
        lease.id = state.id;
        // Others reserve and settle meanwhile, but only this thread changes the amount.
        lease.amount = state.amount;
        lease.left = state.left;
        lease.until = until;
        let granted = change.asks.iter().zip(&state.asks);
        let granted = granted.filter(|(_, granted)| **granted == Granted::Yes);
        lease.reserved = lease.reserved + granted.map(|(ask, _)| *ask).sum();
    }

    /// The ledger could not make `change`: all is as it was.
    pub(super) fn failed(&mut self, change: &PlannedLease) {
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

impl PlannedLease {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Span;

    const FIRST: i64 = 1;
    const EXPIRY: i64 = 1000;

    fn usd(nano: i64) -> Usd {
        Usd::from_nano(nano)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn limits(most: i64) -> Vec<SpendingLimit> {
        let span = Span {
            from: at(0),
            to: at(1_000_000),
        };
        vec![SpendingLimit {
            span,
            of_client: false,
            most: usd(most),
            unpriced: Usd::ZERO,
        }]
    }

    /// What a ledger with one budget of all makes of `changes`.
    #[derive(Debug)]
    struct Budget {
        most: Usd,
        recorded: Usd,
        leased: BTreeMap<u64, Usd>,
        given: u64,
    }

    impl Budget {
        fn new(most: i64) -> Self {
            Self {
                most: usd(most),
                recorded: Usd::ZERO,
                leased: BTreeMap::new(),
                given: 0,
            }
        }

        fn left(&self) -> Usd {
            self.most - self.recorded - self.leased.values().copied().sum()
        }

        fn change(&mut self, change: &PlannedLease, key: u64) -> LeaseState {
            self.leased.insert(key, change.keep);
            let mut asks = Vec::new();
            for ask in &change.asks {
                let granted = *ask <= self.left();
                if granted {
                    self.leased.entry(key).and_modify(|amount| *amount = *amount + *ask);
                }
                asks.push(if granted {
                    Granted::Yes
                } else {
                    Granted::No {
                        limit: 0,
                        spent: crate::storage::ledger::Spent::default(),
                    }
                });
            }
            let slice = change.slice.min(usd(self.left().nano() / BUDGET_PARTS));
            if slice >= change.asks.iter().copied().max().unwrap_or_default() {
                self.leased.entry(key).and_modify(|amount| *amount = *amount + slice);
            }
            self.given += 1;
            LeaseState {
                id: None,
                amount: self.leased[&key],
                left: self.left().or_zero(),
                asks,
            }
        }
    }

    /// Asks the budget for `amount`, and takes what was granted as reserved.
    /// Asks for `amounts`, and gives back what is unused first where `all` of it is wanted.
    fn ask_with(leases: &mut Leases, budget: &mut Budget, amounts: &[i64], all: bool) -> Vec<Granted> {
        let limits = limits(budget.most.nano());
        let key = leases.reserve(None, &limits, Usd::MAX, at(FIRST)).unwrap_err();
        let amounts = amounts.iter().copied().map(usd).collect();
        let changes = leases.changes(BTreeMap::from([(key, amounts)]), all, false);
        let state = budget.change(&changes[0], key.0);
        leases.changed(&changes[0], &state, at(EXPIRY));
        state.asks
    }

    fn ask(leases: &mut Leases, budget: &mut Budget, amounts: &[i64]) -> Vec<Granted> {
        ask_with(leases, budget, amounts, false)
    }

    #[test]
    fn requests_are_reserved_from_memory_until_the_lease_is_used_up() {
        let (mut leases, mut budget) = (Leases::default(), Budget::new(1_000_000));
        let limits = limits(1_000_000);
        assert_eq!(ask(&mut leases, &mut budget, &[10]), [Granted::Yes]);
        for _ in 0..REQUESTS_LEASED_AHEAD {
            leases.reserve(None, &limits, usd(10), at(FIRST)).unwrap();
        }
        leases.reserve(None, &limits, usd(10), at(FIRST)).unwrap_err();
        leases.reserve(Some("editor"), &limits, usd(1), at(FIRST)).unwrap_err();
    }

    #[test]
    fn a_lease_that_has_expired_is_reserved_from_only_when_the_ledger_was_asked() {
        let (mut leases, mut budget) = (Leases::default(), Budget::new(1_000_000));
        let limits = limits(1_000_000);
        ask(&mut leases, &mut budget, &[10]);
        leases.reserve(None, &limits, usd(10), at(EXPIRY - 1)).unwrap();
        leases.reserve(None, &limits, usd(10), at(EXPIRY)).unwrap_err();
    }

    #[test]
    fn near_a_limit_nothing_is_kept_that_is_not_reserved() {
        let (mut leases, mut budget) = (Leases::default(), Budget::new(1000));
        assert_eq!(ask(&mut leases, &mut budget, &[10]), [Granted::Yes]);
        assert_eq!(budget.left(), usd(1000 - 10 - 990 / BUDGET_PARTS));
        // Somebody else has used most of it.
        budget.recorded = usd(900);
        assert_eq!(
            ask(&mut leases, &mut budget, &[80]),
            [no()],
            "others may use what is leased meanwhile"
        );
        assert!(leases.have_unused());
        assert_eq!(
            ask_with(&mut leases, &mut budget, &[80, 20], true),
            [Granted::Yes, no()]
        );
        assert_eq!(budget.left(), usd(10), "a slice would be less than one more request");
        assert!(!leases.have_unused());
    }

    fn no() -> Granted {
        Granted::No {
            limit: 0,
            spent: crate::storage::ledger::Spent::default(),
        }
    }

    #[test]
    fn what_is_idle_or_needed_elsewhere_is_given_back() {
        let (mut leases, mut budget) = (Leases::default(), Budget::new(1_000_000));
        ask(&mut leases, &mut budget, &[10]);
        assert!(leases.have_unused());
        let unchanged = leases.changes(BTreeMap::new(), false, false);
        assert!(unchanged.is_empty(), "{unchanged:?}");
        let all = leases.changes(BTreeMap::new(), true, false);
        assert_eq!(all[0].keep, usd(10), "what is reserved stays");
        leases.failed(&all[0]);
        for lease in leases.all.values_mut() {
            lease.used = Instant::now().checked_sub(IDLE_TIMEOUT).unwrap();
        }
        let idle = leases.changes(BTreeMap::new(), false, false);
        assert_eq!(idle[0].keep, usd(10));
        let state = budget.change(&idle[0], idle[0].key.0);
        leases.changed(&idle[0], &state, at(EXPIRY));
        leases.release(Reservation {
            lease: idle[0].key,
            amount: usd(10),
        });
        let last = leases.changes(BTreeMap::new(), false, false);
        assert_eq!(last[0].keep, Usd::ZERO);
        let state = budget.change(&last[0], last[0].key.0);
        leases.changed(&last[0], &state, at(EXPIRY));
        assert_eq!(budget.left(), budget.most);
        assert!(leases.changes(BTreeMap::new(), false, false).is_empty());
        assert!(leases.all.is_empty(), "{leases:?}");
    }

    #[test]
    fn a_lease_that_a_request_waits_for_is_kept_however_long_the_ledger_takes() {
        let (mut leases, mut budget) = (Leases::default(), Budget::new(100));
        let key = leases.reserve(None, &limits(100), usd(200), at(FIRST)).unwrap_err();
        let asks = BTreeMap::from([(key, vec![usd(200)])]);
        for _ in 0..2 {
            for lease in leases.all.values_mut() {
                lease.used = Instant::now().checked_sub(IDLE_TIMEOUT).unwrap();
            }
            let changes = leases.changes(asks.clone(), true, false);
            assert_eq!(changes.len(), 1, "{leases:?}");
            let state = budget.change(&changes[0], key.0);
            assert_eq!(state.asks, [no()]);
            leases.changed(&changes[0], &state, at(EXPIRY));
        }
    }

    #[test]
    fn a_fold_that_failed_leaves_everything_as_it_was() {
        let (mut leases, mut budget) = (Leases::default(), Budget::new(1_000_000));
        let limits = limits(1_000_000);
        ask(&mut leases, &mut budget, &[10]);
        let reservation = leases.reserve(None, &limits, usd(10), at(FIRST)).unwrap();
        leases.settle(reservation, usd(4));
        let before = format!("{leases:?}");
        let changes = leases.changes(BTreeMap::new(), true, true);
        assert_ne!(format!("{leases:?}"), before);
        for change in &changes {
            leases.failed(change);
        }
        assert_eq!(format!("{leases:?}"), before);
    }

    /// What happens to the leases.
    #[derive(Debug, Clone)]
    enum Step {
        Reserve(i64),
        /// The request of that place among those under way ends, for a part of what it reserved, in percent.
        Settle(usize, u64),
        /// The ledger is asked for what could not be reserved; its answer takes some steps.
        Begin {
            all: bool,
            renews: bool,
        },
        Answer {
            fails: bool,
        },
        /// Somebody else spends.
        Spend(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (1..200_i64).prop_map(Step::Reserve),
            4 => (any::<usize>(), 0..=100_u64).prop_map(|(which, part)| Step::Settle(which, part)),
            3 => any::<(bool, bool)>().prop_map(|(all, renews)| Step::Begin { all, renews }),
            3 => prop::bool::weighted(0.2).prop_map(|fails| Step::Answer { fails }),
            1 => (1..500_i64).prop_map(Step::Spend),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn what_is_reserved_is_leased_and_what_is_leased_and_spent_fits(steps in steps(), most in 100..50_000_i64) {
            let (mut leases, mut budget) = (Leases::default(), Budget::new(most));
            let limits = limits(most);
            let mut under_way = Vec::new();
            let mut asks: BTreeMap<LeaseKey, Vec<Usd>> = BTreeMap::new();
            // What requests have cost that the ledger does not know of, and that was reported to it.
            let (mut unrecorded, mut reported) = (Usd::ZERO, Usd::ZERO);
            let mut flying: Option<Vec<PlannedLease>> = None;
            for step in steps {
                match step {
                    Step::Reserve(amount) => match leases.reserve(None, &limits, usd(amount), at(FIRST)) {
                        Ok(reservation) => under_way.push(reservation),
                        Err(key) => asks.entry(key).or_default().push(usd(amount)),
                    },
                    Step::Settle(which, part) if !under_way.is_empty() => {
                        let reservation: Reservation = under_way.swap_remove(which % under_way.len());
                        let cost = reservation.amount.scaled(part, 100);
                        leases.settle(reservation, cost);
                        unrecorded = unrecorded + cost;
                    }
                    Step::Begin { all, renews } if flying.is_none() => {
                        flying = Some(leases.changes(std::mem::take(&mut asks), all, renews));
                        reported = std::mem::take(&mut unrecorded);
                    }
                    Step::Answer { fails: true } => for change in flying.take().into_iter().flatten() {
                        leases.failed(&change);
                        asks.entry(change.key).or_default().extend(change.asks);
                        unrecorded = unrecorded + std::mem::take(&mut reported);
                    },
                    Step::Answer { fails: false } => if let Some(changes) = flying.take() {
                        budget.recorded = budget.recorded + std::mem::take(&mut reported);
                        for change in changes {
                            let state = budget.change(&change, change.key.0);
                            leases.changed(&change, &state, at(EXPIRY));
                            let granted = change.asks.iter().zip(&state.asks);
                            under_way.extend(granted.filter(|(_, granted)| **granted == Granted::Yes).map(|(ask, _)| {
                                Reservation { lease: change.key, amount: *ask }
                            }));
                        }
                    },
                    Step::Spend(cost) if usd(cost) <= budget.left() => budget.recorded = budget.recorded + usd(cost),
                    Step::Settle(..) | Step::Begin { .. } | Step::Spend(_) => {}
                }
                let reserved: Usd = under_way.iter().map(|reservation| reservation.amount).sum();
                let leased: Usd = budget.leased.values().copied().sum();
                prop_assert_eq!(leases.all.values().map(|lease| lease.reserved).sum::<Usd>(), reserved);
                prop_assert!(reserved + unrecorded + reported <= leased);
                prop_assert!(budget.left() >= Usd::ZERO);
            }
        }
    }
}
