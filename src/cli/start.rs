//! `api-keys` alone: a server for programs, a signpost for people.

use std::{
    io::{IsTerminal, stdin},
    process::ExitCode,
};

use super::{Session, serve};
use crate::{
    error::Result,
    storage::vault::VaultStatus,
    tools::view::{Block, Tone, View},
};

/// Serves where nobody types; on a terminal tells how things stand and what to do next. Opens nothing.
pub(super) fn run(session: &Session) -> Result<ExitCode> {
    if !stdin().is_terminal() {
        return serve::run(session);
    }
    let vault = session.app.vault();
    let file = vault.path();
    let view = match vault.status() {
        Ok(VaultStatus::Absent) => View::line(Tone::Plain, "There is no vault yet")
            .and(hint(
                "`api-keys setup` makes it, tries everything out and says how to connect your MCP client",
            ))
            .and(hint("`api-keys add anthropic` makes it too, and asks for a first key")),
        Ok(VaultStatus::Locked { slots } | VaultStatus::Unlocked { slots, .. }) => {
            let kinds: Vec<&str> = slots.iter().map(|slot| slot.kind.as_str()).collect();
            View::line(
                Tone::Plain,
                format!("{}, opened by {}", file.display(), kinds.join(" or ")),
            )
            .and(hint(
                "`api-keys list` shows the keys, `api-keys add PROVIDER` stores another",
            ))
            .and(hint(
                "`api-keys run -- CMD` runs a command with them; `api-keys --help` shows the rest",
            ))
        }
        Err(why) => return Err(why.into()),
    };
    let view = match session.app.settings().problem() {
        Some(problem) => view.and(Block::Warning(problem.to_string())),
        None => view,
    };
    session.console.view(&view)?;
    Ok(ExitCode::SUCCESS)
}

fn hint(text: &str) -> Block {
    Block::Hint(text.to_owned())
}
