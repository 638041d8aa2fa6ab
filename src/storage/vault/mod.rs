//! The vault: every secret sealed, everything about them sealed too, in one file.
//!
//! A random data key seals and authenticates the file (`opened`, `format`); keyslots give the data key to who has a
//! key file, the keychain, a passphrase or a recovery code (`keyslots`, `custody`); an anchor beside the file tells an
//! old copy of it (`anchor`). All cryptography is in `seal`.
//!
//! Readers take no lock: the file is replaced whole. Writers hold `vault.lock`: read again → change → audit intent →
//! file → audit outcome → anchor.

mod anchor;
mod copies;
mod custody;
mod edit;
mod error;
pub(super) mod format;
mod handle;
pub mod keychain;
pub(super) mod keyslots;
mod maintenance;
mod opened;
mod operations;
mod reading;
mod recognizer;
pub(super) mod seal;
mod writing;

pub use self::{
    anchor::VaultFreshness,
    copies::{CheckedVault, DataKey, VaultCopy},
    edit::{Committed, Edit},
    error::VaultError,
    format::Hex,
    handle::{FILE, Unlock, Vault, VaultPlaces},
    keyslots::{NewSlot, SlotId, SlotInfo, SlotKind},
    maintenance::Created,
    opened::VaultContents,
    operations::{VaultOutline, VaultStatus, inspect},
    recognizer::Recognizer,
    seal::SealError,
};
