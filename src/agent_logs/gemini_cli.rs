//! Gemini CLI: a session is a file of messages, whole or one a line; a message is written again when it has grown.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{
    agent::{Agent, LogReader},
    fault::LogFault,
    files::{self, LogFile},
    json, lines,
    request::{LogReading, LoggedRequest, with_cache_within, with_reasoning},
};

pub(super) const AGENT: Agent = Agent {
    name: "gemini-cli",
    title: "Gemini CLI",
    places: &["~/.gemini/tmp"],
    variable: Some("GEMINI_DATA_DIR"),
    what: "each message",
    find: |machine| {
        let is_log = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            files::is_in(path, "chats")
                && name.starts_with("session-")
                && (files::ends_with(path, "json") || files::ends_with(path, "jsonl"))
        };
        let roots = super::agent::roots(machine, "GEMINI_DATA_DIR", &[".gemini"]);
        roots
            .iter()
            .flat_map(|root| files::below_to(&root.join("tmp"), &is_log, 3))
            .collect()
    },
    reader: |_| Box::new(GeminiLogs),
};

struct GeminiLogs;

impl LogReader for GeminiLogs {
    fn read(&self, file: &LogFile, _: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let mut reading = LogReading::default();
        let mut session = file.stem().to_owned();
        // The last state of each message.
        let mut messages: BTreeMap<String, LoggedRequest> = BTreeMap::new();
        let mut take = |session: &str, message: &Value| {
            if let Some(request) = request(session, message) {
                messages.insert(request.identity.clone(), request);
            }
        };
        if files::ends_with(&file.path, "json") {
            let chat = json::file(&file.path)?;
            if let Some(id) = json::text(&chat, "/sessionId") {
                id.clone_into(&mut session);
            }
            let Some(all) = chat["messages"].as_array() else {
                return Err(LogFault::UnknownForm("it has no messages"));
            };
            for message in all {
                take(&session, message);
            }
        } else {
            lines::each_with(&file.path, 0, &[b"\"sessionId\"", b"\"tokens\""], |line| {
                let Ok(value) = serde_json::from_slice::<Value>(line.bytes) else {
                    reading.unreadable += u64::from(line.is_whole);
                    return;
                };
                if let Some(id) = json::text(&value, "/sessionId") {
                    id.clone_into(&mut session);
                }
                // A line is a message, or sets some.
                let set = value.pointer("/$set/messages").and_then(Value::as_array);
                std::iter::once(&value)
                    .chain(set.into_iter().flatten())
                    .for_each(|it| take(&session, it));
            })?;
        }
        messages.into_values().for_each(each);
        Ok(reading)
    }
}

fn request(session: &str, message: &Value) -> Option<LoggedRequest> {
    let count = |name: &str| json::count(&message["tokens"], name);
    let at = json::time(message, "/timestamp")?;
    let id = json::text(message, "/id")?;
    // What tools returned is a part of the prompt that is counted beside it.
    let input = count("/input").saturating_add(count("/tool"));
    let counts = with_cache_within([input, count("/output"), count("/cached"), 0]);
    let counts = with_reasoning(counts, count("/thoughts"));
    let model = json::text(message, "/model").unwrap_or("unknown");
    let request = LoggedRequest::new(format!("{session}:{id}"), at, "google", model, counts);
    ((counts.input, counts.output) != (0, 0)).then(|| request.of_session(Some(session), None))
}
