//! What the vault's failures mean to the user, and the way out of each.

use super::{Code, Error};
use crate::storage::vault::{SealError, SlotInfo, SlotKind, VaultError};

/// The way out where a person put the file there.
const READ_ONLY: &str = "keys can be read but not changed; restore the newest file, or, if you put this one there on purpose: `api-keys vault accept-rollback`, with `--recovery` if only the recovery code opens it";

impl From<VaultError> for Error {
    fn from(why: VaultError) -> Self {
        let (code, hint) = match &why {
            VaultError::File(_) | VaultError::Lock(_) | VaultError::Audit(_) | VaultError::Keychain(_) => {
                return from_below(why);
            }
            VaultError::Absent => (Code::VaultAbsent, "create one: `api-keys vault init`".to_owned()),
            VaultError::Exists { .. } => (
                Code::VaultExists,
                "use it as it is; `api-keys vault status` lists its keyslots".to_owned(),
            ),
            VaultError::Remains { path } => (
                Code::VaultMissing,
                format!(
                    "restore vault.json from a backup; or, to give the vault up for good, move away {} and any anchor.json, audit.jsonl, audit.*.jsonl and vault-*.key",
                    path.display()
                ),
            ),
            VaultError::Locked { slots } => (Code::VaultLocked, how_to_unlock(slots)),
            VaultError::WrongPassphrase => (
                Code::WrongPassphrase,
                "try again; if you forgot it and have a recovery code: `api-keys vault recover`".to_owned(),
            ),
            VaultError::EmptyPassphrase => (
                Code::InvalidArgument,
                "type a passphrase; several random words work well".to_owned(),
            ),
            VaultError::WrongRecoveryCode => (
                Code::WrongPassphrase,
                "the code is well-formed but belongs to another vault or was replaced; look for a newer one".to_owned(),
            ),
            VaultError::MistypedRecoveryCode => (
                Code::WrongPassphrase,
                "check it against your copy: 8 groups of 4 letters and digits".to_owned(),
            ),
            VaultError::NoSlotOfKind(_) | VaultError::NoSuchSlot(_) => (
                Code::SlotNotFound,
                "`api-keys vault status` lists its keyslots".to_owned(),
            ),
            VaultError::LastSlot => (
                Code::LastSlot,
                "add another keyslot first, such as `api-keys vault add-slot passphrase`".to_owned(),
            ),
            VaultError::SlotsChanged => (
                Code::Busy,
                "see `api-keys vault status`, then try again; nothing was changed".to_owned(),
            ),
            VaultError::Damaged { path, .. } if path.ends_with("anchor.json") => (
                Code::VaultDamaged,
                "if the vault's contents are right: `api-keys vault accept-rollback`, with `--recovery` if only the recovery code opens it".to_owned(),
            ),
            VaultError::Damaged { path, .. } => (
                Code::VaultDamaged,
                format!(
                    "keep {} and restore it from a backup; nothing was changed",
                    path.display()
                ),
            ),
            VaultError::TooNew { .. } => (
                Code::VaultTooNew,
                "update `api-keys` to the version that wrote the vault; nothing was changed".to_owned(),
            ),
            VaultError::Foreign { .. } => (
                Code::VaultForeign,
                "restore the right file; or, if you put this one there on purpose: `api-keys vault accept-rollback`, with `--recovery` if only the recovery code opens it".to_owned(),
            ),
            VaultError::RolledBack { .. } => (Code::VaultRolledBack, READ_ONLY.to_owned()),
            VaultError::Forked { .. } => (Code::VaultForked, READ_ONLY.to_owned()),
            VaultError::Full(_) => (
                Code::VaultFull,
                "remove unused keys or keyslots".to_owned(),
            ),
            VaultError::NoSuchKey(_) | VaultError::NoSuchSecret { .. } => (
                Code::KeyNotFound,
                "`api-keys list` shows the stored keys".to_owned(),
            ),
            VaultError::NoSuchDestination => (
                Code::DestinationNotFound,
                "`api-keys alerts list` shows the destinations; `api-keys alerts add CHANNEL NAME` stores a secret".to_owned(),
            ),
            VaultError::KeyFileMissing { .. } => (
                Code::KeyFileMissing,
                "restore the key file from a backup; or, with a recovery code: `api-keys vault recover`".to_owned(),
            ),
            VaultError::KeyFileWrong { path } => (
                Code::KeyFileMissing,
                format!(
                    "restore the right file as {}; or, with a recovery code: `api-keys vault recover`",
                    path.display()
                ),
            ),
            VaultError::KeychainEntryMissing | VaultError::KeychainEntryWrong => (
                Code::KeychainEntryMissing,
                "if the keychain was reset or replaced, restore it; or, with a recovery code: `api-keys vault recover`".to_owned(),
            ),
            VaultError::Seal(why) => of_seal(*why),
            VaultError::Misused(_) => (Code::Internal, "please report this; nothing was changed".to_owned()),
        };
        Self::new(code, why.to_string()).hint(hint).caused_by(why)
    }
}

fn of_seal(why: SealError) -> (Code, String) {
    let (code, hint) = match why {
        SealError::NotAuthentic => (
            Code::VaultDamaged,
            "restore the vault from a backup; nothing was changed",
        ),
        SealError::NoMemory => (
            Code::StorageFailed,
            "close other programs or raise the memory limit, then try again",
        ),
        SealError::NoRandomness => (
            Code::StorageFailed,
            "the system's random number generator failed; nothing was changed",
        ),
    };
    (code, hint.to_owned())
}

/// The ways out that the failure of a file, a lock, the trail or the keychain has by itself.
fn from_below(why: VaultError) -> Error {
    match why {
        VaultError::File(why) => why.into(),
        VaultError::Lock(why) => why.into(),
        VaultError::Audit(why) => why.into(),
        VaultError::Keychain(why) => why.into(),
        other => Error::new(Code::Internal, other.to_string()),
    }
}

fn how_to_unlock(slots: &[SlotInfo]) -> String {
    let has = |kind| slots.iter().any(|slot| slot.kind == kind);
    if has(SlotKind::Passphrase) {
        "run a command in a terminal to type the passphrase, or set API_KEYS_PASSPHRASE".to_owned()
    } else if has(SlotKind::Recovery) {
        "open it with the recovery code: `api-keys vault recover`".to_owned()
    } else {
        "`api-keys vault status` lists its keyslots".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{domain::KeyId, storage::vault::Hex};

    #[test]
    fn every_failure_of_the_vault_says_what_to_do() {
        let path = PathBuf::from("/home/someone/vault.json");
        let key_id = KeyId::from_random([1; 16]);
        let failures = [
            (VaultError::Absent, Code::VaultAbsent),
            (VaultError::Exists { path: path.clone() }, Code::VaultExists),
            (VaultError::Remains { path: path.clone() }, Code::VaultMissing),
            (VaultError::Locked { slots: Vec::new() }, Code::VaultLocked),
            (VaultError::WrongPassphrase, Code::WrongPassphrase),
            (VaultError::EmptyPassphrase, Code::InvalidArgument),
            (VaultError::WrongRecoveryCode, Code::WrongPassphrase),
            (VaultError::MistypedRecoveryCode, Code::WrongPassphrase),
            (VaultError::NoSlotOfKind(SlotKind::Passphrase), Code::SlotNotFound),
            (VaultError::NoSuchSlot(Hex([0; 8])), Code::SlotNotFound),
            (VaultError::LastSlot, Code::LastSlot),
            (VaultError::SlotsChanged, Code::Busy),
            (
                VaultError::Damaged {
                    path: path.clone(),
                    what: "it is",
                },
                Code::VaultDamaged,
            ),
            (
                VaultError::TooNew {
                    path: path.clone(),
                    version: 2,
                },
                Code::VaultTooNew,
            ),
            (VaultError::Foreign { path: path.clone() }, Code::VaultForeign),
            (
                VaultError::RolledBack {
                    path: path.clone(),
                    found: 1,
                    newest: 2,
                },
                Code::VaultRolledBack,
            ),
            (VaultError::Forked { path: path.clone() }, Code::VaultForked),
            (VaultError::Full("it is"), Code::VaultFull),
            (VaultError::NoSuchKey(key_id), Code::KeyNotFound),
            (VaultError::NoSuchSecret { key_id, version: 1 }, Code::KeyNotFound),
            (VaultError::NoSuchDestination, Code::DestinationNotFound),
            (VaultError::Misused("a rule"), Code::Internal),
            (VaultError::KeyFileMissing { path: path.clone() }, Code::KeyFileMissing),
            (VaultError::KeyFileWrong { path }, Code::KeyFileMissing),
            (VaultError::KeychainEntryMissing, Code::KeychainEntryMissing),
            (VaultError::KeychainEntryWrong, Code::KeychainEntryMissing),
            (VaultError::Seal(SealError::NoMemory), Code::StorageFailed),
        ];
        for (why, code) in failures {
            let error = Error::from(why);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.hint_text().is_some_and(|hint| hint.len() > 10), "{error}");
            assert!(!error.message().ends_with('.'), "{error}");
        }
    }
}
