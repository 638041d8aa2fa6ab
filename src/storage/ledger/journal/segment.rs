//! One file of a journal.

use std::{
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, Seek, SeekFrom, Write},
    path::Path,
};

use super::entry::{self, EntryId, EntryState};
use crate::storage::files::{FileError, Folder, TEMPORARY};

/// The usual length of a segment, in bytes.
pub(super) const SEGMENT: usize = 4 << 20;
/// What each begins with.
pub(super) const MAGIC: &[u8; 32] = b"api-keys journal 1\n\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// How many attempts are made while others remove what killed processes have left.
const MAX_TRIES: u32 = 5;
/// What a segment's name ends in.
const ENDING: &str = ".journal";

/// A place in a journal: everything before it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub segment: u64,
    pub offset: u64,
}

/// A file that its process holds a lock on, with entries up to some place and zeros behind.
#[derive(Debug)]
pub struct Segment {
    file: File,
    name: String,
    number: u64,
    at: usize,
    length: usize,
    frame: Vec<u8>,
}

impl Segment {
    /// Makes the file, with space for `length` bytes of entries, or fails: none of that space can be taken by others.
    ///
    /// It gets its name when it is locked, so that it is not taken for one that was left behind.
    pub(super) fn make(folder: &Path, holder: &str, number: u64, length: usize) -> Result<Self, FileError> {
        let folder = Folder::create(folder)?;
        let length = MAGIC.len() + length;
        let mut left = MAX_TRIES;
        loop {
            left -= 1;
            match Self::make_once(&folder, holder, number, length) {
                // A replayer took it for what a killed process left, in the moment before it was locked.
                Err(FileError::Io { source, .. })
                    if left > 0 && matches!(source.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotFound) => {}
                made => return made,
            }
        }
    }

    fn make_once(folder: &Folder, holder: &str, number: u64, length: usize) -> Result<Self, FileError> {
        let temporary = format!(".{holder}.{:016x}{TEMPORARY}", RandomState::new().hash_one(number));
        let name = name(holder, number);
        let made = folder.open_lock(&temporary).and_then(|(mut file, _)| {
            let mut written = || {
                file.try_lock()?;
                let zeros = vec![0; 64 << 10];
                let mut left = length;
                while left > 0 {
                    let piece = left.min(zeros.len());
                    file.write_all(&zeros[..piece])?;
                    left -= piece;
                }
                file.seek(SeekFrom::Start(0))?;
                file.write_all(MAGIC)
            };
            written().map_err(|source| FileError::from_io(&folder.path().join(&name), "write", source))?;
            folder.rename_unsynced(&temporary, &name)?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Self {
                file,
                name,
                number,
                at: MAGIC.len(),
                length,
                frame: Vec::new(),
            }),
            Err(why) => {
                let _ = folder.remove_unsynced(&temporary);
                Err(why)
            }
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.length.saturating_sub(self.at)
    }

    /// Appends an entry, and returns the place behind it.
    pub(super) fn append(&mut self, id: EntryId, state: EntryState, payload: &[u8]) -> Result<Position, FileError> {
        self.frame.clear();
        entry::frame(id, state, payload, &mut self.frame);
        if let Err(source) = self.file.write_all(&self.frame) {
            // The next entry is written over what part of it there is.
            let _ = self.file.seek(SeekFrom::Start(self.at as u64));
            return Err(FileError::from_io(Path::new(&self.name), "append to", source));
        }
        self.at += self.frame.len();
        Ok(Position {
            segment: self.number,
            offset: self.at as u64,
        })
    }

    /// Removes the file, which is no longer needed; `folder` is that of the journals.
    pub fn remove(self, folder: &Path) {
        // Where that fails, the next replay removes it: nothing in it is new.
        if let Ok(Some(folder)) = Folder::open(folder) {
            let _ = folder.remove_unsynced(&self.name);
        }
    }
}

/// The name of a segment.
pub(super) fn name(holder: &str, number: u64) -> String {
    format!("{holder}-{number:08}{ENDING}")
}

/// The holder and number in a segment's name.
pub(super) fn parse_name(name: &str) -> Option<(&str, u64)> {
    let (holder, number) = name.strip_suffix(ENDING)?.split_once('-')?;
    Some((holder, number.parse().ok()?))
}
