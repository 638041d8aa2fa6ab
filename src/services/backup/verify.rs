//! Reading a backup to its last record, and what has changed here since it was made.

use std::{fs::File, io::BufReader, path::Path};

use super::{
    history::{self, BackupEvent},
    working::{BackupProgress, LOCK, LOCK_TIMEOUT, SCRATCH},
};
use crate::{
    app::{self, App},
    domain::thousands as count,
    error::{Code, Error, Result},
    storage::{
        backup::{
            BackupError, BackupHeader, BackupManifest, BackupReader, UnlockBackup, Unpacked, read_header, unpack,
        },
        files::{FileError, Folder, ScratchFolder},
        gateway_clients::ClientStore,
        ledger::{Depth, Ledger},
        lock,
        vault::{CheckedVault, DataKey, FILE as VAULT, VaultError},
    },
};

/// The longest vault file, in bytes.
const MAX_VAULT: u64 = 16 << 20;

/// A backup to be verified.
#[derive(Debug)]
pub struct Verify<'a> {
    pub file: &'a Path,
    pub with: UnlockBackup<'a>,
    /// Whether the indexes of a large ledger are held against its records, too.
    pub depth: Depth,
}

/// A backup of which everything was read and opened.
#[derive(Debug)]
pub struct VerifiedBackup {
    pub backup_id: String,
    pub manifest: BackupManifest,
    /// Secrets that were opened, older versions of keys included.
    pub secrets: u64,
    /// Entries of the audit trail.
    pub trail: u64,
    /// What is newer here, in sentences.
    pub newer: Vec<String>,
    pub warnings: Vec<String>,
}

/// What a backup unpacked into a folder was found to hold.
pub(super) struct CheckedBackup {
    pub(super) manifest: BackupManifest,
    pub(super) vault: Option<(CheckedVault, DataKey)>,
    pub(super) trail: u64,
    /// Where the trail was broken when the backup was made.
    pub(super) trail_fault: Option<String>,
}

/// Reads all of a backup: opens every record of its vault, checks the audit trail, the ledger and its sums.
pub fn verify(app: &App, wanted: &Verify<'_>, progress: BackupProgress<'_>) -> Result<VerifiedBackup> {
    let (header, reader) = open(wanted.file, wanted.with)?;
    let data = app.settings().paths().data_folder();
    let folder = Folder::create(data)?;
    let _lock = lock::acquire(&folder, LOCK, LOCK_TIMEOUT)?;
    ScratchFolder::clean_stale(data, SCRATCH)?;
    let scratch = ScratchFolder::create(data, SCRATCH)?;
    let unpacked = unpack_into(reader, wanted.file, scratch.folder(), progress)?;
    let checked = check(scratch.folder(), unpacked, Some(wanted.depth), progress)?;
    if let Some(fault) = checked.trail_fault {
        let said = format!("the audit trail in the backup is broken: {fault}");
        return Err(Error::new(Code::AuditBroken, said)
            .hint("it was broken when the backup was made; the vault in it is whole, and can be restored"));
    }
    let newer = newer_here(app, &checked.manifest)?;
    let event = BackupEvent {
        at: app.now(),
        backup_id: header.backup_id.to_string(),
        created_at: header.created_at,
        file: wanted.file.display().to_string(),
    };
    let noted = history::note_verified(&folder, event);
    Ok(VerifiedBackup {
        backup_id: header.backup_id.to_string(),
        secrets: checked.vault.as_ref().map_or(0, |(vault, _)| vault.secrets),
        trail: checked.trail,
        manifest: checked.manifest,
        newer,
        warnings: noted
            .err()
            .map(|why| format!("it could not be noted that the backup was verified: {why}"))
            .into_iter()
            .collect(),
    })
}

/// Opens the file of a backup.
pub(super) fn open(file: &Path, with: UnlockBackup<'_>) -> Result<(BackupHeader, BackupReader<BufReader<File>>)> {
    let failed = |source| FileError::Io {
        path: file.to_owned(),
        doing: "read",
        source,
    };
    let mut opened = BufReader::with_capacity(256 * 1024, File::open(file).map_err(failed)?);
    let header = read_header(&mut opened)?;
    let reader = BackupReader::open(opened, &header, with)?;
    Ok((header, reader))
}

/// Unpacks a backup, and reports how far it is.
pub(super) fn unpack_into(
    reader: BackupReader<BufReader<File>>,
    file: &Path,
    folder: &Folder,
    progress: BackupProgress<'_>,
) -> Result<Unpacked> {
    let all = std::fs::metadata(file).map_or(0, |found| found.len());
    let mut done = 0;
    Ok(unpack(reader, folder, &mut |bytes| {
        done += bytes;
        progress("Decrypting", done.min(all), all);
    })?)
}

/// Checks everything that a backup held, in the folder that it was unpacked into.
///
/// Without a depth, a large ledger is only opened: its bytes are those that were backed up.
pub(super) fn check(
    folder: &Folder,
    unpacked: Unpacked,
    depth: Option<Depth>,
    progress: BackupProgress<'_>,
) -> Result<CheckedBackup> {
    let Unpacked { manifest, vault_key } = unpacked;
    let (mut trail, mut trail_fault) = (0, None);
    let mut vault = None;
    if let Some(summary) = &manifest.vault {
        let (bytes, _) = folder.read(VAULT, MAX_VAULT)?.ok_or(VaultError::Absent)?;
        let key = vault_key.ok_or_else(|| damaged("it has no key of its vault"))?;
        let checked = CheckedVault::open(&bytes, &key)?;
        if (checked.vault_id(), checked.generation()) != (summary.vault_id, summary.generation) {
            return Err(damaged("its vault is another than its manifest says"));
        }
        let report = checked.verify_trail(folder.path())?;
        trail = report.entries;
        trail_fault = report.fault.map(|fault| fault.to_string());
        vault = Some((checked, key));
    }
    if let Some(summary) = &manifest.ledger {
        progress("Checking the ledger", 0, 0);
        let ledger = Ledger::new(folder.path());
        let found = match depth {
            Some(depth) => ledger.check(depth)?.map(|found| (found.version, found.records)),
            None => ledger.outline()?.map(|found| (found.version, found.records)),
        };
        // A ledger of an older version was brought forward just now.
        if found.is_none_or(|(version, records)| records != summary.records || version < summary.version) {
            return Err(damaged("its ledger is another than its manifest says"));
        }
        if depth.is_some() && !ledger.check_sums()? {
            return Err(Error::new(
                Code::LedgerDamaged,
                "the sums of the ledger in the backup are not those of its records",
            )
            .hint("use another backup"));
        }
    }
    let clients = ClientStore::new(folder.path()).list()?.len() as u64;
    if clients != manifest.clients {
        return Err(damaged("its list of clients is another than its manifest says"));
    }
    app::overlay(folder)?;
    app::figures(folder)?;
    Ok(CheckedBackup {
        manifest,
        vault,
        trail,
        trail_fault,
    })
}

/// What changed here since the backup was made, as far as that shows without opening anything.
pub(super) fn newer_here(app: &App, manifest: &BackupManifest) -> Result<Vec<String>> {
    let mut newer = Vec::new();
    if let Some(vault) = &manifest.vault {
        match app.vault().newest_known(vault.vault_id)? {
            Some(here) if here > vault.generation => newer.push(match here - vault.generation {
                1 => "the vault was changed once since".to_owned(),
                times => format!("the vault was changed {times} times since"),
            }),
            None if app.vault().path().exists() => newer.push("the vault here is another one".to_owned()),
            Some(_) | None => {}
        }
    }
    let in_backup = manifest.ledger.as_ref().map_or(0, |ledger| ledger.records);
    if let Some(here) = app.ledger().outline().ok().flatten() {
        let since = here.records.saturating_sub(in_backup);
        let latest = manifest.ledger.as_ref().and_then(|ledger| ledger.newest);
        if since > 0 {
            newer.push(format!("{} more requests are recorded here", count(since)));
        } else if here.newest > latest {
            newer.push("newer requests are recorded here".to_owned());
        }
    }
    Ok(newer)
}

fn damaged(what: &'static str) -> Error {
    BackupError::Damaged(what).into()
}
