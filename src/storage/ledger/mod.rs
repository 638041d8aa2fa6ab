//! The ledger: what requests used and cost, and what all processes share to decide about the next one.
//!
//! SQLite in WAL mode: any number of processes read and write `ledger.db`; each change is one transaction, on the disk
//! before it is acknowledged. A record is kept as it is and, in the same transaction, added to the sums over its quarter
//! of an hour and its UTC day (`records`, `totals`): sums outlive the records that [`Ledger::prune`] removes. Budgets are
//! checked and leased from in one step (`leases`); what a gateway's requests use comes in by its `journal`. How the last
//! requests ended is kept in memory, and only what is new is read (`recent`). `schema/` is what the database looks like,
//! `connection` how it is opened.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rusqlite::ErrorCode;

mod alerts;
mod connection;
mod error;
mod health;
mod imports;
mod journal;
mod leases;
mod names;
mod recent;
mod records;
mod schema;
mod totals;
mod upkeep;
mod windows;

pub use connection::BUSY_TIMEOUT;
pub use error::LedgerError;
pub use health::StoredHealth;
pub use imports::{EntryRole, Fate, Imported, LogBatch, LogCounter, LogEntry, LogPosition, OwnsRather};
pub use journal::{Encoded, EntryId, Journal, Position, Segment};
pub use leases::{BUDGET_PARTS, Fold, Folded, Granted, LeaseChange, LeaseId, LeaseState, SpendingLimit, Spent};
pub use recent::{Asked, Outcomes, Past};
pub use records::{Exported, Recorded};
pub use schema::marks;
pub use totals::{Dimension, Filter, Totals};
pub use upkeep::{Condition, Depth};

use connection::{Missing, OpenDatabase, RETRY_INTERVAL, Survives, Transaction, look};
use recent::Recent;
use windows::KeptWindows;

use super::{files::is_in_place, lock::jittered};

type LedgerResult<T, E = LedgerError> = std::result::Result<T, E>;

/// How often the journals of other processes are looked at.
const JOURNAL_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The ledger's file.
pub const FILE: &str = "ledger.db";

/// A handle on the ledger: cheap to make, shared between threads; it opens the file when it is first needed.
///
/// Reading where there is no ledger finds it empty and makes nothing.
pub struct Ledger {
    folder: PathBuf,
    held: Arc<Mutex<Option<OpenLedger>>>,
    /// When the journals of other processes were looked at last.
    looked: Arc<Mutex<Option<Instant>>>,
    /// The length of the `-wal` file after the last fold, in bytes.
    wal_length: Arc<AtomicU64>,
    patience: Duration,
}

/// An open database, and what is remembered of it.
struct OpenLedger {
    open: OpenDatabase,
    recent: Recent,
    windows: KeptWindows,
}

impl Ledger {
    /// A handle on the ledger in `folder`; touches nothing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            held: Arc::default(),
            looked: Arc::default(),
            wal_length: Arc::default(),
            patience: BUSY_TIMEOUT,
        }
    }

    /// The same ledger for a writer who waits only so long for others; not even for those of this process if not at all.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            folder: self.folder.clone(),
            held: Arc::clone(&self.held),
            looked: Arc::clone(&self.looked),
            wal_length: Arc::clone(&self.wal_length),
            patience,
        }
    }

    /// The path of the ledger's file, whether or not it exists.
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Changes whenever this or another process has changed the ledger; says nothing else.
    pub fn stamp(&self) -> String {
        self.read(|transaction| {
            transaction
                .sql
                .prepare_cached("SELECT hex(ledger) || ' ' || changes FROM meta")?
                .query_row([], |row| row.get(0))
        })
        .unwrap_or_else(|why| why.to_string())
    }

    /// What `work` reads, all of one moment; `T::default()` where there is no ledger.
    fn read<T: Default>(&self, work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>) -> LedgerResult<T> {
        self.look_at_journals();
        let since = Instant::now();
        let mut held = self.held();
        match self.opened(&mut held, Missing::Leave)? {
            Some(open) => {
                let outcome = open.open.read(work);
                self.settled(&mut held, outcome, since)
            }
            None => Ok(T::default()),
        }
    }

    /// Does `work` whole or not at all, in a ledger that is made if there is none.
    ///
    /// While it waits for another process, others of this one read.
    fn write<T>(
        &self,
        survives: Survives,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>,
    ) -> LedgerResult<T> {
        self.look_at_journals();
        self.write_only(survives, work)
    }

    /// The same, where the journals have been looked at.
    fn write_only<T>(
        &self,
        survives: Survives,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>,
    ) -> LedgerResult<T> {
        let since = Instant::now();
        let mut work = Some(work);
        loop {
            match self.write_at_once(survives, &mut work) {
                Err(LedgerError::Busy { .. }) if work.is_some() && since.elapsed() < self.patience => {
                    thread::sleep(jittered(RETRY_INTERVAL));
                }
                Err(LedgerError::Busy { .. }) => {
                    let waited = since.elapsed();
                    return Err(LedgerError::Busy { waited });
                }
                done => return done,
            }
        }
    }

    /// The same where nobody else is writing; `work` is left where somebody is.
    fn write_at_once<T>(
        &self,
        survives: Survives,
        work: &mut Option<impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>>,
    ) -> LedgerResult<T> {
        let since = Instant::now();
        if self.patience.is_zero() && matches!(self.held.try_lock(), Err(TryLockError::WouldBlock)) {
            let waited = Duration::ZERO;
            return Err(LedgerError::Busy { waited });
        }
        let mut held = self.held();
        let written = match self.opened(&mut held, Missing::Make)? {
            Some(held) => held.open.write(survives, |transaction| match work.take() {
                Some(work) => work(transaction),
                None => Err(rusqlite::Error::InvalidQuery),
            }),
            None => Err(rusqlite::Error::InvalidQuery),
        };
        self.settled(&mut held, written, since)
    }

    /// What came of work on the database, which is opened anew where a file of it could not be used: a `-wal` or `-shm`
    /// file that was not writable when it was opened stays so for the connection, whatever its mode is by then.
    fn settled<T>(
        &self,
        held: &mut Option<OpenLedger>,
        outcome: rusqlite::Result<T>,
        since: Instant,
    ) -> LedgerResult<T> {
        outcome.map_err(|why| {
            let unusable = [ErrorCode::ReadOnly, ErrorCode::PermissionDenied, ErrorCode::CannotOpen];
            if why.sqlite_error_code().is_some_and(|code| unusable.contains(&code)) {
                *held = None;
            }
            self.failed(&why, since)
        })
    }

    /// Fails where the `-wal` file has lost something since the last fold: what is in it is not yet in the database.
    pub fn expect_whole_wal(&self) -> LedgerResult<()> {
        let expected = self.wal_length.load(Ordering::Relaxed);
        let length = self.wal_length();
        if length >= expected {
            return Ok(());
        }
        // Another program may have moved all of it into the database before it was cut.
        let since = Instant::now();
        let is_whole = self
            .open_apart()?
            .map(|mut open| open.read(|transaction| transaction.changes()));
        match is_whole {
            Some(Ok(_)) => {
                self.wal_length.store(length, Ordering::Relaxed);
                Ok(())
            }
            Some(Err(why)) => Err(self.failed(&why, since)),
            None => Err(LedgerError::Damaged {
                path: self.path(),
                what: "it is gone, and was in use".to_owned(),
            }),
        }
    }

    fn wal_length(&self) -> u64 {
        std::fs::metadata(self.folder.join(connection::WAL)).map_or(0, |wal| wal.len())
    }

    /// Replays what processes that are gone have left, if nobody has looked for a moment.
    fn look_at_journals(&self) {
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|at| at.elapsed() < JOURNAL_CHECK_INTERVAL) {
                return;
            }
            *looked = Some(Instant::now());
        }
        // It is tried again; whoever asks now is told what is recorded.
        if let Err(why) = self.replay() {
            tracing::warn!(%why, "usage of a process that exited is not recorded yet");
        }
    }

    /// The database, opened anew where the file is another one than before.
    fn opened<'a>(
        &self,
        held: &'a mut Option<OpenLedger>,
        missing: Missing,
    ) -> LedgerResult<Option<&'a mut OpenLedger>> {
        let is_current = |held: &OpenLedger| is_in_place(&self.path(), held.open.file);
        if !held.as_ref().is_some_and(is_current) {
            *held = None;
            if let Some(file) = look(&self.folder, missing)? {
                *held = Some(OpenLedger {
                    open: OpenDatabase::new(&self.folder, file)?,
                    recent: Recent::default(),
                    windows: KeptWindows::default(),
                });
            }
        }
        Ok(held.as_mut())
    }

    /// A connection of its own, for what takes its time; nothing where there is no ledger.
    fn open_apart(&self) -> LedgerResult<Option<OpenDatabase>> {
        self.look_at_journals();
        look(&self.folder, Missing::Leave)?
            .map(|file| OpenDatabase::new(&self.folder, file))
            .transpose()
    }

    fn held(&self) -> MutexGuard<'_, Option<OpenLedger>> {
        self.held.lock().unwrap_or_else(|poisoned| {
            // What a panic left half done goes with its connection.
            self.held.clear_poison();
            let mut held = poisoned.into_inner();
            *held = None;
            held
        })
    }

    fn failed(&self, why: &rusqlite::Error, since: Instant) -> LedgerError {
        LedgerError::from_sql(&self.path(), why, since.elapsed())
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}
