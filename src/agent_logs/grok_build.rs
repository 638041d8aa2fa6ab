//! Grok Build: a line for each turn that has ended, with what it cost.

use std::path::Path;

use serde_json::Value;

use super::{
    agent::{self, Agent, LogReader},
    fault::LogFault,
    files::{self, LogFile},
    json, lines,
    request::{LogReading, LoggedRequest, with_cache_within},
};
use crate::domain::{TokenCounts, Usd};

pub(super) const AGENT: Agent = Agent {
    name: "grok-build",
    title: "Grok Build",
    places: &["~/.grok/sessions"],
    variable: Some("GROK_HOME"),
    what: "each turn, with what xAI says that it cost",
    find: |machine| {
        let is_log = |path: &Path| path.file_name().is_some_and(|name| name == "updates.jsonl");
        let roots = agent::roots(machine, "GROK_HOME", &[".grok"]);
        roots
            .iter()
            .flat_map(|root| files::below_to(&root.join("sessions"), &is_log, 2))
            .collect()
    },
    reader: |_| Box::new(GrokLogs),
};

/// Ticks in a nano-dollar.
const TICKS_IN_NANO: u64 = 10;

struct GrokLogs;

impl LogReader for GrokLogs {
    fn read(&self, file: &LogFile, from: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let names: Vec<&str> = file.path.iter().filter_map(|name| name.to_str()).collect();
        let folder = |up: usize| names.iter().rev().nth(up).copied().unwrap_or_default();
        let session = folder(1);
        let project = percent_encoding::percent_decode_str(folder(2)).decode_utf8_lossy();
        let mut reading = LogReading::default();
        reading.read_to = lines::each_with(&file.path, from, &[b"\"turn_completed\""], |line| {
            let Ok(update) = serde_json::from_slice::<Value>(line.bytes) else {
                reading.unreadable += u64::from(line.is_whole);
                return;
            };
            if update
                .pointer("/params/update/sessionUpdate")
                .is_none_or(|kind| kind != "turn_completed")
            {
                return;
            }
            match request(session, &update) {
                Some(request) => each(request.of_session(Some(session), Some(&project))),
                None => reading.unreadable += u64::from(line.is_whole),
            }
        })?;
        Ok(reading)
    }
}

fn request(session: &str, update: &Value) -> Option<LoggedRequest> {
    let turn = update.pointer("/params/update")?;
    let count = |name: &str| json::count(&turn["usage"], name);
    let at = [
        "/timestamp",
        "/params/timestamp",
        "/params/update/timestamp",
        "/params/_meta/timestamp",
    ]
    .iter()
    .find_map(|pointer| json::time(update, pointer))?;
    let counts = with_cache_within([
        count("/inputTokens"),
        count("/outputTokens"),
        count("/cachedReadTokens"),
        count("/cacheCreationTokens"),
    ]);
    let counts = TokenCounts {
        reasoning: count("/reasoningTokens").min(counts.output),
        ..counts
    };
    let models = turn["usage"]["modelUsage"].as_object();
    let model = models.and_then(|models| models.keys().next()).map(String::as_str);
    let model = model.or_else(|| json::text(turn, "/model")).unwrap_or("grok-build");
    let ticks = count("/costUsdTicks") / TICKS_IN_NANO;
    let cost = i64::try_from(ticks).ok().filter(|nano| *nano > 0).map(Usd::from_nano);
    let identity = format!("{session}@{}:{}.{}", at.as_millisecond(), counts.input, counts.output);
    Some(LoggedRequest {
        stated_cost: cost,
        ..LoggedRequest::new(identity, at, "xai", model, counts)
    })
}
