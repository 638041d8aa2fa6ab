//! `serve`: speak MCP over stdio.

use std::{
    io::{IsTerminal, stdin},
    process::ExitCode,
    sync::Arc,
};

use super::{
    command::{CommandDef, Run, Session, runtime},
    help::HelpSection,
};
use crate::{error::Result, mcp, tools::view::Block};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "serve",
    section: HelpSection::Setup,
    define: |command| command.about("Serve MCP over standard input and output"),
    run: Run::With(|session, _| run(session)),
};

/// Serves until the client hangs up.
pub(super) fn run(session: &Session) -> Result<ExitCode> {
    if stdin().is_terminal() {
        session.console.remark(&Block::Hint(
            "waiting for an MCP client on standard input; Ctrl-D stops the server, `api-keys --help` lists the commands".to_owned(),
        ));
    }
    let runtime = runtime()?;
    let outcome = runtime.block_on(mcp::serve(Arc::clone(&session.app)));
    // A thread may be stuck reading standard input; nothing is waited for.
    runtime.shutdown_background();
    outcome.map(|()| ExitCode::SUCCESS)
}
