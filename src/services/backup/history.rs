//! What is known of the backups made and verified here.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{error::Result, storage::files::Folder};

/// How old the newest verified backup may be.
pub const MAX_BACKUP_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);

const FILE: &str = "backups.json";
const FORMAT: &str = "api-keys backups 1";
/// The longest such file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// How many backups are remembered.
const MAX_EVENTS: usize = 200;

/// The backups that were made and verified here, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHistory {
    format: String,
    pub made: Vec<BackupEvent>,
    pub verified: Vec<BackupEvent>,
}

/// One backup that was made or verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupEvent {
    /// When.
    pub at: Timestamp,
    /// Which backup, and when it was made.
    pub backup_id: String,
    pub created_at: Timestamp,
    /// Where it was then.
    pub file: String,
}

impl BackupHistory {
    /// The newest backup that was verified.
    pub fn newest_verified(&self) -> Option<&BackupEvent> {
        self.verified.iter().max_by_key(|event| event.created_at)
    }

    /// When the backup of that id was last verified.
    pub fn verified_at(&self, backup_id: &str) -> Option<Timestamp> {
        let events = self.verified.iter().filter(|event| event.backup_id == backup_id);
        events.map(|event| event.at).max()
    }
}

/// What is known in the folder of data; nothing where that file is missing or cannot be read, since it only reminds.
pub fn history(data: &Path) -> BackupHistory {
    let read = || {
        let (bytes, _) = Folder::open(data).ok()??.read(FILE, MAX_FILE_BYTES).ok()??;
        let history: BackupHistory = serde_json::from_slice(&bytes).ok()?;
        (history.format == FORMAT).then_some(history)
    };
    read().unwrap_or_default()
}

/// Notes that a backup was made.
pub(super) fn note_made(folder: &Folder, event: BackupEvent) -> Result<()> {
    note(folder, |history| history.made.push(event))
}

/// Notes that a backup was verified.
pub(super) fn note_verified(folder: &Folder, event: BackupEvent) -> Result<()> {
    note(folder, |history| history.verified.push(event))
}

fn note(folder: &Folder, add: impl FnOnce(&mut BackupHistory)) -> Result<()> {
    let mut known = history(folder.path());
    FORMAT.clone_into(&mut known.format);
    add(&mut known);
    for events in [&mut known.made, &mut known.verified] {
        let surplus = events.len().saturating_sub(MAX_EVENTS);
        events.drain(..surplus);
    }
    let bytes = serde_json::to_vec(&known).expect("strings and times can be written");
    let _ = folder.replace(FILE, &bytes)?;
    Ok(())
}
