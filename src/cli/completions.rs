//! `completions`: a script that lets a shell complete commands, options and what is stored.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, value_parser};
use clap_complete::{Shell, env::Shells};

use super::{
    candidates::VARIABLE,
    command::{CommandDef, Run},
    console::Console,
    help::HelpSection,
};
use crate::{
    error::{Code, Error, Result},
    settings::Environment,
};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "completions",
    section: HelpSection::Setup,
    define: |command| {
        command
            .about("Print a completion script for a shell")
            .long_about(
                "Print a completion script for a shell\n\n\
                 It completes commands, options, providers, stored keys, models, tasks and clients.",
            )
            .arg(
                Arg::new("shell")
                    .value_name("SHELL")
                    .value_parser(value_parser!(Shell))
                    .required(true)
                    .help("The shell that reads the script"),
            )
    },
    run: Run::Bare(run),
};

/// The program's name, by which shells know what to complete.
const NAME: &str = "api-keys";

fn run(command: &clap::Command, matches: &ArgMatches) -> Result<ExitCode> {
    let shell = matches
        .get_one::<Shell>("shell")
        .map(ToString::to_string)
        .unwrap_or_default();
    let unwritten = || Error::new(Code::Internal, "the completion script could not be written");
    let mut script = Vec::new();
    Shells::builtins()
        .completer(&shell)
        .ok_or_else(unwritten)?
        .write_registration(VARIABLE, NAME, NAME, &completer(), &mut script)
        .map_err(|why| unwritten().caused_by(why))?;
    let commands: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    // Below the script: zsh reads its first line.
    script.extend(format!("# Commands: {}\n", commands.join(", ")).into_bytes());
    Console::raw(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// The program that the script asks: by its name where the PATH leads to it, else by its place.
fn completer() -> String {
    let program = Environment::process().program();
    let place = program.and_then(|program| program.into_os_string().into_string().ok());
    place.unwrap_or_else(|| NAME.to_owned())
}
