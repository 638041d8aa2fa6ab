//! Putting a backup in place: all of it at once, or one part; what was there before is kept.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    history::{self, BackupEvent},
    verify::{CheckedBackup, check, newer_here, open, unpack_into},
    working::BackupProgress,
};
use crate::{
    app::App,
    domain::Passphrase,
    error::{Code, Error, Result},
    services::caller::CallerKind,
    settings::MasterKey,
    storage::{
        audit::{self, Action, AuditEntry, AuditOutcome},
        backup::{BackupManifest, BackupPart, UnlockBackup},
        files::{self, FileError, Folder, ForeignFolder, ScratchFolder},
        ledger::{FILE as LEDGER, Ledger},
        vault::{Created, NewSlot, SlotInfo, SlotKind, Vault, VaultError, VaultPlaces},
    },
};

/// The longest file that is put in place through memory, in bytes: the trail's are shorter.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// The files by which a folder shows that it is in use.
const FILES_IN_USE: [&str; 6] = [
    "vault.json",
    "anchor.json",
    "audit.jsonl",
    "ledger.db",
    "clients.json",
    "config.toml",
];

/// A backup to be put in place.
#[derive(Debug)]
pub struct Restore<'a> {
    pub file: &'a Path,
    pub with: UnlockBackup<'a>,
    /// The folder for everything, instead of those in use.
    pub into: Option<&'a Path>,
    pub only: Option<RestorePart>,
    /// Whether files that are there may be replaced; they are kept.
    pub replace: bool,
    /// What opens the vault from now on, in the place of a keychain or key file that may be on another machine.
    pub master_key: Option<MasterKey>,
    /// The new passphrase, where that is a passphrase.
    pub new_passphrase: Option<&'a Passphrase>,
}

/// A part of a backup that can be restored alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestorePart {
    /// The vault and its audit trail.
    Vault,
    Ledger,
    /// Settings, prices, and the gateway's clients.
    Config,
}

/// What was put in place.
#[derive(Debug)]
pub struct Restored {
    pub manifest: BackupManifest,
    pub home: PathBuf,
    /// Where that is which was there before.
    pub aside: Option<PathBuf>,
    /// Slots of the vault that were made.
    pub slots: Vec<SlotInfo>,
    /// What was newer than the backup, in sentences.
    pub newer: Vec<String>,
    pub warnings: Vec<String>,
}

/// The folders that a backup is put into.
struct RestoreTarget {
    data: PathBuf,
    config: PathBuf,
}

/// A backup on its way into place.
struct Restoration<'a> {
    wanted: &'a Restore<'a>,
    target: RestoreTarget,
    now: Timestamp,
    actor: CallerKind,
    event: BackupEvent,
}

/// Restores a backup: everything in it is read and checked before anything is put in place.
pub fn restore(app: &App, actor: CallerKind, wanted: &Restore<'_>, progress: BackupProgress<'_>) -> Result<Restored> {
    let (header, reader) = open(wanted.file, wanted.with)?;
    let target = RestoreTarget::of(app, wanted.into)?;
    let restoration = Restoration {
        wanted,
        now: app.now(),
        actor,
        event: BackupEvent {
            at: app.now(),
            backup_id: header.backup_id.to_string(),
            created_at: header.created_at,
            file: wanted.file.display().to_string(),
        },
        target,
    };
    restoration.refuse()?;
    let (parent, name) = restoration.target.place()?;
    let name = format!("{name}.restore");
    ScratchFolder::clean_stale(&parent, &name)?;
    let scratch = ScratchFolder::create(&parent, &name)?;
    let unpacked = unpack_into(reader, wanted.file, scratch.folder(), progress)?;
    let checked = check(scratch.folder(), unpacked, None, progress)?;
    let newer = match wanted.into {
        None => newer_here(app, &checked.manifest)?,
        Some(_) => Vec::new(),
    };
    // What was opened just now would be in the way of another ledger.
    app.ledger().close();
    let mut restored = match wanted.only {
        None => restoration.whole(checked, scratch)?,
        Some(part) => restoration.part(part, checked, scratch.folder())?,
    };
    restored.newer = newer;
    Ok(restored)
}

impl RestoreTarget {
    fn of(app: &App, into: Option<&Path>) -> Result<Self> {
        let Some(into) = into else {
            let paths = app.settings().paths();
            return Ok(Self {
                data: paths.data_folder().to_owned(),
                config: paths.config_folder().to_owned(),
            });
        };
        let home = std::path::absolute(into).map_err(|source| FileError::Io {
            path: into.to_owned(),
            doing: "find",
            source,
        })?;
        Ok(Self {
            data: home.clone(),
            config: home,
        })
    }

    fn is_one(&self) -> bool {
        self.data == self.config
    }

    /// The folder of data as its parent and its name.
    fn place(&self) -> Result<(PathBuf, String)> {
        let name = self.data.file_name().and_then(|name| name.to_str());
        match (self.data.parent(), name) {
            (Some(parent), Some(name)) => Ok((parent.to_owned(), name.to_owned())),
            (None, _) | (_, None) => Err(Error::new(
                Code::RestoreRefused,
                format!("{} cannot be replaced", self.data.display()),
            )
            .hint("name another folder with `--into`")),
        }
    }
}

impl Restoration<'_> {
    /// Fails before anything is decrypted where something would be replaced that may not be.
    fn refuse(&self) -> Result<()> {
        if Ledger::new(&self.target.data).is_in_use()? && self.wanted.only != Some(RestorePart::Config) {
            let said = format!("a gateway is running on {}", self.target.data.display());
            return Err(Error::new(Code::RestoreRefused, said)
                .hint("stop it first, so that no request goes into the old ledger; nothing was changed"));
        }
        if self.wanted.replace {
            return Ok(());
        }
        let concerns = |name: &str| match self.wanted.only {
            None => true,
            Some(RestorePart::Vault) => ["vault.json", "anchor.json", "audit.jsonl"].contains(&name),
            Some(RestorePart::Ledger) => name == LEDGER,
            Some(RestorePart::Config) => ["config.toml", "clients.json"].contains(&name),
        };
        let found = FILES_IN_USE.into_iter().filter(|name| concerns(name)).find_map(|name| {
            let places = [&self.target.data, &self.target.config].map(|folder| folder.join(name));
            places.into_iter().find(|path| path.exists())
        });
        match found {
            None => Ok(()),
            Some(path) => Err(
                Error::new(Code::RestoreRefused, format!("{} is there already", path.display())).hint(
                    "`--replace` puts the backup in its place and keeps what is there beside it; `--into FOLDER` \
                     restores into another folder; nothing was changed",
                ),
            ),
        }
    }

    /// Puts a whole home in place, by one exchange of two names.
    fn whole(&self, checked: CheckedBackup, scratch: ScratchFolder) -> Result<Restored> {
        let staged = scratch.folder();
        let live = Vault::new(VaultPlaces::in_folder(&self.target.data));
        // No process changes the vault from here on, until another one is in its place.
        let _still = if live.path().exists() { live.keep_still()? } else { None };
        let mut warnings = warnings(&checked);
        let slots = self.adopt(&checked, staged, &mut warnings)?;
        let configuration = if self.target.is_one() {
            None
        } else {
            let name = BackupPart::Config.file_name();
            let read = staged.read(&name, MAX_FILE_BYTES)?;
            staged.remove(&name)?;
            read.map(|(bytes, _)| bytes)
        };
        warnings.extend(
            history::note_verified(staged, self.event.clone())
                .err()
                .map(|why| why.to_string()),
        );
        staged.sync_names()?;
        let aside = self.aside()?;
        let was_there = files::exchange(staged.path(), &self.target.data, &aside).map_err(or_into)?;
        scratch.keep();
        // An empty folder is nothing to keep.
        let aside = (was_there && fs::remove_dir(&aside).is_err()).then_some(aside);
        if let Some(bytes) = configuration {
            self.put(
                &Folder::create(&self.target.config)?,
                &BackupPart::Config.file_name(),
                &bytes,
            )?;
        }
        Ok(self.restored(checked, aside, slots, warnings))
    }

    /// Puts one part in place, and leaves the others as they are.
    fn part(&self, part: RestorePart, checked: CheckedBackup, staged: &Folder) -> Result<Restored> {
        let data = Folder::create(&self.target.data)?;
        let mut warnings = warnings(&checked);
        let mut slots = Vec::new();
        let mut aside = None;
        match part {
            RestorePart::Config => {
                let config = Folder::create(&self.target.config)?;
                for part in [
                    BackupPart::Config,
                    BackupPart::Prices,
                    BackupPart::Quality,
                    BackupPart::Clients,
                ] {
                    if let Some((bytes, _)) = staged.read(&part.file_name(), MAX_FILE_BYTES)? {
                        let folder = if part == BackupPart::Config { &config } else { &data };
                        aside = self.put(folder, &part.file_name(), &bytes)?.or(aside);
                    }
                }
            }
            RestorePart::Ledger => {
                if checked.manifest.ledger.is_none() {
                    return Err(not_in_it("ledger"));
                }
                let old = Folder::create(&self.inner_aside(&self.target.data))?;
                Ledger::new(&self.target.data).replace_with(staged, &old)?;
                aside = Some(old.path().to_owned());
            }
            RestorePart::Vault => {
                if checked.vault.is_none() {
                    return Err(not_in_it("vault"));
                }
                let live = Vault::new(VaultPlaces::in_folder(&self.target.data));
                let _still = live.keep_still()?;
                slots = self.adopt(&checked, staged, &mut warnings)?;
                aside = self.put_vault(&data, staged)?;
            }
        }
        Ok(self.restored(checked, aside, slots, warnings))
    }

    /// Puts vault, anchor and trail in place one after the other: the trail first, since it has the old one's lines too
    /// where both are of one vault, and the anchor last, since one that is older is no alarm.
    fn put_vault(&self, data: &Folder, staged: &Folder) -> Result<Option<PathBuf>> {
        let mut names: Vec<String> = audit::files(staged)
            .map_err(VaultError::from)?
            .into_iter()
            .map(|file| file.name)
            .collect();
        let old: Vec<String> = audit::files(data)
            .map_err(VaultError::from)?
            .into_iter()
            .map(|file| file.name)
            .filter(|name| !names.contains(name))
            .collect();
        names.extend(["vault.json".to_owned(), "anchor.json".to_owned()]);
        if let Some(key) = staged
            .names()?
            .into_iter()
            .find(|name| Path::new(name).extension() == Some(OsStr::new("key")))
        {
            names.insert(0, key);
        }
        let mut aside = None;
        for name in &old {
            if let Some((bytes, _)) = data.read(name, MAX_FILE_BYTES)? {
                aside = self.keep_old(data, name, &bytes)?.or(aside);
                data.remove(name)?;
            }
        }
        for name in &names {
            if let Some((bytes, _)) = staged.read(name, MAX_FILE_BYTES)? {
                aside = self.put(data, name, &bytes)?.or(aside);
            }
        }
        Ok(aside)
    }

    /// Makes the staged vault one that opens here and is newer than any that is known; returns the slots that it got.
    fn adopt(&self, checked: &CheckedBackup, staged: &Folder, warnings: &mut Vec<String>) -> Result<Vec<SlotInfo>> {
        let Some((vault, key)) = &checked.vault else {
            return Ok(Vec::new());
        };
        let data = &self.target.data;
        // The trail that is here goes on, where it is of the same vault and knows all that the backup does.
        let has_trail = data.join(audit::FILE).exists();
        if has_trail && vault.verify_trail(data).is_ok_and(|report| report.fault.is_none()) {
            let live = Folder::open(data)?.ok_or(VaultError::Absent)?;
            for file in audit::files(&live).map_err(VaultError::from)? {
                if let Some((bytes, _)) = live.read(&file.name, MAX_FILE_BYTES)? {
                    let _ = staged.replace(&file.name, &bytes)?;
                }
            }
        }
        let places = VaultPlaces {
            key_folder: if self.target.is_one() {
                staged.path().to_owned()
            } else {
                self.target.config.clone()
            },
            ..VaultPlaces::in_folder(staged.path())
        };
        let newest = Vault::new(VaultPlaces::in_folder(data)).newest_known(vault.vault_id())?;
        let adopted = Vault::new(places);
        let entry = self.entry(vault.generation());
        let adopt = |slots: &[NewSlot<'_>]| adopted.adopt_copy(key, newest, &entry, slots);
        let kinds = vault.slot_kinds();
        let is_movable = |kind: &SlotKind| matches!(kind, SlotKind::Keychain | SlotKind::KeyFile);
        let master_key = self.wanted.master_key.or_else(|| {
            let opens_here = kinds.contains(&SlotKind::Passphrase) && !kinds.iter().any(is_movable);
            (!opens_here).then_some(MasterKey::Auto)
        });
        let made = match master_key {
            None => adopt(&[])?,
            Some(MasterKey::Keychain) => adopt(&[NewSlot::Keychain])?,
            Some(MasterKey::KeyFile) => adopt(&[NewSlot::KeyFile])?,
            Some(MasterKey::Passphrase) => match self.wanted.new_passphrase {
                Some(passphrase) => adopt(&[NewSlot::Passphrase(passphrase)])?,
                None => return Err(Error::new(Code::KeyRequired, "no new passphrase was given")),
            },
            Some(MasterKey::Auto) => match adopt(&[NewSlot::Keychain]) {
                Err(VaultError::Keychain(_)) => {
                    warnings.push(
                        "no keychain is available, so a key file on this machine opens the vault; \
                         `api-keys vault add-slot passphrase`, then `api-keys vault remove-slot key-file`, change that"
                            .to_owned(),
                    );
                    adopt(&[NewSlot::KeyFile])?
                }
                adopted => adopted?,
            },
        };
        let Created { slots, .. } = made.into_inner();
        Ok(slots)
    }

    /// Puts `bytes` in place as the file `name`; what was there is kept, in the folder that is returned.
    fn put(&self, folder: &Folder, name: &str, bytes: &[u8]) -> Result<Option<PathBuf>> {
        let path = folder.path().join(name);
        let old = match fs::read(&path) {
            Ok(old) => Some(old),
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            Err(source) => {
                return Err(FileError::Io {
                    path,
                    doing: "read",
                    source,
                }
                .into());
            }
        };
        if old.as_deref() == Some(bytes) {
            return Ok(None);
        }
        let aside = match old {
            Some(old) => self.keep_old(folder, name, &old)?,
            None => None,
        };
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            // The file that it leads to is not ours; what it held is kept.
            fs::remove_file(&path).map_err(|source| FileError::Io {
                path,
                doing: "replace",
                source,
            })?;
        }
        let _ = if name == BackupPart::Config.file_name() {
            // Settings hold no secret: others may read them.
            let folder = ForeignFolder::create(folder.path())?;
            let seen = folder.read(name, MAX_FILE_BYTES)?;
            folder.put(name, seen.as_ref(), bytes)?
        } else {
            folder.replace(name, bytes)?
        };
        Ok(aside)
    }

    fn keep_old(&self, folder: &Folder, name: &str, bytes: &[u8]) -> Result<Option<PathBuf>> {
        let aside = Folder::create(&self.inner_aside(folder.path()))?;
        let _ = aside.replace(name, bytes)?;
        Ok(Some(aside.path().to_owned()))
    }

    /// What the old home is called from now on, beside the new one.
    fn aside(&self) -> Result<PathBuf> {
        let (parent, name) = self.target.place()?;
        let first = format!("{name}.{}", self.before());
        // One that was restored within the same second has that name.
        let names = std::iter::once(first.clone()).chain((2..).map(|time| format!("{first}-{time}")));
        let mut free = names.map(|name| parent.join(name)).filter(|path| !path.exists());
        free.next().ok_or_else(|| Error::new(Code::Internal, "no name is free"))
    }

    /// Where the old files of a part are kept, in the folder that they were in.
    fn inner_aside(&self, folder: &Path) -> PathBuf {
        folder.join(self.before())
    }

    fn before(&self) -> String {
        format!("before-restore-{}", self.now.strftime("%Y-%m-%dT%H%M%SZ"))
    }

    fn entry(&self, generation: u64) -> AuditEntry {
        let name = self.wanted.file.file_name().unwrap_or_default().to_string_lossy();
        AuditEntry {
            at: self.now,
            actor: self.actor.to_string(),
            action: Action::RestoreBackup,
            provider: None,
            label: None,
            key_id: None,
            outcome: AuditOutcome::Begun,
            detail: Some(format!(
                "{name}, made at {}, write {generation} of the vault",
                self.event.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
            )),
        }
    }

    fn restored(
        &self,
        checked: CheckedBackup,
        aside: Option<PathBuf>,
        slots: Vec<SlotInfo>,
        warnings: Vec<String>,
    ) -> Restored {
        Restored {
            manifest: checked.manifest,
            home: self.target.data.clone(),
            aside,
            slots,
            newer: Vec::new(),
            warnings,
        }
    }
}

/// What people should know of a backup that is put in place all the same.
fn warnings(checked: &CheckedBackup) -> Vec<String> {
    let fault = checked.trail_fault.as_ref();
    fault
        .map(|fault| format!("the audit trail was broken when the backup was made: {fault}"))
        .into_iter()
        .collect()
}

/// A folder that cannot be renamed, such as one that a disk is mounted on, has to stay.
fn or_into(why: FileError) -> Error {
    let cannot_move = matches!(&why, FileError::Io { source, .. }
        if matches!(source.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices));
    let error = Error::from(why);
    if cannot_move {
        error.hint(
            "the folder cannot be renamed, perhaps because a disk is mounted on it: restore with `--into` a folder \
             in it, and name that with API_KEYS_HOME; nothing was changed",
        )
    } else {
        error
    }
}

fn not_in_it(what: &str) -> Error {
    Error::new(Code::RestoreRefused, format!("the backup has no {what}"))
        .hint("`api-keys backup verify` shows what it has")
}
