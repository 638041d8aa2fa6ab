//! `undo`: take back the last removal or rotation.

use std::process::ExitCode;

use clap::{Arg, ArgMatches};
use serde_json::json;

use super::{
    caller::Terminal,
    command::{CommandDef, Run, Session, wait},
    console::Console,
    help::HelpSection,
    key_name,
};
use crate::{
    error::Result,
    services::undo::{self, Undone},
    tools::view::{Block, Tone, View},
};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "undo",
    section: HelpSection::Keys,
    define: |command| {
        command
            .about("Undo the last removal or rotation of a key (within 30 days)")
            .arg(
                Arg::new("provider")
                    .value_name("PROVIDER[:LABEL]")
                    .help("Only this key; by default the last change of any key"),
            )
            .arg(
                Arg::new("label")
                    .long("label")
                    .requires("provider")
                    .help("Which of the provider's keys [default: default]"),
            )
    },
    run: Run::With(run),
};

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let caller = Terminal::new(session, matches);
    let text = |id| matches.get_one::<String>(id).map(String::as_str);
    let key = text("provider")
        .map(|provider| key_name::stored(app, &caller, provider, text("label")))
        .transpose()?;
    let key = key.as_ref().map(|(provider, label)| (provider, label));
    let (record, undone, warnings) = wait(undo::undo(app, &caller, key))?;
    let masked = record.active().map(|active| active.masked.as_str()).unwrap_or_default();
    let (name, done) = match undone {
        Undone::Removal => ("removal", "is back"),
        Undone::Secret => ("secret", "has its previous secret again:"),
    };
    if session.console.is_json() {
        Console::json(&json!({
            "undone": name,
            "key": {"key_id": record.key_id, "provider": record.provider, "label": record.label, "masked": masked},
            "warnings": warnings,
        }))?;
    } else {
        let key = key_name::show(&record.provider, &record.label);
        let view = View::line(Tone::Good, format!("{key} {done} {masked}"));
        let view = warnings.into_iter().map(Block::Warning).fold(view, View::and);
        session.console.view(&view)?;
    }
    Ok(ExitCode::SUCCESS)
}
