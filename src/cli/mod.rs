//! The command line: parsed from the declarations, answered on stdout, explained on stderr.

mod caller;
mod command_line;
mod completions;
mod console;
mod logging;
mod render;
mod secret_source;
mod serve;
mod start;
mod tool;

use std::{ffi::OsString, process, sync::Arc};

use clap::ArgMatches;

use self::{command_line::Outcome, console::Console};
use crate::{
    app::{App, Clock},
    error::{Code, Error, ExitCode, Result},
    settings::{Environment, Settings},
    tools::TOOLS,
};

/// A command of the terminal's own, next to those that are tools.
struct CommandDef {
    name: &'static str,
    define: fn(clap::Command) -> clap::Command,
    run: fn(&Session, &ArgMatches) -> Result<process::ExitCode>,
}

/// Every command that is not a tool, in the order of the help.
const COMMANDS: &[CommandDef] = &[serve::COMMAND, completions::COMMAND];

/// What a command works with.
struct Session {
    app: Arc<App>,
    console: Console,
}

/// Runs the command line `arguments`, the program's own name first, and says how the process ends.
pub fn main(arguments: Vec<OsString>) -> process::ExitCode {
    let parsed = command_line::parse(arguments);
    let console = Console::new(parsed.look);
    let outcome = parsed.outcome.and_then(|outcome| match outcome {
        Outcome::Command(matches) => run(console, &matches),
        Outcome::Help(text) => console.help(&text).map(|()| process::ExitCode::SUCCESS),
    });
    outcome.unwrap_or_else(|error| {
        console.error(&error);
        exit(error.code().exit_code())
    })
}

fn run(console: Console, matches: &ArgMatches) -> Result<process::ExitCode> {
    logging::start(None);
    let session = Session {
        app: Arc::new(App::new(Settings::open(&Environment::process())?, Clock::System)),
        console,
    };
    let Some((name, matches)) = matches.subcommand() else {
        return start::run(&session);
    };
    if let Some(tool) = TOOLS.iter().find(|tool| tool.command == name) {
        return tool::run(&session, tool, matches);
    }
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(&session, matches),
        None => Err(Error::new(Code::Internal, "a command was parsed that does not exist")),
    }
}

/// Waits for `work` on a runtime of this thread; commands that wait for nobody never start one.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    runtime()?.block_on(work)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Error::new(Code::StorageFailed, "the system refused to start waiting for events").caused_by(why))
}

fn exit(code: ExitCode) -> process::ExitCode {
    process::ExitCode::from(code as u8)
}
