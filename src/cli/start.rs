//! `api-keys` alone: a server for programs, a signpost for people.

use std::{
    io::{IsTerminal, stdin},
    process::ExitCode,
};

use super::{Session, serve};
use crate::{
    error::Result,
    tools::view::{Block, Tone, View},
};

/// Serves where nobody types; on a terminal tells how things stand and what to do next.
pub(super) fn run(session: &Session) -> Result<ExitCode> {
    if !stdin().is_terminal() {
        return serve::run(session);
    }
    let view = View::line(
        Tone::Plain,
        "api-keys keeps the keys of language-model providers encrypted.",
    )
    .and(Block::Hint(
        "`api-keys add anthropic` stores a key; `api-keys --help` shows all commands".to_owned(),
    ));
    session.console.view(&view)?;
    Ok(ExitCode::SUCCESS)
}
