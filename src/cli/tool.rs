//! A tool called from the shell: same declaration, same work, an answer for people.

use std::process::ExitCode;

use clap::ArgMatches;

use super::{Session, caller::Terminal, command_line, secret_source::SecretSource, wait};
use crate::{
    error::Result,
    storage::vault::Status,
    tools::{
        Input, ToolDef,
        view::{Block, Tone},
    },
};

pub(super) fn run(session: &Session, tool: &ToolDef, matches: &ArgMatches) -> Result<ExitCode> {
    if command_line::is_confirmed(tool) {
        let named = |id| matches.try_get_one::<String>(id).ok().flatten().map(String::as_str);
        let key = [named("provider"), named("label")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(":");
        session.console.confirm(&format!("{}: {key}?", tool.title), matches)?;
    }
    let vault = session.app.vault();
    let first = tool.takes_key && matches!(vault.status(), Ok(Status::Absent));
    let caller = Terminal::new(session, matches);
    let answer = wait((tool.call)(&session.app, &caller, Input::Matches(matches)))?;
    if let (true, false, Ok(Status::Unlocked { by, .. })) = (first, session.console.is_json(), vault.status()) {
        let said = format!("Made the vault {}; the {by} opens it", vault.path().display());
        session.console.remark(&Block::Line(Tone::Plain, said));
    }
    session.console.answer(&answer)?;
    if let SecretSource::File(path) = SecretSource::of(matches)
        && !session.console.is_json()
    {
        let said = format!("{} still holds the key: delete it", path.display());
        session.console.remark(&Block::Hint(said));
    }
    Ok(ExitCode::SUCCESS)
}
