//! `audit`: who did what to which key, when, and how it ended.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde_json::json;

use super::{CommandDef, Run, Session, caller::Terminal, console::Console, exit, wait};
use crate::{
    error::{Code, Error, ExitCode as Ending, Result},
    services::vault,
    storage::audit::{Break, BreakKind, Record},
    tools::view::{Block, Cell, Tone, View},
};

/// How many entries are shown unless asked otherwise.
const SHOWN: &str = "50";

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "audit",
    define: |command| {
        command
            .about("Show who did what to which key, or check that the trail is whole")
            .arg(
                Arg::new("limit")
                    .long("limit")
                    .short('n')
                    .value_name("N")
                    .value_parser(value_parser!(u32).range(1..))
                    .default_value(SHOWN)
                    .help("How many of the newest entries to show"),
            )
            .arg(
                Arg::new("verify")
                    .long("verify")
                    .action(ArgAction::SetTrue)
                    .help("Check every entry's place in the chain instead, and exit with 1 at a break"),
            )
    },
    run: Run::With(run),
};

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    if matches.get_flag("verify") {
        return verify(session, matches);
    }
    let limit = matches.get_one::<u32>("limit").copied().unwrap_or_default();
    let records = session
        .app
        .vault()
        .recent_audit(usize::try_from(limit).unwrap_or(usize::MAX))?;
    if session.console.is_json() {
        let entries: Vec<_> = records.iter().map(entry).collect();
        Console::json(&json!({ "entries": entries }))?;
    } else if records.is_empty() {
        session
            .console
            .view(&View::line(Tone::Plain, "The audit trail is empty"))?;
    } else {
        session.console.view(&View::default().and(Block::Table {
            headers: vec!["TIME", "WHO", "DID", "KEY", "OUTCOME", "DETAIL"],
            rows: records.iter().map(row).collect(),
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks the chain with the vault's key: without it nobody could tell a forged line.
fn verify(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let caller = Terminal::new(session, matches);
    wait(vault::open(&session.app, &caller))?;
    let report = session.app.vault().verify_audit()?;
    let fault = report.fault.as_ref();
    if session.console.is_json() {
        Console::json(&json!({
            "ok": fault.is_none(),
            "entries": report.entries,
            "torn": report.torn,
            "break": fault.map(|fault| json!({"file": fault.file, "line": fault.line, "why": why(fault.why)})),
        }))?;
        return Ok(exit(if fault.is_none() { Ending::Done } else { Ending::Failed }));
    }
    if let Some(fault) = fault {
        return Err(broken(fault));
    }
    let mut view = View::line(
        Tone::Good,
        format!("The audit trail is whole (entries: {})", report.entries),
    );
    if report.torn {
        view = view.and(Block::Warning(
            "the last line was cut short by a crash; the next entry repairs that".to_owned(),
        ));
    }
    session.console.view(&view)?;
    Ok(ExitCode::SUCCESS)
}

/// The first break as an error.
pub(super) fn broken(fault: &Break) -> Error {
    Error::new(
        Code::AuditBroken,
        format!(
            "line {} of {} is the first break: {}",
            fault.line,
            fault.file,
            why(fault.why)
        ),
    )
    .hint(
        "keep a copy of the files and find out who changed them; the entries before the break can be trusted. Where you \
         know why, as after moving the vault alone: `api-keys vault accept-rollback` keeps them and begins a new trail",
    )
}

fn why(kind: BreakKind) -> &'static str {
    match kind {
        BreakKind::Unreadable => "it is not a line that this program writes",
        BreakKind::WrongMac => "it, or the one before it, was changed, moved, put in or taken out",
        BreakKind::Shortened => "the trail ends before the newest entry that the vault knows",
        BreakKind::OtherTrail => "the newest entry is another than the one that the vault knows",
    }
}

fn entry(record: &Record) -> serde_json::Value {
    json!({
        "seq": record.seq,
        "at": record.at,
        "actor": record.actor,
        "action": record.action,
        "provider": record.provider,
        "label": record.label,
        "key_id": record.key_id,
        "outcome": record.outcome,
        "detail": record.detail,
    })
}

fn row(record: &Record) -> Vec<Cell> {
    let key = match (record.provider.as_deref(), record.label.as_deref()) {
        (Some(provider), None | Some("default")) => provider.to_owned(),
        (Some(provider), Some(label)) => format!("{provider}:{label}"),
        (None, _) => String::new(),
    };
    let tone = match record.outcome.as_str() {
        "done" => Tone::Good,
        "begun" => Tone::Faint,
        "refused" | "durability_unknown" => Tone::Attention,
        _ => Tone::Bad,
    };
    vec![
        Cell::new(Tone::Faint, record.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()),
        record.actor.as_str().into(),
        record.action.replace('_', " ").into(),
        key.into(),
        Cell::new(tone, record.outcome.replace('_', " ")),
        record.detail.as_deref().unwrap_or_default().into(),
    ]
}
