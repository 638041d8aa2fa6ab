//! Looking after the database: whether it is whole, and what is not needed any more.

use std::time::Instant;

use jiff::Timestamp;
use rusqlite::params;

use super::{Ledger, LedgerError, LedgerResult, Survives, Transaction};

/// How many records are read in one transaction that removes some.
const MAX_BATCH_RECORDS: u64 = 10_000;
/// How many pages are given back to the file system in one transaction.
const MAX_PAGES: u32 = 1_000;
/// From how many bytes on a database is large; up to there all of it is inspected within about a second.
const LARGE: u64 = 16 << 20;

/// The requests that each kind of sum counts: all the same, and none where a table was lost.
const SUMS: &str = "
    WITH widths (width) AS (VALUES (1), (96))
    SELECT (SELECT coalesce(sum(requests), 0) FROM rollup WHERE rollup.width = widths.width) FROM widths
    UNION ALL
    SELECT (SELECT coalesce(sum(requests), 0) FROM total WHERE client = 0 AND total.width = widths.width) FROM widths";
/// Whether there is a next number for a record.
const NUMBERS: &str = "SELECT count(*) = 1 FROM meta WHERE records >= (SELECT coalesce(max(id), 0) FROM record)";
/// Whether every name and series that something refers to is there.
const REFERENCES: &str = "
    SELECT NOT EXISTS (
        SELECT provider FROM series UNION SELECT model FROM series UNION SELECT label FROM series
        UNION SELECT task FROM series UNION SELECT project FROM series UNION SELECT client FROM series
        UNION SELECT source FROM series
        UNION SELECT session FROM record UNION SELECT service FROM record UNION SELECT price FROM record
        EXCEPT SELECT id FROM name EXCEPT SELECT 0
    ) AND NOT EXISTS (SELECT series FROM record UNION SELECT series FROM rollup EXCEPT SELECT id FROM series)";

/// How thoroughly the database is inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All of it; of a large one every page and record, but not whether its indexes agree with the records: that is most
    /// of the work, some ten seconds for a million records.
    Usual,
    Whole,
}

/// What an inspection found where nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// The version of the format.
    pub version: u32,
    /// The length of the file, in bytes.
    pub bytes: u64,
    /// The records that are kept.
    pub records: u64,
    /// Whether the indexes were held against them.
    pub with_indexes: bool,
}

impl Ledger {
    /// Removes the records from before `before`, and alerts; what the records add up to stays. Returns how many there
    /// were.
    ///
    /// Others can write in between. A request that is gone and is reported again counts again.
    pub fn prune(&self, before: Timestamp) -> LedgerResult<u64> {
        let range = |transaction: &mut Transaction<'_>| {
            let range = "SELECT min(id), max(id) FROM record";
            transaction.sql.query_row(range, [], |row| {
                let (first, last): (Option<u64>, Option<u64>) = (row.get(0)?, row.get(1)?);
                Ok(first.zip(last))
            })
        };
        let Some((first, last)) = self.read(range)? else {
            return Ok(0);
        };
        let mut removed = 0;
        for from in (first..=last).step_by(usize::try_from(MAX_BATCH_RECORDS).unwrap_or(usize::MAX)) {
            removed += self.write(Survives::Kill, |transaction| {
                // What a log reported stays known, so that it is not taken for new when the log is read again.
                transaction
                    .sql
                    .prepare_cached(
                        "INSERT OR IGNORE INTO same_request
                         SELECT record.provider, request_id, 0 FROM record
                            JOIN series ON series.id = record.series JOIN name ON name.id = series.source
                         WHERE record.id >= ?1 AND record.id < ?2 AND at < ?3 AND request_id IS NOT NULL
                            AND name.text IN ('log', 'cumulative_log')",
                    )?
                    .execute(params![
                        from,
                        from.saturating_add(MAX_BATCH_RECORDS),
                        before.as_millisecond()
                    ])?;
                let batch = params![from, from.saturating_add(MAX_BATCH_RECORDS), before.as_millisecond()];
                let removed = transaction
                    .sql
                    .prepare_cached("DELETE FROM record WHERE id >= ?1 AND id < ?2 AND at < ?3")?
                    .execute(batch)?;
                Ok(u64::try_from(removed).unwrap_or(u64::MAX))
            })?;
        }
        self.write(Survives::PowerCut, |transaction| {
            let sql = transaction.sql;
            sql.execute("DELETE FROM alert WHERE last_at < ?1", [before.as_millisecond()])?;
            sql.execute("DELETE FROM notice WHERE alert NOT IN (SELECT id FROM alert)", [])?;
            sql.execute("DELETE FROM delivery WHERE notice NOT IN (SELECT id FROM notice)", [])?;
            sql.execute(
                "DELETE FROM message WHERE id NOT IN (SELECT message FROM delivery) AND made_at < ?1",
                [before.as_millisecond()],
            )
        })?;
        self.shrink()?;
        Ok(removed)
    }

    /// Gives the pages that are free back to the file system.
    fn shrink(&self) -> LedgerResult<()> {
        let shrunk = |transaction: &mut Transaction<'_>| {
            let pages = |sql: &rusqlite::Connection| sql.pragma_query_value(None, "freelist_count", |row| row.get(0));
            let before: u32 = pages(transaction.sql)?;
            transaction
                .sql
                .pragma(None, "incremental_vacuum", MAX_PAGES, |_| Ok(()))?;
            Ok(pages(transaction.sql)? < before)
        };
        while self.write(Survives::Kill, shrunk)? {}
        Ok(())
    }

    /// Reads the whole database and fails unless it is whole; nothing where there is no ledger.
    pub fn check(&self, depth: Depth) -> LedgerResult<Option<Condition>> {
        let since = Instant::now();
        let Some(mut open) = self.open_apart()? else {
            return Ok(None);
        };
        let bytes = open.file.length();
        let with_indexes = depth == Depth::Whole || bytes < LARGE;
        let inspected = open.read(|transaction| transaction.inspect(bytes, with_indexes));
        let (condition, fault) = inspected.map_err(|why| self.failed(&why, since))?;
        match fault {
            None => Ok(Some(condition)),
            Some(what) => Err(LedgerError::Damaged {
                path: self.path(),
                what,
            }),
        }
    }
}

impl Transaction<'_> {
    /// What is found, and what is wrong if anything is.
    fn inspect(&mut self, bytes: u64, with_indexes: bool) -> rusqlite::Result<(Condition, Option<String>)> {
        let check = if with_indexes { "integrity_check" } else { "quick_check" };
        let said: String = self
            .sql
            .query_row(&format!("PRAGMA {check}(1)"), [], |row| row.get(0))?;
        let holds = |question: &str| self.sql.query_row(question, [], |row| row.get::<_, bool>(0));
        let sums: Vec<u64> = self
            .sql
            .prepare(SUMS)?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let records = self
            .sql
            .query_row("SELECT count(*) FROM record", [], |row| row.get(0))?;
        let fault = if said != "ok" {
            Some(said)
        } else if sums.iter().any(|sum| *sum != sums[0] || *sum < records) {
            Some("its sums do not agree".to_owned())
        } else if !holds(NUMBERS)? {
            Some("its count of records is lost".to_owned())
        } else if !holds(REFERENCES)? {
            Some("names that are referred to are lost".to_owned())
        } else {
            None
        };
        let condition = Condition {
            version: self.sql.pragma_query_value(None, "user_version", |row| row.get(0))?,
            bytes,
            records,
            with_indexes,
        };
        Ok((condition, fault))
    }
}
