//! What setup tells: line by line as it happens to people, as one object to programs.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::{
    cli::{console::Console, exit},
    error::{Error, ExitCode as Ending, Result},
    tools::view::{Block, Tone, View},
};

pub(super) struct SetupReport {
    console: Console,
    warnings: Vec<String>,
    result: Map<String, Value>,
    failed: bool,
}

impl SetupReport {
    pub(super) fn new(console: Console) -> Self {
        Self {
            console,
            warnings: Vec::new(),
            result: Map::new(),
            failed: false,
        }
    }

    /// A field of the object for programs.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.result.insert(name.to_owned(), value.into());
    }

    /// A line under its heading; a heading is said once.
    pub(super) fn step(&self, name: &str, what: &str) -> Result<()> {
        self.line(Tone::Plain, &format!("{name:<7} {what}"))
    }

    pub(super) fn line(&self, tone: Tone, text: &str) -> Result<()> {
        if self.console.is_json() {
            return Ok(());
        }
        self.console.view(&View::line(tone, text))
    }

    pub(super) fn warning(&mut self, text: &str) {
        self.warnings.push(text.to_owned());
        if !self.console.is_json() {
            self.console.remark(&Block::Warning(text.to_owned()));
        }
    }

    pub(super) fn hint(&self, text: impl Into<String>) {
        if !self.console.is_json() {
            self.console.remark(&Block::Hint(text.into()));
        }
    }

    /// Something that was asked for and could not be done; the rest goes on.
    pub(super) fn failure(&mut self, error: &Error) {
        self.failed = true;
        self.problem(error);
    }

    /// Something that stands in the way, with the way out; said once, also where it stands in the way of several things.
    pub(super) fn problem(&mut self, error: &Error) {
        if self.warnings.iter().any(|said| said == error.message()) {
            return;
        }
        self.warning(error.message());
        if let Some(hint) = error.hint_text() {
            self.hint(hint);
        }
    }

    pub(super) fn finish(mut self) -> Result<ExitCode> {
        if self.console.is_json() {
            self.result.insert("warnings".to_owned(), json!(self.warnings));
            Console::json(&Value::Object(self.result))?;
        }
        Ok(exit(if self.failed { Ending::Failed } else { Ending::Done }))
    }
}
