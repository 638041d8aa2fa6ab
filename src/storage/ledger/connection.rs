//! How the database is opened, and what a transaction works with.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig};

use super::{
    additions::Additions,
    error::{LedgerError, LedgerResult},
    names::Names,
    schema::{self, DatabaseKind},
};
use crate::storage::{
    files::{Folder, Stamp},
    lock::jittered,
};

/// The ledger's file.
pub const FILE: &str = "ledger.db";

/// About how long other writers are waited for.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest pause between two tries. SQLite's own pauses grow to 100 ms. Of four writers that never rest, on a slow disk
/// with 3 ms a commit, one in a hundred records waited for 0.15 s; with pauses of up to 4 ms for 0.35 s.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// The files that SQLite puts beside the database; the first holds what is not yet in the database itself.
const COMPANIONS: [&str; 3] = [WAL, "ledger.db-shm", "ledger.db-journal"];
pub(super) const WAL: &str = "ledger.db-wal";

/// Settings of a connection.
///
/// A checkpoint syncs the database while a commit is waited for, so it comes seldom (`wal_autocheckpoint`).
/// A record that was acknowledged survives a power cut (`synchronous`, and `fullfsync` where the system needs it). Nothing
/// is written outside of our folder (`temp_store`), and a prepared file runs nothing (`trusted_schema`).
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA journal_size_limit = 16777216;
    PRAGMA wal_autocheckpoint = 4000;
";

/// Whether a missing ledger is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    Leave,
}

/// What a change survives from the moment on that it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Survives {
    /// The end of the process, however sudden: enough for what only matters to processes that run.
    Kill,
    PowerCut,
}

/// An open database.
pub(super) struct OpenDatabase {
    sql: Connection,
    names: Names,
    /// The file that it is.
    pub(super) file: Stamp,
    survives: Survives,
}

/// A transaction: the database and what is known of its names.
pub(super) struct Transaction<'a> {
    pub(super) sql: &'a Connection,
    pub(super) names: &'a mut Names,
    /// What is still to be added to the sums.
    pub(super) additions: Additions,
}

/// The database file as it is now in the checked folder; `None` where there is none.
pub(super) fn look(path: &Path, missing: Missing) -> LedgerResult<Option<Stamp>> {
    let Some(folder) = (match missing {
        Missing::Make => Some(Folder::create(path)?),
        Missing::Leave => Folder::open(path)?,
    }) else {
        return Ok(None);
    };
    let found = folder.stamp(FILE)?;
    if found.is_some_and(|file| file.length() > 0) {
        return Ok(found);
    }
    if folder.stamp(WAL)?.is_some_and(|wal| wal.length() > 0) {
        // SQLite would remove it.
        return Err(LedgerError::Damaged {
            path: path.join(FILE),
            what: "it is gone, and its -wal file is not".to_owned(),
        });
    }
    match missing {
        // A first writer may have been killed before it wrote anything.
        Missing::Leave => Ok(None),
        Missing::Make => {
            // Made here, so that it is private from the first byte; SQLite gives its companions the same mode.
            folder.append(FILE, b"")?;
            Ok(folder.stamp(FILE)?)
        }
    }
}

impl OpenDatabase {
    /// Opens the database that [`look`] has seen, and makes it the newest version.
    pub(super) fn new(folder: &Path, file: Stamp) -> LedgerResult<Self> {
        let (path, since) = (folder.join(FILE), Instant::now());
        let has_wal = check_companions(folder)?;
        let sql_failed = |why: rusqlite::Error| LedgerError::from_sql(&path, &why, since.elapsed());
        // Links above our folder are the user's own; one in place of the file is refused.
        let real = fs::canonicalize(folder).map_or_else(|_| path.clone(), |folder| folder.join(FILE));
        let written = has_wal.then(|| id_without_wal(&real)).flatten();
        let (mut sql, found) = connect(&real).map_err(sql_failed)?;
        refuse_strange(found, &path)?;
        if let Some(written) = written
            && id(&sql).map_err(sql_failed)? != written
        {
            let path = folder.join(WAL);
            return Err(LedgerError::ForeignWal { path });
        }
        refuse_strange(make_current(&mut sql, found).map_err(sql_failed)?, &path)?;
        Ok(Self {
            sql,
            names: Names::default(),
            file,
            survives: Survives::PowerCut,
        })
    }

    /// What `work` reads, all of one moment.
    pub(super) fn read<T>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.transact(TransactionBehavior::Deferred, work)
    }

    /// Syncs nothing from now on, for a copy that is not relied on yet.
    pub(super) fn rely_on_no_disk(&self) -> rusqlite::Result<()> {
        self.sql.pragma_update(None, "synchronous", "OFF")
    }

    /// Moves all of the WAL into the database and removes it; busy where another connection is open.
    pub(super) fn leave_wal(&self) -> rusqlite::Result<()> {
        self.sql
            .pragma_update_and_check(None, "journal_mode", "delete", |row| row.get::<_, String>(0))
            .map(drop)
    }

    /// Moves what is in the WAL into the database, as far as that makes no one wait.
    pub(super) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.sql.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }

    /// Does `work` whole or not at all, without waiting for others: fails where one of them is writing.
    pub(super) fn write<T>(
        &mut self,
        survives: Survives,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        if self.survives != survives {
            let mode = match survives {
                Survives::Kill => "NORMAL",
                Survives::PowerCut => "FULL",
            };
            self.sql.pragma_update(None, "synchronous", mode)?;
            self.survives = survives;
        }
        self.sql.busy_timeout(Duration::ZERO)?;
        let written = self.transact(TransactionBehavior::Immediate, |transaction| {
            let before = transaction.sql.total_changes();
            let value = work(transaction)?;
            if transaction.sql.total_changes() != before {
                // Every WAL file so says whose it is, and all processes see that there was a change.
                transaction
                    .sql
                    .prepare_cached("UPDATE meta SET changes = changes + 1")?
                    .execute([])?;
            }
            Ok(value)
        });
        self.sql.busy_handler(Some(has_patience))?;
        written
    }

    fn transact<T>(
        &mut self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let transaction = self.sql.transaction_with_behavior(behavior)?;
        let transact = || {
            let value = work(&mut Transaction {
                sql: &transaction,
                names: &mut self.names,
                additions: Additions::default(),
            })?;
            transaction.commit()?;
            Ok(value)
        };
        let done = transact();
        if done.is_err() {
            // It may have named what is not there now.
            self.names = Names::default();
        }
        done
    }
}

/// Fails where a file beside the database is not ours alone; returns whether there is something in the WAL.
fn check_companions(folder: &Path) -> LedgerResult<bool> {
    let Some(folder) = Folder::open(folder)? else {
        return Ok(false);
    };
    let mut has_wal = false;
    for name in COMPANIONS {
        let found = folder.stamp(name)?;
        has_wal |= name == WAL && found.is_some_and(|wal| wal.length() > 0);
    }
    Ok(has_wal)
}

/// Which ledger it is.
fn id(sql: &Connection) -> rusqlite::Result<[u8; 16]> {
    sql.query_row("SELECT ledger FROM meta", [], |row| row.get(0))
}

/// Which ledger the database is without what its WAL would add, where it tells.
fn id_without_wal(path: &Path) -> Option<[u8; 16]> {
    let mut address = url::Url::from_file_path(path).ok()?;
    address.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let sql = Connection::open_with_flags(address.as_str(), flags).ok()?;
    id(&sql).ok()
}

fn connect(path: &Path) -> rusqlite::Result<(Connection, DatabaseKind)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut sql = Connection::open_with_flags(path, flags)?;
    sql.busy_handler(Some(has_patience))?;
    sql.set_prepared_statement_cache_capacity(64);
    // Until the database and its WAL are known to be ours, closing it leaves both as they are.
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    sql.execute_batch(SETTINGS)?;
    let found = schema::find(&sql, schema::MIGRATIONS.len())?;
    Ok((sql, found))
}

/// Makes the database, which is one of ours, the newest version; returns what it was.
fn make_current(sql: &mut Connection, found: DatabaseKind) -> rusqlite::Result<DatabaseKind> {
    if found == DatabaseKind::Empty {
        sql.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    use_wal(sql)?;
    let found = schema::migrate(sql, schema::MIGRATIONS)?;
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(found)
}

fn refuse_strange(found: DatabaseKind, path: &Path) -> LedgerResult<()> {
    let path = path.to_owned();
    match found {
        DatabaseKind::Empty | DatabaseKind::Version(_) => Ok(()),
        DatabaseKind::TooNew(version) => Err(LedgerError::TooNew { path, version }),
        DatabaseKind::Foreign => Err(LedgerError::Foreign { path }),
    }
}

/// Readers and a writer at the same time. Not even the busy handler is called when two processes set it at once.
fn use_wal(sql: &Connection) -> rusqlite::Result<()> {
    let mut tries = 0;
    loop {
        match sql.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0)) {
            Ok(_) => return Ok(()),
            Err(why) if why.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && has_patience(tries) => tries += 1,
            Err(why) => return Err(why),
        }
    }
}

/// Pauses before another try after `tries`, if there is to be one.
fn has_patience(tries: i32) -> bool {
    let waited = RETRY_INTERVAL * 3 / 4 * u32::try_from(tries).unwrap_or(u32::MAX);
    if waited < BUSY_TIMEOUT {
        thread::sleep(jittered(RETRY_INTERVAL));
    }
    waited < BUSY_TIMEOUT
}
