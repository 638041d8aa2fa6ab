//! Why the vault did not do what it was asked.

use std::{fmt, path::PathBuf};

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

/// Why the vault did not do what it was asked; nothing was changed.
#[derive(Debug)]
pub enum VaultError {
    /// There is no vault.
    Absent,
    /// There is one already.
    Exists {
        path: PathBuf,
    },
    /// There is no vault file, but something of one: a new vault could make it impossible to get the old one back.
    Remains {
        path: PathBuf,
    },
    /// The keys are not in memory; these slots would give them.
    Locked {
        slots: Vec<SlotInfo>,
    },
    /// No passphrase slot opens with that passphrase.
    WrongPassphrase,
    /// A passphrase slot cannot be made of nothing.
    EmptyPassphrase,
    /// It is a recovery code, and not of this vault.
    WrongRecoveryCode,
    /// It is not a whole recovery code: a symbol is missing or another.
    MistypedRecoveryCode,
    /// The vault has no slot of that kind.
    NoSlotOfKind(SlotKind),
    /// The vault has no slot with that id.
    NoSuchSlot(SlotId),
    /// Without that slot nothing would open the vault but, at most, a recovery code.
    LastSlot,
    /// The vault has other kinds of slots than the caller has seen.
    SlotsChanged,
    /// The file is not what was written.
    Damaged {
        path: PathBuf,
        what: &'static str,
    },
    /// The file needs a newer version to be read or changed.
    TooNew {
        path: PathBuf,
        version: u32,
    },
    /// The file is of another vault than the one last written here.
    Foreign {
        path: PathBuf,
    },
    /// The file is older than the last one written here.
    RolledBack {
        path: PathBuf,
        found: u64,
        newest: u64,
    },
    /// The file is as old as the last one written here and not the same.
    Forked {
        path: PathBuf,
    },
    /// The vault would be larger than its format allows.
    Full(&'static str),
    /// No key of that id is in the vault.
    NoSuchKey(KeyId),
    /// That version of the key has no secret any more.
    NoSuchSecret {
        key_id: KeyId,
        version: u32,
    },
    /// The caller broke a rule of [`super::Edit`].
    Misused(&'static str),
    /// The key file of the vault's slot is gone.
    KeyFileMissing {
        path: PathBuf,
    },
    /// The key file is not the one of the vault's slot.
    KeyFileWrong {
        path: PathBuf,
    },
    /// The keychain works and no longer has the entry of the vault's slot.
    KeychainEntryMissing,
    /// The keychain's entry is not the one of the vault's slot.
    KeychainEntryWrong,
    /// The keychain gave no answer that tells anything of the entry.
    Keychain(KeychainError),
    Seal(SealError),
    File(FileError),
    Lock(LockError),
    Audit(AuditError),
}

impl VaultError {
    pub(super) fn from_format(path: PathBuf, why: FormatError) -> Self {
        match why {
            FormatError::Malformed(what) => Self::Damaged { path, what },
            FormatError::TooNew(version) => Self::TooNew { path, version },
        }
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there is no vault"),
            Self::Exists { path } => write!(f, "there is a vault already: {}", path.display()),
            Self::Remains { path } => write!(
                f,
                "there is no vault file, but something of a vault: {}",
                path.display()
            ),
            Self::Locked { .. } => f.write_str("the vault is locked"),
            Self::WrongPassphrase => f.write_str("the passphrase does not open the vault"),
            Self::EmptyPassphrase => f.write_str("the passphrase is empty"),
            Self::WrongRecoveryCode => f.write_str("the recovery code is not of this vault"),
            Self::MistypedRecoveryCode => {
                f.write_str("that is not a whole recovery code: a symbol is missing, unknown or another")
            }
            Self::NoSlotOfKind(kind) => write!(f, "the vault has no {kind} slot"),
            Self::NoSuchSlot(id) => write!(f, "the vault has no slot {id}"),
            Self::LastSlot => f.write_str("without that slot only a recovery code, or nothing, would open the vault"),
            Self::SlotsChanged => f.write_str("another process changed what opens the vault at the same time"),
            Self::Damaged { path, what } => write!(f, "{} is not what was written: {what}", path.display()),
            Self::TooNew { path, version } => {
                write!(
                    f,
                    "{} has format {version}, newer than this program knows",
                    path.display()
                )
            }
            Self::Foreign { path } => {
                write!(f, "{} is another vault than the one last written here", path.display())
            }
            Self::RolledBack { path, found, newest } => write!(
                f,
                "{} is older than the last one written here: write {found} of {newest}",
                path.display()
            ),
            Self::Forked { path } => {
                write!(f, "{} is not the last one written here, and not older", path.display())
            }
            Self::Full(limit) => write!(f, "the vault is full: {limit}"),
            Self::NoSuchKey(key_id) => write!(f, "no key {key_id} is in the vault"),
            Self::NoSuchSecret { key_id, version } => {
                write!(f, "version {version} of {key_id} has no secret in the vault")
            }
            Self::Misused(rule) => write!(f, "an edit of the vault broke a rule: {rule}"),
            Self::KeyFileMissing { path } => {
                write!(f, "the key file that opens the vault is gone: {}", path.display())
            }
            Self::KeyFileWrong { path } => write!(f, "{} is not the key file of this vault", path.display()),
            Self::KeychainEntryMissing => f.write_str("the keychain no longer has the entry that opens the vault"),
            Self::KeychainEntryWrong => f.write_str("the keychain's entry is not the one that opens the vault"),
            Self::Keychain(why) => why.fmt(f),
            Self::Seal(why) => why.fmt(f),
            Self::File(why) => why.fmt(f),
            Self::Lock(why) => why.fmt(f),
            Self::Audit(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for VaultError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Keychain(why) => Some(why),
            Self::Seal(why) => Some(why),
            Self::File(why) => Some(why),
            Self::Lock(why) => Some(why),
            Self::Audit(why) => Some(why),
            Self::Absent
            | Self::Exists { .. }
            | Self::Remains { .. }
            | Self::Locked { .. }
            | Self::WrongPassphrase
            | Self::EmptyPassphrase
            | Self::WrongRecoveryCode
            | Self::MistypedRecoveryCode
            | Self::NoSlotOfKind(_)
            | Self::NoSuchSlot(_)
            | Self::LastSlot
            | Self::SlotsChanged
            | Self::Damaged { .. }
            | Self::TooNew { .. }
            | Self::Foreign { .. }
            | Self::RolledBack { .. }
            | Self::Forked { .. }
            | Self::Full(_)
            | Self::NoSuchKey(_)
            | Self::NoSuchSecret { .. }
            | Self::Misused(_)
            | Self::KeyFileMissing { .. }
            | Self::KeyFileWrong { .. }
            | Self::KeychainEntryMissing
            | Self::KeychainEntryWrong => None,
        }
    }
}

impl From<SealError> for VaultError {
    fn from(why: SealError) -> Self {
        Self::Seal(why)
    }
}

impl From<FileError> for VaultError {
    fn from(why: FileError) -> Self {
        Self::File(why)
    }
}

impl From<LockError> for VaultError {
    fn from(why: LockError) -> Self {
        Self::Lock(why)
    }
}

impl From<AuditError> for VaultError {
    fn from(why: AuditError) -> Self {
        Self::Audit(why)
    }
}
