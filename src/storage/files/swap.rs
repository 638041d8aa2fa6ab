//! One folder in the place of another, at once.

use std::{fs, io, path::Path};

use super::{error::FileError, system};

/// Puts the folder `staged` in the place of the folder `live`, which gets the name `aside`; nothing is at `aside`.
///
/// One call of the system where it can exchange two names: a kill leaves the one or the other in place, whole. Returns
/// whether there was a folder before.
pub fn exchange(staged: &Path, live: &Path, aside: &Path) -> Result<bool, FileError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FileError::from_io(&path, "rename", source)
    };
    if system::metadata_at(live).map_err(failed(live))?.is_none() {
        fs::rename(staged, live).map_err(failed(live))?;
        sync_parent(live);
        return Ok(false);
    }
    if system::metadata_at(aside).map_err(failed(aside))?.is_some() {
        return Err(failed(aside)(io::ErrorKind::AlreadyExists.into()));
    }
    // Under its last name before the exchange, so that what is replaced has that name at once: a kill in between leaves
    // the old folder in place, and one afterwards the new one.
    fs::rename(staged, aside).map_err(failed(aside))?;
    if let Err(why) = system::swap_names(aside, live) {
        fs::rename(aside, staged).map_err(failed(aside))?;
        if !matches!(why.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) {
            return Err(failed(live)(why));
        }
        fs::rename(live, aside).map_err(failed(live))?;
        if let Err(why) = fs::rename(staged, live) {
            let _ = fs::rename(aside, live);
            return Err(failed(live)(why));
        }
    }
    sync_parent(live);
    Ok(true)
}

/// A power cut that takes the names back takes all of them back.
fn sync_parent(path: &Path) {
    let _: io::Result<()> = system::sync_parent(path);
}
