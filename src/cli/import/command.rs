//! The command itself, and its subcommands.

use std::process::ExitCode;

use clap::{ArgMatches, Command};

use super::{command_center, logs};
use crate::{
    cli::{
        command::{CommandDef, Run, Session},
        help::HelpSection,
    },
    error::{Code, Error, Result},
};

pub(in crate::cli) const COMMAND: CommandDef = CommandDef {
    name: "import",
    section: HelpSection::Usage,
    define,
    run: Run::With(run),
};

fn define(command: Command) -> Command {
    command
        .about("Import usage from the logs of coding agents, or the keys of Command Center")
        .subcommand_required(true)
        .subcommand(logs::command())
        .subcommand(command_center::command())
}

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("logs", matches)) => logs::run(session, matches),
        Some(("command-center", matches)) => command_center::run(session, matches),
        _ => Err(Error::new(Code::Internal, "a command was parsed that does not exist")),
    }
}
