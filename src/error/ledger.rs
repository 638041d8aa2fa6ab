//! What the ledger's failures mean to the user, and the way out of each.

use super::{Code, Error};
use crate::storage::ledger::{self, LedgerError};

impl From<LedgerError> for Error {
    fn from(why: LedgerError) -> Self {
        let message = why.to_string();
        let (code, hint) = match why {
            LedgerError::File(why) => return why.into(),
            LedgerError::Damaged { path, .. } => (
                Code::LedgerDamaged,
                format!(
                    "nothing was changed; restore it from a backup. Without one, SQLite's shell recovers \
                     what can be read: `(echo '{}'; sqlite3 '{}' .dump | sed 's/^ROLLBACK.*/COMMIT;/') | sqlite3 \
                     recovered.db`; replace it with that, private (`chmod 600`). Or move it and its -wal file away to \
                     start over",
                    ledger::marks(),
                    path.display()
                ),
            ),
            LedgerError::Foreign { path } => (
                Code::LedgerDamaged,
                format!("move {} away, and restore the ledger if you have it", path.display()),
            ),
            LedgerError::ForeignWal { path } => (
                Code::LedgerDamaged,
                format!(
                    "nothing was changed; if the ledger was restored from a backup, move {} away",
                    path.display()
                ),
            ),
            LedgerError::TooNew { .. } => (
                Code::LedgerTooNew,
                "update `api-keys` to the version that wrote the ledger; nothing was changed".to_owned(),
            ),
            LedgerError::Busy { .. } => (
                Code::Busy,
                "try again; if it persists, look for a stopped `api-keys` process".to_owned(),
            ),
        };
        Self::new(code, message).hint(hint)
    }
}
