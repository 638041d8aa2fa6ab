//! The command line of `run`, and the command with keys in its environment.

use std::{collections::BTreeSet, ffi::OsString, process::ExitCode};

use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};
use serde_json::json;

use super::{
    super::{
        caller::Terminal,
        command::{CommandDef, Run, Session, wait},
        console::{Console, dry_run},
        gateway::behind,
        help::HelpSection,
        key_name,
    },
    child::{cannot_start, command, start},
    gateway,
};
use crate::{
    error::Result,
    services::child_environment::{self, KeyVariable, LeftOut, Selection},
    tools::view::{Block, View},
};

pub(in crate::cli) const COMMAND: CommandDef = CommandDef {
    name: "run",
    section: HelpSection::Keys,
    define: |command| {
        command
            .about("Run a command with keys in its environment")
            .long_about(
                "Run a command with keys in its environment, each in its provider's usual variable, such as OPENAI_API_KEY\n\n\
                 Without --provider, one key of every enabled provider is set: the one labelled `default`, or its only one. Each use is written to the audit trail first; \
                 expired keys are refused. The command's exit code is passed on, and signals reach it directly.\n\n\
                 With --gateway, the environment holds no provider keys, only the gateway's address and a client key that is revoked when the command ends.",
            )
            .arg(
                Arg::new("providers")
                    .long("provider")
                    .short('p')
                    .value_name("PROVIDER[:LABEL]")
                    .action(ArgAction::Append)
                    .help("Only this key; repeatable"),
            )
            .arg(behind("Run behind a gateway: a private one, or the one at ADDRESS:PORT"))
            .arg(
                dry_run("Show what the command would get without running it"),
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
        return gateway::show(session, matches);
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
    let conflicting = child_environment::conflicting_variables(app, &variables)?;
    if matches.get_flag("dry-run") {
        return show(session, &variables, &left_out, &conflicting);
    }
    tell_left_out(session, &left_out);
    let mut command = command(app, matches)?;
    for name in conflicting {
        command.env_remove(name);
    }
    for (name, key) in wait(child_environment::reveal(app, &caller, variables))? {
        // EXPOSE: the child's environment, as the user requested; nothing of ours reads it back
        command.env(name, key.expose());
    }
    start(&mut command).or_else(|why| Ok(cannot_start(session, why)))
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
    conflicting: &BTreeSet<String>,
) -> Result<ExitCode> {
    let environment = session.app.settings().environment();
    let removed: Vec<&String> = conflicting.iter().filter(|name| environment.is_set(name)).collect();
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
    session
        .console
        .view(&View::default().and(Block::table(["VARIABLE", "KEY", "MASKED"], rows)))?;
    tell_left_out(session, left_out);
    Ok(ExitCode::SUCCESS)
}
