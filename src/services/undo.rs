//! Taking back the last removal, replacement or rotation of a key.

use jiff::Timestamp;

use super::{caller::Caller, keys, vault};
use crate::{
    app::App,
    domain::{KeyRecord, Label, ProviderId, VersionState},
    error::{Code, Error, Result},
    storage::audit::Action,
};

/// What was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    Removal,
    /// The secret before the present one is in use again.
    Secret,
}

/// Takes back the last removal or change of secret: of that key, or of any.
pub async fn undo(
    app: &App,
    caller: &dyn Caller,
    key: Option<(&ProviderId, &Label)>,
) -> Result<(KeyRecord, Undone, Vec<String>)> {
    vault::open(app, caller).await.map_err(|error| {
        if error.code() == Code::VaultAbsent {
            nothing()
        } else {
            error
        }
    })?;
    let now = app.now();
    let mut entry = keys::general_entry(app, caller, Action::Undo);
    if let Some((provider, label)) = key {
        entry = keys::entry(app, caller, Action::Undo, provider, label, None);
    }
    let ((record, undone), mut warnings) = vault::change(app, &entry, |edit| {
        let records = edit.contents().keys.values();
        let mut record = records
            .filter(|record| key.is_none_or(|(provider, label)| record.provider == *provider && record.label == *label))
            .filter_map(|record| Some((last_change(record)?, record)))
            .max_by_key(|(at, record)| (*at, record.key_id))
            .map(|(_, record)| record.clone())
            .ok_or_else(nothing)?;
        let undone = if record.removed_at.take().is_some() {
            let taken = edit.contents().keys.values().any(|other| {
                other.removed_at.is_none() && other.provider == record.provider && other.label == record.label
            });
            if taken {
                return Err(Error::new(
                    Code::LabelTaken,
                    format!("another key is stored as {}:{} by now", record.provider, record.label),
                )
                .hint("remove that one first: both removals can be undone for 30 days"));
            }
            Undone::Removal
        } else {
            swap(&mut record, now);
            Undone::Secret
        };
        edit.record(record.clone());
        Ok((record, undone))
    })
    .await?;
    warnings.extend(keys::expiry_warning(&record, now));
    Ok((record, undone, warnings))
}

/// When the record last changed in a way that can be taken back.
fn last_change(record: &KeyRecord) -> Option<Timestamp> {
    record.removed_at.or_else(|| record.previous()?.retired_at())
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
