//! Bytes on disk: folders, private files written whole, locks, the audit trail, the gateway's clients, the ledger and
//! the vault.

pub mod audit;
pub mod files;
pub mod gateway_clients;
pub mod ledger;
pub mod lock;
pub mod vault;

pub(crate) use self::vault::seal::digest;
