//! Where the command line begins and ends: parsing, the command, its exit code.

use std::{
    ffi::OsString,
    panic::{self, AssertUnwindSafe},
    process,
    sync::Arc,
};

use clap::ArgMatches;

use super::{
    alerts, candidates,
    command::{Run, Session, exit},
    command_line::{self, COMMANDS},
    console::Console,
    logging,
    parse::{self, Outcome},
    start, tool,
};
use crate::{
    app::{App, Clock},
    error::{Code, Error, Result},
    settings::{Environment, Settings},
};

/// Runs the command line `arguments`, the program's own name first, and says how the process ends.
pub fn main(arguments: Vec<OsString>) -> process::ExitCode {
    crate::process::harden();
    if Environment::process().is_set(candidates::VARIABLE)
        && candidates::complete(command_line::command, arguments.clone())
    {
        return process::ExitCode::SUCCESS;
    }
    let parsed = parse::parse(arguments);
    let console = Console::new(parsed.look);
    let work = || {
        parsed.outcome.and_then(|outcome| match outcome {
            Outcome::Command(matches) => run(console, &matches),
            Outcome::Help(text) => console.help(&text).map(|()| process::ExitCode::SUCCESS),
        })
    };
    whatever_happens(work).unwrap_or_else(|error| {
        console.error(&error);
        exit(error.code().exit_code())
    })
}

/// The outcome of `work`; a panic is an error like any other.
fn whatever_happens<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // The payload is dropped unread: it may hold what was being worked on. The hook has logged the place.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::new(Code::Internal, "a bug in this program stopped the command")
            .hint("please report it with the location shown above; stored data was not changed"))
    })
}

fn run(console: Console, matches: &ArgMatches) -> Result<process::ExitCode> {
    let environment = Environment::process();
    // The gateway runs unattended: its warnings are logged by default.
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
        let session = session()?;
        let outcome = tool::run(&session, tool, matches);
        alerts::send_in_background(&session.app);
        return outcome;
    }
    match COMMANDS
        .iter()
        .find(|command| command.name == name)
        .map(|command| &command.run)
    {
        Some(Run::Bare(run)) => run(&command_line::command(), matches),
        Some(Run::With(run)) => {
            let session = session()?;
            let outcome = run(&session, matches);
            if name != alerts::COMMAND.name {
                alerts::send_in_background(&session.app);
            }
            outcome
        }
        None => Err(Error::new(Code::Internal, "a command was parsed that does not exist")),
    }
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
