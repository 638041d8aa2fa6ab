//! `import logs`: usage from the logs of coding agents, into the ledger.

use std::{process::ExitCode, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Command, builder::PossibleValuesParser};
use serde_json::{Value, json};

use crate::{
    agent_logs::{AGENTS, Agent, agent_named},
    cli::{
        command::{Session, exit},
        console::{Console, dry_run},
    },
    error::{Code, Error, ExitCode as Ending, Result},
    services::log_import::{self, AgentImport, LogImport},
    tools::view::{Block, Cell, Column, Tone, View, count},
};

/// How long another import is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// After how many files a person is shown how far it is.
const SHOWN_EVERY: usize = 16;

pub(super) fn command() -> Command {
    Command::new("logs")
        .about("Read what is new in the logs of coding agents on this machine")
        .long_about(
            "Read what is new in the logs of coding agents on this machine into the ledger\n\n\
             A request counts once: in copies of a session, when a log is read again, and when it passed the \
             gateway or was reported. What is imported stays when its log is deleted. Use that a plan covers has \
             its cost at API prices, apart from what is billed; name agents that are billed by the token in \
             config.toml: [agent_logs] billed = [\"cline\"].",
        )
        .arg(
            Arg::new("agent")
                .long("agent")
                .value_name("AGENT")
                .action(ArgAction::Append)
                .value_parser(PossibleValuesParser::new(AGENTS.iter().map(|agent| agent.name)))
                .hide_possible_values(true)
                .help("Only this agent's logs, such as claude-code; can be repeated"),
        )
        .arg(dry_run("Only show what would be imported"))
}

pub(super) fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let agents: Vec<&'static Agent> = match matches.get_many::<String>("agent") {
        Some(named) => named.filter_map(|name| agent_named(name)).collect(),
        None => AGENTS.iter().collect(),
    };
    let wanted = LogImport {
        agents,
        is_dry: matches.get_flag("dry-run"),
        patience: LOCK_TIMEOUT,
    };
    let console = session.console;
    let mut shown = 0;
    let imported = log_import::import(&session.app, &wanted, &mut |state| {
        if state.files >= shown || state.files == state.of_files {
            shown = state.files + SHOWN_EVERY;
            console.progress(state.files, state.of_files, "Reading logs");
        }
    })?;
    let Some(imported) = imported else {
        return Err(Error::new(Code::Busy, "another import is running").hint("try again when it has ended"));
    };
    if console.is_json() {
        Console::json(&told(&imported, wanted.is_dry))?;
    } else {
        console.view(&view(&imported, wanted.is_dry))?;
    }
    let has_faults = imported.iter().any(|agent| !agent.faults.is_empty());
    Ok(if has_faults {
        exit(Ending::Failed)
    } else {
        ExitCode::SUCCESS
    })
}

fn told(imported: &[AgentImport], is_dry: bool) -> Value {
    let agents: Vec<Value> = imported
        .iter()
        .map(|agent| {
            let faults: Vec<Value> = agent
                .faults
                .iter()
                .map(|(path, fault)| json!({"path": path.to_string_lossy(), "problem": fault.to_string()}))
                .collect();
            json!({
                "agent": agent.agent.name,
                "files": agent.files,
                "files_read": agent.read,
                "new": agent.imported.new,
                "updated": agent.imported.updated,
                "known": agent.imported.known,
                "covered_by_gateway": agent.imported.covered,
                "replaced_reported": agent.imported.replaced,
                "taken_back": agent.imported.taken_back,
                "unreadable": agent.unreadable,
                "problems": faults,
            })
        })
        .collect();
    let total = |of: fn(&AgentImport) -> u64| imported.iter().map(of).sum::<u64>();
    json!({
        "dry_run": is_dry,
        "new": total(|agent| agent.imported.new),
        "updated": total(|agent| agent.imported.updated),
        "known": total(|agent| agent.imported.known),
        "unreadable": total(|agent| agent.unreadable),
        "agents": agents,
    })
}

fn view(imported: &[AgentImport], is_dry: bool) -> View {
    if imported.is_empty() {
        return View::line(Tone::Plain, "No logs of coding agents were found".to_owned()).and(Block::Hint(
            "docs/agent-logs.md lists where they are looked for".to_owned(),
        ));
    }
    let columns = [
        Column::new("AGENT"),
        Column::new("FILES"),
        Column::new("READ").rank(3),
        Column::new("NEW"),
        Column::new("UPDATED").rank(2),
        Column::new("KNOWN").rank(1),
        Column::new("JOINED").rank(2),
    ];
    let number = |of: u64| Cell::number(if of == 0 { String::new() } else { count(of) });
    let rows = imported
        .iter()
        .map(|agent| {
            let counts = agent.imported;
            vec![
                agent.agent.title.into(),
                Cell::number(count(agent.files as u64)),
                number(agent.read as u64),
                number(counts.new),
                number(counts.updated),
                number(counts.known),
                number(counts.covered + counts.replaced),
            ]
        })
        .collect();
    let new: u64 = imported
        .iter()
        .map(|agent| agent.imported.new + agent.imported.replaced)
        .sum();
    let s = if new == 1 { "" } else { "s" };
    let said = if is_dry {
        format!("{} new request{s} would be imported; nothing was changed", count(new))
    } else {
        format!("Imported {} new request{s}", count(new))
    };
    let mut shown = View::line(Tone::Good, said).and(Block::table(columns, rows));
    for agent in imported {
        if agent.unreadable > 0 {
            shown = shown.and(Block::Warning(format!(
                "{}: {} could not be read, and is not counted",
                agent.agent.title,
                lines(agent.unreadable)
            )));
        }
        for (path, fault) in &agent.faults {
            shown = shown.and(Block::Warning(format!(
                "{}: {} {fault}",
                agent.agent.title,
                path.display()
            )));
        }
    }
    shown
}

fn lines(number: u64) -> String {
    if number == 1 {
        "1 entry".to_owned()
    } else {
        format!("{} entries", count(number))
    }
}
