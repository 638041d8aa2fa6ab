//! Taking back the last removal, replacement or rotation of a key.

use jiff::Timestamp;

use super::{caller::Caller, keys, vault_access};
use crate::{
    app::App,
    domain::{KeyRecord, Label, ProviderId, VersionState},
    error::{Code, Error, Result},
    storage::audit::{Action, AuditEntry, AuditOutcome},
};

/// What was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    Removal,
    /// The secret before the present one is in use again.
    Secret,
}

/// Takes back the last removal or change of secret: of that key, or of any.
///
/// Where another key has the label of a removed one by now, naming that label swaps them; the next undo swaps them back.
pub async fn undo(
    app: &App,
    caller: &dyn Caller,
    key: Option<(&ProviderId, &Label)>,
) -> Result<(KeyRecord, Undone, Vec<String>)> {
    vault_access::open(app, caller).await.map_err(|error| {
        if error.code() == Code::VaultAbsent {
            nothing()
        } else {
            error
        }
    })?;
    let entry = match key {
        Some((provider, label)) => keys::entry(app, caller, Action::Undo, provider, label, None),
        None => keys::general_entry(app, caller, Action::Undo),
    };
    let ((record, undone, displaced), mut warnings) = vault_access::change(app, &entry, |edit, now| {
        let mut record = last_changed(edit.contents().keys.values(), key)
            .cloned()
            .ok_or_else(nothing)?;
        edit.concerns(&record);
        let mut displaced = None;
        let undone = if record.removed_at.take().is_some() {
            let taken = keys::find(edit.contents().keys.values(), &record.provider, &record.label).cloned();
            if let (Some(other), None) = (&taken, key) {
                let name = format!("{}:{}", other.provider, other.label);
                return Err(Error::new(
                    Code::LabelTaken,
                    format!("another key is stored as {name} by now"),
                )
                .hint(format!(
                    "`api-keys undo {name}` brings the removed one back and puts that one away; once more swaps them again"
                )));
            }
            displaced = taken.map(|other| KeyRecord {
                removed_at: Some(now),
                ..other
            });
            Undone::Removal
        } else {
            swap(&mut record, now);
            Undone::Secret
        };
        edit.record(record.clone());
        if let Some(other) = &displaced {
            edit.record(other.clone());
        }
        Ok((record, undone, displaced))
    })
    .await?;
    if let Some(other) = displaced {
        let detail = Some("an undo gave its label back");
        let removal = AuditEntry {
            outcome: AuditOutcome::Done,
            ..keys::entry_of(app, caller, Action::RemoveKey, &other, detail)
        };
        // It has happened: a trail that cannot tell is no reason to call it a failure.
        drop(app.vault().record(&removal));
        let masked = other.active().map(|active| active.masked.as_str()).unwrap_or_default();
        warnings.push(format!(
            "the key {masked} that had the label was removed; `api-keys undo {}:{}` swaps them again",
            other.provider, other.label
        ));
    }
    warnings.extend(keys::expiry_warning(&record, app.now()));
    Ok((record, undone, warnings))
}

/// Of those records, or those with that name, the one that changed last in a way that can be taken back.
fn last_changed<'a>(
    records: impl Iterator<Item = &'a KeyRecord>,
    key: Option<(&ProviderId, &Label)>,
) -> Option<&'a KeyRecord> {
    records
        .filter(|record| key.is_none_or(|(provider, label)| record.provider == *provider && record.label == *label))
        .filter_map(|record| Some((record.last_change()?, record)))
        .max_by_key(|(at, record)| (*at, record.key_id))
        .map(|(_, record)| record)
}

/// Puts the previous secret back in use and the present one away.
fn swap(record: &mut KeyRecord, now: Timestamp) {
    let Some(back) = record.previous().map(|version| version.version) else {
        return;
    };
    let rotated = record
        .active()
        .is_some_and(|active| active.rotated && active.version > back);
    let again = record
        .previous()
        .is_some_and(|previous| previous.rotated && record.active().is_none_or(|active| active.version < back));
    record.retire_active(VersionState::Archived { retired_at: now });
    record.activate(back);
    record.rotation_count = record.rotation_count.saturating_sub(rotated.into()) + u32::from(again);
}

fn nothing() -> Error {
    Error::new(
        Code::NothingToUndo,
        "there is no removal or rotation of the last 30 days to take back",
    )
    .hint("`api-keys audit` shows what was done when")
}
