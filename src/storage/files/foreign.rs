//! Files of other programs: changed whole or not at all, and without disturbing whose they are.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    error::{FileError, Hazard},
    folder::{FileContents, Folder, Written},
    metadata::Stamp,
    system::{self, Directory},
};

/// What the name of a backup ends in.
const BACKUP: &str = ".api-keys-backup";
/// The pause between two tries of another program's lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(25);
const MAX_LOCK_TRIES: u32 = 120;

/// A folder of another program of the same user, such as one that holds its settings.
///
/// Files keep their mode and group, and others may read them. A link is not followed, a file of another user or one
/// that is read-only is left alone.
#[derive(Debug)]
pub struct ForeignFolder(Folder);

/// Another program's lock, held by us until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct ForeignLock(PathBuf);

impl ForeignFolder {
    /// Opens the folder at `path`; `None` where there is none. Links to the folder itself are followed.
    pub fn open(path: &Path) -> Result<Option<Self>, FileError> {
        let failed = |source| FileError::from_io(path, "open the folder", source);
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(failed(why)),
        };
        let directory = Directory::open(&real).map_err(failed)?;
        if !directory.metadata().map_err(failed)?.ours {
            return Err(FileError::Unsafe {
                path: path.to_owned(),
                why: Hazard::ForeignOwner,
            });
        }
        Ok(Some(Self(Folder::of_another_program(path, directory))))
    }

    /// Opens the folder at `path`, making it and its parents where they are missing.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let failed = |source| FileError::from_io(path, "create the folder", source);
        fs::create_dir_all(path).map_err(failed)?;
        Self::open(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
    }

    /// The contents of the file `name`, up to `limit` bytes, and the state that they are of.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<FileContents>, FileError> {
        self.0.read(name, limit)
    }

    /// Puts `bytes` in place of the file `name`, which must still be as `seen`; what it was stays beside it as a backup.
    pub fn replace(&self, name: &str, seen: Option<&FileContents>, bytes: &[u8]) -> Result<Written, FileError> {
        if let Some((before, _)) = seen {
            let model = self.writable(name)?;
            // Whether the backup survives a power cut does not matter while the file itself is whole.
            let _ = self.write(&format!("{name}{BACKUP}"), before, model.as_ref())?;
        }
        self.put(name, seen, bytes)
    }

    /// The same for a file that held a secret: what it was is kept for us alone.
    pub fn replace_secret(&self, name: &str, seen: &FileContents, bytes: &[u8]) -> Result<Written, FileError> {
        let _ = self.write(&format!("{name}{BACKUP}"), &seen.0, None)?;
        self.put(name, Some(seen), bytes)
    }

    /// Puts `bytes` in place of the file `name`, which must still be as `seen`.
    pub fn put(&self, name: &str, seen: Option<&FileContents>, bytes: &[u8]) -> Result<Written, FileError> {
        let model = self.writable(name)?;
        self.expect_as(name, seen.map(|(_, stamp)| *stamp))?;
        self.write(name, bytes, model.as_ref())
    }

    /// As [`replace`](Self::replace), for bytes that hold a secret: neither the file nor its backup is for others to read.
    pub fn replace_private(&self, name: &str, seen: Option<&FileContents>, bytes: &[u8]) -> Result<Written, FileError> {
        self.writable(name)?;
        self.expect_as(name, seen.map(|(_, stamp)| *stamp))?;
        if let Some((before, _)) = seen {
            let _ = self.write(&format!("{name}{BACKUP}"), before, None)?;
        }
        self.write(name, bytes, None)
    }

    fn write(&self, name: &str, bytes: &[u8], model: Option<&fs::Metadata>) -> Result<Written, FileError> {
        self.0.write_whole(name, bytes, |file| match model {
            Some(model) => system::dress_like(file, model),
            None => Ok(()),
        })
    }

    /// Removes the file `name`, which must still be as `seen`.
    pub fn remove(&self, name: &str, seen: &FileContents) -> Result<bool, FileError> {
        self.writable(name)?;
        self.expect_as(name, Some(seen.1))?;
        self.0.remove(name)
    }

    /// Takes the lock that a program keeps as a folder called `name`, waiting for some seconds at most.
    pub fn lock(&self, name: &str) -> Result<ForeignLock, FileError> {
        let path = self.0.path().join(name);
        for _ in 0..MAX_LOCK_TRIES {
            match fs::create_dir(&path) {
                Ok(()) => return Ok(ForeignLock(path)),
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => thread::sleep(LOCK_RETRY_INTERVAL),
                Err(why) => return Err(FileError::from_io(&path, "take the lock", why)),
            }
        }
        Err(FileError::Locked { path })
    }

    /// Fails where the file `name` is there and its owner may not write it.
    pub fn check_writable(&self, name: &str) -> Result<(), FileError> {
        self.writable(name).map(drop)
    }

    /// What is known of the file `name`, if there is one that its owner may write.
    fn writable(&self, name: &str) -> Result<Option<fs::Metadata>, FileError> {
        let path = self.0.path().join(name);
        match fs::symlink_metadata(&path) {
            // The new file would not be read-only, and this one was made so on purpose.
            Ok(found) if found.permissions().readonly() => Err(FileError::ReadOnly {
                path,
                source: io::ErrorKind::PermissionDenied.into(),
            }),
            Ok(found) => Ok(Some(found)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(FileError::from_io(&path, "inspect", why)),
        }
    }

    fn expect_as(&self, name: &str, seen: Option<Stamp>) -> Result<(), FileError> {
        if self.0.stamp(name)? == seen {
            Ok(())
        } else {
            Err(FileError::Changed {
                path: self.0.path().join(name),
            })
        }
    }
}

impl Drop for ForeignLock {
    fn drop(&mut self) {
        // One that its owner took for forgotten, and removed, is gone already.
        let _ = fs::remove_dir(&self.0);
    }
}
