//! A tool called from the shell: same declaration, same work, an answer for people.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use super::{
    caller::Terminal,
    chart,
    command::{Session, exit, wait},
    export, key_name,
    secret_source::SecretSource,
    sessions,
};
use crate::{
    domain::Label,
    error::{ExitCode as Ending, Result},
    services::{keys, log_import},
    storage::vault::VaultStatus,
    tools::{
        Input, ToolDef,
        view::{Block, Tone},
    },
};

/// The option of `budget` by which scripts learn whether it holds.
const CHECK: &str = "check";

/// The command of `tool` with what only the shell can do.
pub(super) fn options(tool: &ToolDef, command: Command) -> Command {
    match tool.command {
        "usage" => sessions::subcommand(chart::option(export::option(command))),
        "budget" => command.arg(
            Arg::new(CHECK)
                .long(CHECK)
                .action(ArgAction::SetTrue)
                .help("Exit with 1 if a limit is exceeded, for scripts"),
        ),
        _ => command,
    }
}

pub(super) fn run(session: &Session, tool: &ToolDef, matches: &ArgMatches) -> Result<ExitCode> {
    if matches!(tool.command, "usage" | "budget") {
        log_import::refresh(&session.app);
    }
    if let Some(done) = sessions::run(session, matches).or_else(|| export::run(session, matches)) {
        return done;
    }
    if tool.command == "usage" {
        chart::draw(session, matches)?;
    }
    if is_confirmed(tool) {
        confirm(session, tool, matches)?;
    }
    let vault = session.app.vault();
    let first = tool.takes_key && matches!(vault.status(), Ok(VaultStatus::Absent));
    let caller = Terminal::new(session, matches);
    let answer = wait((tool.call)(&session.app, &caller, Input::Matches(matches)))?;
    if let (true, false, Ok(VaultStatus::Unlocked { by, .. })) = (first, session.console.is_json(), vault.status()) {
        let said = format!("Created the vault {}, opened by the {by}", vault.path().display());
        session.console.remark(&Block::Line(Tone::Plain, said));
    }
    session.console.answer(&answer)?;
    let left = match SecretSource::of(matches) {
        SecretSource::File(path) => Some(format!("{} still contains the key: delete it", path.display())),
        SecretSource::EnvFile(path) => Some(format!(
            "{} still contains the key: remove it there, and use `api-keys run` instead",
            path.display()
        )),
        SecretSource::Prompt | SecretSource::Stdin => None,
    };
    if let (Some(said), false) = (left, session.console.is_json()) {
        session.console.remark(&Block::Hint(said));
    }
    let is_checked = matches!(matches.try_get_one(CHECK), Ok(Some(true)));
    if (is_checked && is_exceeded(&answer.json)) || is_refused(&answer.json) {
        return Ok(exit(Ending::Failed));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks whether to do what `tool` does to a key, once it is known that the key exists.
fn confirm(session: &Session, tool: &ToolDef, matches: &ArgMatches) -> Result<()> {
    let named = |id| matches.try_get_one::<String>(id).ok().flatten().map(String::as_str);
    let label = named("label").map_or_else(|| Ok(Label::default()), str::parse)?;
    session.app.settings().required()?;
    let caller = Terminal::new(session, matches);
    let provider = named("provider").unwrap_or_default();
    let record = wait(keys::stored(&session.app, &caller, provider, &label))?;
    let name = key_name::show(&record.provider, &record.label);
    let masked = record.active().map(|active| active.masked.as_str()).unwrap_or_default();
    session
        .console
        .confirm(&format!("{}: {name} {masked}?", tool.title), matches)
}

/// Whether a person confirms before the tool does its work; typing a key is confirmation enough.
pub(super) fn is_confirmed(tool: &ToolDef) -> bool {
    tool.hints.destructive && !tool.takes_key
}

/// Whether one of the budgets in the result is exceeded.
fn is_exceeded(budgets: &Value) -> bool {
    ["daily", "monthly"]
        .iter()
        .any(|window| budgets[window]["exceeded"] == true)
}

/// Whether the result is that a provider refuses a key: `validate` is a check, too. No answer is no refusal.
fn is_refused(validated: &Value) -> bool {
    validated["is_valid"] == false || validated["invalid"].as_u64().is_some_and(|invalid| invalid > 0)
}
