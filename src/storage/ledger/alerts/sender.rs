//! Who sends: one process at a time; what is muted; and when what was last looked at.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::super::{Ledger, LedgerResult, Survives, Transaction};
use crate::domain::AlertKind;

/// For how long the sender is the only one, should it never be heard of again.
const SENDER_LEASE: SignedDuration = SignedDuration::from_secs(30);

impl Ledger {
    /// Whether `holder` is the one to send for the next 30 seconds.
    pub fn lead_sending(&self, holder: &str, now: Timestamp) -> LedgerResult<bool> {
        let until = now.checked_add(SENDER_LEASE).unwrap_or(Timestamp::MAX);
        self.write(Survives::Kill, |transaction| {
            // One that would last longer was taken before the clock was set back.
            let changed = transaction
                .sql
                .prepare_cached(
                    "INSERT INTO alert_sender VALUES (1, ?1, ?3) ON CONFLICT DO UPDATE
                        SET holder = excluded.holder, until = excluded.until
                        WHERE holder = ?1 OR until <= ?2 OR until > ?3",
                )?
                .execute(params![holder, now.as_millisecond(), until.as_millisecond()])?;
            Ok(changed == 1)
        })
    }

    /// Whether a process sends at `now`, or did in the last 30 seconds; reads only.
    pub fn has_alert_sender(&self, now: Timestamp) -> LedgerResult<bool> {
        let until = now.checked_add(SENDER_LEASE).unwrap_or(Timestamp::MAX);
        self.read(|transaction| {
            transaction
                .sql
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM alert_sender WHERE until > ?1 AND until <= ?2)")?
                .query_row([now.as_millisecond(), until.as_millisecond()], |row| row.get(0))
        })
    }

    /// Lets another process send.
    pub fn stop_sending(&self, holder: &str) -> LedgerResult<()> {
        self.write(Survives::Kill, |transaction| {
            transaction
                .sql
                .prepare_cached("DELETE FROM alert_sender WHERE holder = ?1")?
                .execute([holder])
                .map(drop)
        })
    }

    /// Whether `what` is due, which is done once in each `interval` over all processes; notes that it is done.
    pub fn is_check_due(&self, what: &str, interval: SignedDuration, now: Timestamp) -> LedgerResult<bool> {
        let millis = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        let is_due = |transaction: &mut Transaction<'_>| {
            let last: Option<i64> = transaction
                .sql
                .prepare_cached("SELECT at FROM alert_check WHERE what = ?1")?
                .query_row([what], |row| row.get(0))
                .optional()?;
            Ok(last.is_none_or(|last| (now.as_millisecond() - last).abs() >= millis))
        };
        // Where there is no ledger, there is nothing to look at.
        if !self.read(is_due)? {
            return Ok(false);
        }
        self.write(Survives::Kill, |transaction| {
            let is_due = is_due(transaction)?;
            if is_due {
                transaction
                    .sql
                    .prepare_cached("INSERT OR REPLACE INTO alert_check VALUES (?1, ?2)")?
                    .execute(params![what, now.as_millisecond()])?;
            }
            Ok(is_due)
        })
    }

    /// Sends nothing of `kind` until then; nothing for no longer at all.
    pub fn mute_alerts(&self, kind: AlertKind, until: Option<Timestamp>) -> LedgerResult<()> {
        self.write(Survives::PowerCut, |transaction| {
            let sql = transaction.sql;
            match until {
                Some(until) => sql.execute(
                    "INSERT OR REPLACE INTO alert_mute VALUES (?1, ?2)",
                    params![kind.as_str(), until.as_millisecond()],
                ),
                None => sql.execute("DELETE FROM alert_mute WHERE kind = ?1", [kind.as_str()]),
            }
            .map(drop)
        })
    }

    /// The kinds that are muted at `now`, and until when.
    pub fn muted_alerts(&self, now: Timestamp) -> LedgerResult<Vec<(AlertKind, Timestamp)>> {
        self.read(|transaction| transaction.muted(now))
    }
}

impl Transaction<'_> {
    pub(super) fn muted(&self, now: Timestamp) -> rusqlite::Result<Vec<(AlertKind, Timestamp)>> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT kind, until FROM alert_mute WHERE until > ?1 ORDER BY kind")?;
        let rows = statement.query_map([now.as_millisecond()], |row| {
            let (kind, until): (String, i64) = (row.get(0)?, row.get(1)?);
            Ok(AlertKind::of_name(&kind).zip(Timestamp::from_millisecond(until).ok()))
        })?;
        rows.filter_map(Result::transpose).collect()
    }
}
