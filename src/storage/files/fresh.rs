//! New files and folders that are in place whole, or gone.

use std::{
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    error::FileError,
    folder::{Folder, TEMPORARY, Written},
    metadata::OpenFor,
    system::{self, Directory},
};

/// A file in the making, in a folder that need not be ours alone: private, under another name until it is kept.
#[derive(Debug)]
pub struct FreshFile {
    path: PathBuf,
    directory: Directory,
    temporary: String,
    name: String,
    file: Option<File>,
}

/// A private folder that is removed, with all that is in it, when this is dropped.
#[derive(Debug)]
pub struct ScratchFolder {
    folder: Folder,
    is_kept: bool,
}

impl FreshFile {
    /// Begins a file that will be at `path`, where none is.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let failed = |source| FileError::from_io(path, "create", source);
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name
            .ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?
            .to_owned();
        if system::metadata_at(path).map_err(failed)?.is_some() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let parent = path
            .parent()
            .filter(|parent| *parent != Path::new(""))
            .unwrap_or(Path::new("."));
        let real = fs::canonicalize(parent).map_err(failed)?;
        let directory = Directory::open(&real).map_err(failed)?;
        let temporary = temporary_name(&name);
        let file = directory.open_file(&temporary, OpenFor::CreateNew).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            directory,
            temporary,
            name,
            file: Some(file),
        })
    }

    /// Puts the file on the disk and in its place.
    pub fn keep(mut self) -> Result<Written, FileError> {
        let failed = |source| FileError::from_io(&self.path, "write", source);
        if let Some(file) = &self.file {
            file.sync_all().map_err(failed)?;
        }
        if system::metadata_at(&self.path).map_err(failed)?.is_some() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        self.directory.rename(&self.temporary, &self.name).map_err(failed)?;
        self.file = None;
        Ok(match self.directory.sync() {
            Ok(()) => Written::Durable,
            Err(why) => Written::DurabilityUnknown(why),
        })
    }

    /// How an error names the file.
    pub fn failed(&self, source: io::Error) -> FileError {
        FileError::from_io(&self.path, "write", source)
    }
}

impl Write for FreshFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for FreshFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = self.directory.remove(&self.temporary);
        }
    }
}

impl ScratchFolder {
    /// A new folder in `parent`, called after `name`.
    pub fn create(parent: &Path, name: &str) -> Result<Self, FileError> {
        let folder = Folder::create(&parent.join(temporary_name(name)))?;
        Ok(Self { folder, is_kept: false })
    }

    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Leaves the folder where it is, for it was renamed or is someone else's now.
    pub fn keep(mut self) {
        self.is_kept = true;
    }

    /// Removes the folders in `parent` that killed processes left. Only under a lock: they could be a living one's.
    pub fn clean_stale(parent: &Path, name: &str) -> Result<(), FileError> {
        let failed = |source| FileError::from_io(parent, "list the folder", source);
        let entries = match fs::read_dir(parent) {
            Ok(entries) => entries,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(why) => return Err(failed(why)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let is_ours = entry.file_name().to_str().is_some_and(|found| {
                found.strip_prefix('.').is_some_and(|found| found.starts_with(name)) && found.ends_with(TEMPORARY)
            });
            if is_ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(|source| FileError::from_io(&path, "remove", source))?;
            }
        }
        Ok(())
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        if !self.is_kept {
            // What stays is removed by the next `clean_stale`.
            let _ = fs::remove_dir_all(self.folder.path());
        }
    }
}

/// A name for what is in the making, with a chance of its own.
fn temporary_name(name: &str) -> String {
    format!(".{name}.{:016x}{TEMPORARY}", RandomState::new().hash_one(name))
}
