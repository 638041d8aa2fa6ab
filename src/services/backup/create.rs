//! Making a backup while others go on.

use std::{fs, path::PathBuf};

use jiff::Timestamp;

use super::{
    history::{self, BackupEvent},
    working::{BackupProgress, LOCK, LOCK_TIMEOUT, SCRATCH},
};
use crate::{
    app::App,
    domain::{Passphrase, Secret},
    error::{Code, Error, Result},
    services::caller::CallerKind,
    storage::{
        audit::{Action, AuditEntry, AuditOutcome},
        backup::{BackupManifest, BackupPart, BackupSlots, BackupWriter, LedgerSummary, Packer, VaultSummary},
        files::{FileError, Folder, FreshFile, ScratchFolder, Written},
        ledger, lock,
        vault::VaultStatus,
    },
};

/// The longest file of settings or prices that is taken along, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A backup to be made.
#[derive(Debug)]
pub struct NewBackup<'a> {
    /// Its file, which is not there yet.
    pub file: PathBuf,
    pub passphrase: &'a Passphrase,
    /// Whether a recovery code opens it, too.
    pub recovery: bool,
}

/// A backup that was made.
#[derive(Debug)]
pub struct MadeBackup {
    pub file: PathBuf,
    /// Bytes.
    pub size: u64,
    pub backup_id: String,
    pub manifest: BackupManifest,
    /// To be shown once: it is kept nowhere.
    pub recovery_code: Option<Secret>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// The name of the file of a backup made at that time.
pub fn file_name(at: Timestamp) -> String {
    format!("api-keys-{}.akb", at.strftime("%Y-%m-%dT%H%M%SZ"))
}

/// Makes a backup of everything that is there; the vault, if there is one, has to be open.
pub fn create(app: &App, actor: &CallerKind, new: &NewBackup<'_>, progress: BackupProgress<'_>) -> Result<MadeBackup> {
    let now = app.now();
    let data = app.settings().paths().data_folder();
    let has_vault = app.vault().status()? != VaultStatus::Absent;
    let Some(folder) = Folder::open(data)?.filter(|_| has_vault || app.ledger().path().exists()) else {
        return Err(Error::new(Code::VaultAbsent, "there is nothing to back up yet")
            .hint("`api-keys setup` creates a vault; so does adding the first key"));
    };
    let _lock = lock::acquire(&folder, LOCK, LOCK_TIMEOUT)?;
    ScratchFolder::clean_stale(data, SCRATCH)?;
    // Before anything is read: most of what can fail about the place fails here.
    let file = FreshFile::create(&new.file)?;
    let name = new.file.file_name().unwrap_or_default().to_string_lossy().into_owned();

    let scratch = ScratchFolder::create(data, SCRATCH)?;
    let copied = app.ledger().copy_to(scratch.folder(), &mut |done, all| {
        progress("Copying the ledger", done, all);
    })?;
    let vault = has_vault
        .then(|| app.vault().copy(&entry(now, actor, &name)))
        .transpose()?;

    let slots = BackupSlots {
        passphrase: new.passphrase,
        recovery: new.recovery,
    };
    let (writer, header, recovery_code) = BackupWriter::begin(file, now, slots)?;
    let mut packer = Packer::new(writer);
    let mut manifest = BackupManifest::new(env!("CARGO_PKG_VERSION"), now);
    if let Some(vault) = vault {
        packer.add(
            BackupPart::Vault,
            vault.bytes.len() as u64,
            &mut vault.bytes.as_slice(),
            &mut |_| (),
        )?;
        packer.add_key(&vault.key)?;
        for mut trail in vault.trail {
            if let Some(part) = BackupPart::of_name(&trail.name) {
                packer.add(part, trail.length, &mut trail.file, &mut |_| ())?;
            }
        }
        manifest.vault = Some(VaultSummary {
            vault_id: vault.vault_id,
            generation: vault.generation,
            keys: vault.keys,
        });
    }
    if let Some(copied) = copied
        && let Some((mut file, stamp)) = scratch.folder().open_to_read(ledger::FILE)?
    {
        let (mut done, all) = (0, stamp.length());
        packer.add(BackupPart::Ledger, all, &mut file, &mut |bytes| {
            done += bytes;
            progress("Encrypting", done, all);
        })?;
        manifest.ledger = Some(LedgerSummary {
            version: copied.version,
            records: copied.records,
            newest: copied.newest,
        });
    }
    manifest.clients = app.clients().list()?.len() as u64;
    for part in [BackupPart::Clients, BackupPart::Prices, BackupPart::Quality] {
        if let Some((bytes, _)) = folder.read(&part.file_name(), MAX_FILE_BYTES)? {
            packer.add(part, bytes.len() as u64, &mut bytes.as_slice(), &mut |_| ())?;
        }
    }
    if let Some(bytes) = configuration(app)? {
        packer.add(
            BackupPart::Config,
            bytes.len() as u64,
            &mut bytes.as_slice(),
            &mut |_| (),
        )?;
    }
    let (file, manifest) = packer.finish(manifest)?;
    let written = file.keep()?;
    let event = BackupEvent {
        at: now,
        backup_id: header.backup_id.to_string(),
        created_at: now,
        file: new.file.display().to_string(),
    };
    let mut warnings = Vec::new();
    if let Written::DurabilityUnknown(_) = written {
        warnings.push("the disk did not confirm the backup: a power cut may remove it".to_owned());
    }
    // The backup is made: that it could not be noted is no reason to call it failed.
    if let Err(why) = history::note_made(&folder, event) {
        warnings.push(format!("it could not be noted that the backup was made: {why}"));
    }
    Ok(MadeBackup {
        size: fs::metadata(&new.file).map_or(0, |made| made.len()),
        file: new.file.clone(),
        backup_id: header.backup_id.to_string(),
        manifest,
        recovery_code,
        warnings,
    })
}

/// The settings as they are written, where there are any; people may keep them elsewhere, behind a link.
fn configuration(app: &App) -> Result<Option<Vec<u8>>> {
    let path = app.settings().paths().config_file();
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError::Io {
            path,
            doing: "read",
            source,
        }
        .into()),
    }
}

/// What the audit trail says of it, before the vault's key leaves the vault.
fn entry(at: Timestamp, actor: &CallerKind, name: &str) -> AuditEntry {
    AuditEntry {
        at,
        actor: actor.to_string(),
        action: Action::CreateBackup,
        provider: None,
        label: None,
        key_id: None,
        outcome: AuditOutcome::Done,
        detail: Some(name.to_owned()),
    }
}
