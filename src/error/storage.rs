//! What storage's failures mean to the user, and the way out of each.

use super::{Code, Error};
use crate::storage::{
    audit::AuditError,
    files::{FileError, Hazard},
    gateway_clients::ClientsError,
    lock::LockError,
    vault::keychain::KeychainError,
};

impl From<FileError> for Error {
    fn from(why: FileError) -> Self {
        let path = why.path().display();
        let (code, hint) = match &why {
            FileError::Unsafe { why: hazard, .. } => (
                Code::UnsafeFile,
                match hazard {
                    Hazard::NotAFile(_) => {
                        format!("move {path} away, and replace it with the real file if you have it")
                    }
                    Hazard::NotADirectory(_) => {
                        format!("move {path} away, or set API_KEYS_HOME to the folder itself")
                    }
                    Hazard::ForeignOwner => {
                        format!("run as the owner of {path}, or set API_KEYS_HOME to a folder that you own")
                    }
                    Hazard::OpenToOthers => {
                        format!("if its contents are yours, make it private: `chmod 600 '{path}'`")
                    }
                    Hazard::FolderOpenToOthers => format!(
                        "choose a separate folder with API_KEYS_HOME, or, if it is yours alone: `chmod 700 '{path}'`"
                    ),
                },
            ),
            FileError::TooLarge { .. } => (
                Code::StorageFailed,
                format!("it is not a file of this program; move {path} away and restore it from a backup"),
            ),
            FileError::Changed { .. } => (Code::Busy, "try again; nothing was changed".to_owned()),
            FileError::Locked { .. } => (
                Code::Busy,
                format!("try again; if the program that locked it is not running, remove the folder {path}"),
            ),
            FileError::ReadOnly { .. } => (
                Code::StorageFailed,
                "make it writable, or set API_KEYS_HOME to another folder".to_owned(),
            ),
            FileError::NoSpace { .. } => (
                Code::StorageFailed,
                "free space on that disk and try again; nothing was changed".to_owned(),
            ),
            FileError::Io { .. } => (Code::StorageFailed, format!("check {path} and its disk")),
        };
        Self::new(code, why.to_string()).hint(hint).caused_by(why)
    }
}

impl From<LockError> for Error {
    fn from(why: LockError) -> Self {
        match why {
            LockError::Busy { .. } => Self::new(Code::Busy, why.to_string())
                .hint("try again; if it persists, look for a stopped `api-keys` process"),
            LockError::File(why) => why.into(),
        }
    }
}

impl From<AuditError> for Error {
    fn from(why: AuditError) -> Self {
        match why {
            AuditError::File(why) => why.into(),
            AuditError::Full => Self::new(Code::AuditBroken, why.to_string())
                .hint("move the numbered audit files of this program to an archive"),
        }
    }
}

impl From<KeychainError> for Error {
    fn from(why: KeychainError) -> Self {
        let (code, hint) = match why {
            KeychainError::NoEntry => (
                Code::KeychainEntryMissing,
                "open the vault with its recovery code: `api-keys vault recover`",
            ),
            KeychainError::Locked => (
                Code::KeychainUnavailable,
                "unlock the keychain (log in to the desktop session) and try again, or use the passphrase or recovery code",
            ),
            KeychainError::Unavailable => (
                Code::KeychainUnavailable,
                "start the system's keychain service, or use a vault with a key file or passphrase",
            ),
            KeychainError::TimedOut => (
                Code::KeychainUnavailable,
                "check whether the keychain is waiting for you in a window, or restart it",
            ),
            KeychainError::Foreign => (
                Code::KeychainUnavailable,
                "remove the `api-keys` entry from the keychain after opening the vault with its recovery code",
            ),
        };
        Self::new(code, why.to_string()).hint(hint).caused_by(why)
    }
}

impl From<ClientsError> for Error {
    fn from(why: ClientsError) -> Self {
        let message = why.to_string();
        match why {
            ClientsError::Damaged { path } => Self::new(Code::ClientsDamaged, message).hint(format!(
                "nothing was changed; restore {0} from a backup, or move it away and create new client keys",
                path.display()
            )),
            ClientsError::TooNew { .. } => Self::new(Code::ClientsDamaged, message)
                .hint("update `api-keys` to the version that wrote it; nothing was changed"),
            ClientsError::File(why) => why.into(),
            ClientsError::Lock(why) => why.into(),
        }
    }
}
