//! What a check found.

use crate::error::Error;

/// The result of one check.
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) health: Severity,
    pub(super) said: String,
    pub(super) fix: Option<String>,
    /// The key that it is about, as commands name it.
    pub(super) key: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Good,
    /// Works, but the user should know.
    Notice,
    Wrong,
}

impl Finding {
    pub(super) fn new(check: &'static str, health: Severity, said: impl Into<String>) -> Self {
        Self {
            check,
            health,
            said: said.into(),
            fix: None,
            key: None,
        }
    }

    pub(super) fn good(check: &'static str, said: impl Into<String>) -> Self {
        Self::new(check, Severity::Good, said)
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The same finding, about the key that commands call `key`.
    pub(super) fn of_key(self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self
        }
    }

    /// The same finding, taken more or less seriously.
    pub(super) fn but(self, health: Severity) -> Self {
        Self { health, ..self }
    }

    /// The same finding, saying what it is about.
    pub(super) fn about(self, what: &str) -> Self {
        Self {
            said: format!("{what}: {}", self.said),
            ..self
        }
    }

    pub(super) fn of(check: &'static str, error: &Error) -> Self {
        let finding = Self::new(check, Severity::Wrong, error.message());
        match error.hint_text() {
            Some(hint) => finding.fix(hint),
            None => finding,
        }
    }
}
