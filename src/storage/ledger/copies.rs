//! Copies of the ledger for backups: all of one moment, while others go on writing.

use std::{
    fs,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{
    Ledger, LedgerError, LedgerResult, Survives, Transaction,
    connection::{FILE, OpenDatabase},
    journal::LiveJournal,
};
use crate::storage::files::{FileError, Folder};

/// How many pages are copied between two reports.
const PAGES_A_STEP: i32 = 4096;
/// How long one step of the copy waits where SQLite says that it is busy.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerCopy {
    /// The version of the format.
    pub version: u32,
    pub records: u64,
    /// The time of the newest record.
    pub newest: Option<Timestamp>,
}

impl Ledger {
    /// Copies the ledger into `folder`, which has none; nothing where there is no ledger.
    ///
    /// What running gateways have recorded in their journals alone is in the copy; requests under way are not, nor what
    /// processes have leased. `copied` is called with how much is done of how much, in pages.
    pub fn copy_to(&self, folder: &Folder, copied: &mut dyn FnMut(u64, u64)) -> LedgerResult<Option<LedgerCopy>> {
        let since = Instant::now();
        let Some(mut source) = self.open_apart()? else {
            return Ok(None);
        };
        // Read before the copy's moment, and looked for again in it: what was removed in between is in the ledger.
        let live = LiveJournal::all(&self.folder)?;
        folder.append(FILE, b"")?;
        let path = folder.path().join(FILE);
        let live = source
            .read(|transaction| {
                // From here on the transaction sees one moment, whatever others write.
                let _: i64 = transaction
                    .sql
                    .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
                let live: Vec<LiveJournal> = live.into_iter().filter(|one| one.is_there(&self.folder)).collect();
                copy(transaction.sql, &path, copied).map(|()| live)
            })
            .map_err(|why| self.failed(&why, since))?;
        let failed = |why: rusqlite::Error| LedgerError::from_sql(&path, &why, since.elapsed());
        let found = folder.stamp(FILE)?.ok_or_else(|| LedgerError::Damaged {
            path: path.clone(),
            what: "the copy is gone".to_owned(),
        })?;
        let mut copy = OpenDatabase::new(folder.path(), found)?;
        copy.rely_on_no_disk().map_err(failed)?;
        copy.write(Survives::PowerCut, |transaction| transaction.settle(&live))
            .map_err(failed)?;
        copy.read(|transaction| transaction.outline().map(Some)).map_err(failed)
    }

    /// What the ledger holds; nothing where there is none.
    pub fn outline(&self) -> LedgerResult<Option<LedgerCopy>> {
        self.read(|transaction| transaction.outline().map(Some))
    }

    /// Whether a gateway, or another process with a journal of its own, is running on it.
    pub fn is_in_use(&self) -> LedgerResult<bool> {
        LiveJournal::any_is_held(&self.folder)
    }

    /// Puts the ledger in the folder `staged` in the place of this one, which is kept in the folder `aside`.
    ///
    /// Fails where another process has it open.
    pub fn replace_with(&self, staged: &Folder, aside: &Folder) -> LedgerResult<()> {
        let since = Instant::now();
        self.close();
        let path = self.path();
        if let Some(open) = self.open_apart()? {
            // All of it in one file: what would be left beside the new one is of another ledger.
            open.leave_wal().map_err(|why| self.failed(&why, since))?;
            drop(open);
            let kept = aside.path().join(FILE);
            fs::hard_link(&path, &kept)
                .or_else(|_| fs::copy(&path, &kept).map(drop))
                .map_err(|source| FileError::from_io(&kept, "write", source))?;
            aside.sync_names()?;
        }
        fs::rename(staged.path().join(FILE), &path).map_err(|source| FileError::from_io(&path, "write", source))?;
        if let Some(folder) = Folder::open(&self.folder)? {
            folder.sync_names()?;
        }
        Ok(())
    }

    /// Whether the sums over whole days are those of the records, from the day after the first record on: days before
    /// may have been pruned.
    pub fn check_sums(&self) -> LedgerResult<bool> {
        self.read(|transaction| transaction.sql.query_row(SUMS_AGREE, [], |row| row.get(0)))
    }
}

/// Whether no day's sums differ; a day is 96 quarters of an hour, and a record of a plan has its cost in `plan_cost`.
const SUMS_AGREE: &str = "
    WITH first (day) AS (SELECT coalesce(min(at), 0) / 86400000 * 96 FROM record),
    sums AS (
        SELECT start, sum(requests) AS requests, sum(input_tokens), sum(output_tokens), sum(cost + plan_cost)
        FROM rollup, first WHERE width = 96 AND start > day GROUP BY start HAVING sum(requests) > 0),
    rows AS (
        SELECT at / 86400000 * 96 AS start, count(*), sum(input_tokens), sum(output_tokens), coalesce(sum(cost), 0)
        FROM record, first WHERE at >= (day + 96) * 900000 GROUP BY 1)
    SELECT NOT EXISTS (SELECT * FROM sums EXCEPT SELECT * FROM rows)
        AND NOT EXISTS (SELECT * FROM rows EXCEPT SELECT * FROM sums)";

/// Copies the pages of the database that `source` sees into the file at `path`.
fn copy(source: &Connection, path: &std::path::Path, copied: &mut dyn FnMut(u64, u64)) -> rusqlite::Result<()> {
    let mut target = Connection::open(path)?;
    // A copy that is not finished is removed: it needs no journal, and is synced by whoever reads it.
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    let backup = Backup::new(source, &mut target)?;
    loop {
        let step = backup.step(PAGES_A_STEP)?;
        let progress = backup.progress();
        let all = u64::try_from(progress.pagecount).unwrap_or_default();
        copied(
            all - u64::try_from(progress.remaining).unwrap_or_default().min(all),
            all,
        );
        match step {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => std::thread::sleep(RETRY_INTERVAL),
            _ => {}
        }
    }
}

impl Transaction<'_> {
    /// Records what ended before the copy was made, and forgets what only matters to processes that run.
    fn settle(&mut self, live: &[LiveJournal]) -> rusqlite::Result<()> {
        for journal in live {
            self.record_ended(journal)?;
        }
        self.sql.execute_batch("DELETE FROM lease; DELETE FROM journal;")
    }

    fn outline(&mut self) -> rusqlite::Result<LedgerCopy> {
        let newest: Option<i64> = self.sql.query_row("SELECT max(at) FROM record", [], |row| row.get(0))?;
        Ok(LedgerCopy {
            version: self.sql.pragma_query_value(None, "user_version", |row| row.get(0))?,
            records: self
                .sql
                .query_row("SELECT count(*) FROM record", [], |row| row.get(0))?,
            newest: newest.and_then(|at| Timestamp::from_millisecond(at).ok()),
        })
    }
}
