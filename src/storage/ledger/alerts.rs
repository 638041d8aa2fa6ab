//! Budget alerts: each is given once, by one process.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Ledger, LedgerResult, Survives};

impl Ledger {
    /// Whether the alert is the caller's to give: true once for each budget, window and threshold, over all processes.
    pub fn alert_once(
        &self,
        budget: &str,
        window_start: Timestamp,
        threshold: u8,
        now: Timestamp,
    ) -> LedgerResult<bool> {
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
}
