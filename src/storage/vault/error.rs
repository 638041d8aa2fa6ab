//! Why a vault operation failed.

use std::path::PathBuf;

use super::{
    format::FormatError,
    keychain::KeychainError,
    keyslots::{SlotId, SlotInfo, SlotKind},
    seal::SealError,
};
use crate::{
    domain::KeyId,
    storage::{audit::AuditError, files::FileError, lock::LockError},
};

/// Why a vault operation failed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no vault.
    #[error("there is no vault")]
    Absent,
    /// There is one already.
    #[error("the vault already exists: {}", .path.display())]
    Exists { path: PathBuf },
    /// There is no vault file, but something of one: a new vault could make it impossible to get the old one back.
    #[error("vault.json is missing, but other vault files exist: {}",
                .path.display())]
    Remains { path: PathBuf },
    /// The keys are not in memory; these slots would give them.
    #[error("the vault is locked")]
    Locked { slots: Vec<SlotInfo> },
    /// No passphrase slot opens with that passphrase.
    #[error("the passphrase does not open the vault")]
    WrongPassphrase,
    /// A passphrase slot cannot be made of nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// It is a recovery code, and not of this vault.
    #[error("the recovery code does not belong to this vault")]
    WrongRecoveryCode,
    /// It is not a whole recovery code: a symbol is missing or another.
    #[error("the recovery code is incomplete or mistyped")]
    MistypedRecoveryCode,
    /// The vault has no slot of that kind.
    #[error("the vault has no {0} slot")]
    NoSlotOfKind(SlotKind),
    /// The vault has no slot with that id.
    #[error("the vault has no slot {0}")]
    NoSuchSlot(SlotId),
    /// Without that slot nothing would open the vault but, at most, a recovery code.
    #[error("without that keyslot only a recovery code, or nothing, would open the vault")]
    LastSlot,
    /// The vault has other kinds of slots than the caller has seen.
    #[error("another process changed what opens the vault at the same time")]
    SlotsChanged,
    /// The file is corrupted or was modified.
    #[error("{} is corrupted or was modified: {what}", .path.display())]
    Damaged { path: PathBuf, what: &'static str },
    /// The file needs a newer version to be read or changed.
    #[error("{} has format {version}, which is newer than this program supports",
                    .path.display())]
    TooNew { path: PathBuf, version: u32 },
    /// The file is of another vault than the one last written here.
    #[error("{} is not the vault last written here", .path.display())]
    Foreign { path: PathBuf },
    /// The file is older than the last one written here.
    #[error("{} is older than the last one written here: version {found} of {newest}",
                .path.display())]
    RolledBack { path: PathBuf, found: u64, newest: u64 },
    /// The file is as old as the last one written here and not the same.
    #[error("{} differs from the last one written here", .path.display())]
    Forked { path: PathBuf },
    /// The vault would be larger than its format allows.
    #[error("the vault is full: {0}")]
    Full(&'static str),
    /// No key of that id is in the vault.
    #[error("no key {0} is in the vault")]
    NoSuchKey(KeyId),
    /// That version of the key has no secret any more.
    #[error("version {version} of {key_id} has no secret in the vault")]
    NoSuchSecret { key_id: KeyId, version: u32 },
    /// No destination of that name has a secret in the vault.
    #[error("the destination has no secret in the vault")]
    NoSuchDestination,
    /// The caller broke a rule of [`super::Edit`].
    #[error("an edit of the vault broke a rule: {0}")]
    Misused(&'static str),
    /// The key file of the vault's slot is gone.
    #[error("the key file that opens the vault is missing: {}", .path.display())]
    KeyFileMissing { path: PathBuf },
    /// The key file is not the one of the vault's slot.
    #[error("{} is not the key file of this vault", .path.display())]
    KeyFileWrong { path: PathBuf },
    /// The keychain works and no longer has the entry of the vault's slot.
    #[error("the keychain no longer has the entry that opens the vault")]
    KeychainEntryMissing,
    /// The keychain's entry is not the one of the vault's slot.
    #[error("the keychain's entry is not the one that opens the vault")]
    KeychainEntryWrong,
    /// The keychain's answer says nothing of the entry.
    #[error(transparent)]
    Keychain(KeychainError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl VaultError {
    pub(super) fn from_format(path: PathBuf, why: FormatError) -> Self {
        match why {
            FormatError::Malformed(what) => Self::Damaged { path, what },
            FormatError::TooNew(version) => Self::TooNew { path, version },
        }
    }
}
