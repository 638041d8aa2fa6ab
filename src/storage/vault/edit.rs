//! A change of the vault's contents in the making.

use super::{
    error::VaultError,
    opened::{Draft, VaultContents},
};
use crate::{
    domain::{ApiKey, DestinationRecord, KeyId, KeyRecord, Label, Secret},
    storage::audit::AuditEntry,
};

/// A change in the making: nothing of it exists until [`super::Vault::change`] has written it.
#[derive(Debug)]
pub struct Edit {
    draft: Draft,
    entry: AuditEntry,
    changed: bool,
    broken_rule: Option<&'static str>,
}

/// What a change returned, and whether it is known to survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Committed<T> {
    Durable(T),
    /// In place for every reader, but the system would not say that it is on the disk: nothing to retry.
    DurabilityUnknown(T),
}

impl Edit {
    pub(super) fn new(draft: Draft, entry: AuditEntry) -> Self {
        Self {
            draft,
            entry,
            changed: false,
            broken_rule: None,
        }
    }

    /// The contents as this change leaves them so far.
    pub fn contents(&self) -> &VaultContents {
        &self.draft.contents
    }

    /// Says in the audit trail which key this change is about, where that is only known under the lock.
    pub fn concerns(&mut self, record: &KeyRecord) {
        self.entry.key_id = Some(record.key_id);
        self.entry.provider = Some(record.provider.clone());
        self.entry.label = Some(record.label.clone());
    }

    /// Puts `record` in, in place of the one with its id.
    ///
    /// Provider and origin of a record whose secrets are stored are fixed: the whole change is refused otherwise.
    pub fn record(&mut self, record: KeyRecord) {
        if let Some(before) = self.draft.contents.keys.get(&record.key_id)
            && (&before.provider, &before.origin) != (&record.provider, &record.origin)
            && self.draft.sealed.keys().any(|(key_id, _)| *key_id == record.key_id)
        {
            self.broken_rule = Some("provider and origin of a stored key are fixed");
        }
        self.draft.contents.keys.insert(record.key_id, record);
        self.changed = true;
    }

    /// Seals `key` as the secret of one version of a record, which has to be in already.
    pub fn secret(&mut self, key_id: KeyId, version: u32, key: &ApiKey) -> Result<(), VaultError> {
        let record = self
            .draft
            .contents
            .keys
            .get(&key_id)
            .ok_or(VaultError::NoSuchKey(key_id))?;
        let sealed = self.draft.keys.seal(record, version, key)?;
        self.draft.sealed.insert((key_id, version), sealed);
        self.changed = true;
        Ok(())
    }

    /// Drops the secret of one version for good. A secret whose version leaves its record has to be dropped too.
    pub fn forget_secret(&mut self, key_id: KeyId, version: u32) {
        self.changed |= self.draft.sealed.remove(&(key_id, version)).is_some();
    }

    /// Drops a record and all its secrets for good.
    pub fn remove_record(&mut self, key_id: KeyId) {
        self.changed |= self.draft.contents.keys.remove(&key_id).is_some();
        self.draft.sealed.retain(|(of, _), _| *of != key_id);
    }

    /// Seals `secret` as that of a destination of alerts, in place of the one of its name.
    pub fn destination(&mut self, record: DestinationRecord, secret: &Secret) -> Result<(), VaultError> {
        self.draft.put_destination(record, secret)?;
        self.changed = true;
        Ok(())
    }

    /// Drops the secret of a destination for good; returns whether there was one.
    pub fn remove_destination(&mut self, name: &Label) -> bool {
        let is_removed = self.draft.remove_destination(name);
        self.changed |= is_removed;
        is_removed
    }

    /// A keyed hash of `key`, for [`crate::domain::KeyVersion::fingerprint`]: equal for equal keys of this vault.
    pub fn fingerprint(&self, key: &ApiKey) -> String {
        // EXPOSE: hashed under a key of the vault
        self.draft.lasting.fingerprint("key", key.expose())
    }

    /// A keyed hash of a provider's account id: equal for equal ids of this vault.
    pub fn account_fingerprint(&self, account: &str) -> String {
        self.draft.lasting.fingerprint("account", account)
    }

    /// What the audit trail says of this change.
    pub(super) fn entry(&self) -> &AuditEntry {
        &self.entry
    }

    /// What is to be written, and how it is audited; `None` where nothing was changed.
    pub(super) fn finish(self) -> Option<(Draft, AuditEntry)> {
        self.changed.then_some((self.draft, self.entry))
    }

    /// Fails where the change as it stands broke a rule.
    pub(super) fn check(&self) -> Result<(), VaultError> {
        self.broken_rule.map_or(Ok(()), |rule| Err(VaultError::Misused(rule)))
    }
}

impl<T> Committed<T> {
    pub(super) fn new(durable: bool, value: T) -> Self {
        if durable {
            Self::Durable(value)
        } else {
            Self::DurabilityUnknown(value)
        }
    }

    /// What the change returned.
    pub fn into_inner(self) -> T {
        match self {
            Self::Durable(value) | Self::DurabilityUnknown(value) => value,
        }
    }

    /// Whether the change is known to be on the disk.
    pub fn is_durable(&self) -> bool {
        matches!(self, Self::Durable(_))
    }

    /// The same with what `change` makes of the value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Committed<U> {
        match self {
            Self::Durable(value) => Committed::Durable(change(value)),
            Self::DurabilityUnknown(value) => Committed::DurabilityUnknown(change(value)),
        }
    }
}
