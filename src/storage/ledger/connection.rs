//! How the database is opened, and what a transaction works with.

use std::{fs, path::Path, thread, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{
    FILE, LedgerError,
    names::Names,
    schema::{self, Found},
};
use crate::storage::{
    files::{Folder, Stamp},
    lock::jittered,
};

/// About how long other writers are waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The longest pause between two tries. SQLite's own pauses grow to 100 ms: with four busy writers one waited for 0.4 s.
const PAUSE: Duration = Duration::from_millis(4);

/// The files that SQLite puts beside the database.
const COMPANIONS: [&str; 3] = ["ledger.db-wal", "ledger.db-shm", "ledger.db-journal"];

/// Settings of a connection.
///
/// A record that was acknowledged survives a power cut (`synchronous`, and `fullfsync` where the system needs it). Nothing
/// is written outside of our folder (`temp_store`), and a file that somebody prepared runs nothing (`trusted_schema`).
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA journal_size_limit = 16777216;
";

/// Whether a missing ledger is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    Leave,
}

/// An open database.
pub(super) struct Open {
    pub(super) sql: Connection,
    pub(super) names: Names,
    /// The file that it is.
    pub(super) file: Stamp,
}

/// The database file as it is now in the checked folder; `None` where there is none.
pub(super) fn look(folder: &Path, missing: Missing) -> Result<Option<Stamp>, LedgerError> {
    let Some(folder) = (match missing {
        Missing::Make => Some(Folder::create(folder)?),
        Missing::Leave => Folder::open(folder)?,
    }) else {
        return Ok(None);
    };
    let stamp = folder.stamp(FILE)?;
    match missing {
        Missing::Make if stamp.is_none() => {
            // Made here, so that it is private from the first byte; SQLite gives its companions the same mode.
            folder.append(FILE, b"")?;
            Ok(folder.stamp(FILE)?)
        }
        Missing::Make => Ok(stamp),
        // A first writer was killed before it wrote anything.
        Missing::Leave => Ok(stamp.filter(|stamp| stamp.length() > 0)),
    }
}

impl Open {
    /// Opens the database that [`look`] has seen, and makes it the newest version.
    pub(super) fn new(folder: &Path, file: Stamp) -> Result<Self, LedgerError> {
        let path = folder.join(FILE);
        let checked = Folder::open(folder)?;
        for companion in COMPANIONS {
            if let Some(folder) = &checked {
                folder.stamp(companion)?;
            }
        }
        let sql = open(folder).map_err(|why| LedgerError::from_sql(&path, why))?;
        let (sql, found) = prepared(sql).map_err(|why| LedgerError::from_sql(&path, why))?;
        match found {
            Found::Empty | Found::Version(_) => Ok(Self {
                sql,
                names: Names::default(),
                file,
            }),
            Found::TooNew(version) => Err(LedgerError::TooNew { path, version }),
            Found::Foreign => Err(LedgerError::Foreign { path }),
        }
    }
}

fn open(folder: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    // Links above our folder are the user's own; one in place of the file is refused.
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    Connection::open_with_flags(folder.join(FILE), flags)
}

fn prepared(mut sql: Connection) -> rusqlite::Result<(Connection, Found)> {
    sql.busy_handler(Some(has_patience))?;
    sql.set_prepared_statement_cache_capacity(64);
    sql.execute_batch(SETTINGS)?;
    let found = schema::find(&sql, schema::MIGRATIONS.len())?;
    if found == Found::Empty {
        sql.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    if matches!(found, Found::Empty | Found::Version(_)) {
        use_wal(&sql)?;
        return schema::migrate(&mut sql, schema::MIGRATIONS).map(|found| (sql, found));
    }
    Ok((sql, found))
}

/// Readers and a writer at the same time. Not even the busy handler is asked when two processes set it at once.
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
    let waited = PAUSE * 3 / 4 * u32::try_from(tries).unwrap_or(u32::MAX);
    if waited < PATIENCE {
        thread::sleep(jittered(PAUSE));
    }
    waited < PATIENCE
}
