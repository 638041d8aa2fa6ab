//! Codex as an agent: where its logs are, and how they are read.

use std::{collections::BTreeMap, path::Path};

use super::threads::Threads;
use crate::{
    agent_logs::{
        agent::Agent,
        files::{self, LogFile},
    },
    settings::Machine,
};

pub(in crate::agent_logs) const AGENT: Agent = Agent {
    name: "codex",
    title: "Codex",
    places: &["~/.codex/sessions", "~/.codex/archived_sessions"],
    variable: Some(VARIABLE),
    what: "each request by the thread's counter; what forks and subagents copied of their parents is not counted again",
    find,
    reader: |files| Box::new(Threads::of(files)),
};

const VARIABLE: &str = "CODEX_HOME";

fn find(machine: &Machine) -> Vec<LogFile> {
    let homes = match machine.named_by(VARIABLE) {
        Some(named) => {
            let named = named.to_string_lossy().into_owned();
            named.split(',').map(|home| Path::new(home.trim()).to_owned()).collect()
        }
        None => vec![machine.home().join(".codex")],
    };
    let is_log = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("rollout-") && files::ends_with(path, "jsonl")
    };
    // A thread that was archived may still be among the active ones, which are newer.
    let mut found: BTreeMap<String, LogFile> = BTreeMap::new();
    for home in homes {
        for folder in ["sessions", "archived_sessions"] {
            for file in files::below(&home.join(folder), &is_log) {
                found.entry(file.stem().to_owned()).or_insert(file);
            }
        }
    }
    found.into_values().collect()
}
