//! `run`: a command with keys in its environment, and nowhere else.

mod gateway;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{self, ErrorKind},
    net::SocketAddr,
    process::{Command, ExitCode},
};

use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};
use serde_json::json;

use super::{CommandDef, Run, Session, caller::Terminal, console::Console, key_name, wait};
use crate::{
    app::App,
    error::{Code, Error, Result},
    process,
    services::child_environment::{self, KeyVariable, LeftOut, Selection},
    tools::view::{Block, View},
};

/// What shells answer for a command that is not there.
const NOT_FOUND: u8 = 127;
/// What shells answer for a command that cannot be executed.
const NOT_EXECUTABLE: u8 = 126;

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "run",
    define: |command| {
        command
            .about("Run a command with keys in its environment")
            .long_about(
                "Run a command with keys in its environment, each under its provider's usual variable, such as OPENAI_API_KEY\n\n\
                 Without --provider there is one key of every enabled provider: the one labelled `default`, or its only one. The use is written to the audit trail first; \
                 expired keys are refused. The command's exit code is the answer; signals reach it directly.\n\n\
                 With --gateway there is no provider's key in its environment, but the address of a gateway and a client key that ends with the command.",
            )
            .arg(
                Arg::new("providers")
                    .long("provider")
                    .short('p')
                    .value_name("PROVIDER[:LABEL]")
                    .action(ArgAction::Append)
                    .help("Only this key; may be given several times"),
            )
            .arg(
                Arg::new("gateway")
                    .long("gateway")
                    .value_name("ADDRESS:PORT")
                    .value_parser(value_parser!(SocketAddr))
                    .num_args(0..=1)
                    .require_equals(true)
                    .help("Put a gateway between: one that is served for the command, or the one that runs there"),
            )
            .arg(
                Arg::new("dry-run")
                    .long("dry-run")
                    .action(ArgAction::SetTrue)
                    .help("Show which variables would be set, and run nothing"),
            )
            .arg(
                Arg::new("command")
                    .value_name("CMD")
                    .value_parser(value_parser!(OsString))
                    .value_hint(ValueHint::CommandWithArguments)
                    .num_args(1..)
                    .last(true)
                    .required_unless_present("dry-run")
                    .help("The command and its arguments"),
            )
    },
    run: Run::With(run),
};

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let behind_gateway = matches.contains_id("gateway");
    if behind_gateway && matches.get_flag("dry-run") {
        return gateway::show(session);
    }
    if behind_gateway {
        return gateway::run(session, matches, command(app, matches)?);
    }
    let caller = Terminal::new(session, matches);
    let wanted = matches
        .get_many::<String>("providers")
        .into_iter()
        .flatten()
        .map(|name| key_name::parse(app, name))
        .collect::<Result<Vec<_>>>()?;
    let Selection { variables, left_out } = wait(child_environment::select(app, &caller, &wanted))?;
    let in_the_way = child_environment::in_the_way(app, &variables)?;
    if matches.get_flag("dry-run") {
        return show(session, &variables, &left_out, &in_the_way);
    }
    tell_left_out(session, &left_out);
    let mut command = command(app, matches)?;
    for name in in_the_way {
        command.env_remove(name);
    }
    for (name, key) in wait(child_environment::reveal(app, &caller, variables))? {
        // EXPOSE: the child's environment, which is what the user asked for; nothing of ours reads it back
        command.env(name, key.expose());
    }
    start(&mut command).or_else(|why| Ok(cannot_start(session, why)))
}

/// The command as it was typed, without what opens the vault, which is not its business.
fn command(app: &App, matches: &ArgMatches) -> Result<Command> {
    let mut words = matches.get_many::<OsString>("command").into_iter().flatten();
    let Some(program) = words.next() else {
        return Err(Error::new(Code::InvalidArgument, "there is no command to run"));
    };
    let mut command = Command::new(program);
    command.args(words);
    for name in app.settings().passphrase_variables() {
        command.env_remove(name);
    }
    Ok(command)
}

/// Says why the command did not start.
fn cannot_start(session: &Session, why: io::Error) -> ExitCode {
    // Shells tell these two apart by the exit code, so scripts do too.
    let (code, message, hint) = match why.kind() {
        ErrorKind::NotFound => (
            NOT_FOUND,
            "the command was not found",
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
fn start(command: &mut Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;

    Err(process::with_callers_limits(|| command.exec()))
}

/// Runs the command and waits for it.
#[cfg(not(unix))]
fn start(command: &mut Command) -> io::Result<ExitCode> {
    let status = process::with_callers_limits(|| command.status())?;
    // Codes beyond a byte, as Windows has them, still say that something failed.
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Says of which providers the command gets no key, and why.
fn tell_left_out(session: &Session, left_out: &[LeftOut]) {
    for LeftOut { reason, way_out, .. } in left_out {
        let remark = Block::Hint(format!("{reason}, so the command does not get it: {way_out}"));
        session.console.remark(&remark);
    }
}

/// Names the variables that would be set and taken away, never their values.
fn show(
    session: &Session,
    variables: &[KeyVariable],
    left_out: &[LeftOut],
    in_the_way: &BTreeSet<String>,
) -> Result<ExitCode> {
    let environment = session.app.settings().environment();
    let removed: Vec<&String> = in_the_way.iter().filter(|name| environment.is_set(name)).collect();
    if session.console.is_json() {
        let variables: Vec<_> = variables
            .iter()
            .map(|KeyVariable { name, record }| {
                json!({"name": name, "provider": record.provider, "label": record.label, "key_id": record.key_id})
            })
            .collect();
        let left_out: Vec<_> = left_out
            .iter()
            .map(|left_out| json!({"provider": left_out.provider, "reason": left_out.reason, "hint": left_out.way_out}))
            .collect();
        Console::json(&json!({ "variables": variables, "removed": removed, "left_out": left_out }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = variables
        .iter()
        .map(|KeyVariable { name, record }| {
            let masked = record.active().map(|active| active.masked.clone()).unwrap_or_default();
            vec![
                name.as_str().into(),
                key_name::show(&record.provider, &record.label).into(),
                masked.into(),
            ]
        })
        .chain(
            removed
                .iter()
                .map(|name| vec![name.as_str().into(), "removed".into(), "".into()]),
        )
        .collect();
    session.console.view(&View::default().and(Block::Table {
        headers: vec!["VARIABLE", "KEY", "MASKED"],
        rows,
    }))?;
    tell_left_out(session, left_out);
    Ok(ExitCode::SUCCESS)
}
