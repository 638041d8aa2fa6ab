//! A private folder, whose files are replaced whole or not at all.

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    error::{FileError, Hazard},
    metadata::{FileKind, FileMetadata, OpenFor, OthersAccess, Stamp},
    system::{self, Directory},
};

/// What a temporary file's name ends in; with the dot in front, nothing of a user's looks like it.
pub(in crate::storage) const TEMPORARY: &str = ".api-keys-tmp";

/// A private folder: a real directory, ours, and closed to all other users.
///
/// It stays with the directory that was checked, even when the path comes to mean another one: open it anew for each
/// operation.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    directory: Directory,
    whose: FileOwner,
}

/// Whose files a folder holds: what others may do with them is our business, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileOwner {
    Ours,
    AnotherProgram,
}

/// A file's bytes and the state that they are of.
pub type FileContents = (Zeroizing<Vec<u8>>, Stamp);

/// OpenFor far a change got that can no longer fail.
#[derive(Debug)]
#[must_use]
pub enum Written {
    /// The new contents are on the disk.
    Durable,
    /// The new contents are in place, but the system would not say that a power cut leaves them there. Not a failure to
    /// retry: readers see the new contents.
    DurabilityUnknown(io::Error),
}

/// Whether the file at `path` is in the state that a [`Folder`] found it in, `None` if it found none.
///
/// For callers that hold what was read then: nothing is opened. Anything else is to be read through a folder.
pub(crate) fn is_unchanged(path: &Path, found: Option<Stamp>) -> bool {
    is_still(path, found, |now, found| now == found)
}

/// Whether the file at `path` is the one that a [`Folder`] found there, with whatever in it but nothing.
pub(in crate::storage) fn is_in_place(path: &Path, found: Stamp) -> bool {
    is_still(path, Some(found), |now, found| {
        now.length > 0 && now.is_same_file(found)
    })
}

fn is_still(path: &Path, found: Option<Stamp>, is_same: impl Fn(Stamp, Stamp) -> bool) -> bool {
    match (system::metadata_at(path), found) {
        (Ok(Some(now)), Some(found)) => is_same(now.stamp, found) && hazard(&now, FileOwner::Ours).is_none(),
        (Ok(now), found) => now.is_none() && found.is_none(),
        (Err(_), _) => false,
    }
}

/// Why a file with this metadata is not to be worked with, if it is not.
fn hazard(metadata: &FileMetadata, whose: FileOwner) -> Option<Hazard> {
    if metadata.kind != FileKind::File {
        Some(Hazard::NotAFile(metadata.kind.name()))
    } else if !metadata.ours {
        Some(Hazard::ForeignOwner)
    } else if whose == FileOwner::Ours && metadata.others != OthersAccess::None {
        Some(Hazard::OpenToOthers)
    } else {
        None
    }
}

impl Folder {
    /// Opens the folder at `path`, making it and its parents (0700 under any umask) where they are missing.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        if let Some(folder) = Self::open(path)? {
            return Ok(folder);
        }
        if let Some(parent) = path.parent()
            && parent != Path::new("")
            && !parent.is_dir()
        {
            Self::create(parent)?;
        }
        match system::make_directory(path) {
            // Another process may have been faster; what it made is checked like any other.
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(FileError::from_io(path, "create the folder", source)),
            Ok(()) => {
                system::sync_parent(path).map_err(|source| FileError::from_io(path, "create the folder", source))?;
            }
        }
        Self::open(path)?.ok_or_else(|| FileError::from_io(path, "open the folder", io::ErrorKind::NotFound.into()))
    }

    /// Opens the folder at `path`; `None` where there is none.
    ///
    /// A folder of ours that others may look into is closed to them. One that others may write to is refused unless it
    /// is empty: what is in it may be theirs.
    pub fn open(path: &Path) -> Result<Option<Self>, FileError> {
        let directory = match Directory::open(path) {
            Ok(directory) => directory,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(match system::metadata_at(path) {
                    Ok(Some(metadata)) if metadata.kind != FileKind::Directory => FileError::Unsafe {
                        path: path.to_owned(),
                        why: Hazard::NotADirectory(metadata.kind.name()),
                    },
                    Ok(_) | Err(_) => FileError::from_io(path, "open the folder", source),
                });
            }
        };
        let folder = Self {
            path: path.to_owned(),
            directory,
            whose: FileOwner::Ours,
        };
        folder.close_to_others()?;
        Ok(Some(folder))
    }

    /// A folder of another program, whose files others may read.
    pub(super) fn of_another_program(path: &Path, directory: Directory) -> Self {
        Self {
            path: path.to_owned(),
            directory,
            whose: FileOwner::AnotherProgram,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The state of the file `name`; `None` where there is none.
    pub fn stamp(&self, name: &str) -> Result<Option<Stamp>, FileError> {
        let metadata = self
            .directory
            .metadata_of(name)
            .map_err(|source| self.failed(name, "inspect", source))?;
        metadata
            .map(|metadata| self.trusted(name, &metadata).map(|()| metadata.stamp))
            .transpose()
    }

    /// The contents of the file `name`, up to `limit` bytes, with the state that they are of; `None` where there is no
    /// such file.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<FileContents>, FileError> {
        let Some((mut file, stamp)) = self.open_to_read(name)? else {
            return Ok(None);
        };
        if stamp.length > limit {
            return Err(FileError::TooLarge {
                path: self.path.join(name),
                limit,
            });
        }
        let failed = |source| self.failed(name, "read", source);
        let length = usize::try_from(stamp.length).map_err(|why| failed(io::Error::other(why)))?;
        // The buffer never grows, so no copy is left behind; what is appended meanwhile is left for the next read.
        let mut bytes = Zeroizing::new(vec![0; length]);
        let mut filled = 0;
        while filled < length {
            match file.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(failed(why)),
            }
        }
        bytes.truncate(filled);
        Ok(Some((bytes, stamp)))
    }

    /// Puts `bytes` in place of the file `name`. After an error the file is what it was before.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<Written, FileError> {
        self.write_whole(name, bytes, |_| Ok(()))
    }

    /// Puts `bytes` in place of the file `name`, in a new file that `dress` has seen while it was empty.
    pub(super) fn write_whole(
        &self,
        name: &str,
        bytes: &[u8],
        dress: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<Written, FileError> {
        self.stamp(name)?;
        // A chance of its own for each, so that no killed process's leftover is in the way.
        let temporary = format!(".{name}.{:016x}{TEMPORARY}", RandomState::new().hash_one(name));
        let written = self
            .directory
            .open_file(&temporary, OpenFor::CreateNew)
            .and_then(|mut file| {
                dress(&file)?;
                file.write_all(bytes)?;
                file.sync_all()?;
                drop(file);
                self.directory.rename(&temporary, name)
            });
        if let Err(source) = written {
            // Best effort: what stays is removed by the next `clean_stale`.
            let _ = self.directory.remove(&temporary);
            return Err(self.failed(name, "write", source));
        }
        Ok(match self.directory.sync() {
            Ok(()) => Written::Durable,
            Err(why) => Written::DurabilityUnknown(why),
        })
    }

    /// A new file `name`, private and empty, to be written piece by piece; fails where there is one.
    pub(in crate::storage) fn make_file(&self, name: &str) -> Result<File, FileError> {
        self.directory
            .open_file(name, OpenFor::CreateNew)
            .map_err(|source| self.failed(name, "create", source))
    }

    /// Adds `bytes` to the end of the file `name`, making it where it is missing, and returns once they are on the disk.
    ///
    /// After an error the file is as it was, as far as the system lets us; a power cut can leave a part of `bytes`.
    pub fn append(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        let (mut file, before, created) = self.open_to_append(name)?;
        file.write_all(bytes)
            .and_then(|()| file.sync_data())
            .and_then(|()| if created { self.directory.sync() } else { Ok(()) })
            .map_err(|source| {
                let _ = file.set_len(before);
                self.failed(name, "append to", source)
            })
    }

    /// Returns once what is written to the file `name` is on the disk; at once where there is none.
    pub(in crate::storage) fn sync(&self, name: &str) -> Result<(), FileError> {
        match self.open_to_read(name)? {
            Some((file, _)) => file.sync_data().map_err(|source| self.failed(name, "sync", source)),
            None => Ok(()),
        }
    }

    /// Removes temporary files that a killed process left. Only under the lock: they could be a living writer's.
    ///
    /// Returns how many there were.
    pub fn clean_stale(&self) -> Result<usize, FileError> {
        let names = self
            .directory
            .names()
            .map_err(|source| FileError::from_io(&self.path, "list the folder", source))?;
        let mut removed = 0;
        for name in names.iter().filter_map(|name| name.to_str()) {
            let temporary = name.starts_with('.') && name.ends_with(TEMPORARY);
            if temporary && matches!(self.stamp(name), Ok(Some(_))) {
                self.directory
                    .remove(name)
                    .map_err(|source| self.failed(name, "remove", source))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes the file `name`; `false` where there was none.
    pub fn remove(&self, name: &str) -> Result<bool, FileError> {
        if self.stamp(name)?.is_none() {
            return Ok(false);
        }
        self.directory
            .remove(name)
            .and_then(|()| self.directory.sync())
            .map_err(|source| self.failed(name, "remove", source))?;
        Ok(true)
    }

    /// Gives the file `from` the name `to`, which must be free.
    pub(in crate::storage) fn rename_to_free(&self, from: &str, to: &str) -> Result<(), FileError> {
        if self.stamp(to)?.is_some() {
            return Err(self.failed(to, "rename to", io::ErrorKind::AlreadyExists.into()));
        }
        self.directory
            .rename(from, to)
            .and_then(|()| self.directory.sync())
            .map_err(|source| self.failed(from, "rename", source))
    }

    /// Gives the file `from` the name `to`; a power cut can undo it.
    pub(in crate::storage) fn rename_unsynced(&self, from: &str, to: &str) -> Result<(), FileError> {
        self.directory
            .rename(from, to)
            .map_err(|source| self.failed(from, "rename", source))
    }

    /// Removes the file `name`; a power cut can undo it.
    pub(in crate::storage) fn remove_unsynced(&self, name: &str) -> Result<(), FileError> {
        match self.directory.remove(name) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(self.failed(name, "remove", source)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Returns once the names of the files in the folder are on the disk.
    pub fn sync_names(&self) -> Result<(), FileError> {
        self.directory
            .sync()
            .map_err(|source| FileError::from_io(&self.path, "sync", source))
    }

    /// Cuts the file `name` to `length` bytes, and returns once that is on the disk.
    pub(in crate::storage) fn shorten(&self, name: &str, length: u64) -> Result<(), FileError> {
        let (file, _, _) = self.open_to_append(name)?;
        file.set_len(length)
            .and_then(|()| file.sync_all())
            .map_err(|source| self.failed(name, "shorten", source))
    }

    /// Names of the files in the folder, sorted.
    pub fn names(&self) -> Result<Vec<String>, FileError> {
        let mut names: Vec<String> = self
            .directory
            .names()
            .map_err(|source| FileError::from_io(&self.path, "list the folder", source))?
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// A checked file to read from, with its state.
    pub fn open_to_read(&self, name: &str) -> Result<Option<(File, Stamp)>, FileError> {
        match self.open_checked(name, OpenFor::Read) {
            Ok((file, metadata)) => Ok(Some((file, metadata.stamp))),
            Err(OpenError::Missing) => Ok(None),
            Err(OpenError::Other(why)) => Err(why),
        }
    }

    /// The checked lock file `name`, made where it is missing.
    pub(in crate::storage) fn open_lock(&self, name: &str) -> Result<(File, Stamp), FileError> {
        match self.open_checked(name, OpenFor::Lock) {
            Ok((file, metadata)) => Ok((file, metadata.stamp)),
            Err(OpenError::Missing) => Err(self.failed(name, "open", io::ErrorKind::NotFound.into())),
            Err(OpenError::Other(why)) => Err(why),
        }
    }

    /// A checked file at its end, its length, and whether it was made just now.
    fn open_to_append(&self, name: &str) -> Result<(File, u64, bool), FileError> {
        for how in [OpenFor::Append, OpenFor::CreateNew, OpenFor::Append] {
            match self.open_checked(name, how) {
                Ok((mut file, metadata)) => {
                    file.seek(SeekFrom::End(0))
                        .map_err(|source| self.failed(name, "append to", source))?;
                    return Ok((file, metadata.stamp.length, how == OpenFor::CreateNew));
                }
                Err(OpenError::Missing) => {}
                Err(OpenError::Other(FileError::Io { source, .. }))
                    if how == OpenFor::CreateNew && source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(OpenError::Other(why)) => return Err(why),
            }
        }
        Err(self.failed(name, "append to", io::ErrorKind::NotFound.into()))
    }

    fn open_checked(&self, name: &str, how: OpenFor) -> Result<(File, FileMetadata), OpenError> {
        let file = self.directory.open_file(name, how).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                return OpenError::Missing;
            }
            // A link, a socket or a pipe without a reader fails to open: say what it is, not what the system said.
            OpenError::Other(match self.stamp(name) {
                Err(hazard @ FileError::Unsafe { .. }) => hazard,
                Ok(_) | Err(_) => self.failed(name, "open", source),
            })
        })?;
        let metadata =
            system::metadata(&file).map_err(|source| OpenError::Other(self.failed(name, "inspect", source)))?;
        self.trusted(name, &metadata).map_err(OpenError::Other)?;
        Ok((file, metadata))
    }

    fn trusted(&self, name: &str, metadata: &FileMetadata) -> Result<(), FileError> {
        match hazard(metadata, self.whose) {
            None => Ok(()),
            Some(why) => Err(FileError::Unsafe {
                path: self.path.join(name),
                why,
            }),
        }
    }

    fn close_to_others(&self) -> Result<(), FileError> {
        let failed = |source| FileError::from_io(&self.path, "inspect the folder", source);
        let hazard = |why| {
            Err(FileError::Unsafe {
                path: self.path.clone(),
                why,
            })
        };
        let metadata = self.directory.metadata().map_err(failed)?;
        if !metadata.ours {
            return hazard(Hazard::ForeignOwner);
        }
        if metadata.others == OthersAccess::None {
            return Ok(());
        }
        // Such as /tmp: shared on purpose. And `/srv` or `/data` may be for other users.
        let shared = metadata.sticky
            || metadata.others == OthersAccess::Write
            || self.path.parent().is_none_or(|up| up.parent().is_none());
        if shared && (metadata.sticky || !self.directory.names().map_err(failed)?.is_empty()) {
            return hazard(Hazard::FolderOpenToOthers);
        }
        match self.directory.close_to_others() {
            // Nothing can be written there at all, and the files themselves are checked one by one.
            Err(source) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
            closed => closed.map_err(|source| FileError::from_io(&self.path, "close the folder to others", source)),
        }
    }

    fn failed(&self, name: impl AsRef<OsStr>, doing: &'static str, source: io::Error) -> FileError {
        FileError::from_io(&self.path.join(name.as_ref()), doing, source)
    }
}

/// A missing file is an answer, not yet a failure.
enum OpenError {
    Missing,
    Other(FileError),
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Durable => "durable",
            Self::DurabilityUnknown(_) => "made, but perhaps not durable",
        })
    }
}
