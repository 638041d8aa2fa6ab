//! What is known of a file without reading it, on every system.

/// What tells one state of a file from the next without reading it: device, inode, time of change, length.
///
/// Good enough for readers. Two changes within one tick of the file system's clock can look like none, so a writer
/// reads again under its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) modified: (i64, i64),
    pub(super) length: u64,
}

impl Stamp {
    /// The file's length in bytes.
    pub fn length(self) -> u64 {
        self.length
    }

    /// Whether both are of one file, changed or not.
    pub(in crate::storage) fn is_same_file(self, other: Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// What a file is opened for; it is private from its creation on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenFor {
    Read,
    /// An existing file, at its end.
    Append,
    /// A file that must not exist yet, to write and append.
    CreateNew,
    /// A file that may exist, to hold a lock on.
    Lock,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(unix),
    expect(dead_code, reason = "only Unix tells pipes, sockets and devices apart")
)]
pub(super) enum FileKind {
    File,
    Directory,
    Link,
    Pipe,
    Socket,
    Device,
    Unknown,
}

/// What other users may do with a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has permission bits"))]
pub(super) enum OthersAccess {
    None,
    Read,
    Write,
}

/// What is known about a file without reading it.
#[derive(Debug)]
pub(super) struct FileMetadata {
    pub(super) kind: FileKind,
    pub(super) ours: bool,
    pub(super) others: OthersAccess,
    /// Shared on purpose, such as `/tmp`.
    pub(super) sticky: bool,
    pub(super) stamp: Stamp,
}

impl FileKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a folder",
            Self::Link => "a symbolic link",
            Self::Pipe => "a pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::Unknown => "something unknown",
        }
    }
}
