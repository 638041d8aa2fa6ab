//! What a backup's failures mean to the user, and the way out of each.

use super::{Code, Error};
use crate::storage::{backup::BackupError, vault::SealError};

impl From<BackupError> for Error {
    fn from(why: BackupError) -> Self {
        let (code, hint) = match &why {
            BackupError::File(_) => return from_file(why),
            BackupError::NotABackup => (
                Code::BackupDamaged,
                "name a file that `api-keys backup create` made; they end in .akb",
            ),
            BackupError::Damaged(_) => (
                Code::BackupDamaged,
                "nothing was restored; use another backup, and check the disk or transfer that this one is from",
            ),
            BackupError::TooNew(_) => (Code::BackupTooNew, "update `api-keys` to the version that made it"),
            BackupError::WrongPassphrase => (
                Code::WrongPassphrase,
                "it is the backup's passphrase, typed when it was made; `--recovery` asks for its recovery code",
            ),
            BackupError::WrongRecoveryCode => (
                Code::WrongPassphrase,
                "the code is well-formed but of another backup; each backup has its own",
            ),
            BackupError::MistypedRecoveryCode => (
                Code::WrongPassphrase,
                "check it against your copy: 8 groups of 4 letters and digits",
            ),
            BackupError::NoSlotOfKind(_) => (
                Code::SlotNotFound,
                "`api-keys backup list DIR` shows what opens each backup",
            ),
            BackupError::EmptyPassphrase => (
                Code::InvalidArgument,
                "type a passphrase; several random words work well",
            ),
            BackupError::Seal(SealError::NotAuthentic) => (Code::BackupDamaged, "use another backup"),
            BackupError::Seal(SealError::NoMemory) => (
                Code::StorageFailed,
                "close other programs or raise the memory limit, then try again",
            ),
            BackupError::Seal(SealError::NoRandomness) => {
                (Code::StorageFailed, "the system's random number generator failed")
            }
            BackupError::Io { .. } => (Code::StorageFailed, "check the disk, and that there is free space"),
        };
        Self::new(code, why.to_string()).hint(hint).caused_by(why)
    }
}

fn from_file(why: BackupError) -> Error {
    match why {
        BackupError::File(why) => why.into(),
        other => Error::new(Code::Internal, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::vault::SlotKind;

    #[test]
    fn every_failure_of_a_backup_says_what_to_do() {
        for (why, code) in [
            (BackupError::NotABackup, Code::BackupDamaged),
            (BackupError::Damaged("it is"), Code::BackupDamaged),
            (BackupError::TooNew(2), Code::BackupTooNew),
            (BackupError::WrongPassphrase, Code::WrongPassphrase),
            (BackupError::WrongRecoveryCode, Code::WrongPassphrase),
            (BackupError::MistypedRecoveryCode, Code::WrongPassphrase),
            (BackupError::NoSlotOfKind(SlotKind::Recovery), Code::SlotNotFound),
            (BackupError::EmptyPassphrase, Code::InvalidArgument),
        ] {
            let error = Error::from(why);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.hint_text().is_some_and(|hint| hint.len() > 10), "{error}");
        }
    }
}
