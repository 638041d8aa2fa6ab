//! GitHub Copilot's command line.
//!
//! Its store has a row for each request. Where a session has none there, the totals that it left at its end are taken:
//! older versions wrote each leg of a resumed session alone, newer ones all of it again.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{
    agent::{Agent, LogReader},
    database,
    fault::LogFault,
    files::{self, LogFile, LogForm},
    json, lines,
    request::{LogKind, LogReading, LoggedRequest, with_cache_within, with_reasoning},
};

pub(super) const AGENT: Agent = Agent {
    name: "copilot-cli",
    title: "GitHub Copilot CLI",
    places: &["~/.copilot/session-store.db", "~/.copilot/session-state"],
    variable: Some("COPILOT_HOME"),
    what: "each request of the session store, else the totals at a session's end",
    find: |machine| {
        let mut found = Vec::new();
        for root in super::agent::roots(machine, "COPILOT_HOME", &[".copilot"]) {
            found.extend(database::find(root.join("session-store.db")));
            let is_log = |path: &Path| path.file_name().is_some_and(|name| name == "events.jsonl");
            found.extend(files::below_to(&root.join("session-state"), &is_log, 1));
        }
        found
    },
    reader: |files| Box::new(CopilotLogs::of(files)),
};

const PROVIDER: &str = "github-copilot";

/// The sessions that the store has the requests of.
struct CopilotLogs {
    stored: std::collections::BTreeSet<String>,
}

impl CopilotLogs {
    fn of(files: &[LogFile]) -> Self {
        let mut stored = std::collections::BTreeSet::new();
        for store in files.iter().filter(|file| file.form == LogForm::Database) {
            let sessions = database::read(&store.path, |sql| {
                let mut sessions = Vec::new();
                if sql.has("assistant_usage_events", &["session_id"])? {
                    sql.each("SELECT DISTINCT session_id FROM assistant_usage_events", 0, |row| {
                        sessions.extend(database::text(row, 0));
                        Ok(())
                    })?;
                }
                Ok(sessions)
            });
            stored.extend(sessions.unwrap_or_default());
        }
        Self { stored }
    }

    fn read_store(file: &LogFile, from: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let mut reading = LogReading {
            read_to: from,
            unreadable: 0,
        };
        let rows = database::read(&file.path, |sql| {
            let mut rows = Vec::new();
            if !sql.has(
                "assistant_usage_events",
                &["id", "session_id", "created_at", "model", "input_tokens"],
            )? {
                return Ok(None);
            }
            let model = if sql.has("assistant_usage_events", &["copilot_usage_model"])? {
                "coalesce(copilot_usage_model, model)"
            } else {
                "model"
            };
            let folder = if sql.has("sessions", &["id", "cwd"])? {
                "(SELECT cwd FROM sessions WHERE sessions.id = session_id)"
            } else {
                "NULL"
            };
            let select = format!(
                "SELECT id, session_id, created_at, {model}, {folder}, input_tokens, output_tokens, cache_read_tokens,
                    cache_write_tokens, reasoning_tokens FROM assistant_usage_events WHERE id > ?1 ORDER BY id"
            );
            sql.each(&select, from, |row| {
                let texts: [Option<String>; 4] = std::array::from_fn(|at| database::text(row, at + 1));
                let counts: [u64; 5] = std::array::from_fn(|at| database::count(row, at + 5));
                rows.push((database::count(row, 0), texts, counts));
                Ok(())
            })?;
            Ok(Some(rows))
        })?;
        for (id, [session, at, model, folder], [input, output, read, written, reasoning]) in rows.into_iter().flatten()
        {
            reading.read_to = reading.read_to.max(id);
            let Some(at) = at.and_then(|at| json::text_time(&at)) else {
                reading.unreadable += 1;
                continue;
            };
            let session = session.unwrap_or_default();
            // Whether reasoning is in the output is not documented; by what was measured it is.
            let counts = crate::domain::TokenCounts {
                reasoning: reasoning.min(output),
                ..with_cache_within([input, output, read, written])
            };
            if (counts.input, counts.output) != (0, 0) {
                let identity = format!("{session}#{id}");
                let request = LoggedRequest::new(identity, at, PROVIDER, &model.unwrap_or_default(), counts);
                each(request.of_session(Some(&session), folder.as_deref()));
            }
        }
        Ok(reading)
    }

    /// The totals at the ends of a session's legs.
    fn read_ends(&self, file: &LogFile, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let session = file
            .path
            .parent()
            .and_then(|folder| folder.file_name())
            .and_then(|name| name.to_str());
        let session = session.unwrap_or_default();
        let mut reading = LogReading::default();
        if self.stored.contains(session) {
            return Ok(reading);
        }
        let mut before: BTreeMap<String, [u64; 5]> = BTreeMap::new();
        let mut leg = 0;
        let words: [&[u8]; 2] = [b"\"session.shutdown\"", b"\"session.compaction_complete\""];
        lines::each_with(&file.path, 0, &words, |line| {
            let Ok(event) = serde_json::from_slice::<Value>(line.bytes) else {
                reading.unreadable += u64::from(line.is_whole);
                return;
            };
            if event["type"] == "session.compaction_complete" && event["data"]["success"] != false {
                before.clear();
            }
            let (true, Some(at)) = (event["type"] == "session.shutdown", json::time(&event, "/timestamp")) else {
                return;
            };
            leg += 1;
            for (model, metrics) in event["data"]["modelMetrics"].as_object().into_iter().flatten() {
                let count = |name: &str| json::count(&metrics["usage"], name);
                let total = [
                    count("/inputTokens"),
                    count("/outputTokens"),
                    count("/cacheReadTokens"),
                    count("/cacheWriteTokens"),
                    count("/reasoningTokens"),
                ];
                let known = before.insert(model.clone(), total).unwrap_or_default();
                // Totals that do not fall are of all legs; others of this one alone.
                let has_grown = total.iter().zip(known).all(|(now, before)| *now >= before);
                let used: [u64; 5] = std::array::from_fn(|at| total[at] - if has_grown { known[at] } else { 0 });
                let [input, output, read, written, reasoning] = used;
                if (input, output) != (0, 0) {
                    let counts = with_reasoning(with_cache_within([input, output, read, written]), reasoning);
                    let identity = format!("{session}:{leg}:{model}");
                    each(LoggedRequest {
                        kind: LogKind::Request,
                        is_estimated: true,
                        ..LoggedRequest::new(identity, at, PROVIDER, model, counts).of_session(Some(session), None)
                    });
                }
            }
        })?;
        Ok(reading)
    }
}

impl LogReader for CopilotLogs {
    fn read(&self, file: &LogFile, from: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        match file.form {
            LogForm::Database => Self::read_store(file, from, each),
            LogForm::Lines => self.read_ends(file, each),
        }
    }
}
