//! The ledger: what requests used and cost, and what all processes share to decide about the next one.
//!
//! SQLite in WAL mode: any number of processes read and write `ledger.db`; each change is one transaction, on the disk
//! before it is acknowledged. A record is kept as it is and, in the same transaction, added to the sums over its quarter
//! of an hour and its UTC day (`records`, `totals`): sums outlive the records that [`Ledger::prune`] removes. Budgets are
//! asked and reserved from in one step (`reservations`). How the last requests ended is kept in memory, and only what is
//! new is read (`recent`). `schema/` is what the database looks like, `connection` how it is opened.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, TryLockError},
    thread,
    time::{Duration, Instant},
};

mod alerts;
mod connection;
mod error;
mod health;
mod names;
mod recent;
mod records;
mod reservations;
mod schema;
mod totals;
mod upkeep;

pub use connection::PATIENCE;
pub use error::LedgerError;
pub use health::Health;
pub use recent::{Asked, Outcomes, Past};
pub use records::{Exported, Recorded};
pub use reservations::{Entries, Kept, Limit, ReservationId, Reserve, Reserved, Spent};
pub use schema::marks;
pub use totals::{Dimension, Filter, Totals};
pub use upkeep::{Condition, Depth};

use connection::{Missing, Open, PAUSE, Survives, Transaction, look};
use recent::Recent;

use super::{files::is_in_place, lock::jittered};

type Result<T, E = LedgerError> = std::result::Result<T, E>;

/// The ledger's file.
pub const FILE: &str = "ledger.db";

/// A handle on the ledger: cheap to make, shared between threads; it opens the file when it is first needed.
///
/// Reading where there is no ledger finds it empty and makes nothing.
pub struct Ledger {
    folder: PathBuf,
    held: Arc<Mutex<Option<Held>>>,
    patience: Duration,
}

/// An open database, and what is remembered of it.
struct Held {
    open: Open,
    recent: Recent,
}

impl Ledger {
    /// A handle on the ledger in `folder`; touches nothing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            held: Arc::default(),
            patience: PATIENCE,
        }
    }

    /// The same ledger for a writer who waits only so long for others; not even for those of this process if not at all.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            folder: self.folder.clone(),
            held: Arc::clone(&self.held),
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
    fn read<T: Default>(&self, work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let since = Instant::now();
        match self.opened(&mut self.held(), Missing::Leave)? {
            Some(held) => held.open.read(work).map_err(|why| self.failed(&why, since)),
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
    ) -> Result<T> {
        let since = Instant::now();
        let mut work = Some(work);
        loop {
            match self.write_at_once(survives, &mut work) {
                Err(LedgerError::Busy { .. }) if work.is_some() && since.elapsed() < self.patience => {
                    thread::sleep(jittered(PAUSE));
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
    ) -> Result<T> {
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
        written.map_err(|why| self.failed(&why, since))
    }

    /// The database, opened anew where the file is another one than before.
    fn opened<'a>(&self, held: &'a mut Option<Held>, missing: Missing) -> Result<Option<&'a mut Held>> {
        let is_current = |held: &Held| is_in_place(&self.path(), held.open.file);
        if !held.as_ref().is_some_and(is_current) {
            *held = None;
            if let Some(file) = look(&self.folder, missing)? {
                *held = Some(Held {
                    open: Open::new(&self.folder, file)?,
                    recent: Recent::default(),
                });
            }
        }
        Ok(held.as_mut())
    }

    /// A connection of its own, for what takes its time; nothing where there is no ledger.
    fn open_apart(&self) -> Result<Option<Open>> {
        look(&self.folder, Missing::Leave)?
            .map(|file| Open::new(&self.folder, file))
            .transpose()
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
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
