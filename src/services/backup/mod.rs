//! Backups of everything in one encrypted file: made while others write, verified to the last record, restored whole.
//!
//! What is known of the backups that were made and verified here is in `backups.json`; nothing depends on it but what
//! `doctor` says.

mod create;
mod history;
mod keeping;
mod restore;
mod verify;

pub use self::{
    create::{MadeBackup, NewBackup, create, file_name},
    history::{BackupEvent, BackupHistory, history},
    keeping::{FoundBackup, Keep, find, kept},
    restore::{Restore, RestorePart, Restored, restore},
    verify::{VerifiedBackup, Verify, verify},
};

/// Told what is being done, and how much of it: the work, what is done, and all there is.
pub type Progress<'a> = &'a mut dyn FnMut(&'static str, u64, u64);

/// What scratch folders are called, in the folder of data.
const SCRATCH: &str = "backup";
/// The file that is locked while a backup is made or read: one at a time.
const LOCK: &str = "backup.lock";
/// How long another one is waited for.
const LOCK_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);
