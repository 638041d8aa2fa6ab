//! Pi, OMP and OpenClaw, which is built on Pi: a line for each message.

use std::path::Path;

use serde_json::Value;

use super::{
    agent::{Agent, LogReader},
    fault::LogFault,
    files::{self, LogFile},
    json, lines,
    request::{LogReading, LoggedRequest, with_cache_beside},
};

pub(super) const PI: Agent = Agent {
    name: "pi",
    title: "Pi and OMP",
    places: &["~/.pi/agent/sessions", "~/.omp/agent/sessions"],
    variable: Some("PI_AGENT_DIR"),
    what: "each message",
    find: |machine| {
        let roots = super::agent::roots(machine, "PI_AGENT_DIR", &[".pi/agent", ".omp/agent"]);
        let is_log = |path: &Path| files::ends_with(path, "jsonl");
        roots
            .iter()
            .flat_map(|root| files::below(&root.join("sessions"), &is_log))
            .collect()
    },
    reader: |_| Box::new(PiLogs),
};

pub(super) const OPENCLAW: Agent = Agent {
    name: "openclaw",
    title: "OpenClaw",
    places: &["~/.openclaw/agents", "~/.clawdbot/agents", "~/.moltbot/agents"],
    variable: Some("OPENCLAW_DIR"),
    what: "each message, also of sessions that were reset or deleted",
    find: |machine| {
        let roots = super::agent::roots(machine, "OPENCLAW_DIR", &[".openclaw", ".clawdbot", ".moltbot"]);
        // `NAME.jsonl`, `NAME.jsonl.reset.TIME`, `NAME.jsonl.deleted.TIME`
        let is_log = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            files::is_in(path, "sessions")
                && (files::ends_with(path, "jsonl")
                    || name.contains(".jsonl.reset.")
                    || name.contains(".jsonl.deleted."))
        };
        roots
            .iter()
            .flat_map(|root| files::below(&root.join("agents"), &is_log))
            .collect()
    },
    reader: |_| Box::new(PiLogs),
};

struct PiLogs;

/// What earlier lines of the file say.
#[derive(Default)]
struct PiContext {
    session: Option<String>,
    folder: Option<String>,
    provider: String,
    model: String,
}

impl LogReader for PiLogs {
    fn read(&self, file: &LogFile, _: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let mut reading = LogReading::default();
        let mut context = PiContext::default();
        let words: [&[u8]; 4] = [b"\"usage\"", b"\"session\"", b"\"model_change\"", b"\"model-snapshot\""];
        lines::each_with(&file.path, 0, &words, |line| {
            let Ok(value) = serde_json::from_slice::<Value>(line.bytes) else {
                reading.unreadable += u64::from(line.is_whole);
                return;
            };
            if let Some(request) = context.take(&value) {
                let session = context.session.as_deref().unwrap_or(file.stem());
                each(request.of_session(Some(session), context.folder.as_deref()));
            }
        })?;
        Ok(reading)
    }
}

impl PiContext {
    fn take(&mut self, line: &Value) -> Option<LoggedRequest> {
        let owned = |pointer: &str| json::text(line, pointer).map(str::to_owned);
        match line["type"].as_str()? {
            "session" => {
                self.session = owned("/id").or(self.session.take());
                self.folder = owned("/cwd").or(self.folder.take());
                None
            }
            "model_change" => {
                self.note(owned("/provider"), owned("/modelId"));
                None
            }
            "custom" => {
                self.note(owned("/data/provider"), owned("/data/modelId"));
                None
            }
            "message" if line["message"]["role"] == "assistant" => self.request(line),
            _ => None,
        }
    }

    fn note(&mut self, provider: Option<String>, model: Option<String>) {
        if let Some(model) = model {
            self.model = model;
            self.provider = provider.unwrap_or_default();
        }
    }

    fn request(&self, line: &Value) -> Option<LoggedRequest> {
        let message = &line["message"];
        let counts = ["/usage/input", "/usage/output", "/usage/cacheRead", "/usage/cacheWrite"];
        let counts = with_cache_beside(counts.map(|pointer| json::count(message, pointer)));
        let at = json::time(line, "/timestamp").or(json::time(message, "/timestamp"))?;
        if (counts.input, counts.output) == (0, 0) {
            return None;
        }
        let (provider, model) = match json::text(message, "/model") {
            Some(model) => (json::text(message, "/provider").unwrap_or(&self.provider), model),
            None => (self.provider.as_str(), self.model.as_str()),
        };
        let response = json::text(message, "/responseId");
        let identity = match (response, json::text(line, "/id")) {
            (Some(response), _) => format!("{response}:{}", at.as_millisecond()),
            (None, Some(id)) => format!("{id}@{}:{}.{}", at.as_millisecond(), counts.input, counts.output),
            (None, None) => format!("@{}:{}.{}", at.as_millisecond(), counts.input, counts.output),
        };
        Some(LoggedRequest {
            upstream_id: response.map(str::to_owned),
            stated_cost: json::amount(message, "/usage/cost/total"),
            ..LoggedRequest::new(identity, at, provider.to_owned(), model, counts)
        })
    }
}
