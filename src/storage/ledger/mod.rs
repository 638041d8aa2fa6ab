//! The ledger: what requests used and cost, and what all processes share to decide about the next one.
//!
//! SQLite in WAL mode: any number of processes read and write `ledger.db`; each change is one transaction, on the disk
//! before it is acknowledged. A record is kept as it is and, in the same transaction, added to the sums over its quarter
//! of an hour and its UTC day (`records`, `totals`): sums outlive the records that [`Ledger::prune`] removes. Budgets are
//! asked and reserved from in one step (`reservations`). `schema/` is what the database looks like, `connection` how it
//! is opened.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

use rusqlite::{Connection, TransactionBehavior};

mod alerts;
mod connection;
mod error;
mod health;
mod names;
mod records;
mod reservations;
mod schema;
mod totals;
mod upkeep;

pub use alerts::Alert;
pub use error::LedgerError;
pub use health::Health;
pub use records::{Exported, Past, Recorded};
pub use reservations::{Limit, ReservationId, Reserve, Reserved, Spent};
pub use totals::{Dimension, Filter, Totals};
pub use upkeep::Condition;

use connection::{Missing, Open, look};
use names::Names;

type Result<T, E = LedgerError> = std::result::Result<T, E>;

/// The ledger's file.
pub const FILE: &str = "ledger.db";

/// A handle on the ledger: cheap to make, shared between threads; it opens the file when it is first needed.
///
/// Reading where there is no ledger finds it empty and makes nothing.
pub struct Ledger {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// How often the file was opened.
    openings: u64,
    /// How often this handle changed it.
    commits: u64,
}

/// A transaction: the database and what is known of its names.
struct Transaction<'a> {
    sql: &'a Connection,
    names: &'a mut Names,
}

impl Ledger {
    /// A handle on the ledger in `folder`; touches nothing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            state: Mutex::default(),
        }
    }

    /// The path of the ledger's file, whether or not it exists.
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Changes whenever this or another process has changed the ledger; says nothing else.
    pub fn stamp(&self) -> String {
        let mut state = self.state();
        let version = match self.opened(&mut state, Missing::Leave) {
            Ok(Some(open)) => open
                .sql
                .pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0))
                .map_err(|why| self.failed(why)),
            Ok(None) => Ok(0),
            Err(why) => Err(why),
        };
        match version {
            Ok(version) => format!("{} {} {version}", state.openings, state.commits),
            Err(why) => why.to_string(),
        }
    }

    /// What `work` reads, all of one moment; `T::default()` where there is no ledger.
    fn read<T: Default>(&self, work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let mut state = self.state();
        match self.opened(&mut state, Missing::Leave)? {
            Some(open) => self.transact(open, TransactionBehavior::Deferred, work),
            None => Ok(T::default()),
        }
    }

    /// Does `work` whole or not at all; it is on the disk when this returns.
    fn write<T>(&self, work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let mut state = self.state();
        let open = self
            .opened(&mut state, Missing::Make)?
            .ok_or_else(|| self.failed(rusqlite::Error::InvalidQuery))?;
        let done = self.transact(open, TransactionBehavior::Immediate, work);
        state.commits += u64::from(done.is_ok());
        done
    }

    fn transact<T>(
        &self,
        open: &mut Open,
        behavior: TransactionBehavior,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let Open { sql, names, .. } = open;
        let transact = || {
            let transaction = sql.transaction_with_behavior(behavior)?;
            let value = work(&mut Transaction {
                sql: &transaction,
                names,
            })?;
            transaction.commit()?;
            Ok(value)
        };
        let done = transact().map_err(|why| self.failed(why));
        if done.is_err() {
            // It may have named what is not there now.
            *names = Names::default();
        }
        done
    }

    /// The database, opened anew where the file is another one than before.
    fn opened<'a>(&self, state: &'a mut State, missing: Missing) -> Result<Option<&'a mut Open>> {
        let Some(file) = look(&self.folder, missing)? else {
            state.open = None;
            return Ok(None);
        };
        if !state.open.as_ref().is_some_and(|open| open.file.is_same_file(file)) {
            state.open = None;
            state.open = Some(Open::new(&self.folder, file)?);
            state.openings += 1;
        }
        Ok(state.open.as_mut())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // What a panic left half done goes with its connection.
            self.state.clear_poison();
            let mut state = poisoned.into_inner();
            state.open = None;
            state
        })
    }

    fn failed(&self, why: rusqlite::Error) -> LedgerError {
        LedgerError::from_sql(&self.path(), why)
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}
