//! Using the vault: its state, its keys, and what is recorded of their use.

use std::{sync::Arc, time::Duration};

use super::{
    anchor::{self, KnownAnchor},
    custody,
    edit::{Committed, Edit},
    error::VaultError,
    format::{self, Hex},
    handle::{FILE, LOCK, Unlock, UnlockedVault, Vault},
    keyslots::{SlotInfo, SlotKind},
    opened::{Opened, VaultContents, VaultKeys},
    reading::{Fresh, UnverifiedVault, current, infos},
    recognizer::Recognizer,
};
use crate::{
    domain::{ApiKey, KeyRecord, Label, Secret},
    storage::{
        audit::{self, AuditEntry, AuditOutcome},
        files::{self, Folder},
        lock::{self, LockError},
    },
};

/// How the vault can be worked with, without asking for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultStatus {
    /// There is no vault file.
    Absent,
    /// The keys are not in memory; these slots would give them.
    Locked { slots: Vec<SlotInfo> },
    /// The keys are in memory, given by a slot of the kind `by`.
    Unlocked { slots: Vec<SlotInfo>, by: SlotKind },
}

/// What a vault file says of itself without being opened; nothing of it is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultOutline {
    /// The version of the format.
    pub version: u32,
    /// Stays the same for the life of the vault.
    pub vault_id: Hex<16>,
    /// Counts the writes of that vault.
    pub generation: u64,
    pub slots: Vec<SlotInfo>,
}

/// What `bytes`, read from somewhere, say about themselves if they are a well-formed vault file.
pub fn inspect(bytes: &[u8]) -> Result<VaultOutline, VaultError> {
    let (_, header) = format::parse(bytes).map_err(|why| VaultError::from_format(FILE.into(), why))?;
    Ok(VaultOutline {
        version: header.version,
        vault_id: header.vault_id,
        generation: header.generation,
        slots: infos(&header),
    })
}

impl Vault {
    /// Whether there is a vault and whether it is unlocked; opens nothing, asks for nothing.
    ///
    /// A vault whose file is gone is not absent: that is [`VaultError::Remains`].
    pub fn status(&self) -> Result<VaultStatus, VaultError> {
        let mut session = self.session();
        if let Some((session, opened)) = self.unchanged(session.as_ref()) {
            let slots = infos(&opened.header);
            return Ok(VaultStatus::Unlocked { slots, by: session.by });
        }
        let Some(folder) = Folder::open(&self.places.data)? else {
            return Ok(VaultStatus::Absent);
        };
        let header = match self.read_file(&folder)? {
            Some(read) => read.header,
            None => match self.status_without_file(&folder) {
                // Unless another process made the vault between the two looks.
                Err(remains) => match self.read_file(&folder)? {
                    Some(read) => read.header,
                    None => return Err(remains),
                },
                absent => return absent,
            },
        };
        self.follow_rekey(&mut session, &header);
        let slots = infos(&header);
        Ok(match current(&mut session, &header) {
            Some(session) => VaultStatus::Unlocked { slots, by: session.by },
            None => VaultStatus::Locked { slots },
        })
    }

    fn status_without_file(&self, folder: &Folder) -> Result<VaultStatus, VaultError> {
        refuse_remains_of_written(folder)?;
        // A note is of an attempt to make a vault that was killed: the next one cleans up.
        match custody::any_key_file(&self.places) {
            Some(path) if folder.stamp(custody::PENDING)?.is_none() => Err(VaultError::Remains { path }),
            Some(_) | None => Ok(VaultStatus::Absent),
        }
    }

    /// Brings the vault's keys into memory, until [`Vault::lock`] or the end of the process.
    ///
    /// Succeeds also on a file that is rolled back, forked or foreign: [`VaultContents::standing`] tells.
    pub fn unlock(&self, with: Unlock<'_>) -> Result<(), VaultError> {
        let folder = Folder::open(&self.places.data)?.ok_or(VaultError::Absent)?;
        let read = self.read_file(&folder)?.ok_or(VaultError::Absent)?;
        let stamp = read.stamp;
        match self.unlock_read(&folder, read, with) {
            // Another process may have changed what opens the vault meanwhile; none does while the lock is ours.
            Err(_) if folder.stamp(FILE)?.is_some_and(|now| now != stamp) => {
                let _lock = lock::acquire(&folder, LOCK, self.places.lock_wait)?;
                let read = self.read_file(&folder)?.ok_or(VaultError::Absent)?;
                self.unlock_read(&folder, read, with)
            }
            outcome => outcome,
        }
    }

    fn unlock_read(&self, folder: &Folder, read: UnverifiedVault, with: Unlock<'_>) -> Result<(), VaultError> {
        let header = &read.header;
        let (data, by) = self
            .data_key(header, with)
            .map_err(|why| self.or_foreign(folder, header, why))?;
        let keys = Arc::new(VaultKeys::new(header.vault_id, data));
        if keys.id != header.data_key {
            return Err(self.damaged("a keyslot holds the key of another file"));
        }
        let known = match by {
            SlotKind::Keychain => custody::read_keychain_anchor(&self.places, header.vault_id),
            SlotKind::KeyFile | SlotKind::Passphrase | SlotKind::Recovery => KnownAnchor::Nothing,
        };
        let mut session = self.session();
        *session = Some(UnlockedVault {
            keys,
            by,
            known,
            cached: None,
        });
        let opened = anchor::read(folder).and_then(|anchor| {
            // As it is now that the anchors are read: another process may have written since.
            let read = match folder.stamp(FILE)? {
                Some(stamp) if stamp == read.stamp => read,
                Some(_) | None => self.read_file(folder)?.ok_or(VaultError::Absent)?,
            };
            self.open_read(folder, &mut session, &anchor, read)
        });
        opened.map(drop).inspect_err(|_| *session = None)
    }

    /// Forgets the vault's keys and everything read with them.
    pub fn lock(&self) {
        *self.session() = None;
    }

    /// What the vault holds, without secrets; read again when the file has changed.
    pub fn contents(&self) -> Result<Arc<VaultContents>, VaultError> {
        let mut session = self.session();
        let unchanged = self.unchanged(session.as_ref());
        let opened = if let Some((_, opened)) = unchanged {
            Arc::clone(opened)
        } else {
            let folder = Folder::open(&self.places.data)?.ok_or(VaultError::Absent)?;
            self.load(&folder, &mut session, Fresh::AsNeeded)?
        };
        self.refuse_foreign(&opened)?;
        Ok(Arc::clone(&opened.contents))
    }

    /// Whether another process is writing right now, for callers whose waiting would hold up others.
    pub fn is_held(&self) -> Result<bool, VaultError> {
        let Some(folder) = Folder::open(&self.places.data)? else {
            return Ok(false);
        };
        match lock::acquire(&folder, LOCK, Duration::ZERO) {
            Ok(_) => Ok(false),
            Err(LockError::Busy { .. }) => Ok(true),
            Err(why) => Err(why.into()),
        }
    }

    /// How long another writer is waited for.
    pub fn lock_wait(&self) -> Duration {
        self.places.lock_wait
    }

    /// Makes one change, whole or not at all, and audits it as `entry`.
    ///
    /// An error of `edit` changes nothing and is audited as refused. An edit that changes nothing writes nothing.
    pub fn change<T, E: From<VaultError>>(
        &self,
        entry: &AuditEntry,
        edit: impl FnOnce(&mut Edit) -> Result<T, E>,
    ) -> Result<Committed<T>, E> {
        let held = self.hold_to_write()?;
        let mut change = Edit::new(held.opened.draft(), entry.clone());
        let outcome = edit(&mut change).and_then(|value| change.check().map(|()| value).map_err(E::from));
        match outcome {
            Ok(value) => match change.finish() {
                Some((draft, entry)) => Ok(Committed::new(self.commit(&held, &entry, draft)?, value)),
                None => Ok(Committed::Durable(value)),
            },
            Err(why) => {
                // The refusal stands, whether or not it could be noted.
                drop(held.append(change.entry(), AuditOutcome::Refused));
                Err(why)
            }
        }
    }

    /// The secret of one version of `record`; that it is handed out is in the audit trail, on the disk, before.
    ///
    /// Only the secret that the record is about, for the address in it: what took its place since is another one.
    pub fn reveal(&self, entry: &AuditEntry, record: &KeyRecord, version: u32) -> Result<ApiKey, VaultError> {
        let key_id = record.key_id;
        let held = self.hold(Fresh::AsNeeded)?;
        self.refuse_foreign(&held.opened)?;
        let (stored, _) = held.opened.find(key_id, version)?;
        if stored.origin != record.origin || stored.fingerprint_of(version) != record.fingerprint_of(version) {
            return Err(VaultError::NoSuchSecret { key_id, version });
        }
        held.append_and_anchor(entry, AuditOutcome::Done)?;
        held.opened.secret(key_id, version).map_err(|_| {
            drop(held.append(entry, AuditOutcome::Failed));
            self.damaged("a secret is not the one of its record")
        })
    }

    /// The secret of the destination `name`; that it is handed out is in the audit trail, on the disk, before.
    pub fn reveal_destination(&self, entry: &AuditEntry, name: &Label) -> Result<Secret, VaultError> {
        let held = self.hold(Fresh::AsNeeded)?;
        self.refuse_foreign(&held.opened)?;
        if !held.opened.contents.destinations.contains_key(name) {
            return Err(VaultError::NoSuchDestination);
        }
        held.append_and_anchor(entry, AuditOutcome::Done)?;
        held.opened.destination(name).map_err(|_| {
            drop(held.append(entry, AuditOutcome::Failed));
            self.damaged("the secret of a destination is not the one of its record")
        })
    }

    /// Adds `entry` to the audit trail as it is, and returns once it is on the disk.
    pub fn record(&self, entry: &AuditEntry) -> Result<(), VaultError> {
        self.hold(Fresh::AsNeeded)?.append_and_anchor(entry, entry.outcome)
    }

    /// Tells the vault's own secrets from all other text, without their being revealed.
    pub fn recognizer(&self) -> Result<Recognizer, VaultError> {
        let folder = Folder::open(&self.places.data)?.ok_or(VaultError::Absent)?;
        let opened = self.load(&folder, &mut self.session(), Fresh::AsNeeded)?;
        self.refuse_foreign(&opened)?;
        Ok(Recognizer::of(&opened))
    }

    /// Checks the whole audit trail, also that its end was not cut off; the report has the first break.
    pub fn verify_audit(&self) -> Result<audit::TrailReport, VaultError> {
        let folder = Folder::open(&self.places.data)?.ok_or(VaultError::Absent)?;
        // Read before the trail, which only grows: else an entry made meanwhile looks like a cut.
        let opened = self.load(&folder, &mut self.session(), Fresh::AsNeeded)?;
        let newest = opened.newest_line(&folder)?;
        let mac = |parts: &[&[u8]]| opened.lasting.audit_mac(parts);
        Ok(audit::verify(&folder, &mac, newest.as_ref())?)
    }

    /// The newest entries of the audit trail, at most `most`, oldest first; needs no key and checks nothing.
    pub fn recent_audit(&self, most: usize) -> Result<Vec<audit::Record>, VaultError> {
        match Folder::open(&self.places.data)? {
            Some(folder) => Ok(audit::recent(&folder, most)?),
            None => Ok(Vec::new()),
        }
    }

    /// What was read last, where the file is as it was then.
    fn unchanged<'s>(&self, session: Option<&'s UnlockedVault>) -> Option<(&'s UnlockedVault, &'s Arc<Opened>)> {
        let session = session?;
        let (stamp, opened) = session.cached.as_ref()?;
        files::is_unchanged(&self.path(), Some(*stamp)).then_some((session, opened))
    }
}

/// Fails where a vault was written that is not there any more.
pub(super) fn refuse_remains_of_written(folder: &Folder) -> Result<(), VaultError> {
    for name in [anchor::FILE, audit::FILE] {
        if folder.stamp(name)?.is_some() {
            let path = folder.path().join(name);
            return Err(VaultError::Remains { path });
        }
    }
    Ok(())
}
