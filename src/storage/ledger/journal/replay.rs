//! What processes that are gone have left in their journals, recorded once.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io::Read,
    path::Path,
    time::Duration,
};

use rusqlite::params;

use super::{
    EntryId, FOLDER, Position,
    entry::{self, EntryState, HEAD},
    open_folder,
    segment::{MAGIC, parse_name},
};
use crate::{
    domain::{RequestOutcome, UsageRecord},
    storage::{
        files::{FileError, Folder, TEMPORARY},
        ledger::{Ledger, LedgerResult, Survives, Transaction},
    },
};

/// The longest segment that is read.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// How long others that write are waited for, before another time.
const BUSY_TIMEOUT: Duration = Duration::from_millis(200);
/// What is added to the name of a segment that cannot be read to its end.
const DAMAGED: &str = ".damaged";

/// A segment whose process is gone, locked.
struct Abandoned {
    name: String,
    number: u64,
    file: File,
}

/// What a journal says, whose process may go on writing it.
pub(in crate::storage::ledger) struct LiveJournal {
    holder: String,
    segments: Vec<String>,
    contents: JournalContents,
}

/// The position of a journal that is recorded to its end.
const END: Position = Position {
    segment: 0xffff_ffff,
    offset: 0,
};

/// What a journal says.
#[derive(Default)]
struct JournalContents {
    ended: Vec<(Position, UsageRecord)>,
    /// The requests that were under way.
    open: BTreeMap<EntryId, UsageRecord>,
}

impl Ledger {
    /// Records what is in the journals of processes that are gone, and gives back what they had leased; returns the
    /// number of journals.
    ///
    /// A request that was under way is recorded as failed, with what was known of its use.
    pub fn replay(&self) -> LedgerResult<usize> {
        let Some(folder) = open_folder(&self.folder)? else {
            return Ok(0);
        };
        let names = folder.names()?;
        let temporary = names.iter().filter(|name| name.ends_with(TEMPORARY));
        for name in temporary {
            if let Ok(Some(_lock)) = lock(&folder, name) {
                folder.remove_unsynced(name)?;
            }
        }
        let mut replayed = Ok(0);
        for (holder, segments) in holders(&names) {
            // One journal that cannot be read does not stop the others.
            let one = lock_all(&folder, &holder, &segments).and_then(|locked| match locked {
                Some(segments) => self.replay_one(&folder, &holder, segments).map(|()| 1),
                None => Ok(0),
            });
            replayed = replayed.and_then(|before| Ok(before + one?));
        }
        replayed
    }

    fn replay_one(&self, folder: &Folder, holder: &str, mut segments: Vec<Abandoned>) -> LedgerResult<()> {
        let mut contents = JournalContents::default();
        let mut damaged = Vec::new();
        for segment in &mut segments {
            let bytes = read(folder, segment)?;
            if !contents.read(segment.number, &bytes) {
                damaged.push(segment.name.clone());
            }
        }
        let ledger = self.with_patience(BUSY_TIMEOUT);
        ledger.write_only(Survives::PowerCut, |transaction| transaction.replay(holder, &contents))?;
        for segment in &segments {
            if damaged.contains(&segment.name) {
                let kept = format!("{}{DAMAGED}", segment.name);
                tracing::error!(
                    file = kept,
                    "a journal could not be read to its end: usage up to the damage is recorded, and the file is kept"
                );
                folder.rename_unsynced(&segment.name, &kept)?;
            } else {
                folder.remove_unsynced(&segment.name)?;
            }
        }
        // Should a power cut bring the files back, it is still known that nothing in them is new.
        folder.sync_names()?;
        ledger.write_only(Survives::Kill, |transaction| transaction.forget_journal(holder))
    }

    /// The journals that could not be read to their end, by their paths below the ledger's folder.
    pub fn damaged_journals(&self) -> LedgerResult<Vec<String>> {
        let Some(folder) = open_folder(&self.folder)? else {
            return Ok(Vec::new());
        };
        let names = folder.names()?.into_iter().filter(|name| name.ends_with(DAMAGED));
        Ok(names.map(|name| format!("{FOLDER}/{name}")).collect())
    }
}

impl LiveJournal {
    /// The journals in the ledger's folder.
    pub(in crate::storage::ledger) fn all(ledger_folder: &Path) -> LedgerResult<Vec<Self>> {
        let Some(folder) = open_folder(ledger_folder)? else {
            return Ok(Vec::new());
        };
        let mut journals = Vec::new();
        for (holder, segments) in holders(&folder.names()?) {
            let mut contents = JournalContents::default();
            for (number, name) in &segments {
                // One that is gone by now is recorded.
                if let Some((bytes, _)) = folder.read(name, MAX_SEGMENT_BYTES)? {
                    contents.read(*number, &bytes);
                }
            }
            journals.push(Self {
                holder,
                segments: segments.into_values().collect(),
                contents,
            });
        }
        Ok(journals)
    }

    /// Whether a process holds one of the journals in the ledger's folder.
    pub(in crate::storage::ledger) fn any_is_held(ledger_folder: &Path) -> LedgerResult<bool> {
        let Some(folder) = open_folder(ledger_folder)? else {
            return Ok(false);
        };
        for (_, segments) in holders(&folder.names()?) {
            for name in segments.values() {
                if folder.stamp(name)?.is_some() && lock(&folder, name)?.is_none() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether it is still there, whole: if not, the ledger has forgotten up to where it was recorded.
    pub(in crate::storage::ledger) fn is_there(&self, ledger_folder: &Path) -> bool {
        let Ok(Some(folder)) = open_folder(ledger_folder) else {
            return false;
        };
        let is_there = |name: &String| matches!(folder.stamp(name), Ok(Some(_)));
        self.segments.iter().all(is_there)
    }
}

/// The segments among `names`, by their holders, oldest first.
fn holders(names: &[String]) -> BTreeMap<String, BTreeMap<u64, String>> {
    let mut holders: BTreeMap<String, BTreeMap<u64, String>> = BTreeMap::new();
    for name in names {
        if let Some((holder, number)) = parse_name(name) {
            holders
                .entry(holder.to_owned())
                .or_default()
                .insert(number, name.clone());
        }
    }
    holders
}

/// All of a holder's segments, locked; nothing where one of them is not to be had.
fn lock_all(folder: &Folder, holder: &str, segments: &BTreeMap<u64, String>) -> LedgerResult<Option<Vec<Abandoned>>> {
    let mut locked = Vec::with_capacity(segments.len());
    for (number, name) in segments {
        let Some(file) = lock(folder, name)? else {
            return Ok(None);
        };
        let (name, number) = (name.clone(), *number);
        locked.push(Abandoned { name, number, file });
    }
    // Between the list and the locks it may have begun another one, and died.
    let is_all = holders(&folder.names()?).get(holder) == Some(segments);
    Ok(is_all.then_some(locked))
}

/// What is in a segment. It is read by the file that is locked: some systems let no other one read it.
fn read(folder: &Folder, segment: &mut Abandoned) -> LedgerResult<Vec<u8>> {
    let path = folder.path().join(&segment.name);
    let mut bytes = Vec::new();
    let read = (&mut segment.file).take(MAX_SEGMENT_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|source| FileError::from_io(&path, "read", source))?;
    if bytes.len() as u64 > MAX_SEGMENT_BYTES {
        return Err(FileError::TooLarge {
            path,
            limit: MAX_SEGMENT_BYTES,
        }
        .into());
    }
    Ok(bytes)
}

/// The file, locked; nothing where a process holds it, or it is gone.
fn lock(folder: &Folder, name: &str) -> LedgerResult<Option<File>> {
    let Some((file, opened)) = folder.open_to_read(name)? else {
        return Ok(None);
    };
    match file.try_lock() {
        // Its owner, or another process that replays it, may have removed it meanwhile.
        Ok(()) => {
            let is_same = folder.stamp(name)?.is_some_and(|named| named.is_same_file(opened));
            Ok(is_same.then_some(file))
        }
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(FileError::from_io(&folder.path().join(name), "lock", source).into()),
    }
}

impl JournalContents {
    /// Reads a segment; false where there is something in it that cannot be read.
    fn read(&mut self, segment: u64, bytes: &[u8]) -> bool {
        let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
            return MAGIC.starts_with(written(bytes));
        };
        let mut is_whole = true;
        while let Some(entry) = entry::read(rest) {
            rest = &rest[entry.length..];
            let offset = (bytes.len() - rest.len()) as u64;
            let record = entry::decode(entry.payload);
            is_whole &= record.is_some() || entry.state == EntryState::Canceled;
            match (entry.state, record) {
                (EntryState::Open, Some(record)) => drop(self.open.insert(entry.id, record)),
                (EntryState::Open, None) => {}
                (EntryState::Ended, record) => {
                    self.open.remove(&entry.id);
                    self.ended
                        .extend(record.map(|record| (Position { segment, offset }, record)));
                }
                (EntryState::Canceled, _) => drop(self.open.remove(&entry.id)),
            }
        }
        is_whole && is_torn(rest)
    }
}

/// `bytes` without the zeros behind, where nothing was ever written.
fn written(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// Whether there is at most the beginning of one entry, the last: its process was killed while it wrote.
///
/// No payload has a zero in it, and every other entry has one in its frame.
fn is_torn(bytes: &[u8]) -> bool {
    let written = written(bytes);
    let is_short = || match written.first_chunk() {
        Some(length) => u64::from(u32::from_le_bytes(*length)) > (written.len() as u64).saturating_sub(HEAD as u64),
        None => true,
    };
    written.len() <= HEAD || (!written[HEAD..].contains(&0) && is_short())
}

impl Transaction<'_> {
    /// Records the requests of a journal that have ended, and are not recorded yet; none that are under way.
    pub(in crate::storage::ledger) fn record_ended(&mut self, journal: &LiveJournal) -> rusqlite::Result<()> {
        let folded = self.position(&journal.holder)?;
        for (position, record) in &journal.contents.ended {
            if folded.is_none_or(|folded| *position > folded) {
                self.record(record)?;
            }
        }
        self.add_up()
    }

    fn replay(&mut self, holder: &str, contents: &JournalContents) -> rusqlite::Result<()> {
        let folded = self.position(holder)?;
        if folded == Some(END) {
            return Ok(());
        }
        for (position, record) in &contents.ended {
            if folded.is_none_or(|folded| *position > folded) {
                self.record(record)?;
            }
        }
        for record in contents.open.values() {
            self.record(&UsageRecord {
                outcome: RequestOutcome {
                    success: false,
                    ..record.outcome
                },
                ..record.clone()
            })?;
        }
        self.add_up()?;
        // Should the files outlive this process, nothing in them is new.
        self.set_position(holder, END)?;
        self.sql
            .prepare_cached("DELETE FROM lease WHERE holder = ?1")?
            .execute([holder])?;
        Ok(())
    }

    /// Up to where a journal is recorded.
    fn position(&self, holder: &str) -> rusqlite::Result<Option<Position>> {
        use rusqlite::OptionalExtension;
        self.sql
            .prepare_cached("SELECT segment, position FROM journal WHERE holder = ?1")?
            .query_row([holder], |row| {
                Ok(Position {
                    segment: row.get(0)?,
                    offset: row.get(1)?,
                })
            })
            .optional()
    }

    /// A journal is recorded up to `position`.
    pub(in crate::storage::ledger) fn set_position(&self, holder: &str, position: Position) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached(
                "INSERT INTO journal VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET segment = excluded.segment, position = excluded.position",
            )?
            .execute(params![holder, position.segment, position.offset])
            .map(drop)
    }

    /// A journal is gone, with all its files.
    pub(in crate::storage::ledger) fn forget_journal(&self, holder: &str) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("DELETE FROM journal WHERE holder = ?1")?
            .execute([holder])
            .map(drop)
    }
}
