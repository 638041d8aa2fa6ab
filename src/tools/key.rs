//! A stored key as results and tables show it: everything that is known of it, and never the secret.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::view::{Cell, Column, Tone, ago};
pub(super) use crate::domain::utc_text as time;
use crate::domain::{KeyRecord, KeyState, KeyStatus, KeyVersion, VersionState};

/// A stored key.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KeyView {
    /// Stays the same through rotations
    pub key_id: String,
    pub provider: String,
    pub label: String,
    /// The published prefix and the last four characters
    pub masked: String,
    pub created_at: String,
    pub expires_at: Option<String>,
    pub description: Option<String>,
    pub status: KeyStateView,
    pub rotation_count: u32,
    /// Whether the key was sent through a chat and should be rotated
    pub exposed: bool,
    /// What needs attention, in words
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attention: Vec<String>,
    /// The provider's last answer about the key
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<LastValidation>,
    /// The key before the last rotation, while it is still usable
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// For people: how long ago it was checked and used.
    #[serde(skip)]
    checked: Option<String>,
    #[serde(skip)]
    used: Option<String>,
}

/// Whether a key is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeyStateView {
    Active,
    Expired,
    Removed,
}

/// The provider's last answer about a key.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LastValidation {
    pub status: KeyStatus,
    pub message: String,
    pub validated_at: String,
}

/// A secret that was replaced.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Previous {
    pub masked: String,
    pub retired_at: String,
    /// Until when it stays usable beside its successor; null if it is not
    pub usable_until: Option<String>,
}

impl KeyView {
    /// The key as it stands at `now`.
    pub(super) fn of(record: &KeyRecord, now: Timestamp) -> Self {
        let active = record.active();
        Self {
            key_id: record.key_id.to_string(),
            provider: record.provider.to_string(),
            label: record.label.to_string(),
            masked: active.map(|active| active.masked.clone()).unwrap_or_default(),
            created_at: time(record.created_at),
            expires_at: record.expires_at.map(time),
            description: record.description.clone(),
            status: match record.state(now) {
                KeyState::Usable | KeyState::Unfinished => KeyStateView::Active,
                KeyState::Expired => KeyStateView::Expired,
                KeyState::Removed => KeyStateView::Removed,
            },
            rotation_count: record.rotation_count,
            exposed: active.is_some_and(|active| active.exposed),
            attention: attention(record, now),
            validation: active
                .and_then(|active| active.validation.as_ref())
                .map(|validation| LastValidation {
                    status: validation.status,
                    message: validation.message.clone(),
                    validated_at: time(validation.validated_at),
                }),
            previous: record
                .previous()
                .filter(|version| matches!(version.state_at(now), VersionState::Grace { .. }))
                .map(|version| Previous::of(version, now)),
            checked: active
                .and_then(|active| active.validation.as_ref())
                .map(|validation| ago(validation.validated_at, now)),
            used: None,
        }
    }

    /// The key with its last use, for people.
    pub(super) fn last_used(mut self, at: Option<Timestamp>, now: Timestamp) -> Self {
        self.used = at.map(|at| ago(at, now));
        self
    }

    /// The columns that [`KeyView::row`] fills.
    pub(super) const COLUMNS: [Column; 7] = [
        Column::new("PROVIDER"),
        Column::new("LABEL"),
        Column::new("KEY"),
        Column::new("CHECKED").wrapped(),
        Column::new("USED").rank(1),
        Column::new("EXPIRES").rank(2),
        Column::new("DESCRIPTION").wrapped().rank(3),
    ];

    /// The key as a row of a table.
    pub(super) fn row(&self) -> Vec<Cell> {
        let checked = self.validation.as_ref().map_or_else(
            || Cell::new(Tone::Faint, "never"),
            |validation| {
                let when = self.checked.as_deref().unwrap_or_default();
                let status = validation.status.as_str().replace('_', " ");
                Cell::new(tone(validation.status), format!("{status} {when}"))
            },
        );
        let used = Cell::new(Tone::Faint, self.used.as_deref().unwrap_or("never"));
        let expires = self.expires_at.as_ref().map_or_else(
            || Cell::new(Tone::Faint, ""),
            |at| {
                let day = at.split('T').next().unwrap_or_default();
                Cell::new(
                    if self.status == KeyStateView::Expired {
                        Tone::Bad
                    } else {
                        Tone::Plain
                    },
                    day,
                )
            },
        );
        vec![
            self.provider.as_str().into(),
            self.label.as_str().into(),
            self.masked.as_str().into(),
            checked,
            used,
            expires,
            self.description.as_deref().unwrap_or_default().into(),
        ]
    }
}

impl Previous {
    pub(super) fn of(version: &KeyVersion, now: Timestamp) -> Self {
        let grace = match version.state_at(now) {
            VersionState::Grace { usable_until, .. } => Some(usable_until),
            VersionState::Staged | VersionState::Active | VersionState::Archived { .. } => None,
        };
        // A key expires in its grace as well.
        let usable_until = grace
            .map(|until| version.expires_at.map_or(until, |expiry| expiry.min(until)))
            .filter(|until| *until > now)
            .map(time);
        Self {
            masked: version.masked.clone(),
            retired_at: version.retired_at().map(time).unwrap_or_default(),
            usable_until,
        }
    }
}

/// The tone of a status.
pub(super) fn tone(status: KeyStatus) -> Tone {
    match status {
        KeyStatus::Valid => Tone::Good,
        KeyStatus::NoCredit | KeyStatus::Forbidden | KeyStatus::RateLimited | KeyStatus::Unreachable => Tone::Attention,
        KeyStatus::Invalid | KeyStatus::Expired | KeyStatus::Malformed => Tone::Bad,
    }
}

/// What needs the user's attention.
pub fn attention(record: &KeyRecord, now: Timestamp) -> Vec<String> {
    if record.state(now) == KeyState::Removed {
        return Vec::new();
    }
    let rotate = format!("`api-keys rotate {}:{}`", record.provider, record.label);
    let expiry = record.expiry_notice(now).map(|notice| format!("{notice}: {rotate}"));
    let active = record.active();
    let exposed = active
        .is_some_and(|active| active.exposed)
        .then(|| format!("was exposed in a chat or a file: {rotate}"));
    let refused = active
        .and_then(|active| active.validation.as_ref())
        .filter(|validation| validation.status.is_valid() == Some(false))
        .map(|validation| format!("the provider reports it as {}: {rotate}", validation.status.as_str()));
    let staged = record
        .versions
        .iter()
        .any(|version| version.state == VersionState::Staged)
        .then(|| format!("has an unfinished rotation: {rotate} completes it"));
    [expiry, exposed, refused, staged].into_iter().flatten().collect()
}
