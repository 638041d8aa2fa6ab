//! Bytes on disk: folders, private files written whole, locks, the audit trail, the gateway's clients, the ledger, the
//! vault, and backups of them.

pub mod audit;
pub mod backup;
pub mod files;
pub mod gateway_clients;
pub mod ledger;
pub mod lock;
pub mod vault;

pub(crate) use self::vault::seal::digest;
