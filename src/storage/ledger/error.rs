//! Why a ledger operation failed.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::ErrorCode;

use crate::storage::files::FileError;

pub(super) type LedgerResult<T, E = LedgerError> = Result<T, E>;

/// Why a ledger operation failed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file is corrupted or was modified.
    #[error("{} is corrupted or was modified: {what}", .path.display())]
    Damaged { path: PathBuf, what: String },
    /// It is a database, and another program's.
    #[error("{} is a database of another program", .path.display())]
    Foreign { path: PathBuf },
    /// The `-wal` file beside it is of another ledger.
    #[error("{} is of another ledger than the file beside it", .path.display())]
    ForeignWal { path: PathBuf },
    /// The file was written by a newer version.
    #[error("{} has format {version}, which is newer than this program supports",
                .path.display())]
    TooNew { path: PathBuf, version: i64 },
    /// Other processes wrote for the whole time waited.
    #[error("other processes wrote to the ledger for {} s", rounded(.waited))]
    Busy { waited: Duration },
    #[error(transparent)]
    File(#[from] FileError),
}

impl LedgerError {
    /// What `why` means for the ledger at `path`, which came after `waited`.
    pub(super) fn from_sql(path: &Path, why: &rusqlite::Error, waited: Duration) -> Self {
        let path = path.to_owned();
        let io = |kind: io::ErrorKind| io::Error::new(kind, plain(why));
        match why.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { waited },
            Some(ErrorCode::DiskFull) => Self::File(FileError::NoSpace {
                path,
                source: io(io::ErrorKind::StorageFull),
            }),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::File(FileError::ReadOnly {
                path,
                source: io(io::ErrorKind::PermissionDenied),
            }),
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::NoLargeFileSupport,
            ) => Self::File(FileError::Io {
                path,
                doing: "use",
                source: io(io::ErrorKind::Other),
            }),
            // What is left is a file whose bytes, tables or values are not ours.
            _ => Self::Damaged { path, what: plain(why) },
        }
    }
}

/// In whole seconds.
fn rounded(waited: &Duration) -> u64 {
    (*waited + Duration::from_millis(500)).as_secs()
}

/// What SQLite says, without the statement.
fn plain(why: &rusqlite::Error) -> String {
    match why {
        rusqlite::Error::SqliteFailure(_, Some(said)) => said.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}
