//! Reading: the file, its anchors, and the way from a slot to the data key.

use std::sync::{Arc, MutexGuard};

use super::{
    FILE, SlotInfo, SlotKind, Unlock, Vault, VaultError, VaultFreshness,
    anchor::{self, KnownAnchor},
    custody::{self, open_slot},
    format::{self, Header, MAX_FILE, VERSION, VaultFile},
    handle::UnlockedVault,
    keyslots::{self, RecoveryCode, UnwrapError},
    opened::{Opened, VaultKeys},
    seal::SealKey,
};
use crate::storage::{
    audit,
    files::{FileError, Folder, Stamp},
};

/// How often a file is read that others replace all the time, until what it says and what is beside it belong together.
const MAX_READS: usize = 16;

/// Whether a file that looks unchanged has to be read all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fresh {
    AsNeeded,
    Always,
}

impl Vault {
    /// The data key, and the kind of slot that gave it.
    pub(super) fn data_key(&self, header: &Header, with: Unlock<'_>) -> Result<(SealKey, SlotKind), VaultError> {
        let of_kind = |kind| header.slots.iter().filter(move |slot| slot.kind() == kind);
        match with {
            Unlock::Automatic => {
                let mut first_failure = None;
                for slot in of_kind(SlotKind::KeyFile).chain(of_kind(SlotKind::Keychain)) {
                    match open_slot(&self.places, header.vault_id, slot) {
                        Ok(key) => return Ok((key, slot.kind())),
                        Err(why) => first_failure = first_failure.or(Some(why)),
                    }
                }
                // Where a passphrase would do, asking for it is better than explaining what else is missing.
                match first_failure {
                    Some(why) if of_kind(SlotKind::Passphrase).next().is_none() => Err(why),
                    Some(_) | None => Err(VaultError::Locked { slots: infos(header) }),
                }
            }
            Unlock::Passphrase(passphrase) => {
                let mut secrets = of_kind(SlotKind::Passphrase)
                    .filter_map(|slot| Some((slot, keyslots::stretch(slot, passphrase)?)))
                    .peekable();
                if secrets.peek().is_none() {
                    return Err(VaultError::NoSlotOfKind(SlotKind::Passphrase));
                }
                for (slot, secret) in secrets {
                    match keyslots::unwrap(&header.vault_id, slot, secret?.as_bytes()) {
                        Ok(key) => return Ok((key, SlotKind::Passphrase)),
                        Err(UnwrapError::WrongSecret) => {}
                        Err(UnwrapError::Damaged) => return Err(custody::damaged_slot(&self.places)),
                    }
                }
                Err(VaultError::WrongPassphrase)
            }
            Unlock::Recovery(typed) => {
                if of_kind(SlotKind::Recovery).next().is_none() {
                    return Err(VaultError::NoSlotOfKind(SlotKind::Recovery));
                }
                let code = RecoveryCode::parse(typed).map_err(|_| VaultError::MistypedRecoveryCode)?;
                for slot in of_kind(SlotKind::Recovery) {
                    match keyslots::unwrap(&header.vault_id, slot, code.as_bytes()) {
                        Ok(key) => return Ok((key, SlotKind::Recovery)),
                        Err(UnwrapError::WrongSecret) => {}
                        Err(UnwrapError::Damaged) => return Err(custody::damaged_slot(&self.places)),
                    }
                }
                Err(VaultError::WrongRecoveryCode)
            }
        }
    }

    /// Why a vault does not open: where it is not the one last written here, that is what there is to say.
    pub(super) fn or_foreign(&self, folder: &Folder, header: &Header, why: VaultError) -> VaultError {
        let missing = matches!(
            why,
            VaultError::WrongPassphrase
                | VaultError::WrongRecoveryCode
                | VaultError::KeyFileMissing { .. }
                | VaultError::KeyFileWrong { .. }
                | VaultError::KeychainEntryMissing
                | VaultError::KeychainEntryWrong
        );
        match anchor::read(folder) {
            Ok(KnownAnchor::Anchor(anchor)) if missing && anchor.vault_id != header.vault_id => {
                VaultError::Foreign { path: self.path() }
            }
            Ok(KnownAnchor::Anchor(_) | KnownAnchor::Nothing | KnownAnchor::Damaged) | Err(_) => why,
        }
    }

    /// The file, opened with the keys in memory.
    pub(super) fn load(
        &self,
        folder: &Folder,
        session: &mut MutexGuard<'_, Option<UnlockedVault>>,
        fresh: Fresh,
    ) -> Result<Arc<Opened>, VaultError> {
        if let Some(UnlockedVault {
            cached: Some((stamp, opened)),
            ..
        }) = &**session
            && fresh == Fresh::AsNeeded
            && folder.stamp(FILE)? == Some(*stamp)
        {
            return Ok(Arc::clone(opened));
        }
        let mut reads = 0;
        loop {
            reads += 1;
            // Before the file: an anchor that is read later may be of a later file.
            let anchor = anchor::read(folder)?;
            let read = self.read_file(folder)?.ok_or(VaultError::Absent)?;
            let stamp = read.stamp;
            self.follow_rekey(session, &read.header);
            match self.open_read(folder, session, &anchor, read) {
                // Another process was between the file and its key file.
                Err(VaultError::Locked { .. })
                    if session.is_some() && reads < MAX_READS && folder.stamp(FILE)? != Some(stamp) => {}
                outcome => return outcome,
            }
        }
    }

    /// Takes over the data key that another process has put in place of the one in memory, where a key file gives it.
    ///
    /// A keychain can make its user wait, and a passphrase is a new one: for those the session stays as it is.
    pub(super) fn follow_rekey(&self, session: &mut MutexGuard<'_, Option<UnlockedVault>>, header: &Header) {
        let is_replaced = |session: &UnlockedVault| {
            session.by == SlotKind::KeyFile
                && session.keys.vault_id == header.vault_id
                && session.keys.id != header.data_key
        };
        if !session.as_ref().is_some_and(is_replaced) {
            return;
        }
        let slots = header.slots.iter().filter(|slot| slot.kind() == SlotKind::KeyFile);
        let key = slots
            .map(|slot| open_slot(&self.places, header.vault_id, slot))
            .find_map(Result::ok);
        if let Some(key) = key {
            let keys = Arc::new(VaultKeys::new(header.vault_id, key));
            if keys.id == header.data_key {
                **session = Some(UnlockedVault {
                    keys,
                    by: SlotKind::KeyFile,
                    known: KnownAnchor::Nothing,
                    cached: None,
                });
            }
        }
    }

    /// A file that was read after the anchors, opened with the keys in memory and kept there.
    pub(super) fn open_read(
        &self,
        folder: &Folder,
        session: &mut MutexGuard<'_, Option<UnlockedVault>>,
        anchor: &KnownAnchor,
        read: UnverifiedVault,
    ) -> Result<Arc<Opened>, VaultError> {
        let UnverifiedVault { file, header, stamp } = read;
        let Some(session) = current(session, &header) else {
            return Err(VaultError::Locked { slots: infos(&header) });
        };
        let known = [anchor, &session.known];
        let is_far = known.iter().any(|known| known.is_far_behind(&header));
        let standing = known
            .into_iter()
            .map(|known| known.judge(&header, file.mac()))
            .find(|standing| *standing != VaultFreshness::Current)
            .unwrap_or(VaultFreshness::Current);
        let mut opened =
            Opened::open(Arc::clone(&session.keys), file, header, standing).map_err(|what| self.damaged(what))?;
        if standing == VaultFreshness::Current
            && is_far
            && let Some(head) = &opened.audit_head
            && !audit::has(folder, head)?
        {
            Arc::make_mut(&mut opened.contents).standing = VaultFreshness::Forked;
        }
        let opened = Arc::new(opened);
        session.cached = Some((stamp, Arc::clone(&opened)));
        Ok(opened)
    }

    /// The file's parts, bounded and well formed, not yet authenticated; `None` where there is no file.
    pub(super) fn read_file(&self, folder: &Folder) -> Result<Option<UnverifiedVault>, VaultError> {
        let (bytes, stamp) = match folder.read(FILE, MAX_FILE) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(None),
            Err(FileError::TooLarge { .. }) => return Err(self.damaged("the file is too long")),
            Err(why) => return Err(why.into()),
        };
        let (file, header) = format::parse(&bytes).map_err(|why| VaultError::from_format(self.path(), why))?;
        Ok(Some(UnverifiedVault { file, header, stamp }))
    }

    pub(super) fn refuse_foreign(&self, opened: &Opened) -> Result<(), VaultError> {
        match opened.contents.standing {
            VaultFreshness::Foreign => Err(VaultError::Foreign { path: self.path() }),
            VaultFreshness::Current
            | VaultFreshness::RolledBack { .. }
            | VaultFreshness::Forked
            | VaultFreshness::AnchorDamaged => Ok(()),
        }
    }

    /// A file that a newer version wrote may say more than this one would write back.
    pub(super) fn refuse_newer(&self, header: &Header) -> Result<(), VaultError> {
        if header.version > VERSION {
            return Err(VaultError::TooNew {
                path: self.path(),
                version: header.version,
            });
        }
        Ok(())
    }

    pub(super) fn damaged(&self, what: &'static str) -> VaultError {
        VaultError::Damaged {
            path: self.path(),
            what,
        }
    }
}

impl Opened {
    /// The newest line of the audit trail that is known here, from the anchor or the file.
    pub(super) fn newest_line(&self, folder: &Folder) -> Result<Option<audit::TrailHead>, VaultError> {
        let anchored = anchor::read(folder)?
            .of(self.header.vault_id)
            .and_then(|anchor| anchor.audit);
        // Another file than the one last written here may know of lines that were written elsewhere.
        let own = match self.contents.standing {
            VaultFreshness::Current | VaultFreshness::AnchorDamaged => self.audit_head.clone(),
            VaultFreshness::RolledBack { .. } | VaultFreshness::Forked | VaultFreshness::Foreign => None,
        };
        Ok([own, anchored].into_iter().flatten().max_by_key(|head| head.seq))
    }
}

/// A file as it was read: bounded and well formed, not yet authenticated.
pub(super) struct UnverifiedVault {
    pub(super) file: VaultFile,
    pub(super) header: Header,
    pub(super) stamp: Stamp,
}

/// The session, if its keys are those of the file with this header.
pub(super) fn current<'a>(
    session: &'a mut MutexGuard<'_, Option<UnlockedVault>>,
    header: &Header,
) -> Option<&'a mut UnlockedVault> {
    session
        .as_mut()
        .filter(|session| session.keys.vault_id == header.vault_id && session.keys.id == header.data_key)
}

pub(super) fn infos(header: &Header) -> Vec<SlotInfo> {
    header.slots.iter().map(format::Slot::info).collect()
}
