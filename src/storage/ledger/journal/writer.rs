//! A process's own journal: entries appended before a request is sent and when it ends.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    entry::EntryId,
    entry::{self, EntryState, HEAD},
    segment::SEGMENT,
    segment::{Position, Segment},
};
use crate::{
    domain::UsageRecord,
    storage::files::{FileError, Folder},
};

/// The folder of all journals, in that of the ledger.
pub(super) const FOLDER: &str = "journal";
/// What an entry may be longer than the one that the same request began with.
const GROWTH: usize = 512;

/// A record in the form in which it is appended.
#[derive(Debug, Clone)]
pub struct Encoded(Vec<u8>);

/// The journal of one process.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    /// Tells it from every other.
    holder: String,
    current: Option<Segment>,
    /// The next segment, made ahead of time.
    spare: Option<Segment>,
    /// Older segments, oldest first.
    older: Vec<Segment>,
    entries: u64,
    /// The number given to a segment last: no name is ever taken twice.
    segments: u64,
    /// The requests under way, by what was appended last of each.
    open: BTreeMap<EntryId, Encoded>,
    /// The space that their ends need.
    needed: usize,
}

/// A segment that is to be made.
#[derive(Debug)]
pub struct NextSegment {
    folder: PathBuf,
    holder: String,
    number: u64,
}

impl NextSegment {
    pub fn make(&self) -> Result<Segment, FileError> {
        Segment::make(&self.folder, &self.holder, self.number, SEGMENT)
    }
}

impl Encoded {
    pub fn new(record: &UsageRecord) -> Self {
        Self(entry::encode(record))
    }

    /// The space for an entry in its place, and for the end that follows.
    fn space(&self) -> usize {
        HEAD + self.0.len() + GROWTH
    }
}

impl Journal {
    /// A journal beside the ledger in `ledger_folder`; touches nothing until something is appended.
    pub fn new(ledger_folder: &Path, holder: [u8; 8]) -> Self {
        Self {
            folder: ledger_folder.join(FOLDER),
            holder: data_encoding::HEXLOWER.encode(&holder),
            current: None,
            spare: None,
            older: Vec::new(),
            entries: 0,
            segments: 0,
            open: BTreeMap::new(),
            needed: 0,
        }
    }

    /// The name by which leases and positions are known to be of this process.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Notes that a request is about to be sent: should the process be killed, `record` is what is recorded of it.
    ///
    /// Fails where there is no space for it and for its end.
    pub fn begin(&mut self, record: Encoded) -> Result<EntryId, FileError> {
        let id = EntryId(self.entries + 1);
        self.make_space(2 * record.space())?;
        self.append(id, EntryState::Open, &record.0)?;
        self.entries += 1;
        self.needed += record.space();
        self.open.insert(id, record);
        Ok(id)
    }

    /// Notes what a request under way has used so far, where there is space.
    pub fn update(&mut self, id: EntryId, record: Encoded) {
        let space = record.space();
        let Some(before) = self.open.get(&id).map(Encoded::space) else {
            return;
        };
        if self.make_space(2 * space).is_ok() && self.append(id, EntryState::Open, &record.0).is_ok() {
            self.needed = self.needed + space - before;
            self.open.insert(id, record);
        }
    }

    /// Notes how a request has ended. Where that fails, it counts as ended all the same: the caller keeps the record.
    pub fn end(&mut self, id: Option<EntryId>, record: &Encoded) -> Result<Position, FileError> {
        let id = if let Some(id) = id {
            id
        } else {
            self.make_space(record.space())?;
            self.entries += 1;
            EntryId(self.entries)
        };
        self.close(id);
        self.append(id, EntryState::Ended, &record.0)
    }

    /// Notes that a request reached no provider.
    pub fn cancel(&mut self, id: EntryId) {
        self.close(id);
        // Should that fail, it is recorded as failed, by its prompt.
        let _ = self.append(id, EntryState::Canceled, &[]);
    }

    /// The next segment, where it will soon be needed: it can be made while requests go on.
    pub fn next_segment(&mut self) -> Option<NextSegment> {
        let current = self.current.as_ref()?;
        (current.left() < SEGMENT / 2 && self.spare.is_none()).then(|| NextSegment {
            folder: self.folder.clone(),
            holder: self.holder.clone(),
            number: self.next_number(),
        })
    }

    /// Takes a segment that was made ahead of time, unless a later one was needed meanwhile.
    pub fn set_spare(&mut self, segment: Segment) {
        let is_next = |current: &Segment| current.number() < segment.number();
        let before = if self.current.as_ref().is_some_and(is_next) {
            self.spare.replace(segment)
        } else {
            Some(segment)
        };
        if let Some(unneeded) = before {
            unneeded.remove(&self.folder);
        }
    }

    /// The segments that end before `position`: they may be removed once what is in the ledger is on the disk.
    pub fn folded(&mut self, position: Position) -> Vec<Segment> {
        let done = self.older.iter().take_while(|older| older.number() < position.segment);
        let done = done.count();
        self.older.drain(..done).collect()
    }

    /// Removes it, once nothing is under way and all is recorded.
    pub fn remove(&mut self) {
        let segments = self.older.drain(..).chain(self.current.take()).chain(self.spare.take());
        segments.for_each(|segment| segment.remove(&self.folder));
    }

    /// Whether requests are under way.
    pub fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Where the segments are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn close(&mut self, id: EntryId) {
        if let Some(open) = self.open.remove(&id) {
            self.needed -= open.space();
        }
    }

    /// Sees to it that there are `bytes` left beside the space for all ends.
    fn make_space(&mut self, bytes: usize) -> Result<(), FileError> {
        let needed = self.needed + bytes;
        if self.current.as_ref().is_some_and(|current| current.left() >= needed) {
            return Ok(());
        }
        let mut next = match self.spare.take() {
            Some(spare) => spare,
            None => self.make_segment(SEGMENT)?,
        };
        let carried: usize = self.open.values().map(|open| HEAD + open.0.len()).sum();
        // With space for more than these, so that not every request needs another segment.
        if next.left() < needed + carried + SEGMENT / 2 {
            next.remove(&self.folder);
            next = self.make_segment(needed + carried + SEGMENT)?;
        }
        let mut open = self.open.iter();
        if let Err(why) = open.try_for_each(|(id, open)| next.append(*id, EntryState::Open, &open.0).map(drop)) {
            // What follows goes to the one before it, and would be replayed before what this one says.
            next.remove(&self.folder);
            return Err(why);
        }
        self.older.extend(self.current.replace(next));
        Ok(())
    }

    fn make_segment(&mut self, length: usize) -> Result<Segment, FileError> {
        let number = self.next_number();
        Segment::make(&self.folder, &self.holder, number, length)
    }

    fn next_number(&mut self) -> u64 {
        self.segments += 1;
        self.segments
    }

    fn append(&mut self, id: EntryId, state: EntryState, payload: &[u8]) -> Result<Position, FileError> {
        if let Some(current) = &mut self.current {
            return current.append(id, state, payload);
        }
        let mut first = self.make_segment(SEGMENT)?;
        let position = first.append(id, state, payload)?;
        self.current = Some(first);
        Ok(position)
    }
}

/// The folder of all journals beside the ledger in `ledger_folder`, if there is one.
pub(in crate::storage::ledger) fn open_folder(ledger_folder: &Path) -> Result<Option<Folder>, FileError> {
    Folder::open(&ledger_folder.join(FOLDER))
}
