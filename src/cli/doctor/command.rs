//! The command line of `doctor`, its checks in order, and their report.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches};
use jiff::SignedDuration;
use serde_json::json;

use super::{
    super::{
        caller::Terminal,
        command::{CommandDef, Run, Session, exit, wait},
        console::Console,
        help::HelpSection,
    },
    alerts, backup, files,
    finding::{Finding, Severity},
    keys, ledger, mcp_clients, prices, vault,
};
use crate::{
    app::App,
    error::{ExitCode as Ending, Result},
    services::{self, keys::list},
    tools::view::{Block, Cell, Tone, View},
};

pub(in crate::cli) const COMMAND: CommandDef = CommandDef {
    name: "doctor",
    section: HelpSection::Setup,
    define: |command| {
        command
            .about("Check the vault, files, settings, clients and keys, and say how to fix problems")
            .arg(
                Arg::new("offline")
                    .long("offline")
                    .action(ArgAction::SetTrue)
                    .help("Do not check the keys with their providers"),
            )
            .arg(
                Arg::new("deep")
                    .long("deep")
                    .action(ArgAction::SetTrue)
                    .help("Also verify the indexes of a large ledger"),
            )
    },
    run: Run::With(run),
};

/// How far clocks may differ before it is reported.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_mins(5);
/// No clock that is right is before this program was built.
const EARLIEST: i64 = 1_767_225_600;

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let (mut findings, is_open) = on_this_machine(app, matches.get_flag("deep"));
    if is_open && !matches.get_flag("offline") {
        findings.extend(keys::providers(app, &Terminal::new(session, matches))?);
    }
    report(session, &findings)
}

/// What is found without asking a provider, for the dashboard.
pub(in crate::cli) fn offline(app: &App) -> View {
    table(&on_this_machine(app, false).0)
}

/// What is found without asking a provider, and whether the keys could be read.
fn on_this_machine(app: &App, is_deep: bool) -> (Vec<Finding>, bool) {
    let mut findings = vec![files::configuration(app)];
    findings.extend(project(app));
    findings.extend(files::folders(app));
    findings.push(prices::in_force(app));
    let open = wait(services::vault_access::open_unasked(app));
    findings.push(vault::the_vault(app, &open));
    findings.extend(vault::ways_in(app));
    if open.is_ok() {
        findings.push(vault::trail(app));
    }
    findings.push(ledger::ledger(app, is_deep));
    findings.extend(ledger::journals(app));
    findings.extend(ledger::budgets(app));
    findings.extend(alerts::destinations(app));
    findings.extend(gateway_clients(app));
    findings.push(clock(app));
    findings.extend(mcp_clients::look(app));
    // Where the file is another vault, the check of the vault has reported it.
    let Some(stored) = open.is_ok().then(|| list(app).ok()).flatten() else {
        return (findings, false);
    };
    findings.extend(keys::stored_keys(app, &stored));
    if !stored.is_empty() {
        findings.push(backup::newest_backup(app));
    }
    (findings, true)
}

/// Which keys belong to this folder, where the configuration says so.
fn project(app: &App) -> Option<Finding> {
    let project = app.settings().project()?;
    let said = format!(
        "in this folder `run` uses the keys labelled `{}` ({})",
        project.label, project.pattern
    );
    Some(Finding::good("project", said))
}

/// Whether the list of the gateway's clients can be read, where there is one.
fn gateway_clients(app: &App) -> Option<Finding> {
    match app.clients().list() {
        Err(error) => Some(Finding::of("gateway", &error.into())),
        Ok(clients) if clients.is_empty() => None,
        Ok(clients) => Some(Finding::good(
            "gateway",
            match clients.len() {
                1 => "1 client may use it: `api-keys client list`".to_owned(),
                count => format!("{count} clients may use it: `api-keys client list`"),
            },
        )),
    }
}

/// Whether the clock can be right: expiry and grace depend on it.
fn clock(app: &App) -> Finding {
    let now = app.now();
    let latest = app
        .vault()
        .recent_audit(1)
        .ok()
        .and_then(|entries| entries.last().map(|entry| entry.at));
    let wrong = if now.as_second() < EARLIEST {
        Some(format!("the clock says {now}, before this program was built"))
    } else {
        latest
            .filter(|at| at.duration_since(now) > CLOCK_SLACK)
            .map(|at| format!("the clock says {now}, but the newest audit entry is from {at}"))
    };
    match wrong {
        Some(said) => Finding::new("clock", Severity::Wrong, said)
            .fix("set the clock: expiry dates and grace periods depend on it"),
        None => Finding::good("clock", "plausible"),
    }
}

fn report(session: &Session, findings: &[Finding]) -> Result<ExitCode> {
    let ok = findings.iter().all(|finding| finding.health != Severity::Wrong);
    if session.console.is_json() {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| {
                let state = match finding.health {
                    Severity::Good => "ok",
                    Severity::Notice => "notice",
                    Severity::Wrong => "wrong",
                };
                json!({"check": finding.check, "state": state, "message": finding.said, "mend": finding.fix})
            })
            .collect();
        Console::json(&json!({"ok": ok, "findings": findings}))?;
    } else {
        session.console.view(&table(findings))?;
    }
    Ok(exit(if ok { Ending::Done } else { Ending::Failed }))
}

fn table(findings: &[Finding]) -> View {
    let rows = findings
        .iter()
        .map(|finding| {
            let state = match finding.health {
                Severity::Good => Cell::new(Tone::Good, "ok"),
                Severity::Notice => Cell::new(Tone::Attention, "notice"),
                Severity::Wrong => Cell::new(Tone::Bad, "wrong"),
            };
            vec![state, finding.check.into(), finding.said.as_str().into()]
        })
        .collect();
    let found = Block::table(["STATE", "CHECK", "FOUND"], rows);
    findings
        .iter()
        .filter_map(|finding| Some((finding, finding.fix.as_ref()?)))
        .map(|(finding, fix)| {
            let about = finding.key.as_deref().unwrap_or(finding.check);
            Block::Hint(format!("{about}: {fix}"))
        })
        .fold(View::default().and(found), View::and)
}
