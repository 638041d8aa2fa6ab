//! A handle on the vault: where it is, and its keys once it is unlocked.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    anchor::KnownAnchor,
    keyslots::SlotKind,
    opened::{Opened, VaultKeys},
};
use crate::{
    domain::{Passphrase, Secret},
    storage::files::Stamp,
};

/// The vault's file.
pub const FILE: &str = "vault.json";
/// The file that writers lock; never renamed, never removed.
pub(super) const LOCK: &str = "vault.lock";

/// Where the vault is, and how long it may wait for others.
#[derive(Debug, Clone)]
pub struct VaultPlaces {
    /// The folder of vault, anchor and audit trail.
    pub data: PathBuf,
    /// The folder of key files; may be the same.
    pub key_folder: PathBuf,
    /// How long one answer of the keychain may take.
    pub keychain_deadline: Duration,
    /// How long another writer is waited for.
    pub lock_wait: Duration,
}

/// A handle on the vault: cheap to make, shared between threads, with the keys in memory once it is unlocked.
pub struct Vault {
    pub(super) places: VaultPlaces,
    session: Mutex<Option<UnlockedVault>>,
}

/// What to unlock the vault with.
#[derive(Debug, Clone, Copy)]
pub enum Unlock<'a> {
    /// Whatever opens by itself: key file, then keychain.
    Automatic,
    Passphrase(&'a Passphrase),
    Recovery(&'a Secret),
}

/// The vault's keys in memory, and the file as it was last read.
pub(super) struct UnlockedVault {
    pub(super) keys: Arc<VaultKeys>,
    pub(super) by: SlotKind,
    /// The keychain's anchor, when the keychain gave the key.
    pub(super) known: KnownAnchor,
    pub(super) cached: Option<(Stamp, Arc<Opened>)>,
}

impl VaultPlaces {
    /// Everything in `folder`, with the usual patience.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        let data = folder.into();
        Self {
            key_folder: data.clone(),
            data,
            keychain_deadline: Duration::from_secs(3),
            lock_wait: Duration::from_secs(10),
        }
    }
}

impl Vault {
    /// A handle on the vault in `places`; touches nothing.
    pub fn new(places: VaultPlaces) -> Self {
        Self {
            places,
            session: Mutex::new(None),
        }
    }

    /// The path of the vault file, whether or not it exists.
    pub fn path(&self) -> PathBuf {
        self.places.data.join(FILE)
    }

    pub(super) fn session(&self) -> MutexGuard<'_, Option<UnlockedVault>> {
        // A panic elsewhere leaves nothing half done in here.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}
