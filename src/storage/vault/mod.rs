//! The vault: every secret sealed, everything about them sealed too, in one file.
//!
//! A random data key seals and authenticates the file (`opened`, `format`); keyslots give the data key to who has a
//! key file, the keychain, a passphrase or a recovery code (`keyslots`, `custody`); an anchor beside the file tells an
//! old copy of it (`anchor`). All cryptography is in `seal`.
//!
//! Readers take no lock: the file is replaced whole. Writers hold `vault.lock`: read again → change → audit intent →
//! file → audit outcome → anchor.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

mod anchor;
mod custody;
mod edit;
mod error;
mod format;
pub mod keychain;
mod keyslots;
mod maintenance;
mod opened;
mod seal;

pub use anchor::Standing;
pub use edit::{Committed, Edit};
pub use error::VaultError;
pub use format::Hex;
pub use keyslots::{NewSlot, SlotId, SlotInfo, SlotKind};
pub use maintenance::Created;
pub use opened::Contents;
pub use seal::SealError;

use anchor::{Anchor, Known};
use custody::open_slot;
use format::{Header, LONGEST_FILE, VERSION, VaultFile};
use keyslots::{RecoveryCode, UnwrapError};
use opened::{Draft, Keys, Opened};
use seal::Key;

use crate::{
    domain::{ApiKey, KeyId, Passphrase, Secret},
    storage::{
        audit::{self, Entry, Outcome},
        files::{FileError, Folder, Stamp, Written},
        lock::{self, Lock},
    },
};

/// The vault's file.
pub const FILE: &str = "vault.json";
/// The file that writers lock; never renamed, never removed.
const LOCK: &str = "vault.lock";

/// Where the vault is, and how long it may wait for others.
#[derive(Debug, Clone)]
pub struct VaultPlaces {
    /// The folder of vault, anchor and audit trail.
    pub data: PathBuf,
    /// The folder of key files; may be the same.
    pub key_folder: PathBuf,
    /// How long one answer of the keychain may take.
    pub keychain_deadline: Duration,
    /// How long another writer is waited for.
    pub lock_wait: Duration,
}

/// A handle on the vault: cheap to make, shared between threads, with the keys in memory once it is unlocked.
pub struct Vault {
    places: VaultPlaces,
    session: Mutex<Option<Session>>,
}

/// How the vault can be worked with, without asking anybody for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// There is no vault file.
    Absent,
    /// The keys are not in memory; these slots would give them.
    Locked { slots: Vec<SlotInfo> },
    /// The keys are in memory, given by a slot of the kind `by`.
    Unlocked { slots: Vec<SlotInfo>, by: SlotKind },
}

/// What to unlock the vault with.
#[derive(Debug, Clone, Copy)]
pub enum Unlock<'a> {
    /// Whatever opens by itself: key file, then keychain.
    Automatic,
    Passphrase(&'a Passphrase),
    Recovery(&'a Secret),
}

/// The vault's keys in memory, and the file as it was last read.
struct Session {
    keys: Arc<Keys>,
    by: SlotKind,
    /// The keychain's anchor, when the keychain gave the key.
    known: Known,
    cached: Option<(Stamp, Arc<Opened>)>,
}

/// The right to write, and the file as it stands.
struct Held {
    lock: Lock,
    folder: Folder,
    opened: Arc<Opened>,
}

impl VaultPlaces {
    /// Everything in `folder`, with the usual patience.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        let data = folder.into();
        Self {
            key_folder: data.clone(),
            data,
            keychain_deadline: Duration::from_secs(3),
            lock_wait: Duration::from_secs(10),
        }
    }
}

impl Vault {
    /// A handle on the vault in `places`; touches nothing.
    pub fn new(places: VaultPlaces) -> Self {
        Self {
            places,
            session: Mutex::new(None),
        }
    }

    /// The path of the vault file, whether or not it exists.
    pub fn path(&self) -> PathBuf {
        self.places.data.join(FILE)
    }

    /// Whether there is a vault and whether it is unlocked; opens nothing, asks nobody.
    pub fn status(&self) -> Result<Status, VaultError> {
        let Some(folder) = Folder::open(&self.places.data)? else {
            return Ok(Status::Absent);
        };
        let mut session = self.session();
        if let Some(Session {
            by,
            cached: Some((stamp, opened)),
            ..
        }) = &*session
            && folder.stamp(FILE)? == Some(*stamp)
        {
            let slots = infos(&opened.header);
            return Ok(Status::Unlocked { slots, by: *by });
        }
        let Some((_, header, _)) = self.read_file(&folder)? else {
            return Ok(Status::Absent);
        };
        let slots = infos(&header);
        Ok(match current(&mut session, &header) {
            Some(session) => Status::Unlocked { slots, by: session.by },
            None => Status::Locked { slots },
        })
    }

    /// Brings the vault's keys into memory, until [`Vault::lock`] or the end of the process.
    ///
    /// Succeeds also on a file that is rolled back, forked or foreign: [`Contents::standing`] tells.
    pub fn unlock(&self, with: Unlock<'_>) -> Result<(), VaultError> {
        let folder = Folder::open(&self.places.data)?.ok_or(VaultError::Absent)?;
        let (_, header, _) = self.read_file(&folder)?.ok_or(VaultError::Absent)?;
        let (data, by) = self.data_key(&header, with)?;
        let keys = Arc::new(Keys::new(header.vault_id, data));
        if keys.id != header.data_key {
            return Err(self.damaged("a keyslot holds the key of another file"));
        }
        let known = match by {
            SlotKind::Keychain => custody::read_keychain_anchor(&self.places, header.vault_id),
            SlotKind::KeyFile | SlotKind::Passphrase | SlotKind::Recovery => Known::Nothing,
        };
        let mut session = self.session();
        *session = Some(Session {
            keys,
            by,
            known,
            cached: None,
        });
        // Reads the file again, after the anchors: another process may have written since.
        match self.load(&folder, &mut session, Fresh::AsNeeded) {
            Ok(_) => Ok(()),
            Err(why) => {
                *session = None;
                Err(why)
            }
        }
    }

    /// Forgets the vault's keys and everything read with them.
    pub fn lock(&self) {
        *self.session() = None;
    }

    /// What the vault holds, without secrets; read again when the file has changed.
    pub fn contents(&self) -> Result<Arc<Contents>, VaultError> {
        let folder = Folder::open(&self.places.data)?.ok_or(VaultError::Absent)?;
        let opened = self.load(&folder, &mut self.session(), Fresh::AsNeeded)?;
        self.refuse_foreign(&opened)?;
        Ok(Arc::clone(&opened.contents))
    }

    /// Makes one change, whole or not at all, and audits it as `entry`.
    ///
    /// An error of `edit` changes nothing and is audited as refused. An edit that changes nothing writes nothing.
    pub fn change<T, E: From<VaultError>>(
        &self,
        entry: &Entry,
        edit: impl FnOnce(&mut Edit) -> Result<T, E>,
    ) -> Result<Committed<T>, E> {
        let held = self.hold_to_write()?;
        let mut change = Edit::new(held.opened.draft());
        let outcome = edit(&mut change).and_then(|value| Ok((value, change.finish()?)));
        match outcome {
            Ok((value, Some(draft))) => Ok(Committed::new(self.commit(&held, entry, draft)?, value)),
            Ok((value, None)) => Ok(Committed::Durable(value)),
            Err(why) => {
                // The refusal stands, whether or not it could be noted.
                drop(self.append(&held, entry, Outcome::Refused));
                Err(why)
            }
        }
    }

    /// The secret of one version of a key; that it is handed out is in the audit trail, on the disk, before.
    pub fn reveal(&self, entry: &Entry, key_id: KeyId, version: u32) -> Result<ApiKey, VaultError> {
        let held = self.hold()?;
        self.refuse_foreign(&held.opened)?;
        held.opened.find(key_id, version)?;
        let head = self.append(&held, entry, Outcome::Done)?;
        self.note_audit_head(&held, head);
        match held.opened.secret(key_id, version) {
            Ok(secret) => Ok(secret),
            Err(_) => {
                drop(self.append(&held, entry, Outcome::Failed));
                Err(self.damaged("a secret is not the one of its record"))
            }
        }
    }

    /// Adds `entry` to the audit trail as it is, and returns once it is on the disk.
    pub fn record(&self, entry: &Entry) -> Result<(), VaultError> {
        let held = self.hold()?;
        let head = self.append(&held, entry, entry.outcome)?;
        self.note_audit_head(&held, head);
        Ok(())
    }

    /// Checks the whole audit trail, also that its end was not cut off; the report has the first break.
    pub fn verify_audit(&self) -> Result<audit::Report, VaultError> {
        let folder = Folder::open(&self.places.data)?.ok_or(VaultError::Absent)?;
        // Read before the trail, which only grows: else an entry made meanwhile looks like a cut.
        let opened = self.load(&folder, &mut self.session(), Fresh::AsNeeded)?;
        let anchored = anchor::read(&folder)?
            .of(opened.header.vault_id)
            .and_then(|anchor| anchor.audit);
        let newest = [opened.audit_head.clone(), anchored]
            .into_iter()
            .flatten()
            .max_by_key(|head| head.seq);
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

    /// The data key, and the kind of slot that gave it.
    fn data_key(&self, header: &Header, with: Unlock<'_>) -> Result<(Key, SlotKind), VaultError> {
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

    /// The lock, and the file as it stands under it.
    fn hold(&self) -> Result<Held, VaultError> {
        let folder = Folder::open(&self.places.data)?.ok_or(VaultError::Absent)?;
        let lock = lock::acquire(&folder, LOCK, self.places.lock_wait)?;
        let opened = self.load(&folder, &mut self.session(), Fresh::Always)?;
        Ok(Held { lock, folder, opened })
    }

    /// The same for a writer: what killed writers left is cleaned up, and the file has to be the newest.
    fn hold_to_write(&self) -> Result<Held, VaultError> {
        let held = self.hold()?;
        self.refuse_foreign(&held.opened)?;
        let header = &held.opened.header;
        match held.opened.contents.standing {
            Standing::Current => {}
            Standing::RolledBack { newest } => {
                return Err(VaultError::RolledBack {
                    path: self.path(),
                    found: header.generation,
                    newest,
                });
            }
            Standing::Forked => return Err(VaultError::Forked { path: self.path() }),
            Standing::AnchorDamaged => {
                return Err(VaultError::Damaged {
                    path: self.places.data.join(anchor::FILE),
                    what: "the rollback anchor is not readable",
                });
            }
            Standing::Foreign => return Err(VaultError::Foreign { path: self.path() }),
        }
        self.refuse_newer(header)?;
        held.folder.clean_stale()?;
        custody::settle_pending(&held.folder, &self.places, Some(header))?;
        Ok(held)
    }

    /// Writes `draft` as the vault; whether it is known to be durable.
    fn commit(&self, held: &Held, entry: &Entry, mut draft: Draft) -> Result<bool, VaultError> {
        let intent = self.append(held, entry, Outcome::Begun)?;
        draft.audit_head = Some(intent.clone());
        let written = draft
            .finish()
            .and_then(|(bytes, opened)| Ok((held.folder.replace(FILE, &bytes)?, opened)));
        let (written, opened) = match written {
            Ok(written) => written,
            Err(why) => {
                drop(self.append(held, entry, Outcome::Failed));
                return Err(why);
            }
        };
        // From here on the change is made: what fails now is made good by the next writer, and is no failure of this one.
        let durable = matches!(written, Written::Durable);
        let outcome = if durable {
            Outcome::Done
        } else {
            Outcome::DurabilityUnknown
        };
        let head = self.append(held, entry, outcome).unwrap_or(intent);
        self.adopt(held, Arc::new(opened), Some(head));
        Ok(durable)
    }

    /// Takes a file that was just written as the one that is known, in the anchors and in memory.
    fn adopt(&self, held: &Held, opened: Arc<Opened>, head: Option<audit::Head>) {
        let anchor = Anchor::new(&opened.header, opened.mac, head);
        drop(anchor::write(&held.folder, &anchor));
        let mut session = self.session();
        if let Some(session) = &mut *session {
            if session.by == SlotKind::Keychain {
                custody::write_keychain_anchor(&self.places, &anchor);
                session.known = Known::Anchor(anchor);
            }
            session.keys = Arc::clone(&opened.keys);
            let stamp = held.folder.stamp(FILE).ok().flatten();
            session.cached = stamp.map(|stamp| (stamp, opened));
        }
    }

    fn append(&self, held: &Held, entry: &Entry, outcome: Outcome) -> Result<audit::Head, VaultError> {
        let entry = Entry {
            outcome,
            ..entry.clone()
        };
        let mac = |parts: &[&[u8]]| held.opened.lasting.audit_mac(parts);
        Ok(audit::append(&held.lock, &held.folder, &mac, &entry)?)
    }

    /// Keeps the trail's new end in the anchor, as far as the file on the disk is the one that the anchor knows.
    fn note_audit_head(&self, held: &Held, head: audit::Head) {
        if held.opened.contents.standing == Standing::Current {
            // The entry is on the disk: an anchor that stays older only notices less.
            drop(anchor::write(
                &held.folder,
                &Anchor::new(&held.opened.header, held.opened.mac, Some(head)),
            ));
        }
    }

    /// The file, opened with the keys in memory.
    fn load(
        &self,
        folder: &Folder,
        session: &mut MutexGuard<'_, Option<Session>>,
        fresh: Fresh,
    ) -> Result<Arc<Opened>, VaultError> {
        if let Some(Session {
            cached: Some((stamp, opened)),
            ..
        }) = &**session
            && fresh == Fresh::AsNeeded
            && folder.stamp(FILE)? == Some(*stamp)
        {
            return Ok(Arc::clone(opened));
        }
        // Before the file: an anchor that is read later may be of a later file.
        let anchor = anchor::read(folder)?;
        let (file, header, stamp) = self.read_file(folder)?.ok_or(VaultError::Absent)?;
        let Some(session) = current(session, &header) else {
            return Err(VaultError::Locked { slots: infos(&header) });
        };
        let standing = [&anchor, &session.known]
            .into_iter()
            .map(|known| known.judge(&header, file.mac()))
            .find(|standing| *standing != Standing::Current)
            .unwrap_or(Standing::Current);
        let opened =
            Opened::open(Arc::clone(&session.keys), &file, header, standing).map_err(|what| self.damaged(what))?;
        let opened = Arc::new(opened);
        session.cached = Some((stamp, Arc::clone(&opened)));
        Ok(opened)
    }

    /// The file's parts, bounded and well formed, not yet authenticated; `None` where there is no file.
    fn read_file(&self, folder: &Folder) -> Result<Option<(VaultFile, Header, Stamp)>, VaultError> {
        let (bytes, stamp) = match folder.read(FILE, LONGEST_FILE) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(None),
            Err(FileError::TooLarge { .. }) => return Err(self.damaged("the file is too long")),
            Err(why) => return Err(why.into()),
        };
        let (file, header) = format::parse(&bytes).map_err(|why| VaultError::from_format(self.path(), why))?;
        Ok(Some((file, header, stamp)))
    }

    fn refuse_foreign(&self, opened: &Opened) -> Result<(), VaultError> {
        match opened.contents.standing {
            Standing::Foreign => Err(VaultError::Foreign { path: self.path() }),
            Standing::Current | Standing::RolledBack { .. } | Standing::Forked | Standing::AnchorDamaged => Ok(()),
        }
    }

    /// A file that a newer version wrote may say more than this one would write back.
    fn refuse_newer(&self, header: &Header) -> Result<(), VaultError> {
        if header.version > VERSION {
            return Err(VaultError::TooNew {
                path: self.path(),
                version: header.version,
            });
        }
        Ok(())
    }

    fn damaged(&self, what: &'static str) -> VaultError {
        VaultError::Damaged {
            path: self.path(),
            what,
        }
    }

    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        // A panic elsewhere leaves nothing half done in here.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a file that looks unchanged has to be read all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fresh {
    AsNeeded,
    Always,
}

/// The session, if its keys are those of the file with this header.
fn current<'a>(session: &'a mut MutexGuard<'_, Option<Session>>, header: &Header) -> Option<&'a mut Session> {
    session
        .as_mut()
        .filter(|session| session.keys.vault_id == header.vault_id && session.keys.id == header.data_key)
}

fn infos(header: &Header) -> Vec<SlotInfo> {
    header.slots.iter().map(format::Slot::info).collect()
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}
