//! What every tool declares.

use std::future::Future;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::view::View;
use crate::{app::App, error::Result, providers, services::caller::Caller};

/// One tool, declared by its struct of arguments.
pub trait Tool: DeserializeOwned + JsonSchema + clap::Args + Send + 'static {
    /// The name over MCP.
    const NAME: &'static str;
    /// The name of the shell command.
    const COMMAND: &'static str;
    /// The name people read.
    const TITLE: &'static str;
    /// Words people use when they look for it.
    const SEARCH_HINT: &'static str;
    const HINTS: Hints;
    /// Whether the tool takes a key, which the shell command reads from a prompt, a line, a variable or a file.
    const TAKES_KEY: bool = false;
    type Output: Serialize + JsonSchema;

    /// Whether `text`, given as the argument `name`, may be a key in the wrong place.
    fn holds_key(_name: &str, text: &str) -> bool {
        providers::looks_like_key(text)
    }

    /// Does the work.
    fn call(self, app: &App, caller: &dyn Caller) -> impl Future<Output = Result<Self::Output>> + Send;

    /// The result for people.
    fn view(output: &Self::Output) -> View;
}

/// What a client may assume of a tool before calling it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the protocol's own four hints, each a boolean there"
)]
pub struct Hints {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
    pub open_world: bool,
    /// Ask the person even under allow-lists.
    pub requires_user: bool,
}

impl Hints {
    /// Changes something on this machine, and takes nothing away.
    pub(super) const WRITES: Self = Self {
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: false,
        requires_user: false,
    };

    /// Looks at what is on this machine, and changes nothing.
    pub(super) const READ_ONLY: Self = Self {
        read_only: true,
        idempotent: true,
        ..Self::WRITES
    };
}
