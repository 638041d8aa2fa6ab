//! Qwen Code: a line for each message, counted as Gemini does.

use std::path::Path;

use serde_json::Value;

use super::{
    agent::{Agent, LogReader},
    fault::LogFault,
    files::{self, LogFile},
    json, lines,
    request::{LogReading, LoggedRequest, with_cache_within, with_reasoning},
};

pub(super) const AGENT: Agent = Agent {
    name: "qwen-code",
    title: "Qwen Code",
    places: &["~/.qwen/projects"],
    variable: Some("QWEN_DATA_DIR"),
    what: "each message",
    find: |machine| {
        let is_log = |path: &Path| files::is_in(path, "chats") && files::ends_with(path, "jsonl");
        let roots = super::agent::roots(machine, "QWEN_DATA_DIR", &[".qwen"]);
        roots
            .iter()
            .flat_map(|root| files::below(&root.join("projects"), &is_log))
            .collect()
    },
    reader: |_| Box::new(QwenLogs),
};

struct QwenLogs;

impl LogReader for QwenLogs {
    fn read(&self, file: &LogFile, from: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let mut reading = LogReading::default();
        reading.read_to =
            lines::each_with(
                &file.path,
                from,
                &[b"\"usageMetadata\""],
                |line| match serde_json::from_slice::<Value>(line.bytes) {
                    Ok(message) => request(file.stem(), &message).into_iter().for_each(&mut *each),
                    Err(_) => reading.unreadable += u64::from(line.is_whole),
                },
            )?;
        Ok(reading)
    }
}

fn request(file: &str, message: &Value) -> Option<LoggedRequest> {
    let count = |name: &str| json::count(&message["usageMetadata"], name);
    let at = json::time(message, "/timestamp")?;
    let input = count("/promptTokenCount");
    let (answer, thoughts) = (count("/candidatesTokenCount"), count("/thoughtsTokenCount"));
    // Servers that speak OpenAI's way count thoughts within the answer, which the total tells.
    let is_within = count("/totalTokenCount") == input + answer && thoughts <= answer;
    let counts = with_cache_within([input, answer, count("/cachedContentTokenCount"), 0]);
    let counts = if is_within {
        crate::domain::TokenCounts {
            reasoning: thoughts,
            ..counts
        }
    } else {
        with_reasoning(counts, thoughts)
    };
    let session = json::text(message, "/sessionId").unwrap_or(file);
    let identity = match json::text(message, "/uuid") {
        Some(id) => id.to_owned(),
        None => format!("{session}@{}", at.as_millisecond()),
    };
    let model = json::text(message, "/model").unwrap_or("unknown");
    let request = LoggedRequest::new(identity, at, "", model, counts);
    ((counts.input, counts.output) != (0, 0)).then(|| request.of_session(Some(session), json::text(message, "/cwd")))
}
