//! `prune`: make the ledger smaller by removing old records; their sums stay.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, value_parser};
use jiff::SignedDuration;
use serde_json::json;

use super::{
    command::{CommandDef, Run, Session},
    console::{self, Console},
    help::HelpSection,
};
use crate::{
    error::{Code, Error, Result},
    tools::view::{Tone, View},
};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "prune",
    section: HelpSection::Usage,
    define: |command| {
        command
            .about("Delete records of old requests, keeping their totals")
            .long_about(
                "Delete records of old requests from the ledger and free their disk space\n\n\
                 Totals by day, model, key, project and client are kept: `usage` and `budget` show the same as before. `usage --export` no longer includes the deleted records, and a request that is reported again is counted again.",
            )
            .arg(
                Arg::new("older-than")
                    .long("older-than")
                    .value_name("DAYS")
                    .required(true)
                    .value_parser(value_parser!(u16).range(1..=3_650))
                    .help("Keep the records of the last DAYS days"),
            )
            .arg(console::yes())
    },
    run: Run::With(run),
};

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let days = matches
        .get_one::<u16>("older-than")
        .copied()
        .ok_or_else(|| Error::new(Code::Internal, "the days are required"))?;
    let app = &session.app;
    let before = app.now() - SignedDuration::from_hours(24 * i64::from(days));
    let question = format!("Delete records of requests older than {days} days?");
    session.console.confirm(&question, matches)?;
    let removed = app.ledger().prune(before)?;
    if session.console.is_json() {
        Console::json(&json!({ "removed": removed }))?;
    } else {
        let s = if removed == 1 { "" } else { "s" };
        let said = format!("Deleted {removed} record{s}; totals are kept");
        session.console.view(&View::line(Tone::Good, said))?;
    }
    Ok(ExitCode::SUCCESS)
}
