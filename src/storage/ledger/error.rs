//! Why the ledger did not do what it was asked.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::ErrorCode;

use crate::storage::files::FileError;

/// Why the ledger did not do what it was asked; nothing was changed.
#[derive(Debug)]
pub enum LedgerError {
    /// The file is corrupted or was modified.
    Damaged {
        path: PathBuf,
        what: String,
    },
    /// It is a database, and another program's.
    Foreign {
        path: PathBuf,
    },
    /// The `-wal` file beside it is of another ledger.
    ForeignWal {
        path: PathBuf,
    },
    /// The file was written by a newer version.
    TooNew {
        path: PathBuf,
        version: i64,
    },
    /// Other processes wrote for the whole time waited.
    Busy {
        waited: Duration,
    },
    File(FileError),
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
fn rounded(waited: Duration) -> u64 {
    (waited + Duration::from_millis(500)).as_secs()
}

/// What SQLite says, without the statement.
fn plain(why: &rusqlite::Error) -> String {
    match why {
        rusqlite::Error::SqliteFailure(_, Some(said)) => said.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { path, what } => write!(f, "{} is corrupted or was modified: {what}", path.display()),
            Self::Foreign { path } => write!(f, "{} is a database of another program", path.display()),
            Self::ForeignWal { path } => write!(f, "{} is of another ledger than the file beside it", path.display()),
            Self::TooNew { path, version } => write!(
                f,
                "{} has format {version}, which is newer than this program supports",
                path.display()
            ),
            Self::Busy { waited } => write!(f, "other processes wrote to the ledger for {} s", rounded(*waited)),
            Self::File(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for LedgerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(why) => why.source(),
            Self::Damaged { .. }
            | Self::Foreign { .. }
            | Self::ForeignWal { .. }
            | Self::TooNew { .. }
            | Self::Busy { .. } => None,
        }
    }
}

impl From<FileError> for LedgerError {
    fn from(why: FileError) -> Self {
        Self::File(why)
    }
}
