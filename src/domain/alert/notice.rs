//! What is to be sent about an alert.

use jiff::Timestamp;

use super::{AlertKind, AlertSeverity};

/// What has become of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertChange {
    Firing,
    /// It got worse.
    Escalated,
    /// It still lasts.
    Reminder,
    Resolved,
}

/// One thing to say about an alert, once to each destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub id: i64,
    /// The alert that it is about: the same until that one is resolved and long after.
    pub alert: i64,
    pub kind: AlertKind,
    pub subject: String,
    pub change: AlertChange,
    pub severity: AlertSeverity,
    pub at: Timestamp,
    /// One line with fact and figure.
    pub text: String,
    pub command: String,
}

impl AlertChange {
    pub const ALL: [Self; 4] = [Self::Firing, Self::Escalated, Self::Reminder, Self::Resolved];

    /// Its name in results and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Escalated => "escalated",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
        }
    }

    /// The change of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.as_str() == name)
    }
}
