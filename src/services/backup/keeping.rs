//! Which backups there are in a folder, and which of them to keep.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    error::Result,
    storage::{
        backup::{BackupError, BackupHeader, read_header},
        files::FileError,
    },
};

/// What the name of a backup ends in.
const EXTENSION: &str = "akb";

/// A file that looks like a backup, and what its header says.
#[derive(Debug)]
pub struct FoundBackup {
    pub file: PathBuf,
    /// Bytes.
    pub size: u64,
    pub header: Result<BackupHeader, BackupError>,
}

/// How many backups are kept: the newest of each of the last days and weeks that have any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    pub daily: usize,
    pub weekly: usize,
}

/// The backups in `folder`, newest first; opens nothing, so nothing of the headers is authenticated.
pub fn find(folder: &Path) -> Result<Vec<FoundBackup>> {
    let failed = |source| FileError::Io {
        path: folder.to_owned(),
        doing: "list the folder",
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let is_named_so = file.extension().is_some_and(|extension| extension == EXTENSION);
        let metadata = fs::metadata(&file).ok().filter(fs::Metadata::is_file);
        let Some(metadata) = metadata.filter(|_| is_named_so) else {
            continue;
        };
        let header = File::open(&file)
            .map_err(|source| BackupError::Io { doing: "read", source })
            .and_then(|opened| read_header(&mut BufReader::new(opened)));
        found.push(FoundBackup {
            file,
            size: metadata.len(),
            header,
        });
    }
    let made = |backup: &FoundBackup| backup.header.as_ref().ok().map(|header| header.created_at);
    found.sort_by(|one, other| made(other).cmp(&made(one)).then_with(|| one.file.cmp(&other.file)));
    Ok(found)
}

/// Whether each of the backups made at `times`, newest first, is kept; the newest always is. Days and weeks are UTC's.
pub fn kept(times: &[Timestamp], keep: Keep) -> Vec<bool> {
    let (mut days, mut weeks) = (BTreeSet::new(), BTreeSet::new());
    let decide = |(at, time): (usize, &Timestamp)| {
        let date = time.to_zoned(TimeZone::UTC).date();
        let week = date.iso_week_date();
        let is_new = |known: &mut BTreeSet<_>, name, most| known.len() < most && known.insert(name);
        let of_day = is_new(&mut days, (date.year(), date.day_of_year()), keep.daily);
        let of_week = is_new(&mut weeks, (week.year(), i16::from(week.week())), keep.weekly);
        at == 0 || of_day || of_week
    };
    times.iter().enumerate().map(decide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_backup_of_each_day_and_week_is_kept() {
        let times: Vec<Timestamp> = [
            "2026-11-29T12:00:00Z",
            "2026-11-29T03:00:00Z",
            "2026-11-28T03:00:00Z",
            "2026-11-27T03:00:00Z",
            "2026-11-22T03:00:00Z",
            "2026-11-21T03:00:00Z",
            "2026-11-15T03:00:00Z",
            "2026-11-01T03:00:00Z",
        ]
        .iter()
        .map(|time| time.parse().expect("a time"))
        .collect();
        let keep = Keep { daily: 2, weekly: 3 };
        assert_eq!(
            kept(&times, keep),
            [true, false, true, false, true, false, true, false],
            "two days, and the newest of three weeks"
        );
        let none = Keep { daily: 0, weekly: 0 };
        let only_newest = kept(&times, none);
        assert_eq!(only_newest.iter().filter(|kept| **kept).count(), 1);
        assert!(kept(&[], keep).is_empty());
    }
}
