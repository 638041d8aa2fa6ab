//! `completions`: a script that completes commands and options in a shell.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, value_parser};
use clap_complete::Shell;

use super::{CommandDef, Run, command_line, console::Console};
use crate::error::Result;

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "completions",
    define: |command| {
        command
            .about("Print a completion script for a shell")
            .long_about("Print a completion script for a shell, such as `api-keys completions bash > ~/.local/share/bash-completion/completions/api-keys`")
            .arg(
                Arg::new("shell")
                    .value_parser(value_parser!(Shell))
                    .required(true)
                    .help("The shell that reads the script"),
            )
    },
    run: Run::Bare(run),
};

fn run(matches: &ArgMatches) -> Result<ExitCode> {
    if let Some(shell) = matches.get_one::<Shell>("shell") {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut command_line::command(), "api-keys", &mut script);
        Console::raw(&script)?;
    }
    Ok(ExitCode::SUCCESS)
}
