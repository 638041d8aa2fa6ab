//! What was spent, and money set aside for requests under way: asked and taken in one step, so that no number of
//! processes together passes a budget.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Ledger, Recorded, Result, Survives, Transaction, names::NameId, records::cost_of};
use crate::domain::{Span, UsageRecord, Usd};

/// How long what became of a reservation is remembered after it ended, in milliseconds.
const REMEMBERED: i64 = 24 * 3_600_000;

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

/// Money to be set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve<'a> {
    /// What the request may cost at most.
    pub amount: Usd,
    /// The gateway's client that makes it.
    pub client: Option<&'a str>,
    /// The budgets that it must fit into.
    pub limits: &'a [Limit],
    /// When it is given up, should nobody settle or release it.
    pub until: Timestamp,
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
    pub fn reserve(&self, ask: &Reserve<'_>, now: Timestamp) -> Result<Reserved> {
        self.write(Survives::Kill, |transaction| transaction.reserve(ask, now))
    }

    /// Records what a reservation became, and frees it; it may have expired. A second time changes nothing.
    pub fn settle(&self, id: ReservationId, record: &UsageRecord) -> Result<Recorded> {
        self.write(Survives::PowerCut, |transaction| transaction.settle(id, record))
    }

    /// Records many requests at once, each with the reservation that it had: all of them, or none.
    ///
    /// A reservation that was settled before is not recorded again.
    pub fn settle_all(&self, settled: &[(Option<ReservationId>, UsageRecord)]) -> Result<()> {
        self.write(Survives::PowerCut, |transaction| {
            for (reservation, record) in settled {
                match reservation {
                    Some(id) => transaction.settle(*id, record)?,
                    None => transaction.record(record)?,
                };
            }
            Ok(())
        })
    }

    /// Frees a reservation that became nothing. A second time, or of a settled one, changes nothing.
    pub fn release(&self, id: ReservationId) -> Result<()> {
        self.write(Survives::Kill, |transaction| {
            transaction
                .sql
                .prepare_cached("DELETE FROM reservation WHERE id = ?1 AND record IS NULL")?
                .execute([id.0])?;
            Ok(())
        })
    }
}

impl Transaction<'_> {
    fn spent(&self, client: NameId, span: Span, now: Timestamp) -> rusqlite::Result<Spent> {
        let total = self.total(span, client)?;
        let mut reserved = Usd::ZERO;
        let mut statement = self.sql.prepare_cached(
            "SELECT amount FROM reservation
             WHERE record IS NULL AND until > ?1 AND at >= ?2 AND at < ?3 AND (?4 = 0 OR client = ?4)",
        )?;
        let mut rows = statement.query([
            now.as_millisecond(),
            span.from.as_millisecond(),
            span.to.as_millisecond(),
            client,
        ])?;
        while let Some(row) = rows.next()? {
            reserved = reserved + Usd::from_nano(row.get(0)?);
        }
        Ok(Spent {
            recorded: total.cost,
            reserved,
            unpriced_requests: total.unpriced_requests,
        })
    }

    fn reserve(&mut self, ask: &Reserve<'_>, now: Timestamp) -> rusqlite::Result<Reserved> {
        let client = self.names.of_maybe(self.sql, ask.client)?;
        for (at, limit) in ask.limits.iter().enumerate() {
            let spent = self.spent(if limit.of_client { client } else { 0 }, limit.span, now)?;
            if spent.recorded + spent.reserved + ask.amount > limit.most {
                return Ok(Reserved::Refused { limit: at, spent });
            }
        }
        self.sql
            .prepare_cached("DELETE FROM reservation WHERE until < ?1")?
            .execute([now.as_millisecond() - REMEMBERED])?;
        let id = self
            .sql
            .prepare_cached("UPDATE meta SET reservations = reservations + 1 RETURNING reservations")?
            .query_row([], |row| row.get(0))?;
        self.sql
            .prepare_cached("INSERT INTO reservation VALUES (?1, ?2, ?3, ?4, ?5, NULL)")?
            .execute(params![
                id,
                client,
                now.as_millisecond(),
                ask.until.as_millisecond(),
                ask.amount.nano()
            ])?;
        Ok(Reserved::Granted(ReservationId(id)))
    }

    fn settle(&mut self, id: ReservationId, record: &UsageRecord) -> rusqlite::Result<Recorded> {
        let before = self
            .sql
            .prepare_cached(
                "SELECT record, (SELECT cost FROM record WHERE id = reservation.record) FROM reservation
                 WHERE id = ?1 AND record IS NOT NULL",
            )?
            .query_row([id.0], |row| {
                Ok(Recorded {
                    id: row.get(0)?,
                    duplicate: true,
                    cost: cost_of(row.get(1)?),
                })
            })
            .optional()?;
        if let Some(recorded) = before {
            return Ok(recorded);
        }
        let recorded = self.record(record)?;
        self.sql
            .prepare_cached("UPDATE reservation SET record = ?2 WHERE id = ?1")?
            .execute([id.0, recorded.id])?;
        Ok(recorded)
    }
}
