//! The command line: parsed from the declarations, answered on stdout, explained on stderr.

mod audit;
mod caller;
mod client;
mod command_line;
mod completions;
mod console;
mod doctor;
mod env;
mod env_file;
mod export;
mod gateway;
mod key_name;
mod logging;
mod named_file;
mod own_server;
mod prices;
mod prompt;
mod prune;
mod render;
mod run;
mod scan;
mod secret_source;
mod serve;
mod setup;
mod start;
mod statusline;
mod tool;
mod undo;
mod vault;

use std::{
    ffi::OsString,
    panic::{self, AssertUnwindSafe},
    process,
    sync::Arc,
};

use clap::ArgMatches;

pub use self::command_line::command;
use self::{command_line::ParsedLine, console::Console};
use crate::{
    app::{App, Clock},
    error::{Code, Error, ExitCode, Result},
    settings::{Environment, Settings},
};

/// A command of the terminal's own, next to those that are tools.
struct CommandDef {
    name: &'static str,
    define: fn(clap::Command) -> clap::Command,
    run: Run,
}

/// What a command needs before it can run.
enum Run {
    /// Nothing: it runs where there is not even a home folder.
    Bare(fn(&ArgMatches) -> Result<process::ExitCode>),
    /// Settings and everything that hangs on them.
    With(fn(&Session, &ArgMatches) -> Result<process::ExitCode>),
}

/// Every command that is not a tool, in the order of the help.
const COMMANDS: &[CommandDef] = &[
    run::COMMAND,
    undo::COMMAND,
    serve::COMMAND,
    gateway::COMMAND,
    client::COMMAND,
    env::COMMAND,
    setup::COMMAND,
    doctor::COMMAND,
    scan::COMMAND,
    statusline::COMMAND,
    vault::COMMAND,
    audit::COMMAND,
    prices::COMMAND,
    prune::COMMAND,
    completions::COMMAND,
];

/// What a command works with.
struct Session {
    app: Arc<App>,
    console: Console,
}

/// Runs the command line `arguments`, the program's own name first, and says how the process ends.
pub fn main(arguments: Vec<OsString>) -> process::ExitCode {
    crate::process::harden();
    let parsed = command_line::parse(arguments);
    let console = Console::new(parsed.look);
    let work = || {
        parsed.outcome.and_then(|outcome| match outcome {
            ParsedLine::Command(matches) => run(console, &matches),
            ParsedLine::Help(text) => console.help(&text).map(|()| process::ExitCode::SUCCESS),
        })
    };
    whatever_happens(work).unwrap_or_else(|error| {
        console.error(&error);
        exit(error.code().exit_code())
    })
}

/// The outcome of `work`; a mistake of ours that stops it is an error like any other.
fn whatever_happens<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // The payload is dropped unread: it may hold what was being worked on. The hook has told the place.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(
            Error::new(Code::Internal, "a mistake in this program stopped the command")
                .hint("please report it, with the place that is told above; what was stored before is as it was"),
        )
    })
}

fn run(console: Console, matches: &ArgMatches) -> Result<process::ExitCode> {
    let environment = Environment::process();
    // Nobody looks at the gateway: what goes wrong there is in its log without being asked for.
    let usual = (matches.subcommand_name() == Some("gateway")).then_some("warn");
    logging::start(environment.log_filter().as_deref().or(usual));
    let session = || {
        let settings = Settings::open(&environment)?;
        let app = Arc::new(App::new(settings, Clock::System));
        Ok::<_, Error>(Session { app, console })
    };
    let Some((name, matches)) = matches.subcommand() else {
        return start::run(&session()?);
    };
    if let Some(tool) = command_line::tool_of(name, matches) {
        return tool::run(&session()?, tool, matches);
    }
    match COMMANDS
        .iter()
        .find(|command| command.name == name)
        .map(|command| &command.run)
    {
        Some(Run::Bare(run)) => run(matches),
        Some(Run::With(run)) => run(&session()?, matches),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_our_bug_and_its_payload_is_not_told() {
        let error = whatever_happens(|| -> Result<()> { panic!("sk-secret") }).expect_err("stopped");
        assert_eq!(error.code().exit_code() as u8, 70);
        assert!(!error.to_json().to_string().contains("sk-secret"));
    }
}
