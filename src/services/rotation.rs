//! Rotation: a new secret for the same key, in steps that each are one commit.
//!
//! stage → validate → promote → grace → archived. A process killed between two steps leaves a state
//! from which the next call goes on: with the staged secret, which need not be found and typed again.

use jiff::{SignedDuration, Timestamp};

use super::{
    caller::{Caller, Question},
    keys,
    new_secret::{NewSecret, NewSecretSource, asked, given},
    validation, vault_access,
};
use crate::{
    app::App,
    domain::{KeyRecord, KeyStatus, KeyVersion, Label, VersionState},
    error::{Code, Error, Result},
    providers::{Account, Checked, Provider},
    storage::{audit::Action, vault::Edit},
};

/// The longest grace, in hours: 30 days.
pub const MAX_GRACE: i64 = 720;

/// What is requested.
#[derive(Debug)]
pub struct Rotation {
    pub provider: Provider,
    pub label: Label,
    /// How long the old secret stays usable; not at all where it is compromised.
    pub grace: SignedDuration,
    pub expires_at: Option<Timestamp>,
}

/// A rotated key.
#[derive(Debug)]
pub struct Rotated {
    pub record: KeyRecord,
    pub previous: KeyVersion,
    pub warnings: Vec<String>,
}

/// Gives a key a new secret that the provider accepts, and keeps the old one through its grace.
pub async fn rotate(app: &App, caller: &dyn Caller, ask: Rotation, source: NewSecretSource) -> Result<Rotated> {
    let Rotation { provider, label, .. } = &ask;
    let contents = vault_access::contents(app, caller)
        .await
        .map_err(|error| keys::without_vault(error, &provider.id, label))?;
    let before = keys::expect(contents.keys.values(), &provider.id, label)?;
    keys::expect_origin(provider, before)?;
    let unfinished = before
        .versions
        .iter()
        .find(|version| version.state == VersionState::Staged);
    let secret = match (given(app, caller, provider, source)?, unfinished) {
        (Some(secret), _) => secret,
        // Providers show a key once: this may be the only copy.
        (None, Some(staged)) => resume(app, caller, before, staged).await?,
        (None, None) => {
            let question = Question::NewKey {
                provider: provider.id.clone(),
                label: label.clone(),
                rotation: true,
            };
            asked(caller, provider, question).await?
        }
    };

    let (staged, mut warnings) = stage(app, caller, &ask, before, &secret).await?;
    let checked = app.checker().check(provider, Some(&secret.key), &provider.origin).await;
    let outcome = match accept(&checked, &mut warnings) {
        Ok(()) => promote(app, caller, &ask, before, &staged, &checked).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok((record, previous, notices)) => {
            if before.expires_at.is_some() && record.expires_at.is_none() {
                warnings.push(keys::EXPIRY_CLEARED.to_owned());
            }
            if provider.needs_key() && !provider.def.console.is_empty() {
                warnings.push(format!(
                    "the old key works until it is revoked at the provider: {}",
                    provider.def.console
                ));
            }
            warnings.extend(secret.warnings);
            warnings.extend(notices);
            Ok(Rotated {
                record,
                previous,
                warnings,
            })
        }
        Err(error) => {
            // What says nothing about the key may be over the next time: it stays staged for that.
            if matches!(error.code(), Code::KeyRejected | Code::OtherAccount) {
                drop(unstage(app, caller, &ask, before, &staged).await);
            }
            Err(error)
        }
    }
}

/// The secret of a rotation that was begun and not finished.
async fn resume(app: &App, caller: &dyn Caller, before: &KeyRecord, staged: &KeyVersion) -> Result<NewSecret> {
    let key = keys::reveal(app, caller, before, staged.version, "to finish its rotation").await?;
    Ok(NewSecret {
        key,
        exposed: staged.exposed,
        warnings: vec![format!(
            "this finished the rotation to {} that was begun on {}; for another key rotate again",
            staged.masked,
            staged.added_at.strftime("%Y-%m-%d")
        )],
    })
}

/// Stores the new secret beside the one in use.
async fn stage(
    app: &App,
    caller: &dyn Caller,
    ask: &Rotation,
    before: &KeyRecord,
    secret: &NewSecret,
) -> Result<(KeyVersion, Vec<String>)> {
    let provider = &ask.provider;
    let entry = keys::entry_of(app, caller, Action::RotateKey, before, Some("staged"));
    vault_access::change(app, &entry, |edit, now| {
        let fingerprint = edit.fingerprint(&secret.key);
        let mut record = as_it_stands(edit, provider, before)?;
        if let Some(known) = record
            .versions
            .iter_mut()
            .find(|version| version.fingerprint == fingerprint)
        {
            if known.state == VersionState::Staged {
                known.exposed |= secret.exposed;
                let staged = known.clone();
                edit.record(record);
                return Ok(staged);
            }
            return Err(Error::new(
                Code::KeyUnchanged,
                "the new key is one that this record has or had; nothing was changed",
            )
            .hint("create a new key in the provider's console; `api-keys undo` restores the previous one"));
        }
        let version = record.next_version();
        // A staged secret that is not this one was given up.
        for given_up in record
            .versions
            .extract_if(.., |version| version.state == VersionState::Staged)
        {
            edit.forget_secret(record.key_id, given_up.version);
        }
        let staged = secret.as_version(provider, version, VersionState::Staged, fingerprint, now);
        record.versions.push(staged.clone());
        let key_id = record.key_id;
        edit.record(record);
        edit.secret(key_id, version, &secret.key)?;
        Ok(staged)
    })
    .await
}

/// Takes a secret that was refused out again.
async fn unstage(
    app: &App,
    caller: &dyn Caller,
    ask: &Rotation,
    before: &KeyRecord,
    staged: &KeyVersion,
) -> Result<()> {
    let entry = keys::entry_of(app, caller, Action::RotateKey, before, Some("refused"));
    vault_access::change(app, &entry, |edit, _| {
        let mut record = as_it_stands(edit, &ask.provider, before)?;
        let refused = record
            .versions
            .extract_if(.., |candidate| is_same(candidate, staged))
            .next();
        if let Some(refused) = refused {
            edit.forget_secret(record.key_id, refused.version);
            edit.record(record);
        }
        Ok(())
    })
    .await
    .map(drop)
}

/// Whether the provider's answer lets the new secret in.
///
/// A provider that cannot be reached does not stop a rotation: a compromised key must be replaceable offline.
fn accept(checked: &Checked, warnings: &mut Vec<String>) -> Result<()> {
    match checked.status {
        KeyStatus::Valid => {
            if checked.restricted {
                warnings.push(format!("the new key may not do everything: {}", checked.message));
            }
            Ok(())
        }
        KeyStatus::NoCredit | KeyStatus::Forbidden => {
            warnings.push(format!("the provider knows the new key, but: {}", checked.message));
            Ok(())
        }
        KeyStatus::RateLimited | KeyStatus::Unreachable => {
            warnings.push(format!("the new key could not be checked: {}", checked.message));
            Ok(())
        }
        KeyStatus::Invalid | KeyStatus::Expired | KeyStatus::Malformed => Err(Error::new(
            Code::KeyRejected,
            format!(
                "the provider does not accept the new key ({}); the old one stays in use",
                checked.status.as_str()
            ),
        )
        .hint(format!(
            "{}; copy the new key again from the provider's console and rotate once more",
            checked.message
        ))),
    }
}

/// Makes the staged secret the active one and gives the old one its grace, unless the two belong to different accounts.
async fn promote(
    app: &App,
    caller: &dyn Caller,
    ask: &Rotation,
    before: &KeyRecord,
    staged: &KeyVersion,
    checked: &Checked,
) -> Result<(KeyRecord, KeyVersion, Vec<String>)> {
    let provider = &ask.provider;
    // An old secret that was never checked is checked now.
    let unknown = before.active().is_some_and(|active| active.account.is_none());
    let old_account = if checked.account.is_some() && unknown {
        validation::ask_account(app, caller, before, provider).await?
    } else {
        None
    };
    let entry = keys::entry_of(app, caller, Action::PromoteKey, before, None);
    let ((record, previous), notices) = vault_access::change(app, &entry, |edit, now| {
        let fingerprint = |account: &Account| edit.account_fingerprint(account.as_str());
        let account = checked.account.as_ref().map(fingerprint);
        let mut record = as_it_stands(edit, provider, before)?;
        let old = record.active().cloned().ok_or_else(keys::changed_meanwhile)?;
        let asked_about = before.active().map(|active| active.fingerprint.as_str());
        let answer = old_account
            .as_ref()
            .filter(|_| asked_about == Some(old.fingerprint.as_str()));
        let known = old.account.clone().or_else(|| answer.map(fingerprint));
        if let (Some(new), Some(old)) = (&account, &known)
            && new != old
        {
            return Err(other_account(provider));
        }
        let found = record.versions.iter_mut().find(|candidate| is_same(candidate, staged));
        let found = found.ok_or_else(keys::changed_meanwhile)?;
        found.account = account;
        found.validation = Some(validation::of(checked, now));
        let version = found.version;
        let usable_until = now.checked_add(ask.grace).unwrap_or(now);
        record.retire_active(if usable_until > now {
            VersionState::Grace {
                retired_at: now,
                usable_until,
            }
        } else {
            VersionState::Archived { retired_at: now }
        });
        record.activate(version);
        record.expires_at = ask.expires_at.or(checked.expires_at);
        record.rotation_count += 1;
        edit.record(record.clone());
        let previous = record
            .versions
            .iter()
            .find(|candidate| candidate.version == old.version)
            .cloned();
        Ok((record, previous.ok_or_else(keys::changed_meanwhile)?))
    })
    .await?;
    Ok((record, previous, notices))
}

/// The record that is rotated, and not one that took its name meanwhile or is for another address now.
fn as_it_stands(edit: &Edit, provider: &Provider, before: &KeyRecord) -> Result<KeyRecord> {
    let record = edit.contents().keys.get(&before.key_id);
    let record = record
        .filter(|record| record.removed_at.is_none())
        .ok_or_else(keys::changed_meanwhile)?;
    keys::expect_origin(provider, record)?;
    Ok(record.clone())
}

/// Whether it is what was staged. A number alone can be another's by now: those of secrets that were given up come again.
fn is_same(candidate: &KeyVersion, staged: &KeyVersion) -> bool {
    candidate.state == VersionState::Staged && candidate.fingerprint == staged.fingerprint
}

fn other_account(provider: &Provider) -> Error {
    Error::new(
        Code::OtherAccount,
        "the new key belongs to another account than the old one; the old one stays in use",
    )
    .hint(format!(
        "to keep both, add it under a label of its own: `api-keys add {} --label NAME`",
        provider.id
    ))
}
