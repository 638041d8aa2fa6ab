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
                    "nothing was changed; put a copy from a backup in its place. Without one, SQLite's own shell gets out \
                     what can be read: `(echo '{}'; sqlite3 '{}' .dump | sed 's/^ROLLBACK.*/COMMIT;/') | sqlite3 \
                     recovered.db`; put that in its place, private (`chmod 600`). Or move it and its -wal file away, to \
                     begin anew",
                    ledger::marks(),
                    path.display()
                ),
            ),
            LedgerError::Foreign { path } => (
                Code::LedgerDamaged,
                format!("move {} away, and put the ledger there if you have it", path.display()),
            ),
            LedgerError::ForeignWal { path } => (
                Code::LedgerDamaged,
                format!(
                    "nothing was changed; if the ledger was put back from a backup, move {} away",
                    path.display()
                ),
            ),
            LedgerError::TooNew { .. } => (
                Code::LedgerTooNew,
                "update `api-keys` to the version that wrote the ledger; nothing was changed".to_owned(),
            ),
            LedgerError::Busy { .. } => (
                Code::Busy,
                "try again; if it stays so, look for a stopped `api-keys` process".to_owned(),
            ),
        };
        Self::new(code, message).hint(hint)
    }
}
