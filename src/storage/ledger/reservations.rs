//! What was spent, and money set aside for requests under way: asked and taken in one step, so that no number of
//! processes together passes a budget.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Instant,
};

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{
    Ledger, Recorded, Result, Survives, Totals, Transaction, connection,
    names::{NameId, Series, SeriesId},
    records::{cost_of, time},
    totals::{Additions, Sign},
};
use crate::{
    domain::{Span, UsageRecord, Usd},
    storage::files::Folder,
};

/// What requests of a stretch of time cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// As far as their cost is known.
    pub recorded: Usd,
    /// What is set aside for requests under way.
    pub reserved: Usd,
    /// Requests whose cost nobody knows.
    pub unpriced_requests: u64,
}

/// Names a reservation for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(u64);

/// A request that is to be made, and money to be set aside for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// What the request may cost at most.
    pub amount: Usd,
    /// The budgets that it must fit into.
    pub limits: Vec<Limit>,
    /// When it is given up, should nobody settle or release it.
    pub until: Timestamp,
    /// What is recorded of it then, as a failure: its input alone is counted.
    pub request: UsageRecord,
}

/// A budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub span: Span,
    /// Only what the same client spends counts, not what everybody does.
    pub of_client: bool,
    pub most: Usd,
}

/// Whether money was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    Granted(ReservationId),
    /// It did not fit into the limit of that place in the list.
    Refused {
        limit: usize,
        spent: Spent,
    },
}

/// What requests need of the ledger at a time.
#[derive(Debug, Default)]
pub struct Entries<'a> {
    /// Those that have ended, with what was set aside for them.
    pub ended: Vec<(Option<ReservationId>, &'a UsageRecord)>,
    /// What was set aside for nothing.
    pub released: &'a [ReservationId],
    pub asked: &'a [Reserve],
    /// What the process that writes has under way: it is put off rather than given up.
    pub under_way: Option<&'a BTreeSet<ReservationId>>,
}

/// What became of [`Entries`], each in its place.
#[derive(Debug)]
pub struct Kept {
    pub recorded: Vec<Recorded>,
    pub reserved: Vec<Reserved>,
}

/// A reservation that counts.
#[derive(Debug, Clone, Copy)]
struct Open {
    client: NameId,
    /// In milliseconds since 1970.
    at: i64,
    amount: Usd,
}

impl Ledger {
    /// What was spent in each of `spans`, and is reserved at `now`: by everybody, or by one of the gateway's clients.
    pub fn spent(&self, client: Option<&str>, spans: &[Span], now: Timestamp) -> Result<Vec<Spent>> {
        let spent: Vec<Spent> = self.read(|transaction| {
            let client = match client {
                None => 0,
                Some(client) => match transaction.names.find(transaction.sql, client)? {
                    Some(client) => client,
                    None => return Ok(Vec::new()),
                },
            };
            spans.iter().map(|span| transaction.spent(client, *span, now)).collect()
        })?;
        Ok(if spent.is_empty() {
            vec![Spent::default(); spans.len()]
        } else {
            spent
        })
    }

    /// Sets money aside if it fits into every limit together with what is spent and reserved already.
    pub fn reserve(&self, ask: &Reserve, now: Timestamp) -> Result<Reserved> {
        let entries = Entries {
            asked: std::slice::from_ref(ask),
            ..Entries::default()
        };
        let kept = self.keep(&entries, now)?;
        kept.reserved
            .first()
            .copied()
            .ok_or_else(|| self.failed(&rusqlite::Error::QueryReturnedNoRows, Instant::now()))
    }

    /// Puts off to `until` when those of `ids` are given up that are still there.
    pub fn renew(&self, ids: impl IntoIterator<Item = ReservationId>, until: Timestamp) -> Result<()> {
        self.write(Survives::Kill, |transaction| {
            ids.into_iter().try_for_each(|id| transaction.put_off(id, until))
        })
    }

    /// Does, all of it or nothing, what many requests need: records those that have ended with the reservations that they
    /// had, frees what became nothing, and then sets money aside for others, each in its turn.
    ///
    /// A reservation may have expired, or have been freed before. Of a request that is recorded already nothing is recorded
    /// again; but where it was given up, how it ended stands in the place of what was supposed.
    ///
    /// It survives the end of this process, and a power cut from the next [`Ledger::sync`] on.
    pub fn keep(&self, entries: &Entries<'_>, now: Timestamp) -> Result<Kept> {
        self.write(Survives::Kill, |transaction| transaction.keep(entries, now))
    }

    /// Moves what was written into the database itself, while others read and write.
    pub fn checkpoint(&self) -> Result<()> {
        let since = Instant::now();
        match self.open_apart()? {
            Some(open) => open.checkpoint().map_err(|why| self.failed(&why, since)),
            None => Ok(()),
        }
    }

    /// Puts on the disk what [`Ledger::keep`] has done; nobody waits for it who writes meanwhile.
    pub fn sync(&self) -> Result<()> {
        // What is in the database itself was synced on its way there.
        if let Some(folder) = Folder::open(&self.folder)? {
            folder.sync(connection::WAL)?;
        }
        Ok(())
    }
}

impl Transaction<'_> {
    fn keep(&mut self, entries: &Entries<'_>, now: Timestamp) -> rusqlite::Result<Kept> {
        let mut recorded = Vec::with_capacity(entries.ended.len());
        for (reservation, record) in &entries.ended {
            if let Some(id) = reservation {
                self.release(*id)?;
            }
            let mut kept = self.record(record)?;
            if kept.duplicate && self.take_back(kept.id)? {
                kept = self.record(record)?;
            }
            recorded.push(kept);
        }
        for id in entries.released {
            self.release(*id)?;
        }
        if let Some(until) = entries.asked.iter().map(|ask| ask.until).max() {
            let is_own = |id| entries.under_way.is_some_and(|own| own.contains(&id));
            self.give_up(now, is_own, until)?;
        }
        self.add_up()?;
        let reserved = self.reserve_each(entries.asked, now)?;
        Ok(Kept { recorded, reserved })
    }

    fn release(&self, id: ReservationId) -> rusqlite::Result<()> {
        let mut statement = self.sql.prepare_cached("DELETE FROM reservation WHERE id = ?1")?;
        statement.execute([id.0]).map(drop)
    }

    fn put_off(&self, id: ReservationId, until: Timestamp) -> rusqlite::Result<()> {
        let mut statement = self
            .sql
            .prepare_cached("UPDATE reservation SET until = ?2 WHERE id = ?1")?;
        statement.execute(params![id.0, until.as_millisecond()]).map(drop)
    }

    fn spent(&self, client: NameId, span: Span, now: Timestamp) -> rusqlite::Result<Spent> {
        let total = self.total(span, client)?;
        Ok(Spent::of(&total, &self.reservations(now)?, client, span))
    }

    /// What is set aside at `now`.
    fn reservations(&self, now: Timestamp) -> rusqlite::Result<Vec<Open>> {
        self.sql
            .prepare_cached("SELECT client, at, amount FROM reservation WHERE until > ?1")?
            .query_map([now.as_millisecond()], |row| {
                Ok(Open {
                    client: row.get(0)?,
                    at: row.get(1)?,
                    amount: Usd::from_nano(row.get(2)?),
                })
            })?
            .collect()
    }

    fn reserve_each(&mut self, asked: &[Reserve], now: Timestamp) -> rusqlite::Result<Vec<Reserved>> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let mut open = self.reservations(now)?;
        // Nothing is recorded meanwhile, and many ask for the same.
        let mut totals = BTreeMap::new();
        let mut answers = Vec::with_capacity(asked.len());
        for ask in asked {
            let (series_id, series) = self.names.series_of(self.sql, &ask.request)?;
            let client = series.client;
            let mut refused = None;
            for (at, limit) in ask.limits.iter().enumerate() {
                let (whose, span) = (if limit.of_client { client } else { 0 }, limit.span);
                let total = match totals.entry((whose, span.from, span.to)) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(place) => *place.insert(self.total(span, whose)?),
                };
                let spent = Spent::of(&total, &open, whose, span);
                if spent.recorded + spent.reserved + ask.amount > limit.most {
                    refused = Some(Reserved::Refused { limit: at, spent });
                    break;
                }
            }
            answers.push(if let Some(refused) = refused {
                refused
            } else {
                open.push(Open {
                    client,
                    at: now.as_millisecond(),
                    amount: ask.amount,
                });
                Reserved::Granted(self.set_aside(series_id, &series, ask, now)?)
            });
        }
        Ok(answers)
    }

    fn set_aside(
        &mut self,
        series_id: SeriesId,
        series: &Series,
        ask: &Reserve,
        now: Timestamp,
    ) -> rusqlite::Result<ReservationId> {
        let request = &ask.request;
        let id = self
            .sql
            .prepare_cached("UPDATE meta SET reservations = reservations + 1 RETURNING reservations")?
            .query_row([], |row| row.get(0))?;
        let session = self.names.of_maybe(self.sql, request.session.as_deref())?;
        let service = self.names.of(self.sql, request.service.as_str())?;
        let price = self.names.of_maybe(self.sql, request.cost.price())?;
        self.sql
            .prepare_cached("INSERT INTO reservation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")?
            .execute(params![
                id,
                series.client,
                now.as_millisecond(),
                ask.until.as_millisecond(),
                ask.amount.nano(),
                series_id,
                session,
                service,
                request.tokens.input(),
                request.cost.usd().map(Usd::nano),
                price,
                series.provider,
                request.request_id,
            ])?;
        Ok(ReservationId(id))
    }

    /// Records the requests that nobody will say the end of any more: their process was killed. Our `own` are put off to
    /// `until`: the machine was asleep.
    fn give_up(
        &mut self,
        now: Timestamp,
        is_own: impl Fn(ReservationId) -> bool,
        until: Timestamp,
    ) -> rusqlite::Result<()> {
        let given_up: Vec<(u64, i64, SeriesId, u64, Option<i64>, bool)> = self
            .sql
            .prepare_cached(
                "SELECT id, at, series, input_tokens, cost, EXISTS (
                     SELECT 1 FROM record WHERE provider = reservation.provider AND request_id = reservation.request_id)
                 FROM reservation WHERE until <= ?1 ORDER BY id",
            )?
            .query_map([now.as_millisecond()], |row| row.try_into())?
            .collect::<rusqlite::Result<_>>()?;
        for (id, at, series_id, input_tokens, cost, is_recorded) in given_up {
            if is_own(ReservationId(id)) {
                self.put_off(ReservationId(id), until)?;
                continue;
            }
            if !is_recorded {
                let number = self.next_record()?;
                self.sql
                    .prepare_cached(
                        "INSERT INTO record
                         SELECT ?2, at, series, session, service, input_tokens, 0, 0, 0, 0, 0, cost, 1, price, 0, NULL, NULL,
                             provider, request_id
                         FROM reservation WHERE id = ?1",
                    )?
                    .execute([id, number])?;
                let client = self.names.series(self.sql, series_id)?.client;
                self.additions
                    .add(time(at)?, series_id, client, Totals::given_up(input_tokens, cost));
            }
            self.release(ReservationId(id))?;
        }
        Ok(())
    }

    /// Removes the record `id` where it is of a request that was given up, and from the sums what it added to them.
    fn take_back(&mut self, id: u64) -> rusqlite::Result<bool> {
        // How long a request took is known of each whose end somebody told.
        let found: Option<(i64, SeriesId, u64, Option<i64>)> = self
            .sql
            .prepare_cached(
                "DELETE FROM record WHERE id = ?1 AND basis = 1 AND NOT success AND status_code IS NULL
                     AND latency_ms IS NULL
                 RETURNING at, series, input_tokens, cost",
            )?
            .query_row([id], |row| row.try_into())
            .optional()?;
        let Some((at, series_id, input_tokens, cost)) = found else {
            return Ok(false);
        };
        let client = self.names.series(self.sql, series_id)?.client;
        let mut taken = Additions::default();
        taken.add(time(at)?, series_id, client, Totals::given_up(input_tokens, cost));
        taken.write(self.sql, Sign::Minus)?;
        Ok(true)
    }
}

impl Totals {
    /// Those of a request that was given up: of its prompt alone.
    fn given_up(input_tokens: u64, cost: Option<i64>) -> Self {
        Self {
            requests: 1,
            errors: 1,
            input_tokens,
            cost: cost_of(cost).unwrap_or_default(),
            unpriced_requests: u64::from(cost.is_none()),
            ..Self::default()
        }
    }
}

impl Spent {
    fn of(total: &Totals, open: &[Open], client: NameId, span: Span) -> Self {
        Self {
            recorded: total.cost,
            reserved: open.iter().map(|open| open.within(client, span)).sum(),
            unpriced_requests: total.unpriced_requests,
        }
    }
}

impl Open {
    /// Its amount, where it is of that client (0: of anybody) and that time.
    fn within(&self, client: NameId, span: Span) -> Usd {
        let is_within = (client == 0 || client == self.client)
            && (span.from.as_millisecond()..span.to.as_millisecond()).contains(&self.at);
        if is_within { self.amount } else { Usd::ZERO }
    }
}
