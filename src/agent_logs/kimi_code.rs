//! Kimi Code, and kimi-cli before it: a line for the usage of each step.

use std::path::Path;

use serde_json::Value;

use super::{
    agent::{Agent, LogReader},
    fault::LogFault,
    files::{self, LogFile},
    json, lines,
    request::{LogReading, LoggedRequest, with_cache_beside},
};

pub(super) const AGENT: Agent = Agent {
    name: "kimi-code",
    title: "Kimi Code",
    places: &["~/.kimi-code/sessions", "~/.kimi/sessions"],
    variable: Some("KIMI_CODE_HOME"),
    what: "each step, with those of subagents",
    find: |machine| {
        let is_log = |path: &Path| path.file_name().is_some_and(|name| name == "wire.jsonl");
        let mut roots = super::agent::roots(machine, "KIMI_CODE_HOME", &[".kimi-code"]);
        roots.extend(super::agent::roots(machine, "KIMI_SHARE_DIR", &[".kimi"]));
        roots.push(
            machine
                .configuration()
                .join("kimi-desktop/daimon-share/daimon/runtime/kimi-code/home"),
        );
        roots
            .iter()
            .flat_map(|root| files::below(&root.join("sessions"), &is_log))
            .collect()
    },
    reader: |_| Box::new(KimiLogs),
};

/// The model of kimi-cli, whose logs name none.
const USUAL_MODEL: &str = "kimi-for-coding";

struct KimiLogs;

impl LogReader for KimiLogs {
    fn read(&self, file: &LogFile, from: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let names: Vec<&str> = file.path.iter().filter_map(|name| name.to_str()).collect();
        let folder = |up: usize| names.iter().rev().nth(up).copied();
        // `SESSION/agents/AGENT/wire.jsonl`, `SESSION/subagents/AGENT/wire.jsonl` or `SESSION/wire.jsonl`.
        let (session, agent) = match folder(2) {
            Some("agents" | "subagents") => (folder(3), folder(1)),
            _ => (folder(1), None),
        };
        let place = format!("{}:{}", session.unwrap_or_default(), agent.unwrap_or_default());
        let mut reading = LogReading::default();
        reading.read_to = lines::each_with(&file.path, from, &[b"\"usage.record\"", b"\"StatusUpdate\""], |line| {
            let Ok(value) = serde_json::from_slice::<Value>(line.bytes) else {
                reading.unreadable += u64::from(line.is_whole);
                return;
            };
            if let Some(request) = request(&place, &value) {
                each(request.of_session(session, None));
            }
        })?;
        Ok(reading)
    }
}

fn request(place: &str, line: &Value) -> Option<LoggedRequest> {
    let count = |pointer: &str| json::count(line, pointer);
    let (at, model, counts) = if line["type"] == "usage.record" {
        // Those of a session are the sums of its turns.
        if line["usageScope"].as_str().is_some_and(|scope| scope != "turn") {
            return None;
        }
        let counts = [
            "/usage/inputOther",
            "/usage/output",
            "/usage/inputCacheRead",
            "/usage/inputCacheCreation",
        ];
        let model = json::text(line, "/model").unwrap_or(USUAL_MODEL);
        (
            json::time(line, "/time")?,
            model.trim_start_matches("kimi-code/"),
            counts.map(count),
        )
    } else if line["message"]["type"] == "StatusUpdate" {
        let names = ["input_other", "output", "input_cache_read", "input_cache_creation"];
        let counts = names.map(|name| count(&format!("/message/payload/token_usage/{name}")));
        (json::time(line, "/timestamp")?, USUAL_MODEL, counts)
    } else {
        return None;
    };
    let [input, output, read, written] = counts;
    let identity = format!("{place}@{}:{input}.{output}.{read}.{written}", at.as_millisecond());
    (counts != [0; 4]).then(|| LoggedRequest::new(identity, at, "moonshot", model, with_cache_beside(counts)))
}
