//! `serve`: speak MCP over stdio.

use std::process::ExitCode;

use clap::ArgMatches;

use super::{CommandDef, Session};
use crate::error::{Code, Error, Result};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "serve",
    define: |command| command.about("Speak MCP over standard input and output"),
    run: |session, _: &ArgMatches| run(session),
};

/// Serves until the client hangs up.
pub(super) fn run(session: &Session) -> Result<ExitCode> {
    let _ = session;
    Err(Error::new(Code::Internal, "the server is not built in yet"))
}
