//! `audit`: who did what to which key, when, and how it ended.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde_json::json;

use super::{
    caller::Terminal,
    command::{CommandDef, Run, Session, exit, wait},
    console::Console,
    help::HelpSection,
};
use crate::{
    app::App,
    error::{Code, Error, ExitCode as Ending, Result},
    services::vault_access,
    storage::audit::{Break, BreakKind, Record},
    tools::view::{self, Block, Cell, Column, Tone, View},
};

/// How many entries are shown by default.
const SHOWN: &str = "50";
/// How many entries are read for each line that is shown: most are steps of one action, or uses of one key.
const READ_PER_LINE: usize = 50;

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "audit",
    section: HelpSection::Keys,
    define: |command| {
        command
            .about("Show who did what to which key, or verify the audit trail")
            .arg(
                Arg::new("limit")
                    .long("limit")
                    .short('n')
                    .value_name("N")
                    .value_parser(value_parser!(u32).range(1..))
                    .default_value(SHOWN)
                    .help("How many of the newest lines to show"),
            )
            .arg(
                Arg::new("all")
                    .long("all")
                    .action(ArgAction::SetTrue)
                    .help("Show every entry: each step of an action, and every use of a key"),
            )
            .arg(
                Arg::new("verify")
                    .long("verify")
                    .action(ArgAction::SetTrue)
                    .help("Verify the whole trail instead; exit with 1 if it was changed"),
            )
    },
    run: Run::With(run),
};

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    if matches.get_flag("verify") {
        return verify(session, matches);
    }
    let limit = matches.get_one::<u32>("limit").copied().unwrap_or_default();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_folded = !matches.get_flag("all") && !session.console.is_json();
    let most = if is_folded {
        limit.saturating_mul(READ_PER_LINE)
    } else {
        limit
    };
    let records = session.app.vault().recent_audit(most)?;
    if session.console.is_json() {
        let entries: Vec<_> = records.iter().map(entry).collect();
        Console::json(&json!({ "entries": entries }))?;
    } else {
        session.console.view(&table(&records, is_folded, limit))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest entries, folded, newest first.
pub(super) fn recent(app: &App) -> View {
    const NEWEST: usize = 200;
    match app.vault().recent_audit(NEWEST * READ_PER_LINE) {
        Ok(records) => {
            let mut view = table(&records, true, NEWEST);
            for block in &mut view.blocks {
                if let Block::Table { rows, .. } = block {
                    rows.reverse();
                }
            }
            view
        }
        Err(error) => View::line(Tone::Bad, Error::from(error).message().to_owned()),
    }
}

fn table(records: &[Record], is_folded: bool, limit: usize) -> View {
    if records.is_empty() {
        return View::line(Tone::Plain, "The audit trail is empty");
    }
    View::default().and(Block::table(
        [
            Column::new("TIME"),
            Column::new("WHO").rank(1),
            Column::new("DID").wrapped(),
            Column::new("KEY"),
            Column::new("OUTCOME"),
            Column::new("DETAIL").wrapped().rank(2),
        ],
        lines(records, is_folded, limit).iter().map(row).collect(),
    ))
}

/// Checks the chain with the vault's key: without it a forged line could not be recognized.
fn verify(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let caller = Terminal::new(session, matches);
    wait(vault_access::open(&session.app, &caller))?;
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
        format!("The audit trail is intact ({} entries)", view::count(report.entries)),
    );
    if report.torn {
        view = view.and(Block::Warning(
            "a crash cut the last line short; the next entry repairs it".to_owned(),
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
            "the audit trail was changed: line {} of {} {}",
            fault.line,
            fault.file,
            why(fault.why)
        ),
    )
    .hint(
        "keep a copy of the files and find out who changed them; the entries before that line can be trusted. If you know \
         why, such as after moving only the vault: `api-keys vault accept-rollback` keeps them and starts a new trail",
    )
}

fn why(kind: BreakKind) -> &'static str {
    match kind {
        BreakKind::Unreadable => "was not written by this program",
        BreakKind::WrongMac => "or the one before it was changed, moved, added or removed",
        BreakKind::Shortened => "is missing: the vault knows a newer entry",
        BreakKind::OtherTrail => "differs from the newest entry that the vault knows",
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

/// A line of the table: an entry, and how many like it stand behind it.
struct AuditLine<'r> {
    record: &'r Record,
    times: u32,
}

/// The newest `limit` lines of `records`; where they are folded, an action is one line with its outcome, and the uses of
/// a key on one day for one purpose are one line with their number.
fn lines(records: &[Record], is_folded: bool, limit: usize) -> Vec<AuditLine<'_>> {
    let mut lines: Vec<AuditLine<'_>> = Vec::new();
    for record in records {
        let before = lines
            .iter()
            .rposition(|line| is_folded && goes_with(line.record, record));
        // A step that was begun is no use of its own.
        let times = before
            .map(|at| lines.remove(at))
            .filter(|line| line.record.outcome != "begun");
        lines.push(AuditLine {
            record,
            times: times.map_or(1, |line| line.times + 1),
        });
    }
    let older = lines.len().saturating_sub(limit);
    lines.drain(..older);
    lines
}

/// Whether `later` ends what `earlier` began, or is the same use of the same key again.
fn goes_with(earlier: &Record, later: &Record) -> bool {
    let is_same = earlier.actor == later.actor
        && earlier.action == later.action
        && (&earlier.provider, &earlier.label, &earlier.key_id) == (&later.provider, &later.label, &later.key_id);
    let is_use = |record: &Record| record.action == REVEAL && record.outcome == "done";
    let day = |record: &Record| record.at.strftime("%Y-%m-%d").to_string();
    is_same
        && later.outcome != "begun"
        && (earlier.outcome == "begun"
            || (is_use(earlier) && is_use(later) && earlier.detail == later.detail && day(earlier) == day(later)))
}

/// The action of using a key.
const REVEAL: &str = "reveal_key";

fn row(line: &AuditLine<'_>) -> Vec<Cell> {
    let AuditLine { record, times } = line;
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
    let detail: Vec<String> = record
        .detail
        .iter()
        .cloned()
        .chain((*times > 1).then(|| format!("{times} times")))
        .collect();
    vec![
        Cell::new(Tone::Faint, record.at.strftime("%Y-%m-%d %H:%MZ").to_string()),
        record.actor.as_str().into(),
        record.action.replace('_', " ").into(),
        key.into(),
        Cell::new(tone, record.outcome.replace('_', " ")),
        detail.join(", ").into(),
    ]
}
