//! Taking keys in, listing them, and removing them.

use jiff::{Timestamp, civil, tz::TimeZone};

pub use super::new_secret::{NewSecretSource, judge};
use super::{
    caller::{Caller, CallerKind, Question},
    new_secret::{asked, given},
    vault_access,
};
use crate::{
    app::App,
    domain::{ApiKey, KeyId, KeyRecord, KeyState, KeyVersion, Label, ProviderId, VersionState},
    error::{Code, Error, Result},
    providers::Provider,
    storage::{
        audit::{Action, AuditEntry, AuditOutcome},
        vault::{Edit, VaultContents, VaultError, VaultStatus},
    },
};

/// The longest description, in characters.
pub const MAX_DESCRIPTION: usize = 500;

/// What is said where a new key takes the place of one that had an expiry date.
pub(super) const EXPIRY_CLEARED: &str = "the expiry date belonged to the old key and was cleared";

/// What to store beside a new key.
#[derive(Debug)]
pub struct NewKey {
    pub provider: Provider,
    pub label: Label,
    pub description: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub source: NewSecretSource,
}

/// A stored key, and what to know about it.
#[derive(Debug)]
pub struct Added {
    pub record: KeyRecord,
    pub replaced: bool,
    pub warnings: Vec<String>,
}

/// Stores a key; one that the label already had is kept for undo.
pub async fn add(app: &App, caller: &dyn Caller, new: NewKey) -> Result<Added> {
    let NewKey {
        provider,
        label,
        description,
        expires_at,
        source,
    } = new;
    let question = Question::NewKey {
        provider: provider.id.clone(),
        label: label.clone(),
        rotation: false,
    };
    let given = match given(app, caller, &provider, source)? {
        // On a command line that has no key either, none is a reason for a new vault. A client is prompted in several
        // rounds, of which each must leave something behind.
        None if caller.kind() == CallerKind::Cli && app.vault().status()? == VaultStatus::Absent => {
            Some(asked(caller, &provider, question.clone()).await?)
        }
        given => given,
    };
    let mut warnings = vault_access::open_or_create(app, caller).await?;
    let secret = match given {
        Some(secret) => secret,
        None => asked(caller, &provider, question).await?,
    };
    let fresh_id = KeyId::from_random(app.random()?);
    let entry = entry(app, caller, Action::AddKey, &provider.id, &label, None);
    let ((record, replaced, found), notices) = vault_access::change(app, &entry, |edit, now| {
        let fingerprint = edit.fingerprint(&secret.key);
        let mut found = Vec::new();
        if let Some(twin) = twin(edit, &provider.id, &label, &fingerprint) {
            found.push(format!(
                "the same key is also stored as {}:{}",
                twin.provider, twin.label
            ));
        }
        let existing = find(edit.contents().keys.values(), &provider.id, &label).cloned();
        let replaced = existing.is_some();
        let mut record = existing.unwrap_or_else(|| KeyRecord {
            key_id: fresh_id,
            provider: provider.id.clone(),
            label: label.clone(),
            origin: provider.origin.clone(),
            description: None,
            created_at: now,
            expires_at: None,
            rotation_count: 0,
            removed_at: None,
            versions: Vec::new(),
        });
        edit.concerns(&record);
        record.description = description.or(record.description);
        let is_moved = record.origin != provider.origin;
        let known = record
            .versions
            .iter_mut()
            .find(|version| version.state == VersionState::Active && version.fingerprint == fingerprint);
        if let (Some(known), false) = (known, is_moved) {
            known.exposed |= secret.exposed;
            record.expires_at = expires_at.or(record.expires_at);
            found.push("this key was already stored; its details were updated".to_owned());
        } else {
            let version = record.next_version();
            // Sealed secrets are bound to their origin, so those of another address cannot come along.
            if is_moved {
                found.push(format!(
                    "the provider's address has changed from {}, so the old key cannot be brought back",
                    record.origin
                ));
                for version in std::mem::take(&mut record.versions) {
                    edit.forget_secret(record.key_id, version.version);
                }
                record.origin.clone_from(&provider.origin);
            }
            if record.expires_at.is_some() && expires_at.is_none() {
                found.push(EXPIRY_CLEARED.to_owned());
            }
            retire_all(edit, &mut record, now);
            record.expires_at = expires_at;
            let active = secret.as_version(&provider, version, VersionState::Active, fingerprint, now);
            record.versions.push(active);
            edit.record(record.clone());
            edit.secret(record.key_id, version, &secret.key)?;
        }
        edit.record(record.clone());
        Ok((record, replaced, found))
    })
    .await?;
    warnings.extend(secret.warnings);
    warnings.extend(found);
    warnings.extend(notices);
    Ok(Added {
        record,
        replaced,
        warnings,
    })
}

/// Hides a key; `api-keys undo` brings it back for 30 days.
///
/// Works also for a provider that the configuration no longer has.
pub async fn remove(app: &App, caller: &dyn Caller, provider: &str, label: &Label) -> Result<(KeyRecord, Vec<String>)> {
    let provider = &stored_provider(app, caller, provider).await?;
    let stored = vault_access::contents(app, caller)
        .await
        .map_err(|error| without_vault(error, provider, label))?;
    expect(stored.keys.values(), provider, label)?;
    let entry = entry(app, caller, Action::RemoveKey, provider, label, None);
    vault_access::change(app, &entry, |edit, now| {
        let mut record = expect(edit.contents().keys.values(), provider, label)?.clone();
        edit.concerns(&record);
        record.removed_at = Some(now);
        edit.record(record.clone());
        Ok(record)
    })
    .await
}

/// The key of `provider` called `label`, or an error that says which there are.
///
/// Works also for a provider that the configuration no longer has.
pub async fn stored(app: &App, caller: &dyn Caller, provider: &str, label: &Label) -> Result<KeyRecord> {
    let provider = stored_provider(app, caller, provider).await?;
    vault_access::open(app, caller)
        .await
        .map_err(|error| without_vault(error, &provider, label))?;
    expect(list(app)?.iter(), &provider, label).cloned()
}

/// The provider called `name`: one that is configured, or else one that keys are kept for, removed ones too.
pub async fn stored_provider(app: &App, caller: &dyn Caller, name: &str) -> Result<ProviderId> {
    let unknown = match app.settings().current().provider(name) {
        Ok(provider) => return Ok(provider.id),
        Err(unknown) => unknown,
    };
    if let Ok(id) = name.parse::<ProviderId>()
        && let Ok(contents) = vault_access::contents(app, caller).await
        && contents.keys.values().any(|record| record.provider == id)
    {
        return Ok(id);
    }
    Err(unknown.into())
}

/// One secret of a key, for what `why` says: the audit trail has that before.
pub(super) async fn reveal(
    app: &App,
    caller: &dyn Caller,
    record: &KeyRecord,
    version: u32,
    why: &str,
) -> Result<ApiKey> {
    let entry = entry_of(app, caller, Action::RevealKey, record, Some(why));
    vault_access::in_turn(app, |vault| match vault.reveal(&entry, record, version) {
        // It was there when the record was read.
        Err(VaultError::NoSuchKey(_) | VaultError::NoSuchSecret { .. }) => Err(changed_meanwhile()),
        outcome => Ok(outcome?),
    })
    .await
}

/// Every key that has not been removed, by provider and label.
pub fn list(app: &App) -> Result<Vec<KeyRecord>> {
    Ok(list_of(&*app.vault().contents()?))
}

/// The same of contents that were read.
pub(super) fn list_of(contents: &VaultContents) -> Vec<KeyRecord> {
    let mut records: Vec<KeyRecord> = contents
        .keys
        .values()
        .filter(|record| record.removed_at.is_none())
        .cloned()
        .collect();
    records.sort_by(|a, b| (&a.provider, &a.label).cmp(&(&b.provider, &b.label)));
    records
}

/// The stored key of that provider and label, or an error that names the labels there are.
pub fn expect<'a>(
    records: impl Iterator<Item = &'a KeyRecord> + Clone,
    provider: &ProviderId,
    label: &Label,
) -> Result<&'a KeyRecord> {
    find(records.clone(), provider, label).ok_or_else(|| {
        let mut labels: Vec<&str> = records
            .filter(|record| record.provider == *provider && record.removed_at.is_none())
            .map(|record| record.label.as_str())
            .collect();
        labels.sort_unstable();
        let error = not_found(provider, label);
        if labels.is_empty() {
            error
        } else {
            error.hint(format!("labels of {provider}: {}", labels.join(", ")))
        }
    })
}

pub(super) fn find<'a>(
    mut records: impl Iterator<Item = &'a KeyRecord>,
    provider: &ProviderId,
    label: &Label,
) -> Option<&'a KeyRecord> {
    records.find(|record| record.removed_at.is_none() && record.provider == *provider && record.label == *label)
}

/// Another process was quicker.
pub(super) fn changed_meanwhile() -> Error {
    Error::new(Code::Busy, "another process changed this key at the same time")
        .hint("check `api-keys list`, then try again if needed")
}

fn not_found(provider: &ProviderId, label: &Label) -> Error {
    Error::new(Code::KeyNotFound, format!("no key is stored for {provider}:{label}")).hint(format!(
        "add it with `{}`, or see `api-keys list`",
        command("add", provider, label)
    ))
}

/// Without a vault there is no key either, which is what the person needs to know.
pub(super) fn without_vault(error: Error, provider: &ProviderId, label: &Label) -> Error {
    if error.code() == Code::VaultAbsent {
        not_found(provider, label)
    } else {
        error
    }
}

/// The shell command that does `verb` to such a key.
pub fn command(verb: &str, provider: &ProviderId, label: &Label) -> String {
    if *label == Label::default() {
        format!("api-keys {verb} {provider}")
    } else {
        format!("api-keys {verb} {provider} --label {label}")
    }
}

/// What to know of the key's expiry at `now`, if it is near enough to be mentioned.
pub(super) fn expiry_warning(record: &KeyRecord, now: Timestamp) -> Option<String> {
    let notice = record.expiry_notice(now)?;
    let name = format!("{}:{}", record.provider, record.label);
    Some(format!("{name} {notice}: `api-keys rotate {name}`"))
}

/// Fails unless the key may be used now.
pub fn expect_usable(record: &KeyRecord, now: Timestamp) -> Result<&KeyVersion> {
    let name = format!("{}:{}", record.provider, record.label);
    match (record.state(now), record.active()) {
        (KeyState::Usable, Some(version)) => Ok(version),
        (KeyState::Expired, _) => Err(Error::new(Code::KeyExpired, format!("the key {name} has expired"))
            .hint(format!("`api-keys rotate {name}` stores its successor"))),
        (KeyState::Usable | KeyState::Removed | KeyState::Unfinished, _) => {
            Err(not_found(&record.provider, &record.label))
        }
    }
}

/// Fails where the provider's address is not the one that the key may be sent to.
pub(super) fn expect_origin(provider: &Provider, record: &KeyRecord) -> Result<()> {
    if provider.origin == record.origin {
        return Ok(());
    }
    Err(Error::new(
        Code::OriginChanged,
        format!(
            "the key {}:{} was added for {}, and the configuration now says {}",
            record.provider, record.label, record.origin, provider.origin
        ),
    )
    .hint(format!(
        "set `base_url` of {} back, or add the key again for the new address",
        record.provider
    )))
}

/// Puts away every secret of the record that is in use or in grace, at `now`, and forgets one that is only staged.
fn retire_all(edit: &mut Edit, record: &mut KeyRecord, now: Timestamp) {
    // What was never in use, nor checked, is nothing to go back to.
    for staged in record
        .versions
        .extract_if(.., |version| version.state == VersionState::Staged)
    {
        edit.forget_secret(record.key_id, staged.version);
    }
    record.retire_active(VersionState::Archived { retired_at: now });
    for version in &mut record.versions {
        // As of when it was replaced: undo goes by the order.
        if let VersionState::Grace { retired_at, .. } = version.state {
            version.state = VersionState::Archived { retired_at };
        }
    }
}

/// Another key of any provider with the same secret.
fn twin<'a>(edit: &'a Edit, provider: &ProviderId, label: &Label, fingerprint: &str) -> Option<&'a KeyRecord> {
    edit.contents().keys.values().find(|record| {
        record.removed_at.is_none()
            && (record.provider != *provider || record.label != *label)
            && record.active().is_some_and(|active| active.fingerprint == fingerprint)
    })
}

/// An audit entry about one key; `detail` is a few words of ours.
pub(super) fn entry(
    app: &App,
    caller: &dyn Caller,
    action: Action,
    provider: &ProviderId,
    label: &Label,
    detail: Option<&str>,
) -> AuditEntry {
    AuditEntry {
        provider: Some(provider.clone()),
        label: Some(label.clone()),
        detail: detail.map(str::to_owned),
        ..general_entry(app, caller, action)
    }
}

/// An audit entry about a stored key.
pub(super) fn entry_of(
    app: &App,
    caller: &dyn Caller,
    action: Action,
    record: &KeyRecord,
    detail: Option<&str>,
) -> AuditEntry {
    AuditEntry {
        key_id: Some(record.key_id),
        ..entry(app, caller, action, &record.provider, &record.label, detail)
    }
}

/// An audit entry about no key in particular.
pub fn general_entry(app: &App, caller: &dyn Caller, action: Action) -> AuditEntry {
    AuditEntry {
        at: app.now(),
        actor: caller.kind().to_string(),
        action,
        provider: None,
        label: None,
        key_id: None,
        outcome: AuditOutcome::Begun,
        detail: None,
    }
}

/// The description without what a terminal or a model could trip over, or why it cannot be kept.
pub fn description(text: &str) -> Result<String> {
    if text.chars().count() > MAX_DESCRIPTION {
        return Err(Error::new(
            Code::InvalidArgument,
            format!("argument `description` is longer than {MAX_DESCRIPTION} characters"),
        )
        .hint("a sentence is enough"));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::new(
            Code::InvalidArgument,
            "argument `description` contains a control character",
        )
        .hint("use one line of plain text"));
    }
    Ok(text.trim().to_owned())
}

/// The moment that an ISO 8601 date or time names: a date means the end of that day in UTC.
pub fn expiration_date(text: &str, now: Timestamp) -> Result<Timestamp> {
    let unreadable = || {
        Error::new(
            Code::InvalidArgument,
            "argument `expiration_date` is not an ISO 8601 date or time",
        )
        .hint("write it as 2027-01-31 or 2027-01-31T12:00:00Z")
    };
    let text = text.trim();
    let at = if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else {
        let at = if text.len() > "2027-01-31".len() {
            text.parse::<civil::DateTime>().map_err(|_| unreadable())?
        } else {
            text.parse::<civil::Date>().map_err(|_| unreadable())?.at(23, 59, 59, 0)
        };
        let too_far = |_| {
            Error::new(
                Code::InvalidArgument,
                "argument `expiration_date` is too far in the future",
            )
            .hint("leave it out for a key that does not expire")
        };
        at.to_zoned(TimeZone::UTC).map_err(too_far)?.timestamp()
    };
    if at <= now {
        return Err(
            Error::new(Code::InvalidArgument, "argument `expiration_date` is in the past")
                .hint("give the date on which the key will stop working"),
        );
    }
    Ok(at)
}
