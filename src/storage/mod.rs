//! Bytes on disk: folders, private files written whole, locks, the audit trail and the vault.

pub mod audit;
pub mod files;
pub mod lock;
pub mod vault;
