//! A handle on the ledger: the connection, and how it is read and written.

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

use jiff::Timestamp;
use rusqlite::ErrorCode;

use super::{
    additions::Totals,
    connection::{BUSY_TIMEOUT, FILE, Missing, OpenDatabase, RETRY_INTERVAL, Survives, Transaction, WAL, look},
    error::{LedgerError, LedgerResult},
    recent::{Outcomes, Recent},
    windows::KeptWindows,
};
use crate::{
    domain::Span,
    storage::{files::is_in_place, lock::jittered},
};

/// How often the journals of other processes are checked.
const JOURNAL_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A handle on the ledger: cheap to make, shared between threads; it opens the file when it is first needed.
///
/// Reading where there is no ledger finds it empty and makes nothing.
pub struct Ledger {
    pub(super) folder: PathBuf,
    held: Arc<Mutex<Option<OpenLedger>>>,
    /// When the journals of other processes were last checked.
    looked: Arc<Mutex<Option<Instant>>>,
    /// The length of the `-wal` file after the last fold, in bytes.
    pub(super) wal_length: Arc<AtomicU64>,
    pub(super) patience: Duration,
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

    /// How requests since `since` ended; only the newest 2,000 of all count.
    pub fn outcomes(&self, since: Timestamp) -> LedgerResult<Outcomes> {
        self.look_at_journals();
        let begun = Instant::now();
        let mut held = self.held();
        let Some(held) = self.opened(&mut held, Missing::Leave)? else {
            return Ok(Outcomes::default());
        };
        let newest = held.open.read(|transaction| held.recent.newest(transaction));
        Ok(Outcomes {
            newest: Some(newest.map_err(|why| self.failed(&why, begun))?),
            since,
        })
    }

    /// What all requests of each of `spans` came to; `name` says which spans they are.
    pub fn kept_windows(
        &self,
        name: (Timestamp, Timestamp),
        spans: impl FnOnce() -> Vec<Span>,
    ) -> LedgerResult<Arc<[Totals]>> {
        self.look_at_journals();
        let since = Instant::now();
        let mut held = self.held();
        let Some(held) = self.opened(&mut held, Missing::Leave)? else {
            return Ok(Arc::default());
        };
        let kept = &mut held.windows;
        let totals = held.open.read(|transaction| {
            let of = Some((transaction.changes()?, name));
            if kept.of != of {
                let totals = spans().into_iter().map(|span| transaction.total(span, 0));
                kept.totals = totals.collect::<rusqlite::Result<_>>()?;
                kept.of = of;
            }
            Ok(Arc::clone(&kept.totals))
        });
        totals.map_err(|why| self.failed(&why, since))
    }

    /// What `work` reads, all of one moment; `T::default()` where there is no ledger.
    pub(super) fn read<T: Default>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>,
    ) -> LedgerResult<T> {
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
    pub(super) fn write<T>(
        &self,
        survives: Survives,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>,
    ) -> LedgerResult<T> {
        self.look_at_journals();
        self.write_only(survives, work)
    }

    /// The same, where the journals were checked before.
    pub(super) fn write_only<T>(
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

    /// The same where no other process is writing; `work` is left where one is.
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

    pub(super) fn wal_length(&self) -> u64 {
        std::fs::metadata(self.folder.join(WAL)).map_or(0, |wal| wal.len())
    }

    /// Replays what processes that are gone have left, unless that was done a moment ago.
    fn look_at_journals(&self) {
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|at| at.elapsed() < JOURNAL_CHECK_INTERVAL) {
                return;
            }
            *looked = Some(Instant::now());
        }
        // It is tried again; this read returns what is recorded.
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

    /// Closes the connection that is kept; the next call opens another.
    pub fn close(&self) {
        *self.held() = None;
    }

    /// A connection of its own, for what takes its time; nothing where there is no ledger.
    pub(super) fn open_apart(&self) -> LedgerResult<Option<OpenDatabase>> {
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

    pub(super) fn failed(&self, why: &rusqlite::Error, since: Instant) -> LedgerError {
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
