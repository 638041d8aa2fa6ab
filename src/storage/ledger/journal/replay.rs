//! What processes that are gone have left in their journals, recorded once.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    time::Duration,
};

use rusqlite::params;

use super::{
    EntryId, FOLDER, Position,
    entry::{self, State},
    open_folder,
    segment::{MAGIC, parse_name},
};
use crate::{
    domain::{Outcome, UsageRecord},
    storage::{
        files::{FileError, Folder, TEMPORARY},
        ledger::{Ledger, Result, Survives, Transaction},
    },
};

/// The longest segment that is read.
const LONGEST: u64 = 1 << 30;
/// How long others that write are waited for, before another time.
const PATIENCE: Duration = Duration::from_millis(200);
/// What is added to the name of a segment that cannot be read to its end.
const DAMAGED: &str = ".damaged";

/// A segment whose process is gone, locked.
struct Abandoned {
    name: String,
    number: u64,
    _lock: File,
}

/// What a journal says.
#[derive(Default)]
struct Contents {
    ended: Vec<(Position, UsageRecord)>,
    /// The requests that were under way.
    open: BTreeMap<EntryId, UsageRecord>,
}

impl Ledger {
    /// Records what is in the journals of processes that are gone, and gives back what they had leased; returns the
    /// number of journals.
    ///
    /// A request that was under way is recorded as failed, with what was known of its use.
    pub fn replay(&self) -> Result<usize> {
        let Some(folder) = open_folder(&self.folder)? else {
            return Ok(0);
        };
        let mut holders: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
        for name in folder.names()? {
            if let Some((holder, number)) = parse_name(&name) {
                holders.entry(holder.to_owned()).or_default().push((number, name));
            } else if name.ends_with(TEMPORARY) && lock(&folder, &name)?.is_some() {
                folder.remove_unsynced(&name)?;
            }
        }
        let mut replayed = 0;
        for (holder, mut names) in holders {
            names.sort_unstable();
            let locked = names.into_iter().map(|(number, name)| {
                let file = lock(&folder, &name)?;
                Ok(file.map(|file| Abandoned {
                    name,
                    number,
                    _lock: file,
                }))
            });
            let locked: Option<Vec<Abandoned>> = locked.collect::<Result<_>>()?;
            if let Some(segments) = locked {
                self.replay_one(&folder, &holder, &segments)?;
                replayed += 1;
            }
        }
        Ok(replayed)
    }

    fn replay_one(&self, folder: &Folder, holder: &str, segments: &[Abandoned]) -> Result<()> {
        let mut contents = Contents::default();
        let mut damaged = Vec::new();
        for segment in segments {
            let Some((bytes, _)) = folder.read(&segment.name, LONGEST)? else {
                continue;
            };
            if !contents.read(segment.number, &bytes) {
                damaged.push(segment.name.as_str());
            }
        }
        let ledger = self.with_patience(PATIENCE);
        ledger.write(Survives::PowerCut, |transaction| transaction.replay(holder, &contents))?;
        for segment in segments {
            if damaged.contains(&segment.name.as_str()) {
                let kept = format!("{}{DAMAGED}", segment.name);
                tracing::error!(
                    file = kept,
                    "a journal could not be read to its end: what was readable is recorded, and the file is kept"
                );
                folder.rename_unsynced(&segment.name, &kept)?;
            } else {
                folder.remove_unsynced(&segment.name)?;
            }
        }
        ledger.write(Survives::Kill, |transaction| transaction.forget_journal(holder))
    }

    /// The journals that could not be read to their end, by their paths below the ledger's folder.
    pub fn damaged_journals(&self) -> Result<Vec<String>> {
        let Some(folder) = open_folder(&self.folder)? else {
            return Ok(Vec::new());
        };
        let names = folder.names()?.into_iter().filter(|name| name.ends_with(DAMAGED));
        Ok(names.map(|name| format!("{FOLDER}/{name}")).collect())
    }
}

/// The file, locked; nothing where a process holds it, or it is gone.
fn lock(folder: &Folder, name: &str) -> Result<Option<File>> {
    let Some((file, _)) = folder.open_to_read(name)? else {
        return Ok(None);
    };
    match file.try_lock() {
        // Its owner, or another process that replays it, may have removed it meanwhile.
        Ok(()) => Ok(folder.stamp(name)?.map(|_| file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(FileError::from_io(&folder.path().join(name), "lock", source).into()),
    }
}

impl Contents {
    /// Reads a segment; false where there is something in it that cannot be read.
    fn read(&mut self, segment: u64, bytes: &[u8]) -> bool {
        let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
            return is_empty(bytes);
        };
        let mut is_whole = true;
        while let Some(entry) = entry::read(rest) {
            rest = &rest[entry.length..];
            let offset = (bytes.len() - rest.len()) as u64;
            let record = entry::decode(entry.payload);
            is_whole &= record.is_some() || entry.state == State::Canceled;
            match (entry.state, record) {
                (State::Open, Some(record)) => drop(self.open.insert(entry.id, record)),
                (State::Open, None) => {}
                (State::Ended, record) => {
                    self.open.remove(&entry.id);
                    self.ended
                        .extend(record.map(|record| (Position { segment, offset }, record)));
                }
                (State::Canceled, _) => drop(self.open.remove(&entry.id)),
            }
        }
        is_whole && is_empty(rest)
    }
}

/// Whether nothing was ever written there.
fn is_empty(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

impl Transaction<'_> {
    fn replay(&mut self, holder: &str, contents: &Contents) -> rusqlite::Result<()> {
        let folded = self.position(holder)?;
        for (position, record) in &contents.ended {
            if folded.is_none_or(|folded| *position > folded) {
                self.record(record)?;
            }
        }
        for record in contents.open.values() {
            self.record(&UsageRecord {
                outcome: Outcome {
                    success: false,
                    ..record.outcome
                },
                ..record.clone()
            })?;
        }
        self.add_up()?;
        // Should the files outlive this process, nothing in them is new.
        let end = Position {
            segment: u64::from(u32::MAX),
            offset: 0,
        };
        self.set_position(holder, end)?;
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
