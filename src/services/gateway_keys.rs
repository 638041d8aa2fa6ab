//! Keys for requests through the gateway: revealed once each time they change, audited, and held in memory.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::{
    caller::{Caller, CallerKind, Question},
    health, keys, vault_access,
};
use crate::{
    app::App,
    domain::{ApiKey, KeyId, KeyRecord, KeyState, Label, Secret},
    error::{Code, Error, Result},
    providers::Provider,
    storage::vault::VaultContents,
};

/// How often keys that other processes change meanwhile are read again.
const MAX_TRIES: usize = 3;

/// The keys that were revealed, by record and fingerprint: a version's number can come again.
///
/// `D` is what is derived from a key and kept as long as the key is.
#[derive(Debug)]
pub struct KeyRing<D> {
    held: Mutex<HeldKeys<D>>,
}

type HeldKeys<D> = BTreeMap<(KeyId, String), Arc<Revealed<D>>>;

/// A key from when it was revealed: it is in the audit trail once, however many requests want it.
type Revealed<D> = OnceCell<(Arc<ApiKey>, Arc<D>)>;

/// A key for requests to its provider.
#[derive(Debug)]
pub struct Lent<D> {
    pub label: Label,
    pub key: Arc<ApiKey>,
    pub derived: Arc<D>,
    /// Where it may be sent.
    pub origin: String,
    /// When its secret was last changed or found valid.
    pub restored_at: Option<Timestamp>,
}

/// The gateway as a caller: no person is there to be prompted.
#[derive(Debug)]
struct Unattended;

impl<D> Default for KeyRing<D> {
    fn default() -> Self {
        Self { held: Mutex::default() }
    }
}

impl<D: for<'k> From<&'k ApiKey>> KeyRing<D> {
    /// The usable keys of `provider` for its present address, the one with the default label first.
    ///
    /// Only the one labelled `label`, where there is such a usable one. Without a vault there are none, which is no
    /// error for a provider that needs none.
    pub async fn keys_of(&self, app: &App, provider: &Provider, label: Option<&Label>) -> Result<Vec<Lent<D>>> {
        let mut tries = MAX_TRIES;
        loop {
            let contents = match app.vault().contents() {
                Ok(contents) => contents,
                Err(_) => match vault_access::contents_unasked(app).await {
                    Ok(contents) => contents,
                    // A server that needs no key can be asked while the vault is closed.
                    Err(_) if !provider.needs_key() => return Ok(Vec::new()),
                    Err(why) if why.code() == Code::VaultAbsent => return none(provider),
                    Err(why) => return Err(why),
                },
            };
            self.forget_all_but(&contents.keys);
            let is_old = || {
                let now = app.vault().contents();
                now.is_ok_and(|now| now.generation != contents.generation)
            };
            match self.lend_usable(app, provider, &contents, label).await {
                // A key was changed between the look at its record and the look at its secret.
                Err(why) if why.code() == Code::Busy && tries > 0 && is_old() => tries -= 1,
                outcome => return outcome,
            }
        }
    }

    async fn lend_usable(
        &self,
        app: &App,
        provider: &Provider,
        contents: &VaultContents,
        label: Option<&Label>,
    ) -> Result<Vec<Lent<D>>> {
        let now = app.now();
        let mut records: Vec<&KeyRecord> = contents
            .keys
            .values()
            .filter(|record| record.provider == provider.id && record.removed_at.is_none())
            .collect();
        let usual = Label::default();
        records.sort_by_key(|record| (record.label != usual, record.label.clone()));
        let mut usable: Vec<&KeyRecord> = records
            .iter()
            .copied()
            .filter(|record| record.state(now) == KeyState::Usable)
            .filter(|record| keys::expect_origin(provider, record).is_ok())
            .collect();
        if let Some(own) = usable.iter().copied().find(|record| Some(&record.label) == label) {
            usable = vec![own];
        }
        if usable.is_empty() {
            return match records.first() {
                // Why it cannot be used: expired, or added for another address.
                Some(record) => keys::expect_usable(record, now)
                    .and_then(|_| keys::expect_origin(provider, record))
                    .and_then(|()| none(provider)),
                None => none(provider),
            };
        }
        let mut lent = Vec::with_capacity(usable.len());
        for record in usable {
            lent.push(self.lend(app, record).await?);
        }
        Ok(lent)
    }

    async fn lend(&self, app: &App, record: &KeyRecord) -> Result<Lent<D>> {
        let active = keys::expect_usable(record, app.now())?;
        let name = (record.key_id, active.fingerprint.clone());
        let revealed = Arc::clone(self.held().entry(name).or_default());
        if !revealed.initialized() {
            // Each waits for itself, so that none waits for another's waiting.
            vault_access::turn(app).await?;
        }
        let why = "for requests through the gateway";
        let reveal = async || {
            let key = keys::reveal(app, &Unattended, record, active.version, why).await?;
            let derived = Arc::new(D::from(&key));
            Ok::<_, Error>((Arc::new(key), derived))
        };
        let (key, derived) = revealed.get_or_try_init(reveal).await?;
        Ok(Lent {
            label: record.label.clone(),
            key: Arc::clone(key),
            derived: Arc::clone(derived),
            origin: record.origin.clone(),
            restored_at: health::restored_at(record),
        })
    }

    /// Drops what was rotated or removed.
    fn forget_all_but(&self, records: &BTreeMap<KeyId, KeyRecord>) {
        self.held().retain(|(key_id, fingerprint), _| {
            records.get(key_id).is_some_and(|record| {
                record.removed_at.is_none() && record.active().is_some_and(|active| active.fingerprint == *fingerprint)
            })
        });
    }

    fn held(&self) -> MutexGuard<'_, HeldKeys<D>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No key, which only some providers can do with.
fn none<D>(provider: &Provider) -> Result<Vec<Lent<D>>> {
    if !provider.needs_key() {
        return Ok(Vec::new());
    }
    Err(
        Error::new(Code::KeyNotFound, format!("no key of {} is stored", provider.id)).hint(format!(
            "add it with `{}`",
            keys::command("add", &provider.id, &Label::default())
        )),
    )
}

impl Caller for Unattended {
    fn kind(&self) -> CallerKind {
        CallerKind::Gateway
    }

    fn ask<'a>(&'a self, _: Question) -> Pin<Box<dyn Future<Output = Result<Secret>> + Send + 'a>> {
        Box::pin(async {
            Err(Error::new(Code::KeyRequired, "the gateway cannot ask for a passphrase")
                .hint("use `api-keys add` in a terminal"))
        })
    }

    fn progress(&self, _: usize, _: usize, _: &str) {}
}
