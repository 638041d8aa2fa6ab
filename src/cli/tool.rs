//! A tool called from the shell: same declaration, same work, an answer for people.

use std::process::ExitCode;

use clap::ArgMatches;

use super::{Session, caller::Terminal, wait};
use crate::{
    error::Result,
    tools::{Input, ToolDef},
};

pub(super) fn run(session: &Session, tool: &ToolDef, matches: &ArgMatches) -> Result<ExitCode> {
    let caller = Terminal::new(session, matches);
    let answer = wait((tool.call)(&session.app, &caller, Input::Matches(matches)))?;
    session.console.answer(&answer)?;
    Ok(ExitCode::SUCCESS)
}
