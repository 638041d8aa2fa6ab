//! The command as a process of its own.

use std::{
    ffi::OsString,
    io::{self, ErrorKind},
    process::{Command, ExitCode},
};

use clap::ArgMatches;

use super::super::command::Session;
use crate::{
    app::App,
    error::{Code, Error, Result},
    process,
};

/// What shells answer for a command that is not there.
const NOT_FOUND: u8 = 127;
/// What shells answer for a command that cannot be executed.
const NOT_EXECUTABLE: u8 = 126;

/// The command as it was typed, without what opens the vault, which is not its business.
pub(super) fn command(app: &App, matches: &ArgMatches) -> Result<Command> {
    let mut words = matches.get_many::<OsString>("command").into_iter().flatten();
    let Some(program) = words.next() else {
        return Err(Error::new(Code::InvalidArgument, "no command to run"));
    };
    let mut command = Command::new(program);
    command.args(words);
    for name in app.settings().passphrase_variables() {
        command.env_remove(name);
    }
    Ok(command)
}

/// Says why the command did not start.
pub(super) fn cannot_start(session: &Session, why: io::Error) -> ExitCode {
    // Shells tell these two apart by the exit code, so scripts do too.
    let (code, message, hint) = match why.kind() {
        ErrorKind::NotFound => (
            NOT_FOUND,
            "command not found",
            "check its name, and that it is on the PATH",
        ),
        ErrorKind::PermissionDenied => (
            NOT_EXECUTABLE,
            "the command cannot be executed",
            "check that it is a program and that you may execute it",
        ),
        _ => (
            NOT_EXECUTABLE,
            "the command could not be started",
            "try it without `api-keys run`",
        ),
    };
    session
        .console
        .error(&Error::new(Code::CommandFailed, message).hint(hint).caused_by(why));
    ExitCode::from(code)
}

/// Becomes the command: its signals, its terminal and its exit code are its own.
#[cfg(unix)]
pub(super) fn start(command: &mut Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;

    Err(process::with_callers_limits(|| command.exec()))
}

/// Runs the command and waits for it.
#[cfg(not(unix))]
pub(super) fn start(command: &mut Command) -> io::Result<ExitCode> {
    let status = process::with_callers_limits(|| command.status())?;
    // Codes beyond a byte, as Windows has them, still say that something failed.
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
