//! `completions`: a script that completes commands and options in a shell.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, value_parser};
use clap_complete::Shell;

use super::{
    command::{CommandDef, Run},
    console::Console,
    help::HelpSection,
};
use crate::error::Result;

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "completions",
    section: HelpSection::Setup,
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

fn run(mut command: clap::Command, matches: &ArgMatches) -> Result<ExitCode> {
    if let Some(shell) = matches.get_one::<Shell>("shell") {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut command, "api-keys", &mut script);
        Console::raw(&mended(*shell, script))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The script with one spelling of the program's name.
///
/// For bash the generator spells the hyphen in two ways, and a command's options are never found
/// (clap issue 6421).
fn mended(shell: Shell, script: Vec<u8>) -> Vec<u8> {
    match (shell, String::from_utf8(script)) {
        (Shell::Bash, Ok(script)) => script.replace("api__subcmd__keys", "api__keys").into_bytes(),
        (_, Ok(script)) => script.into_bytes(),
        (_, Err(why)) => why.into_bytes(),
    }
}
