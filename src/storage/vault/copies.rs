//! Copies of the vault for backups: taken whole, checked to the last secret, and made the vault of another folder.

use std::{fmt, path::Path, sync::Arc};

use super::{
    FILE, NewSlot, SlotKind, Vault, VaultError, VaultFreshness,
    anchor::{self, KnownAnchor},
    custody,
    edit::Committed,
    format::{self, Hex, MAX_FILE},
    handle::{LOCK, UnlockedVault},
    maintenance::Created,
    opened::{Opened, VaultKeys},
    reading::Fresh,
    seal::SealKey,
};
use crate::storage::{
    audit::{self, AuditEntry, AuditOutcome},
    files::Folder,
    lock::{self, Lock},
};

/// The key that everything in a vault is sealed with; what a backup holds of it is sealed again.
pub struct DataKey(SealKey);

/// A vault at one moment.
#[derive(Debug)]
pub struct VaultCopy {
    /// The vault's file.
    pub bytes: Vec<u8>,
    pub key: DataKey,
    pub vault_id: Hex<16>,
    pub generation: u64,
    /// The keys that are in use, without removed ones.
    pub keys: u64,
    /// The files of the audit trail, oldest first.
    pub trail: Vec<audit::TrailFile>,
}

/// A copy of which every record was opened.
pub struct CheckedVault {
    opened: Opened,
    /// The secrets that were opened, older versions of keys included.
    pub secrets: u64,
}

impl DataKey {
    /// The key in `bytes`, if there are exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        SealKey::from_slice(bytes).map(Self)
    }

    /// The bytes themselves, for sealing under another key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl Vault {
    /// The vault as it is now, which has to be unlocked; `entry` is in the audit trail, and in the copy of it, before.
    pub fn copy(&self, entry: &AuditEntry) -> Result<VaultCopy, VaultError> {
        let held = self.hold(Fresh::Always)?;
        self.refuse_foreign(&held.opened)?;
        held.append_and_anchor(entry, AuditOutcome::Done)?;
        let (bytes, _) = held.folder.read(FILE, MAX_FILE)?.ok_or(VaultError::Absent)?;
        Ok(VaultCopy {
            bytes: bytes.to_vec(),
            key: DataKey(held.opened.keys.data.copy()),
            vault_id: held.opened.header.vault_id,
            generation: held.opened.header.generation,
            keys: held.opened.keys_in_use(),
            trail: audit::files(&held.folder)?,
        })
    }

    /// Keeps others from changing the vault; nothing where there is no folder.
    pub fn keep_still(&self) -> Result<Option<Lock>, VaultError> {
        match Folder::open(&self.places.data)? {
            Some(folder) => Ok(Some(lock::acquire(&folder, LOCK, self.places.lock_wait)?)),
            None => Ok(None),
        }
    }

    /// The generation of the newest file that is known here of the vault `vault_id`, if any is.
    pub fn newest_known(&self, vault_id: Hex<16>) -> Result<Option<u64>, VaultError> {
        let in_file = match Folder::open(&self.places.data)? {
            Some(folder) => {
                let of_file = match self.read_file(&folder) {
                    Ok(Some(read)) if read.header.vault_id == vault_id => Some(read.header.generation),
                    // A file that cannot be read is one reason for restoring another.
                    Ok(_) | Err(_) => None,
                };
                let anchored = anchor::read(&folder).unwrap_or(KnownAnchor::Damaged).of(vault_id);
                of_file.max(anchored.map(|anchor| anchor.generation))
            }
            None => None,
        };
        let kept = custody::read_keychain_anchor(&self.places, vault_id).of(vault_id);
        Ok(in_file.max(kept.map(|anchor| anchor.generation)))
    }

    /// Makes the copy that is this vault's file, and that `key` opens, the newest file of its vault.
    ///
    /// It becomes newer than `newest`, so that no anchor takes it for one that was put back. `slots` are made in the
    /// place of those whose secrets are on the machine that it comes from; passphrases and recovery codes stay.
    pub fn adopt_copy(
        &self,
        key: &DataKey,
        newest: Option<u64>,
        entry: &AuditEntry,
        slots: &[NewSlot<'_>],
    ) -> Result<Committed<Created>, VaultError> {
        let folder = Folder::open(&self.places.data)?.ok_or(VaultError::Absent)?;
        let header = self.read_file(&folder)?.ok_or(VaultError::Absent)?.header;
        *self.session() = Some(UnlockedVault {
            keys: Arc::new(VaultKeys::new(header.vault_id, key.0.copy())),
            by: slots.first().map_or(SlotKind::Passphrase, NewSlot::kind),
            known: KnownAnchor::Nothing,
            cached: None,
        });
        let held = self.hold_to_write()?;
        let mut draft = held.opened.draft();
        // Two above what is known: not one that follows it, which would have to name its mac.
        draft.header.generation = draft.header.generation.max(newest.unwrap_or(0).saturating_add(2));
        self.write_slots(&held, entry, draft, slots, |slot| {
            matches!(slot.kind(), SlotKind::Passphrase | SlotKind::Recovery)
        })
    }
}

impl CheckedVault {
    /// Opens every record of the vault file `bytes` with `key`; an error says what is not as it was written.
    pub fn open(bytes: &[u8], key: &DataKey) -> Result<Self, VaultError> {
        let damaged = |what| VaultError::Damaged {
            path: FILE.into(),
            what,
        };
        let (file, header) = format::parse(bytes).map_err(|why| VaultError::from_format(FILE.into(), why))?;
        let keys = Arc::new(VaultKeys::new(header.vault_id, key.0.copy()));
        if keys.id != header.data_key {
            return Err(damaged("it is of another key"));
        }
        let opened = Opened::open(keys, file, header, VaultFreshness::Current).map_err(damaged)?;
        let secrets = opened
            .open_all()
            .map_err(|_| damaged("a secret is not the one of its record"))?;
        Ok(Self { opened, secrets })
    }

    pub fn vault_id(&self) -> Hex<16> {
        self.opened.header.vault_id
    }

    pub fn generation(&self) -> u64 {
        self.opened.header.generation
    }

    /// The kinds of slots that open it.
    pub fn slot_kinds(&self) -> Vec<SlotKind> {
        self.opened.header.slots.iter().map(format::Slot::kind).collect()
    }

    /// The audit trail in the folder `trail`, held against the vault: whole, and at least as new as it.
    pub fn verify_trail(&self, trail: &Path) -> Result<audit::TrailReport, VaultError> {
        let folder = Folder::open(trail)?.ok_or(VaultError::Absent)?;
        let mac = |parts: &[&[u8]]| self.opened.lasting.audit_mac(parts);
        Ok(audit::verify(&folder, &mac, self.opened.audit_head.as_ref())?)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Debug for CheckedVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedVault")
            .field("vault_id", &self.vault_id())
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}
