//! Writes the man pages, one for every command, from the same declarations as `--help`.
//!
//!     cargo run --example man -- target/man
//!     install -m 644 target/man/*.1 ~/.local/share/man/man1/

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use api_keys::{cli, error::ExitCode, settings::VARIABLES};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

fn main() -> io::Result<()> {
    let folder = env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/man"), PathBuf::from);
    fs::create_dir_all(&folder)?;
    let mut command = cli::command().disable_help_subcommand(true);
    command.build();
    write(&folder, command, &[])
}

/// Writes the page of `command` and of each command below it; `above` are the names before its own.
fn write(folder: &Path, command: clap::Command, above: &[String]) -> io::Result<()> {
    let names = [above, &[command.get_name().to_owned()]].concat();
    let title = names.join("-");
    let below: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    let mut page = Vec::new();
    // The page is found by its file's name and shows the command as it is typed.
    let command = command
        .name(title.clone())
        .display_name(title.clone())
        .bin_name(names.join(" "));
    Man::new(command)
        .source(concat!("api-keys ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands")
        .render(&mut page)?;
    details(above.is_empty()).to_writer(&mut page)?;
    fs::write(folder.join(format!("{title}.1")), page)?;
    below.into_iter().try_for_each(|command| write(folder, command, &names))
}

/// What clap does not know: exit codes, variables, where to read on.
fn details(is_first: bool) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for code in ExitCode::ALL {
        let number = (code as u8).to_string();
        roff.control("TP", [])
            .text([bold(number)])
            .text([roman(code.meaning())]);
    }
    if is_first {
        roff.control("SH", ["ENVIRONMENT"]);
        for variable in VARIABLES {
            roff.control("TP", [])
                .text([bold(variable.name)])
                .text([roman(variable.what)]);
        }
    } else {
        roff.control("SH", ["SEE ALSO"]).text([bold("api-keys"), roman("(1)")]);
    }
    roff
}
