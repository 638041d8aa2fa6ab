//! What is known about a stored key: everything but the secret.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{KeyId, Label, ProviderId, Validation};

/// How long a removed, replaced or retired secret can be brought back.
const UNDO_WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Everything about one stored key but its secrets; keeps its id through rotations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    pub key_id: KeyId,
    pub provider: ProviderId,
    pub label: Label,
    /// Scheme, host and port the key may be sent to, fixed when it was added.
    pub origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default)]
    pub rotation_count: u32,
    /// When the key was removed; it can be brought back for 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
    /// The secrets this key has had that are still kept, oldest first.
    pub versions: Vec<KeyVersion>,
}

/// One secret of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyVersion {
    /// Counts from 1 and is never used twice within a record.
    pub version: u32,
    pub state: VersionState,
    pub masked: String,
    /// Keyed hash of the secret, to tell whether two are equal.
    pub fingerprint: String,
    /// Whether the secret passed through a chat before it came here.
    #[serde(default)]
    pub exposed: bool,
    /// Whether the secret came by rotation, not by adding.
    #[serde(default)]
    pub rotated: bool,
    pub added_at: Timestamp,
    /// When a secret that was replaced expires, for undo; of the one in use the record knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The provider's own id of the account, where its answer tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
}

/// Where a secret stands in its life: staged → active → grace → archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum VersionState {
    /// Stored, not yet believed: waits for the provider's word.
    Staged,
    /// The secret in use.
    Active,
    /// Replaced; still good until then, for those who have not noticed.
    Grace {
        retired_at: Timestamp,
        usable_until: Timestamp,
    },
    /// Replaced for good; kept for undo.
    Archived { retired_at: Timestamp },
}

/// Whether a key may be used, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    Usable,
    Expired,
    Removed,
    /// Its first secret was never promoted.
    Unfinished,
}

/// How near a key's expiry is, in the steps at which people are notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpiryNotice {
    Expired,
    Within1Day,
    Within7Days,
    Within30Days,
}

impl KeyRecord {
    /// The secret in use, if there is one.
    pub fn active(&self) -> Option<&KeyVersion> {
        self.versions
            .iter()
            .find(|version| version.state == VersionState::Active)
    }

    /// The fingerprint of the secret `number`, if the record has one of that number.
    pub fn fingerprint_of(&self, number: u32) -> Option<&str> {
        self.versions
            .iter()
            .find(|version| version.version == number)
            .map(|version| version.fingerprint.as_str())
    }

    /// The secret that an undo would bring back: the one retired last.
    pub fn previous(&self) -> Option<&KeyVersion> {
        self.versions
            .iter()
            .filter(|version| version.retired_at().is_some())
            .max_by_key(|version| (version.retired_at(), version.version))
    }

    /// When it last changed in a way that can be taken back.
    pub fn last_change(&self) -> Option<Timestamp> {
        self.removed_at.or_else(|| self.previous()?.retired_at())
    }

    /// Takes the secret in use out of it, into `state`, with its expiry date; the next one replaces it.
    pub fn retire_active(&mut self, state: VersionState) {
        let expires_at = self.expires_at.take();
        for version in &mut self.versions {
            if version.state == VersionState::Active {
                version.state = state;
                version.expires_at = expires_at;
            }
        }
    }

    /// Puts the secret `number` in use, with the expiry date that it had.
    pub fn activate(&mut self, number: u32) {
        for version in &mut self.versions {
            if version.version == number {
                version.state = VersionState::Active;
                self.expires_at = version.expires_at.take();
            }
        }
    }

    /// Whether the key may be used at `now`.
    pub fn state(&self, now: Timestamp) -> KeyState {
        if self.removed_at.is_some() {
            KeyState::Removed
        } else if self.active().is_none() {
            KeyState::Unfinished
        } else if self.expires_at.is_some_and(|at| at <= now) {
            KeyState::Expired
        } else {
            KeyState::Usable
        }
    }

    /// How near the expiry is at `now`, if it is near enough to be mentioned.
    pub fn expiry_notice(&self, now: Timestamp) -> Option<ExpiryNotice> {
        let left = self.expires_at?.duration_since(now);
        [
            (0, ExpiryNotice::Expired),
            (1, ExpiryNotice::Within1Day),
            (7, ExpiryNotice::Within7Days),
            (30, ExpiryNotice::Within30Days),
        ]
        .into_iter()
        .find_map(|(days, notice)| (left <= SignedDuration::from_hours(days * 24)).then_some(notice))
    }

    /// The number for the next secret of this key.
    pub fn next_version(&self) -> u32 {
        self.versions.iter().map(|version| version.version).max().unwrap_or(0) + 1
    }

    /// Whether the whole record is past bringing back at `now`.
    pub fn is_purgeable(&self, now: Timestamp) -> bool {
        self.removed_at.is_some_and(|at| now.duration_since(at) > UNDO_WINDOW)
    }
}

impl KeyVersion {
    /// The state at `now`: grace that ran out counts as archived, whether or not that was recorded.
    pub fn state_at(&self, now: Timestamp) -> VersionState {
        if let VersionState::Grace {
            retired_at,
            usable_until,
        } = self.state
            && usable_until <= now
        {
            VersionState::Archived { retired_at }
        } else {
            self.state
        }
    }

    /// When the secret was replaced, if it was.
    pub fn retired_at(&self) -> Option<Timestamp> {
        match self.state {
            VersionState::Grace { retired_at, .. } | VersionState::Archived { retired_at } => Some(retired_at),
            VersionState::Staged | VersionState::Active => None,
        }
    }

    /// Whether the secret is past bringing back at `now`.
    pub fn is_purgeable(&self, now: Timestamp) -> bool {
        match self.state_at(now) {
            VersionState::Archived { retired_at } => now.duration_since(retired_at) > UNDO_WINDOW,
            VersionState::Staged => now.duration_since(self.added_at) > UNDO_WINDOW,
            VersionState::Active | VersionState::Grace { .. } => false,
        }
    }
}

impl fmt::Display for ExpiryNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "expired and no longer used",
            Self::Within1Day => "expires within a day",
            Self::Within7Days => "expires within 7 days",
            Self::Within30Days => "expires within 30 days",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    fn version(version: u32, state: VersionState) -> KeyVersion {
        KeyVersion {
            version,
            state,
            masked: "…".to_owned(),
            fingerprint: String::new(),
            exposed: false,
            rotated: false,
            added_at: at(0),
            expires_at: None,
            account: None,
            validation: None,
        }
    }

    fn record(versions: Vec<KeyVersion>) -> KeyRecord {
        KeyRecord {
            key_id: KeyId::from_random([1; 16]),
            provider: "openai".parse().expect("a provider"),
            label: Label::default(),
            origin: "https://api.openai.com".to_owned(),
            description: None,
            created_at: at(0),
            expires_at: None,
            rotation_count: 0,
            removed_at: None,
            versions,
        }
    }

    #[test]
    fn grace_that_ran_out_is_over_whether_or_not_anybody_wrote_that_down() {
        let old = version(
            1,
            VersionState::Grace {
                retired_at: at(0),
                usable_until: at(24),
            },
        );
        assert!(matches!(old.state_at(at(23)), VersionState::Grace { .. }));
        assert_eq!(old.state_at(at(24)), VersionState::Archived { retired_at: at(0) });
    }

    #[test]
    fn a_retired_secret_is_kept_for_thirty_days_and_the_one_in_use_for_ever() {
        let old = version(1, VersionState::Archived { retired_at: at(0) });
        assert!(!old.is_purgeable(at(30 * 24)));
        assert!(old.is_purgeable(at(30 * 24 + 1)));
        assert!(!version(1, VersionState::Active).is_purgeable(at(1_000_000)));
    }

    #[test]
    fn expiry_is_told_thirty_seven_and_one_days_ahead() {
        let mut record = record(vec![version(1, VersionState::Active)]);
        record.expires_at = Some(at(1000));
        for (hour, notice) in [
            (1000 - 31 * 24, None),
            (1000 - 30 * 24, Some(ExpiryNotice::Within30Days)),
            (1000 - 7 * 24, Some(ExpiryNotice::Within7Days)),
            (1000 - 24, Some(ExpiryNotice::Within1Day)),
            (1000, Some(ExpiryNotice::Expired)),
        ] {
            assert_eq!(record.expiry_notice(at(hour)), notice, "hour {hour}");
        }
        assert_eq!(record.state(at(999)), KeyState::Usable);
        assert_eq!(record.state(at(1000)), KeyState::Expired);
    }

    #[test]
    fn undo_means_the_secret_retired_last() {
        let record = record(vec![
            version(1, VersionState::Archived { retired_at: at(1) }),
            version(2, VersionState::Archived { retired_at: at(5) }),
            version(3, VersionState::Active),
        ]);
        assert_eq!(record.previous().map(|version| version.version), Some(2));
        assert_eq!(record.next_version(), 4);
    }
}
