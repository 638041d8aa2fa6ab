//! Files on systems without owners and modes: the profile folder's own access list keeps others out.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use super::Stamp;

/// A directory, by its path.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Read,
    Append,
    CreateNew,
    Lock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Unknown,
}

/// What other users may do with a file or folder: not asked here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(dead_code, reason = "the shape that Unix needs")]
pub(super) enum Others {
    Out,
    Read,
    Write,
}

/// What is known about a file without reading it.
#[derive(Debug)]
pub(super) struct Details {
    pub(super) kind: Kind,
    pub(super) ours: bool,
    pub(super) others: Others,
    pub(super) sticky: bool,
    pub(super) stamp: Stamp,
}

impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if fs::symlink_metadata(path)?.is_dir() {
            Ok(Self(path.to_owned()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub(super) fn details(&self) -> io::Result<Details> {
        Ok(Details::from_metadata(&fs::symlink_metadata(&self.0)?))
    }

    pub(super) fn details_of(&self, name: &str) -> io::Result<Option<Details>> {
        details_at(&self.0.join(name))
    }

    pub(super) fn open_file(&self, name: &str, how: How) -> io::Result<File> {
        if let Some(details) = self.details_of(name)?
            && details.kind != Kind::File
        {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut options = OpenOptions::new();
        match how {
            How::Read => options.read(true),
            // Not `append`, which could not shorten the file; the caller goes to the end.
            How::Append => options.read(true).write(true),
            How::CreateNew => options.read(true).write(true).create_new(true),
            How::Lock => options.read(true).write(true).create(true).truncate(false),
        };
        options.open(self.0.join(name))
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    /// Directories cannot be synced here; the file system's journal orders the renames.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the shape that Unix needs")]
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the shape that Unix needs")]
    pub(super) fn close_to_others(&self) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        fs::read_dir(&self.0)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect()
    }
}

pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that Unix needs")]
pub(super) fn sync_parent(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that Unix needs")]
pub(super) fn dress_like(_file: &File, _model: &Metadata) -> io::Result<()> {
    Ok(())
}

pub(super) fn details(file: &File) -> io::Result<Details> {
    Ok(Details::from_metadata(&file.metadata()?))
}

/// What is at `path` itself, without following a link; `None` where nothing is.
pub(super) fn details_at(path: &Path) -> io::Result<Option<Details>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(Details::from_metadata(&metadata))),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(why),
    }
}

impl Details {
    fn from_metadata(metadata: &Metadata) -> Self {
        let since = metadata
            .modified()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default();
        Self {
            kind: if metadata.is_file() {
                Kind::File
            } else if metadata.is_dir() {
                Kind::Directory
            } else if metadata.is_symlink() {
                Kind::Link
            } else {
                Kind::Unknown
            },
            ours: true,
            others: Others::Out,
            sticky: false,
            stamp: Stamp {
                device: 0,
                inode: 0,
                modified: (
                    i64::try_from(since.as_secs()).unwrap_or_default(),
                    i64::from(since.subsec_nanos()),
                ),
                length: metadata.len(),
            },
        }
    }
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a folder",
            Self::Link => "a symbolic link",
            Self::Unknown => "something unknown",
        }
    }
}
