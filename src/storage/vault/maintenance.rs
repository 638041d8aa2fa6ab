//! Making a vault, and changing what opens it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    FILE, NewSlot, SlotId, SlotInfo, SlotKind, Unlock, Vault, VaultError, VaultFreshness,
    anchor::{self, KnownAnchor},
    custody::{self, Planned},
    edit::Committed,
    format::{Hex, MAX_SLOTS, Slot},
    handle::{LOCK, UnlockedVault},
    keyslots,
    opened::{Draft, Opened, VaultKeys},
    operations::{VaultStatus, refuse_remains_of_written},
    reading::{Fresh, UnverifiedVault},
    seal::{self, SealKey},
    writing::WriteAccess,
};
use crate::{
    domain::{Passphrase, Secret},
    storage::{
        audit::{Action, AuditEntry, AuditOutcome},
        files::{Folder, Written},
        lock,
    },
};

/// What was made: slots, and the recovery code if one was requested.
#[derive(Debug)]
pub struct Created {
    /// The slots that were made, in the requested order; of several recovery slots only the first is made.
    pub slots: Vec<SlotInfo>,
    /// To be shown once: the vault does not keep it.
    pub recovery_code: Option<Secret>,
}

impl Vault {
    /// Makes a vault that the given slots open, and leaves it unlocked.
    ///
    /// Refuses where there is one, or something of one. What a killed attempt left is cleaned up first.
    pub fn create(&self, now: Timestamp, actor: &str, slots: &[NewSlot<'_>]) -> Result<Committed<Created>, VaultError> {
        refuse_unopenable(slots.iter().map(NewSlot::kind))?;
        let folder = Folder::create(&self.places.data)?;
        let lock = lock::acquire(&folder, LOCK, self.places.lock_wait)?;
        if folder.stamp(FILE)?.is_some() {
            return Err(VaultError::Exists { path: self.path() });
        }
        folder.clean_stale()?;
        self.refuse_remains(&folder)?;

        let vault_id = Hex(seal::make_random()?);
        let planned = Planned::make_ids(slots)?;
        custody::note_pending(&folder, vault_id, planned.iter().map(|slot| (slot.id, slot.new.kind())))?;
        let written = self.write_first(&folder, vault_id, &planned, now);
        let (opened, created, written) = written.inspect_err(|_| {
            // What stays is noted, and cleaned up by the next attempt.
            drop(custody::settle_pending(&folder, &self.places, None));
        })?;

        // From here on there is a vault: what fails now is made good by the next writer.
        let held = WriteAccess {
            lock,
            folder,
            opened: Arc::new(opened),
            begins_trail: false,
        };
        *self.session() = Some(UnlockedVault {
            keys: Arc::clone(&held.opened.keys),
            by: slots.first().map_or(SlotKind::KeyFile, NewSlot::kind),
            known: KnownAnchor::Nothing,
            cached: None,
        });
        let newest = held.append(&entry(now, actor, Action::CreateVault, None), AuditOutcome::Done);
        let durable = matches!(written, Written::Durable);
        self.adopt(&held, Arc::clone(&held.opened), newest.ok(), durable);
        drop(custody::settle_pending(
            &held.folder,
            &self.places,
            Some(&held.opened.header),
        ));
        Ok(Committed::new(durable, created))
    }

    /// Adds a way to open the vault, which has to be unlocked.
    pub fn add_slot(&self, now: Timestamp, actor: &str, new: NewSlot<'_>) -> Result<Committed<Created>, VaultError> {
        let held = self.hold_to_write()?;
        let entry = entry(now, actor, Action::AddSlot, Some(new.kind().to_string()));
        self.replace_slots(&held, &entry, &[new], |_| true)
    }

    /// Takes away one way to open the vault, with its key file or its entry in the keychain.
    ///
    /// Never the last one that is not a recovery code.
    pub fn remove_slot(&self, now: Timestamp, actor: &str, id: SlotId) -> Result<Committed<SlotInfo>, VaultError> {
        let held = self.hold_to_write()?;
        let slots = &held.opened.header.slots;
        let gone = slots
            .iter()
            .find(|slot| slot.id == id)
            .ok_or(VaultError::NoSuchSlot(id))?
            .info();
        let entry = entry(now, actor, Action::RemoveSlot, Some(gone.kind.to_string()));
        let removed = self.replace_slots(&held, &entry, &[], |slot| slot.id != id)?;
        Ok(removed.map(|_| gone))
    }

    /// Replaces the passphrase `old`, which may open the vault for it, by `new`; the other slots stay as they are.
    pub fn change_passphrase(
        &self,
        now: Timestamp,
        actor: &str,
        old: &Passphrase,
        new: &Passphrase,
    ) -> Result<Committed<Created>, VaultError> {
        if matches!(self.status()?, VaultStatus::Locked { .. }) {
            self.unlock(Unlock::Passphrase(old))?;
        }
        // Stretching takes a moment: it is done before the lock is taken.
        let replaced = self.slot_of_passphrase(old)?;
        let held = self.hold_to_write()?;
        if !held.opened.header.slots.iter().any(|slot| slot.id == replaced) {
            return Err(VaultError::WrongPassphrase);
        }
        let entry = entry(now, actor, Action::ChangePassphrase, None);
        self.replace_slots(&held, &entry, &[NewSlot::Passphrase(new)], |slot| slot.id != replaced)
    }

    /// Replaces the data key, seals everything anew, and makes `slots` the only ways to open the vault.
    ///
    /// Old slots cannot carry over: the old data key would give the new one. [`Vault::status`] tells the
    /// kinds that there are, for asking for each again; `seen` are those that the caller knows. Nothing is done where
    /// there are others by now: a recovery code that another process has just shown would be worth nothing.
    pub fn rekey(
        &self,
        now: Timestamp,
        actor: &str,
        seen: &[SlotKind],
        slots: &[NewSlot<'_>],
    ) -> Result<Committed<Created>, VaultError> {
        let held = self.hold_to_write()?;
        let mut seen = seen.to_vec();
        let mut found: Vec<SlotKind> = held.opened.header.slots.iter().map(Slot::kind).collect();
        seen.sort_unstable();
        found.sort_unstable();
        if seen != found {
            return Err(VaultError::SlotsChanged);
        }
        let data = SealKey::make_random()?;
        let mut draft = held.opened.draft();
        draft.reseal(VaultKeys::new(held.opened.keys.vault_id, data))?;
        self.write_slots(&held, &entry(now, actor, Action::Rekey, None), draft, slots, |_| false)
    }

    /// Opens the vault with its recovery code, and makes `slots` replace every way to open it but recovery codes.
    pub fn recover(
        &self,
        now: Timestamp,
        actor: &str,
        code: &Secret,
        slots: &[NewSlot<'_>],
    ) -> Result<Committed<Created>, VaultError> {
        self.unlock(Unlock::Recovery(code))?;
        let held = self.hold_to_write()?;
        let entry = entry(now, actor, Action::Recover, None);
        self.replace_slots(&held, &entry, slots, |slot| slot.kind() == SlotKind::Recovery)
    }

    /// Takes the vault file as it is for the newest from now on, with a new audit trail where the one that is there is
    /// not whole; returns what the file stood like before, and whether a new trail begins.
    pub fn accept_rollback(
        &self,
        now: Timestamp,
        actor: &str,
    ) -> Result<Committed<(VaultFreshness, bool)>, VaultError> {
        let mut held = self.hold(Fresh::Always)?;
        self.refuse_newer(&held.opened.header)?;
        let before = held.opened.contents.standing;
        let begins_trail = held.has_broken_trail()?;
        if before == VaultFreshness::Current && !begins_trail {
            return Ok(Committed::Durable((before, false)));
        }
        let vault_id = held.opened.header.vault_id;
        let known = [anchor::read(&held.folder)?, self.known_to_keychain()];
        if begins_trail {
            let whose = match &known {
                [KnownAnchor::Anchor(anchor), _] => anchor.vault_id,
                [KnownAnchor::Nothing | KnownAnchor::Damaged, _] => vault_id,
            };
            held.set_trail_aside(&whose.to_string())?;
        }
        let newest = known
            .into_iter()
            .filter_map(|known| known.of(vault_id))
            .map(|anchor| anchor.generation)
            .max();
        let mut draft = held.opened.draft();
        // Two above what is known: not one that follows it, which would have to name its mac.
        draft.header.generation = draft.header.generation.max(newest.unwrap_or(0).saturating_add(2));
        let detail = match before {
            VaultFreshness::Current => "current",
            VaultFreshness::RolledBack { .. } => "rolled back",
            VaultFreshness::Forked => "forked",
            VaultFreshness::Foreign => "foreign",
            VaultFreshness::AnchorDamaged => "anchor not readable",
        };
        let entry = entry(now, actor, Action::AcceptRollback, Some(detail.to_owned()));
        let durable = self.commit(&held, &entry, draft)?;
        Ok(Committed::new(durable, (before, begins_trail)))
    }

    /// The first vault file, written; with the slots' secrets in their places.
    fn write_first(
        &self,
        folder: &Folder,
        vault_id: Hex<16>,
        planned: &[Planned<'_>],
        now: Timestamp,
    ) -> Result<(Opened, Created, Written), VaultError> {
        let data = SealKey::make_random()?;
        let (slots, created) = self.make_slots(vault_id, planned, &data, now)?;
        let (bytes, opened) = Draft::first(VaultKeys::new(vault_id, data), slots, now)?.finish()?;
        let written = folder.replace(FILE, &bytes)?;
        Ok((opened, created, written))
    }

    fn replace_slots(
        &self,
        held: &WriteAccess,
        entry: &AuditEntry,
        new: &[NewSlot<'_>],
        keep: impl Fn(&Slot) -> bool,
    ) -> Result<Committed<Created>, VaultError> {
        self.write_slots(held, entry, held.opened.draft(), new, keep)
    }

    /// Writes `draft` with the slots that stay and new ones.
    pub(super) fn write_slots(
        &self,
        held: &WriteAccess,
        entry: &AuditEntry,
        mut draft: Draft,
        new: &[NewSlot<'_>],
        keep: impl Fn(&Slot) -> bool,
    ) -> Result<Committed<Created>, VaultError> {
        let (kept, gone): (Vec<Slot>, Vec<Slot>) = draft.header.slots.drain(..).partition(|slot| keep(slot));
        refuse_unopenable(kept.iter().map(Slot::kind).chain(new.iter().map(NewSlot::kind)))?;
        if kept.len() + new.len() > MAX_SLOTS {
            return Err(VaultError::Full("it has 16 slots"));
        }
        let vault_id = held.opened.header.vault_id;
        let planned = Planned::make_ids(new)?;
        let coming = planned.iter().map(|slot| (slot.id, slot.new.kind()));
        let going = gone.iter().map(|slot| (slot.id, slot.kind()));
        custody::note_pending(&held.folder, vault_id, coming.chain(going))?;
        let header_before = &held.opened.header;
        let done = self
            .make_slots(vault_id, &planned, &draft.keys.data, entry.at)
            .and_then(|(made, created)| {
                draft.header.slots = kept.into_iter().chain(made).collect();
                let header = draft.header.clone();
                let durable = self.commit(held, entry, draft)?;
                Ok((header, Committed::new(durable, created)))
            });
        match done {
            Ok((header, committed)) => {
                // What cannot be removed now is noted, and removed by the next writer.
                drop(custody::settle_pending(&held.folder, &self.places, Some(&header)));
                Ok(committed)
            }
            Err(why) => {
                drop(custody::settle_pending(&held.folder, &self.places, Some(header_before)));
                Err(why)
            }
        }
    }

    fn make_slots(
        &self,
        vault_id: Hex<16>,
        planned: &[Planned<'_>],
        data: &SealKey,
        now: Timestamp,
    ) -> Result<(Vec<Slot>, Created), VaultError> {
        let mut slots = Vec::new();
        let mut recovery_code = None;
        for planned in planned {
            let (slot, code) = custody::make_slot(&self.places, vault_id, planned, data, now)?;
            slots.push(slot);
            recovery_code = code.or(recovery_code);
        }
        let created = Created {
            slots: slots.iter().map(Slot::info).collect(),
            recovery_code,
        };
        Ok((slots, created))
    }

    /// Which slot a passphrase opens.
    fn slot_of_passphrase(&self, passphrase: &Passphrase) -> Result<SlotId, VaultError> {
        let folder = Folder::open(&self.places.data)?.ok_or(VaultError::Absent)?;
        let UnverifiedVault { header, .. } = self.read_file(&folder)?.ok_or(VaultError::Absent)?;
        let mut wrong = VaultError::NoSlotOfKind(SlotKind::Passphrase);
        for slot in &header.slots {
            if let Some(secret) = keyslots::stretch(slot, passphrase) {
                wrong = VaultError::WrongPassphrase;
                if keyslots::unwrap(&header.vault_id, slot, secret?.as_bytes()).is_ok() {
                    return Ok(slot.id);
                }
            }
        }
        Err(wrong)
    }

    /// Other vault files without vault.json: creating another could destroy the old vault.
    fn refuse_remains(&self, folder: &Folder) -> Result<(), VaultError> {
        refuse_remains_of_written(folder)?;
        // Neither of those: a note is of an attempt that never came to a vault with anything in it.
        if !custody::settle_pending(folder, &self.places, None)? {
            let path = folder.path().join(custody::PENDING);
            return Err(VaultError::Remains { path });
        }
        match custody::any_key_file(&self.places) {
            Some(path) => Err(VaultError::Remains { path }),
            None => Ok(()),
        }
    }

    fn known_to_keychain(&self) -> KnownAnchor {
        self.session()
            .as_ref()
            .map_or(KnownAnchor::Nothing, |session| session.known.clone())
    }
}

/// A vault that only a recovery code opens is one lost sheet of paper away from nothing.
fn refuse_unopenable(mut kinds: impl Iterator<Item = SlotKind>) -> Result<(), VaultError> {
    if kinds.any(|kind| kind != SlotKind::Recovery) {
        Ok(())
    } else {
        Err(VaultError::LastSlot)
    }
}

fn entry(at: Timestamp, actor: &str, action: Action, detail: Option<String>) -> AuditEntry {
    AuditEntry {
        at,
        actor: actor.to_owned(),
        action,
        provider: None,
        label: None,
        key_id: None,
        outcome: AuditOutcome::Begun,
        detail,
    }
}
