//! Why a file could not be read or written.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// Why a file could not be read or written; the causes are told apart by what the user can do.
#[derive(Debug)]
pub enum FileError {
    /// It is not a file or folder of ours alone.
    Unsafe { path: PathBuf, why: Hazard },
    /// It is longer than such a file can be, in bytes.
    TooLarge { path: PathBuf, limit: u64 },
    /// Somebody else changed it while we were at it.
    Changed { path: PathBuf },
    /// Another program kept its lock for the whole time waited.
    Locked { path: PathBuf },
    /// The system does not let us write there.
    ReadOnly { path: PathBuf, source: io::Error },
    /// The disk, the quota or the limit on a file's size is used up.
    NoSpace { path: PathBuf, source: io::Error },
    /// Anything else that the system said while we were `doing` it.
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

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path().display();
        match self {
            Self::Unsafe { why, .. } => write!(f, "{path} {why}"),
            Self::TooLarge { limit, .. } => write!(f, "{path} is longer than {limit} bytes"),
            Self::Changed { .. } => write!(f, "{path} was changed by another program just now"),
            Self::Locked { .. } => write!(f, "{path} is locked by another program"),
            Self::ReadOnly { source, .. } => write!(f, "no permission for {path}: {}", plain(source)),
            Self::NoSpace { source, .. } => write!(f, "no space to write {path}: {}", plain(source)),
            Self::Io { doing, source, .. } => write!(f, "could not {doing} {path}: {}", plain(source)),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unsafe { .. } | Self::TooLarge { .. } | Self::Changed { .. } | Self::Locked { .. } => None,
            Self::ReadOnly { source, .. } | Self::NoSpace { source, .. } | Self::Io { source, .. } => Some(source),
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
