//! Why a backup could not be written or read.

use std::io;

use crate::storage::{
    files::FileError,
    vault::{SealError, SlotKind},
};

/// Why a backup could not be written or read; nothing outside of it was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file begins differently.
    #[error("the file is not a backup of this program")]
    NotABackup,
    /// It is corrupted, cut short, or was modified.
    #[error("the backup is damaged: {0}")]
    Damaged(&'static str),
    /// Only this version of the format and later ones can read it.
    #[error("the backup has format {0}, which is newer than this program supports")]
    TooNew(u32),
    #[error("the passphrase does not open the backup")]
    WrongPassphrase,
    #[error("the recovery code does not open the backup")]
    WrongRecoveryCode,
    #[error("the recovery code is mistyped")]
    MistypedRecoveryCode,
    #[error("no {0} opens the backup")]
    NoSlotOfKind(SlotKind),
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("could not {doing} the backup")]
    Io {
        doing: &'static str,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    File(#[from] FileError),
}
