//! Budget alerts: each is given once, by one process.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Ledger, Result, Survives, records::time};

/// An alert that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub budget: String,
    pub window_start: Timestamp,
    /// The part of the limit that was reached, in percent.
    pub threshold: u8,
    pub at: Timestamp,
}

impl Ledger {
    /// Whether the alert is the caller's to give: true once for each budget, window and threshold, over all processes.
    pub fn alert_once(&self, budget: &str, window_start: Timestamp, threshold: u8, now: Timestamp) -> Result<bool> {
        let alert = params![budget, window_start.as_millisecond(), threshold];
        let given = self.read(|transaction| {
            let found = transaction
                .sql
                .prepare_cached("SELECT 1 FROM alert WHERE budget = ?1 AND window_start = ?2 AND threshold = ?3")?
                .query_row(alert, |_| Ok(()))
                .optional()?;
            Ok(found.is_some())
        })?;
        if given {
            return Ok(false);
        }
        self.write(Survives::Kill, |transaction| {
            let added = transaction
                .sql
                .prepare_cached("INSERT OR IGNORE INTO alert VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![
                    budget,
                    window_start.as_millisecond(),
                    threshold,
                    now.as_millisecond()
                ])?;
            Ok(added == 1)
        })
    }

    /// The alerts given since `since`, oldest first.
    pub fn alerts(&self, since: Timestamp) -> Result<Vec<Alert>> {
        self.read(|transaction| {
            let mut statement = transaction.sql.prepare_cached(
                "SELECT budget, window_start, threshold, at FROM alert WHERE at >= ?1 ORDER BY at, budget, threshold",
            )?;
            let mut rows = statement.query([since.as_millisecond()])?;
            let mut alerts = Vec::new();
            while let Some(row) = rows.next()? {
                alerts.push(Alert {
                    budget: row.get(0)?,
                    window_start: time(row.get(1)?)?,
                    threshold: row.get(2)?,
                    at: time(row.get(3)?)?,
                });
            }
            Ok(alerts)
        })
    }
}
