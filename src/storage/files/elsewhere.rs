//! Files on systems without owners and modes: the profile folder's own access list keeps others out.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use super::metadata::{FileKind, FileMetadata, OpenFor, OthersAccess, Stamp};

/// A directory, by its path.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if fs::symlink_metadata(path)?.is_dir() {
            Ok(Self(path.to_owned()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub(super) fn metadata(&self) -> io::Result<FileMetadata> {
        Ok(FileMetadata::from_metadata(&fs::symlink_metadata(&self.0)?))
    }

    pub(super) fn metadata_of(&self, name: &str) -> io::Result<Option<FileMetadata>> {
        metadata_at(&self.0.join(name))
    }

    pub(super) fn open_file(&self, name: &str, how: OpenFor) -> io::Result<File> {
        if let Some(metadata) = self.metadata_of(name)?
            && metadata.kind != FileKind::File
        {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut options = OpenOptions::new();
        match how {
            OpenFor::Read => options.read(true),
            // Not `append`, which could not shorten the file; the caller goes to the end.
            OpenFor::Append => options.read(true).write(true),
            OpenFor::CreateNew => options.read(true).write(true).create_new(true),
            OpenFor::Lock => options.read(true).write(true).create(true).truncate(false),
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

pub(super) fn swap_names(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that Unix needs")]
pub(super) fn dress_like(_file: &File, _model: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

pub(super) fn metadata(file: &File) -> io::Result<FileMetadata> {
    Ok(FileMetadata::from_metadata(&file.metadata()?))
}

/// What is at `path` itself, without following a link; `None` where nothing is.
pub(super) fn metadata_at(path: &Path) -> io::Result<Option<FileMetadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(FileMetadata::from_metadata(&metadata))),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(why),
    }
}

impl FileMetadata {
    fn from_metadata(metadata: &fs::Metadata) -> Self {
        let since = metadata
            .modified()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default();
        Self {
            kind: if metadata.is_file() {
                FileKind::File
            } else if metadata.is_dir() {
                FileKind::Directory
            } else if metadata.is_symlink() {
                FileKind::Link
            } else {
                FileKind::Unknown
            },
            ours: true,
            others: OthersAccess::None,
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
