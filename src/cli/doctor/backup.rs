//! Whether there is a backup that can be relied on.

use super::finding::{Finding, Severity};
use crate::{app::App, services::backup, tools::view::ago};

/// Whether a backup of the last 30 days was verified; asked only where there are keys to lose.
pub(super) fn newest_backup(app: &App) -> Finding {
    let history = backup::history(app.settings().paths().data_folder());
    let said = match history.newest_verified() {
        Some(newest) if app.now().duration_since(newest.created_at) <= backup::MAX_BACKUP_AGE => {
            let made = ago(newest.created_at, app.now());
            return Finding::good("backup", format!("{} was made {made} and verified", newest.file));
        }
        Some(newest) => format!(
            "the newest verified backup was made {}: {}",
            ago(newest.created_at, app.now()),
            newest.file
        ),
        None if history.made.is_empty() => "there is no backup of the keys and the ledger".to_owned(),
        None => "no backup was verified yet".to_owned(),
    };
    Finding::new("backup", Severity::Notice, said)
        .fix("`api-keys backup create --verify DIR`, to a disk other than this one")
}
