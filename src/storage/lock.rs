//! One writer at a time: a lock on a file that is never renamed or removed.

use std::{
    fs::{File, TryLockError},
    hash::{BuildHasher, RandomState},
    thread,
    time::{Duration, Instant},
};

use super::files::{FileError, Folder};

/// The longest pause between two tries. A try is one system call; with pauses of up to 16 ms, a writer among eight that
/// never rest waited for more than 10 s now and then.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);

/// The right to write in a folder, until it is dropped. The system gives it back when the process dies.
#[derive(Debug)]
#[must_use]
pub struct Lock {
    /// Closing the file gives the lock back.
    _file: File,
}

/// Why the right to write was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process, or another thread, kept it for the whole time waited.
    #[error("another process held the vault for {} ms", .waited.as_millis())]
    Busy { waited: Duration },
    /// The lock file itself cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Takes the lock on the file `name` of `folder`, waiting for at most about `wait`.
pub fn acquire(folder: &Folder, name: &str, wait: Duration) -> Result<Lock, LockError> {
    let since = Instant::now();
    let (mut file, mut opened) = folder.open_lock(name)?;
    loop {
        match file.try_lock() {
            Ok(()) => {
                if folder.stamp(name)?.is_some_and(|named| named.is_same_file(opened)) {
                    return Ok(Lock { _file: file });
                }
                // The file was removed, and others may have locked a new one: only the named one counts.
                (file, opened) = folder.open_lock(name)?;
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => {
                return Err(LockError::File(FileError::Io {
                    path: folder.path().join(name),
                    doing: "lock",
                    source,
                }));
            }
        }
        let waited = since.elapsed();
        if waited >= wait {
            return Err(LockError::Busy { waited });
        }
        thread::sleep(jittered(RETRY_INTERVAL).min(wait.saturating_sub(waited)));
    }
}

/// Between a half and the whole of `pause`, so that waiting processes do not try in step.
pub(super) fn jittered(pause: Duration) -> Duration {
    let chance = u32::try_from(RandomState::new().hash_one(()) % 1024).unwrap_or_default();
    pause / 2 + pause / 2 * chance / 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::files::Written;

    fn folder() -> (tempfile::TempDir, Folder) {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::create(&home.path().join("data")).unwrap();
        (home, folder)
    }

    #[test]
    fn the_lock_is_given_to_one_at_a_time_and_given_back_on_drop() {
        let (_home, folder) = folder();
        let held = acquire(&folder, "lock", Duration::ZERO).unwrap();
        let refused = acquire(&folder, "lock", Duration::from_millis(20));
        assert!(
            matches!(refused, Err(LockError::Busy { waited }) if waited >= Duration::from_millis(20)),
            "{refused:?}"
        );
        drop(held);
        assert!(acquire(&folder, "lock", Duration::ZERO).is_ok());
    }

    #[test]
    fn a_lock_on_a_file_that_was_taken_away_does_not_count() {
        let (_home, folder) = folder();
        let _held = acquire(&folder, "lock", Duration::ZERO).unwrap();
        assert!(folder.remove("lock").unwrap());
        // The file is another one now, and its lock is free.
        let _new = acquire(&folder, "lock", Duration::ZERO).unwrap();
        assert!(matches!(
            acquire(&folder, "lock", Duration::ZERO),
            Err(LockError::Busy { .. })
        ));
    }

    #[test]
    fn no_change_is_lost_between_threads() {
        let (home, folder) = folder();
        assert!(matches!(folder.replace("count", b"0"), Ok(Written::Durable)));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let folder = Folder::open(&home.path().join("data")).unwrap().unwrap();
                    for _ in 0..25 {
                        let _held = acquire(&folder, "lock", Duration::from_secs(30)).unwrap();
                        let (bytes, _) = folder.read("count", 10).unwrap().unwrap();
                        let count: u32 = std::str::from_utf8(&bytes).unwrap().parse().unwrap();
                        let _durable = folder.replace("count", (count + 1).to_string().as_bytes()).unwrap();
                    }
                });
            }
        });
        assert_eq!(folder.read("count", 10).unwrap().unwrap().0.as_slice(), b"100");
    }
}
