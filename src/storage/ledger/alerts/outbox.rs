//! The outbox: which notices go to which destination, and with which message.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use super::super::{
    Ledger, LedgerResult, Survives, Transaction,
    columns::{strange, time},
};
use crate::domain::{AlertChange, AlertKind, AlertSeverity, NewAlert, Notice};

/// How many notices are read at once.
const MAX_NOTICES: i64 = 10_000;
/// How far back messages are counted.
const COUNTED: SignedDuration = SignedDuration::from_hours(1);

/// What waits for one destination.
#[derive(Debug, Clone, Default)]
pub struct DestinationQueue {
    /// Notices that are in no message yet, oldest first.
    pub waiting: Vec<Notice>,
    /// A message that was not accepted yet: nothing else is sent before.
    pub pending: Option<OutboundMessage>,
    /// When the messages of the last hour were made, oldest first.
    pub made: Vec<Timestamp>,
    pub is_dead: bool,
}

/// A message to a destination.
#[derive(Debug, Clone)]
pub struct OutboundMessage {
    pub id: i64,
    /// Stays the same over all attempts.
    pub stable_id: String,
    pub made_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    pub next_at: Timestamp,
    pub notices: Vec<Notice>,
}

const NOTICES: &str = "
    SELECT notice.id, alert, kind, subject, change, notice.severity, notice.at, notice.text, notice.command
    FROM notice JOIN alert ON alert.id = notice.alert";

impl Ledger {
    /// Whether something is not sent yet; reads only.
    pub fn has_unsent_alerts(&self) -> LedgerResult<bool> {
        self.read(|transaction| {
            transaction
                .sql
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM notice WHERE is_planned = 0)
                        OR EXISTS (SELECT 1 FROM delivery WHERE message = 0)
                        OR EXISTS (SELECT 1 FROM message WHERE state = 'pending')",
                )?
                .query_row([], |row| row.get(0))
        })
    }

    /// Decides, once for each notice, to which destinations it goes: those that `route` names, unless the kind is muted
    /// or the destination is dead.
    pub fn plan_notices(&self, now: Timestamp, mut route: impl FnMut(&Notice) -> Vec<String>) -> LedgerResult<()> {
        let has_new: bool = self.read(|transaction| {
            transaction
                .sql
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM notice WHERE is_planned = 0)")?
                .query_row([], |row| row.get(0))
        })?;
        if !has_new {
            return Ok(());
        }
        self.write(Survives::Kill, |transaction| {
            let new = transaction.notices("WHERE is_planned = 0 ORDER BY notice.id", [])?;
            let muted = transaction.muted(now)?;
            for notice in &new {
                let is_muted = muted.iter().any(|(kind, _)| *kind == notice.kind);
                for destination in if is_muted { Vec::new() } else { route(notice) } {
                    transaction
                        .sql
                        .prepare_cached(
                            "INSERT OR IGNORE INTO delivery (destination, notice)
                             SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM dead_destination WHERE name = ?1)",
                        )?
                        .execute(params![destination, notice.id])?;
                }
                transaction
                    .sql
                    .prepare_cached("UPDATE notice SET is_planned = 1 WHERE id = ?1")?
                    .execute([notice.id])?;
            }
            Ok(())
        })
    }

    /// What waits for `destination`.
    pub fn queue(&self, destination: &str, now: Timestamp) -> LedgerResult<DestinationQueue> {
        self.read(|transaction| {
            let waiting = transaction.notices(
                "JOIN delivery ON delivery.notice = notice.id WHERE destination = ?1 AND message = 0
                 ORDER BY notice.id LIMIT ?2",
                params![destination, MAX_NOTICES],
            )?;
            let pending = transaction.pending(destination)?;
            let since = now.checked_sub(COUNTED).unwrap_or(Timestamp::MIN);
            // One from the future was made before the clock was set back, and does not count.
            let made = transaction
                .sql
                .prepare_cached(
                    "SELECT made_at FROM message WHERE destination = ?1 AND made_at > ?2 AND made_at <= ?3 ORDER BY made_at",
                )?
                .query_map(
                    params![destination, since.as_millisecond(), now.as_millisecond()],
                    |row| time(row.get(0)?),
                )?
                .collect::<rusqlite::Result<_>>()?;
            let is_dead = transaction
                .sql
                .prepare_cached("SELECT 1 FROM dead_destination WHERE name = ?1")?
                .query_row([destination], |_| Ok(()))
                .optional()?
                .is_some();
            Ok(DestinationQueue {
                waiting,
                pending,
                made,
                is_dead,
            })
        })
    }

    /// Puts the `notices`, of those that wait for `destination`, into one message.
    pub fn make_message(
        &self,
        destination: &str,
        notices: &[Notice],
        now: Timestamp,
    ) -> LedgerResult<Option<OutboundMessage>> {
        self.write(Survives::PowerCut, |transaction| {
            let id = transaction
                .sql
                .prepare_cached(
                    "INSERT INTO message (stable_id, destination, made_at, attempts, next_at, state, result)
                     VALUES (lower(hex(randomblob(16))), ?1, ?2, 0, ?2, 'pending', '')",
                )?
                .insert(params![destination, now.as_millisecond()])?;
            for notice in notices {
                transaction
                    .sql
                    .prepare_cached(
                        "UPDATE delivery SET message = ?3 WHERE destination = ?1 AND notice = ?2 AND message = 0",
                    )?
                    .execute(params![destination, notice.id, id])?;
            }
            transaction.pending(destination)
        })
    }

    /// The message was accepted.
    pub fn message_sent(&self, id: i64, result: &str) -> LedgerResult<()> {
        self.settle_message(id, "sent", result, None)
    }

    /// The message was not accepted, and is tried again at `next_at`; given up where there is none.
    pub fn message_not_sent(&self, id: i64, result: &str, next_at: Option<Timestamp>) -> LedgerResult<()> {
        let state = if next_at.is_some() { "pending" } else { "failed" };
        self.settle_message(id, state, result, next_at)
    }

    fn settle_message(&self, id: i64, state: &str, result: &str, next_at: Option<Timestamp>) -> LedgerResult<()> {
        self.write(Survives::PowerCut, |transaction| {
            transaction
                .sql
                .prepare_cached(
                    "UPDATE message SET state = ?2, result = ?3, attempts = attempts + 1,
                        next_at = coalesce(?4, next_at) WHERE id = ?1",
                )?
                .execute(params![id, state, result, next_at.map(Timestamp::as_millisecond)])
                .map(drop)
        })
    }

    /// Sends nothing more to a destination: what waits for it has failed, and `alert` tells other destinations.
    pub fn give_up_destination(&self, name: &str, reason: &str, alert: &NewAlert, now: Timestamp) -> LedgerResult<()> {
        self.write(Survives::PowerCut, |transaction| {
            let sql = transaction.sql;
            sql.prepare_cached("INSERT OR IGNORE INTO dead_destination VALUES (?1, ?2, ?3)")?
                .execute(params![name, now.as_millisecond(), reason])?;
            sql.prepare_cached("UPDATE message SET state = 'failed' WHERE destination = ?1 AND state = 'pending'")?
                .execute([name])?;
            sql.prepare_cached("DELETE FROM delivery WHERE destination = ?1 AND message = 0")?
                .execute([name])?;
            transaction.raise(alert, now).map(drop)
        })
    }

    /// Sends to a destination again.
    pub fn revive_destination(&self, name: &str, now: Timestamp) -> LedgerResult<()> {
        let dead = self.dead_destinations()?;
        if !dead.iter().any(|(dead, _)| dead == name) {
            return Ok(());
        }
        self.write(Survives::PowerCut, |transaction| {
            transaction
                .sql
                .execute("DELETE FROM dead_destination WHERE name = ?1", [name])
        })?;
        let left: Vec<&str> = dead
            .iter()
            .map(|(dead, _)| dead.as_str())
            .filter(|dead| *dead != name)
            .collect();
        self.resolve_others(AlertKind::DestinationDead, &left, now)
    }

    /// Forgets a destination that was removed, with all that waits for it.
    pub fn forget_destination(&self, name: &str, now: Timestamp) -> LedgerResult<()> {
        self.revive_destination(name, now)?;
        let waits = self.queue(name, now)?;
        if waits.waiting.is_empty() && waits.pending.is_none() {
            return Ok(());
        }
        self.write(Survives::PowerCut, |transaction| {
            let sql = transaction.sql;
            sql.execute("DELETE FROM delivery WHERE destination = ?1 AND message = 0", [name])?;
            sql.execute(
                "UPDATE message SET state = 'failed', result = 'the destination was removed'
                 WHERE destination = ?1 AND state = 'pending'",
                [name],
            )
            .map(drop)
        })
    }

    /// The destinations that take no more messages, and why.
    pub fn dead_destinations(&self) -> LedgerResult<Vec<(String, String)>> {
        self.read(|transaction| {
            transaction
                .sql
                .prepare_cached("SELECT name, reason FROM dead_destination")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }
}

impl Transaction<'_> {
    pub(super) fn notices(&self, condition: &str, values: impl rusqlite::Params) -> rusqlite::Result<Vec<Notice>> {
        self.sql
            .prepare_cached(&format!("{NOTICES} {condition}"))?
            .query_map(values, notice)?
            .collect()
    }

    /// The message to `destination` that was not accepted yet.
    fn pending(&self, destination: &str) -> rusqlite::Result<Option<OutboundMessage>> {
        let found = self
            .sql
            .prepare_cached(
                "SELECT id, stable_id, made_at, attempts, next_at FROM message
                 WHERE destination = ?1 AND state = 'pending' ORDER BY id LIMIT 1",
            )?
            .query_row([destination], |row| {
                Ok(OutboundMessage {
                    id: row.get(0)?,
                    stable_id: row.get(1)?,
                    made_at: time(row.get(2)?)?,
                    attempts: row.get(3)?,
                    next_at: time(row.get(4)?)?,
                    notices: Vec::new(),
                })
            })
            .optional()?;
        let Some(mut message) = found else {
            return Ok(None);
        };
        message.notices = self.notices(
            "JOIN delivery ON delivery.notice = notice.id WHERE delivery.message = ?1 ORDER BY notice.id",
            [message.id],
        )?;
        Ok(Some(message))
    }
}

fn notice(row: &Row<'_>) -> rusqlite::Result<Notice> {
    let (kind, change, severity): (String, String, i64) = (row.get(2)?, row.get(4)?, row.get(5)?);
    Ok(Notice {
        id: row.get(0)?,
        alert: row.get(1)?,
        kind: AlertKind::of_name(&kind).ok_or_else(|| strange("a kind of alert"))?,
        subject: row.get(3)?,
        change: AlertChange::of_name(&change).ok_or_else(|| strange("a change of an alert"))?,
        severity: AlertSeverity::of_number(severity).ok_or_else(|| strange("a severity"))?,
        at: time(row.get(6)?)?,
        text: row.get(7)?,
        command: row.get(8)?,
    })
}
