//! What making, verifying and restoring a backup share: how far they are, and where they work.

/// Told what is being done, and how much of it: the work, what is done, and all there is.
pub type BackupProgress<'a> = &'a mut dyn FnMut(&'static str, u64, u64);

/// What scratch folders are called, in the folder of data.
pub(super) const SCRATCH: &str = "backup";
/// The file that is locked while a backup is made or read: one at a time.
pub(super) const LOCK: &str = "backup.lock";
/// How long another one is waited for.
pub(super) const LOCK_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);
