//! Backups of everything in one encrypted file: made while others write, verified to the last record, restored whole.
//!
//! What is known of the backups that were made and verified here is in `backups.json`; nothing depends on it but what
//! `doctor` and alerts say.

mod create;
mod history;
mod keeping;
mod restore;
mod verify;
mod working;

pub use self::{
    create::{MadeBackup, NewBackup, create, file_name},
    history::{BackupEvent, BackupHistory, MAX_BACKUP_AGE, history},
    keeping::{FoundBackup, Keep, find, kept},
    restore::{Restore, RestorePart, Restored, restore},
    verify::{VerifiedBackup, Verify, verify},
    working::BackupProgress,
};
