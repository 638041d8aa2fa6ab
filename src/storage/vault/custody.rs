//! Where the secrets of keyslots are kept: key files and entries of the keychain, and a note of those in the making.
//!
//! A slot's secret has to be in its place before the vault file names the slot, and may go only after. In between,
//! `vault.pending.json` tells which secrets are on the move: the next writer removes those that the vault does not
//! name, so that a process killed at any point leaves nothing that is in the way.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    VaultPlaces,
    anchor::{Anchor, KnownAnchor},
    error::VaultError,
    format::{Header, Hex, OpensWith, Slot},
    keychain::{Keychain, KeychainError},
    keyslots::{self, NewSlot, RecoveryCode, SlotId, SlotKind, UnwrapError},
    seal::{self, SealKey},
};
use crate::{
    domain::Secret,
    storage::files::{FileError, Folder, Written},
};

/// The note of secrets on the move.
pub(super) const PENDING: &str = "vault.pending.json";
/// What the note's first field says.
const FORMAT: &str = "api-keys pending slots 1";
/// Longer than any note, in bytes.
const MAX_PENDING: u64 = 16 * 1024;
/// How long the keychain is waited for when it only keeps the anchor; it goes on by itself after that.
const ANCHOR_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a key file is, in bytes.
const KEY_FILE_LENGTH: u64 = 32;

/// The secrets of slots that are being made or given up.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pending {
    format: String,
    vault_id: Hex<16>,
    slots: Vec<Moving>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Moving {
    id: SlotId,
    store: Store,
}

/// What holds the secret of a slot that no person has to remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Store {
    Keychain,
    KeyFile,
}

/// A slot to be made, with the id that it will have.
pub(super) struct Planned<'a> {
    pub(super) id: SlotId,
    pub(super) new: NewSlot<'a>,
}

impl<'a> Planned<'a> {
    pub(super) fn make_ids(slots: &[NewSlot<'a>]) -> Result<Vec<Self>, VaultError> {
        let mut has_recovery = false;
        slots
            .iter()
            // One code is shown: that of a second slot would never be known.
            .filter(|new| new.kind() != SlotKind::Recovery || !std::mem::replace(&mut has_recovery, true))
            .map(|new| {
                Ok(Self {
                    id: Hex(seal::make_random()?),
                    new: *new,
                })
            })
            .collect()
    }
}

/// Notes that the secrets of these slots are on the move, before the first of them is.
pub(super) fn note_pending(
    folder: &Folder,
    vault_id: Hex<16>,
    slots: impl Iterator<Item = (SlotId, SlotKind)>,
) -> Result<(), VaultError> {
    let slots: Vec<Moving> = slots
        .filter_map(|(id, kind)| {
            Some(Moving {
                id,
                store: store(kind)?,
            })
        })
        .collect();
    if slots.is_empty() {
        return Ok(());
    }
    let pending = Pending {
        format: FORMAT.to_owned(),
        vault_id,
        slots,
    };
    let bytes = serde_json::to_vec(&pending).expect("strings can be written");
    folder.replace(PENDING, &bytes).map(drop).map_err(VaultError::from)
}

/// Removes the secrets that a note names and the vault does not, then the note.
///
/// `header` is the vault's as it stands, `None` where there is no vault file. A note of another vault, or one that
/// cannot be read, is left alone: `false` then.
pub(super) fn settle_pending(
    folder: &Folder,
    places: &VaultPlaces,
    header: Option<&Header>,
) -> Result<bool, VaultError> {
    let bytes = match folder.read(PENDING, MAX_PENDING) {
        Ok(Some((bytes, _))) => bytes,
        Ok(None) => return Ok(true),
        Err(FileError::TooLarge { .. }) => return Ok(false),
        Err(why) => return Err(why.into()),
    };
    let Ok(pending) = serde_json::from_slice::<Pending>(&bytes) else {
        return Ok(false);
    };
    if pending.format != FORMAT || header.is_some_and(|header| header.vault_id != pending.vault_id) {
        return Ok(false);
    }
    // A vault file that a power cut could still take back may name what is to be removed: first make sure of it.
    if !matches!(folder.replace(PENDING, &bytes)?, Written::Durable) {
        return Ok(true);
    }
    for moving in &pending.slots {
        if header.is_some_and(|header| header.slots.iter().any(|slot| slot.id == moving.id)) {
            continue;
        }
        match moving.store {
            Store::KeyFile => {
                if let Some(keys) = Folder::open(&places.key_folder)? {
                    keys.clean_stale()?;
                    keys.remove(&key_file_name(moving.id))?;
                }
            }
            // An entry that stays does no harm: its name is never used again.
            Store::Keychain => {
                let _ = keychain(places).remove(&account(pending.vault_id, moving.id));
            }
        }
    }
    folder.remove(PENDING)?;
    Ok(true)
}

/// Makes a slot: its secret is where it belongs before this returns. The code of a recovery slot comes with it.
pub(super) fn make_slot(
    places: &VaultPlaces,
    vault_id: Hex<16>,
    planned: &Planned<'_>,
    data_key: &SealKey,
    now: Timestamp,
) -> Result<(Slot, Option<Secret>), VaultError> {
    let id = planned.id;
    let wrap = |opens_with, secret: &[u8]| keyslots::wrap(&vault_id, id, opens_with, now, secret, data_key);
    match planned.new {
        NewSlot::KeyFile => {
            let secret = SealKey::make_random()?;
            let name = key_file_name(id);
            // Nothing is sealed with it yet, so nothing is lost by not relying on a file that a power cut may take.
            if let Written::DurabilityUnknown(source) =
                Folder::create(&places.key_folder)?.replace(&name, secret.as_bytes())?
            {
                return Err(VaultError::File(FileError::Io {
                    path: places.key_folder.join(name),
                    doing: "make sure of",
                    source,
                }));
            }
            Ok((wrap(OpensWith::KeyFile {}, secret.as_bytes())?, None))
        }
        NewSlot::Keychain => {
            let secret = SealKey::make_random()?;
            let (store, account) = (keychain(places), account(vault_id, id));
            store.write(&account, secret.as_bytes()).map_err(VaultError::Keychain)?;
            let back = store.read(&account).map_err(VaultError::Keychain)?;
            if *back != secret.as_bytes() {
                return Err(VaultError::Keychain(KeychainError::Unavailable));
            }
            Ok((wrap(OpensWith::Keychain {}, secret.as_bytes())?, None))
        }
        NewSlot::Passphrase(passphrase) => {
            // EXPOSE: only whether there is anything
            if passphrase.expose().is_empty() {
                return Err(VaultError::EmptyPassphrase);
            }
            let (opens_with, secret) = keyslots::stretch_new(passphrase)?;
            Ok((wrap(opens_with, secret.as_bytes())?, None))
        }
        NewSlot::Recovery => {
            let code = RecoveryCode::make_random()?;
            let slot = wrap(OpensWith::Recovery {}, code.as_bytes())?;
            Ok((slot, Some(code.to_secret())))
        }
    }
}

/// The data key in a slot that opens by itself; the error says what is missing.
pub(super) fn open_slot(places: &VaultPlaces, vault_id: Hex<16>, slot: &Slot) -> Result<SealKey, VaultError> {
    let (secret, wrong) = match slot.kind() {
        SlotKind::KeyFile => {
            let name = key_file_name(slot.id);
            let path = places.key_folder.join(&name);
            let read = match Folder::open(&places.key_folder)? {
                Some(folder) => folder.read(&name, KEY_FILE_LENGTH),
                None => Ok(None),
            };
            match read {
                Ok(Some((bytes, _))) => (bytes, VaultError::KeyFileWrong { path }),
                Ok(None) => return Err(VaultError::KeyFileMissing { path }),
                Err(FileError::TooLarge { .. }) => return Err(VaultError::KeyFileWrong { path }),
                Err(why) => return Err(why.into()),
            }
        }
        SlotKind::Keychain => match keychain(places).read(&account(vault_id, slot.id)) {
            Ok(bytes) => (bytes, VaultError::KeychainEntryWrong),
            // The vault says that there is one: this is never a first run.
            Err(KeychainError::NoEntry) => return Err(VaultError::KeychainEntryMissing),
            Err(KeychainError::Foreign) => return Err(VaultError::KeychainEntryWrong),
            Err(why @ (KeychainError::Locked | KeychainError::Unavailable | KeychainError::TimedOut)) => {
                return Err(VaultError::Keychain(why));
            }
        },
        kind @ (SlotKind::Passphrase | SlotKind::Recovery) => return Err(VaultError::NoSlotOfKind(kind)),
    };
    match keyslots::unwrap(&vault_id, slot, &secret) {
        Ok(key) => Ok(key),
        Err(UnwrapError::WrongSecret) => Err(wrong),
        Err(UnwrapError::Damaged) => Err(damaged_slot(places)),
    }
}

pub(super) fn damaged_slot(places: &VaultPlaces) -> VaultError {
    VaultError::Damaged {
        path: places.data.join(super::FILE),
        what: "a keyslot is corrupted or was modified",
    }
}

/// What the keychain knows of this vault's newest file; nothing, where it does not answer.
pub(super) fn read_keychain_anchor(places: &VaultPlaces, vault_id: Hex<16>) -> KnownAnchor {
    match keychain(places).read(&anchor_account(vault_id)) {
        Ok(bytes) => Anchor::from_keychain(vault_id, &bytes).map_or(KnownAnchor::Damaged, KnownAnchor::Anchor),
        Err(KeychainError::Foreign) => KnownAnchor::Damaged,
        Err(KeychainError::NoEntry | KeychainError::Locked | KeychainError::Unavailable | KeychainError::TimedOut) => {
            KnownAnchor::Nothing
        }
    }
}

/// Keeps `anchor` in the keychain, as far as it lets us: one that stays older is no alarm.
pub(super) fn write_keychain_anchor(places: &VaultPlaces, anchor: &Anchor) {
    let keychain = Keychain::new(places.keychain_deadline.min(ANCHOR_TIMEOUT));
    let _ = keychain.write(&anchor_account(anchor.vault_id), &anchor.to_keychain());
}

/// A key file in the folder for them, if there is any.
pub(super) fn any_key_file(places: &VaultPlaces) -> Option<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(&places.key_folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_key_file_name(name))
        .collect();
    found.sort();
    found.first().map(|name| places.key_folder.join(name))
}

fn key_file_name(id: SlotId) -> String {
    format!("vault-{id}.key")
}

fn is_key_file_name(name: &str) -> bool {
    name.strip_prefix("vault-")
        .and_then(|rest| rest.strip_suffix(".key"))
        .is_some_and(|id| id.parse::<SlotId>().is_ok())
}

fn account(vault_id: Hex<16>, id: SlotId) -> String {
    format!("{vault_id}/{id}")
}

fn anchor_account(vault_id: Hex<16>) -> String {
    format!("{vault_id}/anchor")
}

fn keychain(places: &VaultPlaces) -> Keychain {
    Keychain::new(places.keychain_deadline)
}

fn store(kind: SlotKind) -> Option<Store> {
    match kind {
        SlotKind::Keychain => Some(Store::Keychain),
        SlotKind::KeyFile => Some(Store::KeyFile),
        SlotKind::Passphrase | SlotKind::Recovery => None,
    }
}
