//! Logs of coding agents on this machine: imported now and from then on, after a yes.

use std::time::Duration;

use clap::ArgMatches;
use serde_json::json;

use super::report::SetupReport;
use crate::{
    agent_logs::{AGENTS, Agent},
    cli::{command::Session, console::YES},
    error::Result,
    services::log_import::{self, LogImport},
    storage::files::Folder,
    tools::view::count,
};

/// What the configuration says from then on.
const SETTING: &str = "[agent_logs]\nauto_import = true\n";
/// How long another import is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest configuration that is changed.
const MAX_CONFIG: u64 = 1 << 20;
const CONFIG: &str = "config.toml";

/// Offers to import what agents have logged, now and whenever usage is shown.
pub(super) fn offer(session: &Session, matches: &ArgMatches, report: &mut SetupReport) -> Result<()> {
    let app = &session.app;
    let machine = app.settings().machine()?;
    let found: Vec<(&Agent, usize)> = AGENTS
        .iter()
        .map(|agent| (agent, (agent.find)(&machine).len()))
        .filter(|(_, files)| *files > 0)
        .collect();
    let is_on = app.settings().current().agent_logs.auto_import;
    let names: Vec<&str> = found.iter().map(|(agent, _)| agent.title).collect();
    report.set("agent_logs", json!({"agents": names, "auto_import": is_on}));
    if found.is_empty() {
        return Ok(());
    }
    let names = names.join(", ");
    if is_on {
        return report.step("Logs", &format!("of {names}: imported whenever usage is shown"));
    }
    report.step("Logs", &format!("of {names}: not imported"))?;
    let question = "Import their usage now, and whenever usage is shown?";
    if matches.get_flag("dry-run") || matches.get_flag(YES) || !report.agrees(question) {
        report.hint(
            "`api-keys import logs` imports their usage; auto_import under [agent_logs] in config.toml keeps doing so",
        );
        return Ok(());
    }
    keep_importing(session)?;
    let wanted = LogImport {
        agents: AGENTS.iter().collect(),
        is_dry: false,
        patience: PATIENCE,
    };
    let console = session.console;
    let imported = log_import::import(app, &wanted, &mut |state| {
        console.progress(state.files, state.of_files, "Reading logs");
    })?;
    let new: u64 = imported.iter().flatten().map(|agent| agent.imported.new).sum();
    report.step("Logs", &format!("{} requests imported", count(new)))
}

/// Adds the setting to the configuration, unless something else is said there of logs.
fn keep_importing(session: &Session) -> Result<()> {
    let settings = session.app.settings();
    // A file with a mistake is not written into.
    settings.required()?;
    let folder = Folder::create(settings.paths().config_folder())?;
    let text = folder
        .read(CONFIG, MAX_CONFIG)?
        .map(|(bytes, _)| bytes)
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    if text.lines().any(|line| line.trim_start().starts_with("[agent_logs]")) {
        return Ok(());
    }
    let between = if text.is_empty() {
        ""
    } else if text.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    };
    // Should a power cut take it back, it is asked again.
    let _ = folder.replace(CONFIG, format!("{text}{between}{SETTING}").as_bytes())?;
    Ok(())
}
