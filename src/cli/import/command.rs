//! The command itself, and its subcommands.

use std::process::ExitCode;

use clap::{ArgMatches, Command};

use super::{command_center, keys, logs};
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
    keys::arguments(command)
        .about("Import keys that other programs keep in clear text, or usage from agents' logs")
        .long_about(
            "Import keys that other programs keep in clear text, or usage from agents' logs\n\n\
             Without an argument, `.env` files of this folder, shell profiles and the settings of known programs are read. \
             Nothing is executed, each key is asked for, and the same key in several places is stored once. Keys that were \
             in clear text are marked as exposed: rotate them. Logins of subscriptions are left alone.",
        )
        .args_conflicts_with_subcommands(true)
        .subcommand(logs::command())
        .subcommand(command_center::command())
}

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("logs", matches)) => logs::run(session, matches),
        Some(("command-center", matches)) => command_center::run(session, matches),
        Some(_) => Err(Error::new(Code::Internal, "a command was parsed that does not exist")),
        None => keys::run(session, matches),
    }
}
