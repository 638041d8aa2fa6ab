//! Raising and resolving: each change of an alert makes one notice, over all processes.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::super::{Ledger, LedgerResult, Survives, Transaction};
use crate::domain::{AlertChange, AlertKind, AlertSeverity, BudgetWatch, NewAlert};

/// How long an alert must have lasted for its end to be worth a message.
const MIN_LASTING: SignedDuration = SignedDuration::from_mins(5);
/// How often a critical alert that lasts is repeated.
const REMINDER_INTERVAL: SignedDuration = SignedDuration::from_hours(24);
/// How often the time of an alert that lasts is noted.
const NOTE_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// What is known of an alert that is raised again.
struct KnownAlert {
    id: i64,
    level: u32,
    is_firing: bool,
    last_at: i64,
    noticed_at: i64,
}

impl Ledger {
    /// Raises `alert`; returns whether there is something new to say.
    pub fn raise(&self, alert: &NewAlert, now: Timestamp) -> LedgerResult<bool> {
        let is_old = self.read(|transaction| {
            let known = transaction.known_alert(alert)?;
            Ok(known.is_some_and(|known| known.change(alert, now).is_none() && !known.is_stale(now)))
        })?;
        if is_old {
            return Ok(false);
        }
        self.write(Survives::Kill, |transaction| transaction.raise(alert, now))
    }

    /// Whether the alert is the caller's to report: true once for each kind, subject, window and level, over all
    /// processes.
    pub fn alert_once(&self, alert: &NewAlert, now: Timestamp) -> LedgerResult<bool> {
        let identity = params![alert.kind.as_str(), alert.subject(), window(alert), alert.level];
        let is_shown = self.read(|transaction| {
            let shown = transaction
                .sql
                .prepare_cached(
                    "SELECT 1 FROM alert WHERE kind = ?1 AND subject = ?2 AND window_start = ?3 AND shown >= ?4",
                )?
                .query_row(identity, |_| Ok(()))
                .optional()?;
            Ok(shown.is_some())
        })?;
        if is_shown {
            return Ok(false);
        }
        self.write(Survives::Kill, |transaction| {
            transaction.raise(alert, now)?;
            let changed = transaction
                .sql
                .prepare_cached(
                    "UPDATE alert SET shown = ?4 WHERE kind = ?1 AND subject = ?2 AND window_start = ?3 AND shown < ?4",
                )?
                .execute(identity)?;
            Ok(changed == 1)
        })
    }

    /// Raises what is due for the budgets as they are spent now; returns whether there is something new to say.
    pub fn watch_budgets(&self, budgets: &[BudgetWatch], now: Timestamp) -> LedgerResult<bool> {
        let due = self.read(|transaction| {
            let mut due = Vec::new();
            for alert in transaction.due_budgets(budgets)? {
                let known = transaction.known_alert(&alert)?;
                if known.is_none_or(|known| known.change(&alert, now).is_some()) {
                    due.push(alert);
                }
            }
            Ok(due)
        })?;
        let mut is_new = false;
        for alert in due {
            is_new |= self.raise(&alert, now)?;
        }
        Ok(is_new)
    }

    /// Ends the alerts of `kind` whose subject is not among `lasting`.
    pub fn resolve_others(&self, kind: AlertKind, lasting: &[&str], now: Timestamp) -> LedgerResult<()> {
        let ended = self.read(|transaction| {
            let mut statement = transaction
                .sql
                .prepare_cached("SELECT id, subject FROM alert WHERE kind = ?1 AND is_firing = 1")?;
            let firing = statement.query_map([kind.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let firing: Vec<(i64, String)> = firing.collect::<rusqlite::Result<_>>()?;
            let is_over = |(_, subject): &(i64, String)| !lasting.contains(&subject.as_str());
            Ok(firing.into_iter().filter(is_over).map(|(id, _)| id).collect::<Vec<_>>())
        })?;
        if ended.is_empty() {
            return Ok(());
        }
        self.write(Survives::Kill, |transaction| {
            ended.iter().try_for_each(|id| transaction.end_alert(*id, now))
        })
    }
}

impl Transaction<'_> {
    /// Raises what is due for `budgets`, in the transaction that has spent them.
    pub(in crate::storage::ledger) fn raise_budgets(
        &mut self,
        budgets: &[BudgetWatch],
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        for alert in self.due_budgets(budgets)? {
            self.raise(&alert, now)?;
        }
        Ok(())
    }

    fn due_budgets(&self, budgets: &[BudgetWatch]) -> rusqlite::Result<Vec<NewAlert>> {
        let mut due = Vec::new();
        for budget in budgets {
            due.extend(budget.alert(self.cost(budget.span)?));
        }
        Ok(due)
    }

    /// Raises `alert`; returns whether there is something new to say.
    pub(super) fn raise(&self, alert: &NewAlert, now: Timestamp) -> rusqlite::Result<bool> {
        let Some(known) = self.known_alert(alert)? else {
            self.sql
                .prepare_cached(
                    "INSERT INTO alert (kind, subject, window_start, severity, level, shown, is_firing, first_at, last_at,
                        noticed_at, count, text, command)
                     VALUES (?1, ?2, ?3, ?4, ?5, 0, 1, ?6, ?6, ?6, 1, ?7, ?8)",
                )?
                .execute(params![
                    alert.kind.as_str(),
                    alert.subject(),
                    window(alert),
                    alert.severity.number(),
                    alert.level,
                    now.as_millisecond(),
                    alert.text(),
                    alert.command(),
                ])?;
            self.add_notice(self.sql.last_insert_rowid(), AlertChange::Firing, now)?;
            return Ok(true);
        };
        let Some(change) = known.change(alert, now) else {
            if known.is_stale(now) {
                self.sql
                    .prepare_cached("UPDATE alert SET last_at = ?2, count = count + 1 WHERE id = ?1")?
                    .execute(params![known.id, now.as_millisecond()])?;
            }
            return Ok(false);
        };
        self.sql
            .prepare_cached(
                "UPDATE alert SET severity = ?2, level = ?3, last_at = ?4, noticed_at = ?4, text = ?5, command = ?6,
                    count = count + 1, first_at = CASE is_firing WHEN 1 THEN first_at ELSE ?4 END, is_firing = 1
                 WHERE id = ?1",
            )?
            .execute(params![
                known.id,
                alert.severity.number(),
                alert.level,
                now.as_millisecond(),
                alert.text(),
                alert.command(),
            ])?;
        self.add_notice(known.id, change, now)?;
        Ok(true)
    }

    fn end_alert(&self, id: i64, now: Timestamp) -> rusqlite::Result<()> {
        let first_at: Option<i64> = self
            .sql
            .prepare_cached(
                "UPDATE alert SET is_firing = 0, last_at = ?2 WHERE id = ?1 AND is_firing = 1 RETURNING first_at",
            )?
            .query_row(params![id, now.as_millisecond()], |row| row.get(0))
            .optional()?;
        let has_lasted = first_at.is_some_and(|at| now.as_millisecond() - at >= millis(MIN_LASTING));
        if has_lasted {
            self.add_notice(id, AlertChange::Resolved, now)?;
        }
        Ok(())
    }

    /// Makes a notice of an alert as it is now.
    fn add_notice(&self, id: i64, change: AlertChange, now: Timestamp) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached(
                "INSERT INTO notice (alert, change, severity, at, text, command)
                 SELECT id, ?2, severity, ?3, text, command FROM alert WHERE id = ?1",
            )?
            .execute(params![id, change.as_str(), now.as_millisecond()])
            .map(drop)
    }

    fn known_alert(&self, alert: &NewAlert) -> rusqlite::Result<Option<KnownAlert>> {
        self.sql
            .prepare_cached(
                "SELECT id, level, is_firing, last_at, noticed_at FROM alert
                 WHERE kind = ?1 AND subject = ?2 AND window_start = ?3",
            )?
            .query_row(params![alert.kind.as_str(), alert.subject(), window(alert)], |row| {
                Ok(KnownAlert {
                    id: row.get(0)?,
                    level: row.get(1)?,
                    is_firing: row.get(2)?,
                    last_at: row.get(3)?,
                    noticed_at: row.get(4)?,
                })
            })
            .optional()
    }
}

impl KnownAlert {
    /// What there is to say where it is raised again as `alert`.
    fn change(&self, alert: &NewAlert, now: Timestamp) -> Option<AlertChange> {
        if !self.is_firing {
            return Some(AlertChange::Firing);
        }
        if alert.level > self.level {
            return Some(AlertChange::Escalated);
        }
        let is_due = now.as_millisecond() - self.noticed_at >= millis(REMINDER_INTERVAL);
        let is_repeated = alert.kind.is_repeated() && alert.severity == AlertSeverity::Critical;
        (is_due && is_repeated).then_some(AlertChange::Reminder)
    }

    /// Whether it was noted long enough ago to note the time anew.
    fn is_stale(&self, now: Timestamp) -> bool {
        (now.as_millisecond() - self.last_at).abs() >= millis(NOTE_INTERVAL)
    }
}

/// The alert's window as the ledger keeps it.
fn window(alert: &NewAlert) -> i64 {
    alert.window_start.map_or(0, Timestamp::as_millisecond)
}

fn millis(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
