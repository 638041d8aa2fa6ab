//! Why a file could not be read or written.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// Why a file could not be read or written; the variants differ in what the user can do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not a file or folder of ours alone.
    #[error("{} {why}", .path.display())]
    Unsafe { path: PathBuf, why: Hazard },
    /// It is longer than such a file can be, in bytes.
    #[error("{} is longer than {limit} bytes", .path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    /// It was changed by another program meanwhile.
    #[error("{} was changed by another program just now", .path.display())]
    Changed { path: PathBuf },
    /// Another program kept its lock for the whole time waited.
    #[error("{} is locked by another program", .path.display())]
    Locked { path: PathBuf },
    /// The system does not let us write there.
    #[error("no permission for {}: {}", .path.display(), plain(.source))]
    ReadOnly { path: PathBuf, source: io::Error },
    /// The disk, the quota or the limit on a file's size is used up.
    #[error("no space to write {}: {}", .path.display(), plain(.source))]
    NoSpace { path: PathBuf, source: io::Error },
    /// Anything else that the system said while we were `doing` it.
    #[error("could not {doing} {}: {}", .path.display(), plain(.source))]
    Io {
        path: PathBuf,
        doing: &'static str,
        source: io::Error,
    },
}

/// What makes a file or folder unfit to hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hazard {
    /// A symbolic link, a pipe, a device, …
    NotAFile(&'static str),
    NotADirectory(&'static str),
    ForeignOwner,
    OpenToOthers,
    FolderOpenToOthers,
}

impl FileError {
    pub(in crate::storage) fn from_io(path: &Path, doing: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path, source },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoSpace { path, source }
            }
            _ => Self::Io { path, doing, source },
        }
    }

    /// The file or folder that it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Unsafe { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Changed { path }
            | Self::Locked { path }
            | Self::ReadOnly { path, .. }
            | Self::NoSpace { path, .. }
            | Self::Io { path, .. } => path,
        }
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFile(kind) => write!(f, "is {kind}, not a file"),
            Self::NotADirectory(kind) => write!(f, "is {kind}, not a folder"),
            Self::ForeignOwner => f.write_str("belongs to another user"),
            Self::OpenToOthers => f.write_str("can be read or written by other users"),
            Self::FolderOpenToOthers => f.write_str("is a folder that other users have access to"),
        }
    }
}

/// The system's words in our case: "no space left on device".
fn plain(source: &io::Error) -> String {
    let text = source.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}
