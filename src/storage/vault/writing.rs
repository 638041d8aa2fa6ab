//! Writing: the lock, the audit trail around each change, the file, the anchors.

use std::sync::Arc;

use super::{
    FILE, SlotKind, Vault, VaultError, VaultFreshness,
    anchor::{self, Anchor, KnownAnchor},
    custody,
    handle::LOCK,
    opened::{Draft, Opened},
    reading::Fresh,
};
use crate::storage::{
    audit::{self, AuditEntry, AuditOutcome},
    files::{Folder, Written},
    lock::{self, Lock},
};

/// The right to write, and the file as it stands.
pub(super) struct WriteAccess {
    pub(super) lock: Lock,
    pub(super) folder: Folder,
    pub(super) opened: Arc<Opened>,
    /// Whether the trail begins anew, whatever is known of lines before.
    pub(super) begins_trail: bool,
}

impl WriteAccess {
    /// Adds `entry` with this outcome to the audit trail; the trail's new end, which is on the disk.
    pub(super) fn append(&self, entry: &AuditEntry, outcome: AuditOutcome) -> Result<audit::TrailHead, VaultError> {
        let entry = AuditEntry {
            outcome,
            ..entry.clone()
        };
        let mac = |parts: &[&[u8]]| self.opened.lasting.audit_mac(parts);
        let known = if self.begins_trail {
            None
        } else {
            self.opened.newest_line(&self.folder)?
        };
        Ok(audit::append(&self.lock, &self.folder, &mac, known.as_ref(), &entry)?)
    }

    /// Whether the trail is not this vault's own, or has a break.
    pub(super) fn has_broken_trail(&self) -> Result<bool, VaultError> {
        let mac = |parts: &[&[u8]]| self.opened.lasting.audit_mac(parts);
        let known = self
            .opened
            .newest_line(&self.folder)?
            .or_else(|| self.opened.audit_head.clone());
        Ok(audit::verify(&self.folder, &mac, known.as_ref())?.fault.is_some())
    }

    /// Puts the trail away under the name of the vault that it is of, so that a new one begins.
    pub(super) fn set_trail_aside(&mut self, whose: &str) -> Result<(), VaultError> {
        audit::set_aside(&self.lock, &self.folder, whose)?;
        self.begins_trail = true;
        Ok(())
    }

    /// The same as [`WriteAccess::append`], with the new end kept in the anchor, for entries that no change of the file follows.
    pub(super) fn append_and_anchor(&self, entry: &AuditEntry, outcome: AuditOutcome) -> Result<(), VaultError> {
        let newest = self.append(entry, outcome)?;
        if self.opened.contents.standing == VaultFreshness::Current {
            // The entry is on the disk: an anchor that stays older only notices less.
            let anchor = Anchor::new(&self.opened.header, self.opened.mac, Some(newest));
            drop(anchor::write(&self.folder, &anchor));
        }
        Ok(())
    }
}

impl Vault {
    /// The lock, and the file as it stands under it.
    pub(super) fn hold(&self, fresh: Fresh) -> Result<WriteAccess, VaultError> {
        let folder = Folder::open(&self.places.data)?.ok_or(VaultError::Absent)?;
        let lock = lock::acquire(&folder, LOCK, self.places.lock_wait)?;
        let opened = self.load(&folder, &mut self.session(), fresh)?;
        Ok(WriteAccess {
            lock,
            folder,
            opened,
            begins_trail: false,
        })
    }

    /// The same for a writer: what killed writers left is cleaned up, and the file has to be the newest.
    pub(super) fn hold_to_write(&self) -> Result<WriteAccess, VaultError> {
        // Two changes within one tick of the clock can look like none: what is built upon is read.
        let held = self.hold(Fresh::Always)?;
        self.refuse_foreign(&held.opened)?;
        let header = &held.opened.header;
        match held.opened.contents.standing {
            VaultFreshness::Current => {}
            VaultFreshness::RolledBack { newest } => {
                return Err(VaultError::RolledBack {
                    path: self.path(),
                    found: header.generation,
                    newest,
                });
            }
            VaultFreshness::Forked => return Err(VaultError::Forked { path: self.path() }),
            VaultFreshness::AnchorDamaged => {
                return Err(VaultError::Damaged {
                    path: self.places.data.join(anchor::FILE),
                    what: "the rollback anchor is not readable",
                });
            }
            VaultFreshness::Foreign => return Err(VaultError::Foreign { path: self.path() }),
        }
        self.refuse_newer(header)?;
        held.folder.clean_stale()?;
        custody::settle_pending(&held.folder, &self.places, Some(header))?;
        Ok(held)
    }

    /// Writes `draft` as the vault; whether it is known to be durable.
    pub(super) fn commit(&self, held: &WriteAccess, entry: &AuditEntry, mut draft: Draft) -> Result<bool, VaultError> {
        let intent = held.append(entry, AuditOutcome::Begun)?;
        draft.audit_head = Some(intent.clone());
        let written = draft
            .finish()
            .and_then(|(bytes, opened)| Ok((held.folder.replace(FILE, &bytes)?, opened)));
        let (written, opened) = match written {
            Ok(written) => written,
            Err(why) => {
                drop(held.append(entry, AuditOutcome::Failed));
                return Err(why);
            }
        };
        // From here on the change is made: what fails now is made good by the next writer, and is no failure of this one.
        let durable = matches!(written, Written::Durable);
        let outcome = if durable {
            AuditOutcome::Done
        } else {
            AuditOutcome::DurabilityUnknown
        };
        let newest = held.append(entry, outcome).unwrap_or(intent);
        self.adopt(held, Arc::new(opened), Some(newest), durable);
        Ok(durable)
    }

    /// Takes a file that was just written as the one that is known, in the anchors and in memory.
    pub(super) fn adopt(
        &self,
        held: &WriteAccess,
        opened: Arc<Opened>,
        newest: Option<audit::TrailHead>,
        durable: bool,
    ) {
        let anchor = Anchor::new(&opened.header, opened.mac, newest);
        if durable {
            // An anchor that stays older is no alarm; one that outlives its file would be a false one.
            drop(anchor::write(&held.folder, &anchor));
        }
        let mut session = self.session();
        if let Some(session) = &mut *session {
            if session.by == SlotKind::Keychain && durable {
                custody::write_keychain_anchor(&self.places, &anchor);
                session.known = KnownAnchor::Anchor(anchor);
            }
            session.keys = Arc::clone(&opened.keys);
            let stamp = held.folder.stamp(FILE).ok().flatten();
            session.cached = stamp.map(|stamp| (stamp, opened));
        }
    }
}
