//! Other programs' databases: read as they are on the disk, without a lock, without a trace beside them.
//!
//! SQLite would make a `-shm` file, and a `-wal` file, for a mere reader. Neither is made where the index of the WAL
//! is in memory (an exclusive connection) or the file is said not to change; locks are not taken at all. That this is so
//! only as long as nothing writes into the database itself is checked before and after: what was read in between counts
//! only if nothing changed.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, Row, config::DbConfig, types::ValueRef};
use serde_json::Value;

use super::{
    fault::LogFault,
    files::{FileMark, LogFile, LogForm},
};

/// How often a database that changes while it is read is tried again.
const MAX_TRIES: usize = 3;
/// The length of a WAL's header, which is another one after each time that it begins anew.
const WAL_HEADER: usize = 32;

/// A database of another program, open.
pub(super) struct Database {
    sql: Connection,
}

/// What says that the database was not written into.
#[derive(PartialEq, Eq)]
struct Stillness {
    file: FileMark,
    wal: Option<Vec<u8>>,
    has_journal: bool,
}

/// The database at `path` as a log, if there is one: what is in its WAL is a part of it.
pub(super) fn find(path: PathBuf) -> Option<LogFile> {
    let mut found = LogFile::at(path)?;
    if let Ok(wal) = fs::metadata(beside(&found.path, "-wal")) {
        let wal = FileMark::of(&wal);
        found.mark.size += wal.size;
        found.mark.modified = found.mark.modified.max(wal.modified);
    }
    found.form = LogForm::Database;
    Some(found)
}

/// What `work` reads of the database at `path`, if it did not change meanwhile.
pub(super) fn read<T>(path: &Path, work: impl Fn(&Database) -> rusqlite::Result<T>) -> Result<T, LogFault> {
    for _ in 0..MAX_TRIES {
        let before = Stillness::of(path)?;
        if before.has_journal {
            return Err(LogFault::Locked);
        }
        let outcome = open(path, before.wal.is_some()).and_then(|database| work(&database));
        if Stillness::of(path)? == before {
            return outcome.map_err(|why| fault(&why));
        }
    }
    Err(LogFault::Locked)
}

fn open(path: &Path, has_wal: bool) -> rusqlite::Result<Database> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut address = url::Url::from_file_path(&real).map_err(|()| rusqlite::Error::InvalidPath(real.clone()))?;
    address
        .query_pairs_mut()
        .append_pair("mode", "ro")
        .append_pair("vfs", if cfg!(windows) { "win32-none" } else { "unix-none" });
    if !has_wal {
        address.query_pairs_mut().append_pair("immutable", "1");
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let sql = Connection::open_with_flags(address.as_str(), flags)?;
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    sql.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; BEGIN",
    )?;
    Ok(Database { sql })
}

impl Stillness {
    fn of(path: &Path) -> Result<Self, LogFault> {
        let file = FileMark::of(&fs::metadata(path)?);
        let has_journal = fs::metadata(beside(path, "-journal")).is_ok_and(|journal| journal.len() > 0);
        let mut header = Vec::new();
        if let Ok(wal) = File::open(beside(path, "-wal")) {
            wal.take(WAL_HEADER as u64).read_to_end(&mut header)?;
        }
        Ok(Self {
            file,
            wal: (!header.is_empty()).then_some(header),
            has_journal,
        })
    }
}

/// The file that SQLite puts beside the database.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn fault(why: &rusqlite::Error) -> LogFault {
    use rusqlite::ErrorCode;
    match why.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LogFault::Locked,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            LogFault::UnknownForm("it is not a whole database")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            LogFault::Unreadable(std::io::ErrorKind::PermissionDenied)
        }
        _ => LogFault::UnknownForm("its tables are not as expected"),
    }
}

impl Database {
    /// Whether there is a table of that name with these columns.
    pub(super) fn has(&self, table: &str, columns: &[&str]) -> rusqlite::Result<bool> {
        let mut statement = self.sql.prepare_cached("SELECT name FROM pragma_table_info(?1)")?;
        let found: Vec<String> = statement
            .query_map([table], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(!found.is_empty() && columns.iter().all(|column| found.iter().any(|it| it == column)))
    }

    /// Gives each row that `select` finds to `each`.
    pub(super) fn each(
        &self,
        select: &str,
        from: u64,
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut statement = self.sql.prepare(select)?;
        let mut rows = if statement.parameter_count() == 0 {
            statement.query([])?
        } else {
            statement.query([from.cast_signed()])?
        };
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }
}

/// The text in a column, of whatever type it is; nothing for NULL.
pub(super) fn text(row: &Row<'_>, column: usize) -> Option<String> {
    let text = match row.get_ref(column).ok()? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// The count in a column; 0 where there is none.
pub(super) fn count(row: &Row<'_>, column: usize) -> u64 {
    match row.get_ref(column) {
        Ok(ValueRef::Integer(number)) => u64::try_from(number).unwrap_or(0),
        Ok(ValueRef::Real(_) | ValueRef::Text(_)) => text(row, column)
            .and_then(|text| text.split('.').next()?.parse().ok())
            .unwrap_or(0),
        Ok(ValueRef::Null | ValueRef::Blob(_)) | Err(_) => 0,
    }
}

/// The JSON in a column; nothing where it is none.
pub(super) fn json(row: &Row<'_>, column: usize) -> Option<Value> {
    match row.get_ref(column).ok()? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => serde_json::from_slice(bytes).ok(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    }
}
