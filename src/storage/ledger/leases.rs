//! What was spent, and money leased to processes: checked and taken in one transaction, so that no number of processes
//! together passes a budget.
//!
//! A lease counts as spent until its holder gives it back. What its requests have cost is recorded in the same
//! transaction that takes it out of the lease ([`Ledger::fold`]), so that the sum of both never jumps.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::atomic::Ordering,
};

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use super::{
    Ledger, LedgerResult, Recorded, Survives, Totals, Transaction, connection,
    journal::{self, Journal, Position},
    names::NameId,
};
use crate::{
    domain::{BudgetWatch, Span, UsageRecord, Usd},
    storage::files::Folder,
};

/// A slice is at most one of so many parts of what is left of a budget, and so is what is kept without use: the last of
/// it is reserved one request at a time.
pub const BUDGET_PARTS: i64 = 16;

/// The longest that a lease counts should its holder never be heard of again. One that would count for longer was taken
/// before the clock was set back.
const MAX_LEASE_AGE: SignedDuration = SignedDuration::from_hours(1);

/// What requests of a period cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// As far as their cost is known.
    pub recorded: Usd,
    /// What is leased for requests under way and to come.
    pub reserved: Usd,
    /// Requests of unknown cost.
    pub unpriced_requests: u64,
}

/// A budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpendingLimit {
    pub span: Span,
    /// Only what the same client spends counts, not what all clients do.
    pub of_client: bool,
    pub most: Usd,
    /// What each request of unknown cost counts as.
    pub unpriced: Usd,
}

impl SpendingLimit {
    /// What is left of it, where that is spent.
    pub fn left(&self, spent: Spent) -> Usd {
        self.most - spent.recorded - spent.reserved - self.unpriced.scaled(spent.unpriced_requests, 1)
    }
}

/// Names a lease for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(u64);

/// What is to become of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseChange<'a> {
    /// Nothing for a new one.
    pub id: Option<LeaseId>,
    /// The client whose requests it is for.
    pub client: Option<&'a str>,
    /// The budgets that it must fit into.
    pub limits: &'a [SpendingLimit],
    /// What is kept of it; the rest is given back.
    pub keep: Usd,
    /// What is to be added: each amount for one request, in this order.
    pub asks: &'a [Usd],
    /// What may be added for later requests, where much is left.
    pub slice: Usd,
}

/// What became of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseState {
    /// Nothing where it is empty, and gone.
    pub id: Option<LeaseId>,
    pub amount: Usd,
    /// What is left of the budgets beside it.
    pub left: Usd,
    /// For each ask, whether it was granted.
    pub asks: Vec<Granted>,
}

/// Whether money was added to a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    Yes,
    /// It did not fit into the limit of that place in the list.
    No {
        limit: usize,
        spent: Spent,
    },
}

/// What one process has for the ledger at a time.
#[derive(Debug, Clone)]
pub struct Fold<'a> {
    /// The process, by its journal's name.
    pub holder: &'a str,
    /// Requests that have ended.
    pub ended: &'a [&'a UsageRecord],
    /// Up to where its journal is recorded by that.
    pub position: Option<Position>,
    pub leases: &'a [LeaseChange<'a>],
    /// The budgets whose thresholds raise alerts.
    pub budgets: &'a [BudgetWatch],
    /// Until when its leases count should it never be heard of again: an hour at most.
    pub until: Timestamp,
}

/// What became of a [`Fold`], each in its place.
#[derive(Debug)]
pub struct Folded {
    pub recorded: Vec<Recorded>,
    pub leases: Vec<LeaseState>,
}

/// A lease that counts.
#[derive(Debug, Clone, Copy)]
struct OpenLease {
    id: u64,
    client: NameId,
    /// In milliseconds since 1970.
    at: i64,
    amount: Usd,
}

/// What is spent and leased, kept up while a transaction changes the leases.
struct OpenLeases {
    open: Vec<OpenLease>,
    totals: BTreeMap<(NameId, Timestamp, Timestamp), Totals>,
}

impl Ledger {
    /// The journal of this process.
    pub fn journal(&self, holder: [u8; 8]) -> Journal {
        Journal::new(&self.folder, holder)
    }

    /// What was spent in each of `spans`, and is leased at `now`: by all clients, or by one of the gateway's.
    pub fn spent(&self, client: Option<&str>, spans: &[Span], now: Timestamp) -> LedgerResult<Vec<Spent>> {
        let spent: Vec<Spent> = self.read(|transaction| {
            let client = match client {
                None => 0,
                Some(client) => match transaction.names.find(transaction.sql, client)? {
                    Some(client) => client,
                    None => return Ok(Vec::new()),
                },
            };
            let mut leases = transaction.open_leases(None, now)?;
            spans
                .iter()
                .map(|span| leases.spent(transaction, client, *span))
                .collect()
        })?;
        Ok(if spent.is_empty() {
            vec![Spent::default(); spans.len()]
        } else {
            spent
        })
    }

    /// Does, all of it or nothing, what one process has for the ledger: records what has ended, gives back what is left
    /// of leases, and then adds to them what fits, each in its turn.
    ///
    /// Of a request that is recorded already nothing is recorded again. It survives the end of this process, and a power
    /// cut from the next [`Ledger::sync`] on.
    pub fn fold(&self, fold: &Fold<'_>, now: Timestamp) -> LedgerResult<Folded> {
        let folded = self.write(Survives::Kill, |transaction| transaction.fold(fold, now))?;
        self.wal_length.store(self.wal_length(), Ordering::Relaxed);
        Ok(folded)
    }

    /// Ends a process's part in the ledger: its leases, and its journal, which is recorded to its end.
    pub fn close_journal(&self, holder: &str) -> LedgerResult<()> {
        // Should a power cut bring its files back, it is still known that nothing in them is new.
        if let Some(folder) = journal::open_folder(&self.folder)? {
            folder.sync_names()?;
        }
        self.write(Survives::PowerCut, |transaction| {
            transaction
                .sql
                .prepare_cached("DELETE FROM lease WHERE holder = ?1")?
                .execute([holder])?;
            transaction.forget_journal(holder)
        })
    }

    /// Moves what was written into the database itself, while others read and write.
    pub fn checkpoint(&self) -> LedgerResult<()> {
        let since = std::time::Instant::now();
        match self.open_apart()? {
            Some(open) => open.checkpoint().map_err(|why| self.failed(&why, since)),
            None => Ok(()),
        }
    }

    /// Puts on the disk what [`Ledger::fold`] has done; it does not hold up other writers.
    pub fn sync(&self) -> LedgerResult<()> {
        // What is in the database itself was synced on its way there.
        if let Some(folder) = Folder::open(&self.folder)? {
            folder.sync(connection::WAL)?;
        }
        Ok(())
    }
}

impl Transaction<'_> {
    fn fold(&mut self, fold: &Fold<'_>, now: Timestamp) -> rusqlite::Result<Folded> {
        let mut recorded = Vec::with_capacity(fold.ended.len());
        for record in fold.ended {
            recorded.push(self.record(record)?);
        }
        self.add_up()?;
        if !recorded.is_empty() {
            self.raise_budgets(fold.budgets, now)?;
        }
        if let Some(position) = fold.position {
            self.set_position(fold.holder, position)?;
        }
        if fold.leases.is_empty() {
            return Ok(Folded {
                recorded,
                leases: Vec::new(),
            });
        }
        let latest = now.checked_add(MAX_LEASE_AGE).unwrap_or(Timestamp::MAX);
        self.expire_leases(fold.holder, now, latest)?;
        let fold = &Fold {
            until: fold.until.min(latest),
            ..fold.clone()
        };
        let mut open = self.open_leases(Some(fold.holder), now)?;
        for change in fold.leases {
            if let Some(id) = change.id {
                let client = self.names.of_maybe(self.sql, change.client)?;
                open.set(id, (client, now, change.keep));
            }
        }
        let mut leases = Vec::with_capacity(fold.leases.len());
        for change in fold.leases {
            leases.push(self.change_lease(fold, change, &mut open, now)?);
        }
        Ok(Folded { recorded, leases })
    }

    /// Removes the leases that count no more, but for the holder's own: its machine was asleep.
    fn expire_leases(&self, holder: &str, now: Timestamp, latest: Timestamp) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("UPDATE lease SET until = ?1 WHERE until > ?1")?
            .execute([latest.as_millisecond()])?;
        self.sql
            .prepare_cached("DELETE FROM lease WHERE until <= ?1 AND holder <> ?2")?
            .execute(params![now.as_millisecond(), holder])
            .map(drop)
    }

    fn change_lease(
        &mut self,
        fold: &Fold<'_>,
        change: &LeaseChange<'_>,
        leases: &mut OpenLeases,
        now: Timestamp,
    ) -> rusqlite::Result<LeaseState> {
        let client = self.names.of_maybe(self.sql, change.client)?;
        let mut amount = change.keep;
        let own = leases.own(change.id, client, now);
        let mut asks = Vec::with_capacity(change.asks.len());
        for ask in change.asks {
            let (left, tightest, spent) = leases.left(self, client, change.limits)?;
            asks.push(if *ask > left {
                Granted::No { limit: tightest, spent }
            } else {
                amount = amount + *ask;
                leases.open[own].amount = amount;
                Granted::Yes
            });
        }
        let (mut left, ..) = leases.left(self, client, change.limits)?;
        let slice = change.slice.min(Usd::from_nano(left.nano() / BUDGET_PARTS));
        let usual = change.asks.iter().copied().max().unwrap_or_default();
        if slice >= usual && slice > Usd::ZERO {
            amount = amount + slice;
            left = left - slice;
            leases.open[own].amount = amount;
        }
        let id = self.write_lease(fold, change.id, (client, now, amount))?;
        if let Some(id) = id {
            leases.open[own].id = id.0;
        }
        Ok(LeaseState {
            id,
            amount,
            left: left.or_zero(),
            asks,
        })
    }

    fn write_lease(
        &self,
        fold: &Fold<'_>,
        id: Option<LeaseId>,
        (client, now, amount): (NameId, Timestamp, Usd),
    ) -> rusqlite::Result<Option<LeaseId>> {
        match id {
            Some(LeaseId(id)) if amount <= Usd::ZERO => {
                self.sql
                    .prepare_cached("DELETE FROM lease WHERE id = ?1")?
                    .execute([id])?;
                Ok(None)
            }
            None if amount <= Usd::ZERO => Ok(None),
            Some(LeaseId(id)) => {
                let changed = self
                    .sql
                    .prepare_cached("UPDATE lease SET amount = ?2, until = ?3 WHERE id = ?1")?
                    .execute(params![id, amount.nano(), fold.until.as_millisecond()])?;
                // Where others gave it up meanwhile, it is made anew.
                if changed == 0 {
                    return self.write_lease(fold, None, (client, now, amount));
                }
                Ok(Some(LeaseId(id)))
            }
            None => {
                self.sql
                    .prepare_cached(
                        "INSERT INTO lease (holder, client, at, until, amount) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![
                        fold.holder,
                        client,
                        now.as_millisecond(),
                        fold.until.as_millisecond(),
                        amount.nano(),
                    ])?;
                let id = self.sql.last_insert_rowid();
                Ok(Some(LeaseId(u64::try_from(id).unwrap_or_default())))
            }
        }
    }

    /// What is leased at `now`, with everything that `holder` has.
    fn open_leases(&self, holder: Option<&str>, now: Timestamp) -> rusqlite::Result<OpenLeases> {
        let open = self
            .sql
            .prepare_cached("SELECT id, client, at, amount FROM lease WHERE until > ?1 OR holder = ?2")?
            .query_map(params![now.as_millisecond(), holder], |row| {
                Ok(OpenLease {
                    id: row.get(0)?,
                    client: row.get(1)?,
                    at: row.get(2)?,
                    amount: Usd::from_nano(row.get(3)?),
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(OpenLeases {
            open,
            totals: BTreeMap::new(),
        })
    }
}

impl OpenLeases {
    /// The lease `id` is `amount` from now on.
    fn set(&mut self, LeaseId(id): LeaseId, (client, now, amount): (NameId, Timestamp, Usd)) {
        match self.open.iter_mut().find(|open| open.id == id) {
            Some(open) => open.amount = amount,
            // It has expired: its machine was asleep.
            None => self.open.push(OpenLease {
                id,
                client,
                at: now.as_millisecond(),
                amount,
            }),
        }
    }

    /// The place of a lease, which is made if it is new.
    fn own(&mut self, id: Option<LeaseId>, client: NameId, now: Timestamp) -> usize {
        let found = id.and_then(|LeaseId(id)| self.open.iter().position(|open| open.id == id));
        let place = found.unwrap_or_else(|| {
            self.open.push(OpenLease {
                id: 0,
                client,
                at: now.as_millisecond(),
                amount: Usd::ZERO,
            });
            self.open.len() - 1
        });
        self.open[place].client = client;
        place
    }

    fn spent(&mut self, transaction: &Transaction<'_>, client: NameId, span: Span) -> rusqlite::Result<Spent> {
        // Nothing is recorded meanwhile, and many ask for the same.
        let total = match self.totals.entry((client, span.from, span.to)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => *place.insert(transaction.total(span, client)?),
        };
        Ok(Spent {
            recorded: total.cost,
            reserved: self.open.iter().map(|open| open.within(client, span)).sum(),
            unpriced_requests: total.unpriced_requests,
        })
    }

    /// What is left of the tightest of `limits`, which of them that is, and what is spent of it.
    fn left(
        &mut self,
        transaction: &Transaction<'_>,
        client: NameId,
        limits: &[SpendingLimit],
    ) -> rusqlite::Result<(Usd, usize, Spent)> {
        let mut tightest = (Usd::MAX, 0, Spent::default());
        for (at, limit) in limits.iter().enumerate() {
            let whose = if limit.of_client { client } else { 0 };
            let spent = self.spent(transaction, whose, limit.span)?;
            let left = limit.left(spent);
            if left < tightest.0 {
                tightest = (left, at, spent);
            }
        }
        Ok(tightest)
    }
}

impl OpenLease {
    /// Its amount, where it is of that client (0: of any) and that time.
    fn within(&self, client: NameId, span: Span) -> Usd {
        let is_within = (client == 0 || client == self.client)
            && (span.from.as_millisecond()..span.to.as_millisecond()).contains(&self.at);
        if is_within { self.amount } else { Usd::ZERO }
    }
}
