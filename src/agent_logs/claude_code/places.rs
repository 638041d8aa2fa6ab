//! Claude Code as an agent: where its logs are, and how they are read.

use std::path::Path;

use super::transcript::Transcript;
use crate::{
    agent_logs::{
        agent::{Agent, LogReader},
        fault::LogFault,
        files::{self, LogFile},
        lines,
        request::{LogReading, LoggedRequest},
    },
    settings::Machine,
};

pub(in crate::agent_logs) const AGENT: Agent = Agent {
    name: "claude-code",
    title: "Claude Code",
    places: &[
        "~/.claude/projects",
        "~/.config/claude/projects",
        "Claude/local-agent-mode-sessions in the folder of applications' settings",
    ],
    variable: Some(VARIABLE),
    what: "each message, with those of subagents and workflows; copies in forks and resumed sessions count once",
    find,
    reader: |_| Box::new(ClaudeLogs),
};

const VARIABLE: &str = "CLAUDE_CONFIG_DIR";
/// The end of the name of every count: it stands in the lines that report usage, and in few others, as in texts the
/// quotation mark is escaped.
const COUNT: &[u8] = b"_tokens\"";
/// What the result of a tool that searched the web reports.
const SEARCHES: &[u8] = b"\"searchCount\"";

fn find(machine: &Machine) -> Vec<LogFile> {
    let mut roots = match machine.named_by(VARIABLE) {
        Some(named) => {
            let named = named.to_string_lossy().into_owned();
            named
                .split(',')
                .map(|root| Path::new(root.trim()).join("projects"))
                .collect()
        }
        None => vec![
            machine.home().join(".claude/projects"),
            machine.home().join(".config/claude/projects"),
        ],
    };
    roots.dedup();
    let is_log = |path: &Path| files::ends_with(path, "jsonl");
    let mut found: Vec<LogFile> = roots.iter().flat_map(|root| files::below(root, &is_log)).collect();
    // Desktop's sessions have other files beside the logs.
    let is_desktops = |path: &Path| is_log(path) && path.components().any(|part| part.as_os_str() == "projects");
    let desktop = machine.configuration().join("Claude/local-agent-mode-sessions");
    found.extend(files::below(&desktop, &is_desktops));
    found.sort_by(|one, other| (one.created, &one.path).cmp(&(other.created, &other.path)));
    found.dedup_by(|one, other| one.path == other.path);
    found
}

struct ClaudeLogs;

impl LogReader for ClaudeLogs {
    fn read(&self, file: &LogFile, from: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let mut transcript = Transcript::of(file);
        let mut reading = LogReading::default();
        let end = lines::each_with(&file.path, from, &[COUNT, SEARCHES], |line| {
            let taken = transcript.take(line.bytes, line.at, each);
            // The last line may still be written.
            reading.unreadable += u64::from(taken.is_none() && line.is_whole);
        })?;
        reading.read_to = transcript.finish(each).map_or(end, |open| open.min(end));
        Ok(reading)
    }
}
