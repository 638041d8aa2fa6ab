//! The files that logs consist of.

use std::{
    fs, io, panic,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::UNIX_EPOCH,
};

/// How deep logs lie below their root.
const DEEPEST: usize = 12;
/// The fewest folders that another thread is started for.
const MIN_FOLDERS_OF_THREAD: usize = 8;

/// Whether the file at a path is a log.
type IsLog<'a> = &'a (dyn Fn(&Path) -> bool + Sync);

/// A log file, as its folder lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    pub path: PathBuf,
    pub mark: FileMark,
    /// When it was made, in nanoseconds since 1970, as far as the system tells.
    pub created: i64,
    pub form: LogForm,
}

/// How a log is read again once it has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogForm {
    /// It grows at its end: from where it was read to, if what stands before is still the same.
    Lines,
    /// From the row that it was read to.
    Database,
}

/// By what a file is known to be unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileMark {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    /// In nanoseconds since 1970.
    pub modified: i64,
}

impl LogFile {
    /// The file at `path`, if there is one.
    pub(super) fn at(path: PathBuf) -> Option<Self> {
        let found = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some(Self::of(path, &found))
    }

    fn of(path: PathBuf, found: &fs::Metadata) -> Self {
        let mark = FileMark::of(found);
        let created = found.created().ok().map_or(mark.modified, nanoseconds);
        Self {
            path,
            mark,
            created,
            form: LogForm::Lines,
        }
    }

    /// The name without its last ending.
    pub(super) fn stem(&self) -> &str {
        self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }
}

impl FileMark {
    pub(super) fn of(found: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let (device, inode) = {
            use std::os::unix::fs::MetadataExt;
            (found.dev(), found.ino())
        };
        #[cfg(not(unix))]
        let (device, inode) = (0, 0);
        Self {
            device,
            inode,
            size: found.len(),
            modified: found.modified().map_or(0, nanoseconds),
        }
    }

    /// Whether it is the same file, which may have grown.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

fn nanoseconds(time: std::time::SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The files below `root` that `is_log` lets through by their paths; none where there is no such folder.
///
/// Links to folders are not followed, but for `root` itself. What may not be looked into is left out with a warning.
pub(super) fn below(root: &Path, is_log: IsLog<'_>) -> Vec<LogFile> {
    below_to(root, is_log, DEEPEST)
}

/// The same down to `deepest` folders below `root`.
///
/// Most of the time of an import without anything new is spent here, in the system: all cores share it.
pub(super) fn below_to(root: &Path, is_log: IsLog<'_>, deepest: usize) -> Vec<LogFile> {
    let mut found = Vec::new();
    let folders = list(root, is_log, &mut found);
    let Some(deeper) = deepest.checked_sub(1) else {
        return found;
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(folders.len() / MIN_FOLDERS_OF_THREAD).max(1);
    let next = AtomicUsize::new(0);
    let walk = || {
        let mut walked = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(folder) = folders.get(index) else {
                return walked;
            };
            let mut found = Vec::new();
            collect(folder, is_log, deeper, &mut found);
            walked.push((index, found));
        }
    };
    let mut walked = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(walk)).collect();
        let mut walked = walk();
        for other in others {
            walked.extend(other.join().unwrap_or_else(|why| panic::resume_unwind(why)));
        }
        walked
    });
    walked.sort_by_key(|(index, _)| *index);
    found.extend(walked.into_iter().flat_map(|(_, found)| found));
    found
}

fn collect(folder: &Path, is_log: IsLog<'_>, deepest: usize, found: &mut Vec<LogFile>) {
    let folders = list(folder, is_log, found);
    if let Some(deeper) = deepest.checked_sub(1) {
        for folder in folders {
            collect(&folder, is_log, deeper, found);
        }
    }
}

/// Adds the logs in a folder to `found`; returns the folders in it.
fn list(folder: &Path, is_log: IsLog<'_>, found: &mut Vec<LogFile>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return folders,
        Err(why) => {
            tracing::warn!(folder = %folder.display(), %why, "a folder of logs cannot be looked into");
            return folders;
        }
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() {
            folders.push(path);
        } else if is_log(&path) {
            let metadata = if kind.is_symlink() {
                fs::metadata(&path)
            } else {
                entry.metadata()
            };
            found.extend(
                metadata
                    .ok()
                    .filter(fs::Metadata::is_file)
                    .map(|it| LogFile::of(path, &it)),
            );
        }
    }
    folders
}

/// Whether the name of `path` ends with `.ending`.
pub(super) fn ends_with(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

/// Whether the folder of `path` has that name.
pub(super) fn is_in(path: &Path, folder: &str) -> bool {
    path.parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name == folder)
}
