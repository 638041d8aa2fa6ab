//! The one error that crosses borders: a permanent code, a message, and a way out.

mod backup;
mod catalog;
mod code;
mod domain;
mod ledger;
mod providers;
mod remedy;
mod settings;
mod storage;
mod vault;

use std::fmt;

use serde_json::{Value, json};

pub use self::code::{Code, ExitCode};

/// The result of everything above storage.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure as users meet it: over MCP, on the terminal, in JSON.
pub struct Error {
    code: Code,
    message: String,
    hint: Option<String>,
    /// What else programs can make use of.
    detail: Option<Box<(&'static str, Value)>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error whose message is a lowercase fragment without a full stop.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            detail: None,
            source: None,
        }
    }

    /// The same error with what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with something more for programs, under `name` beside its code.
    #[must_use]
    pub fn detail(mut self, name: &'static str, value: Value) -> Self {
        self.detail = Some(Box::new((name, value)));
        self
    }

    /// The same error with its cause, for `source()`; the cause's text reaches logs only.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The form in results: `{"error":{"code","message","hint"}}`, and the detail where there is one.
    pub fn to_json(&self) -> Value {
        let hint = self.hint.as_deref().unwrap_or_default();
        let mut error = json!({"code": self.code.as_str(), "message": self.message, "hint": hint});
        if let Some((name, value)) = self.detail.as_deref() {
            error[*name] = value.clone();
        }
        json!({ "error": error })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
