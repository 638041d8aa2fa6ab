//! Cline, and what was built from it: Roo Code and Kilo Code, in Visual Studio Code and its kin.
//!
//! A task is a folder; its list of messages has an entry for each request, whose text is JSON that is filled in when the
//! request has ended.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{
    agent::{Agent, LogReader},
    fault::LogFault,
    files::{self, LogFile},
    json,
    request::{LogReading, LoggedRequest, with_cache_beside},
};
use crate::settings::Machine;

pub(super) const CLINE: Agent = Agent {
    name: "cline",
    title: "Cline",
    places: &["saoudrizwan.claude-dev in the editor's storage", "~/.cline/data/tasks"],
    variable: None,
    what: "each request of a task",
    find: |machine| {
        let mut found = find(machine, "saoudrizwan.claude-dev");
        found.extend(tasks(&machine.home().join(".cline/data/tasks")));
        found
    },
    reader: |_| Box::new(ClineLogs),
};

pub(super) const ROO_CODE: Agent = Agent {
    name: "roo-code",
    title: "Roo Code",
    places: &["rooveterinaryinc.roo-cline in the editor's storage"],
    variable: None,
    what: "each request of a task",
    find: |machine| find(machine, "rooveterinaryinc.roo-cline"),
    reader: |_| Box::new(ClineLogs),
};

pub(super) const KILO_CODE: Agent = Agent {
    name: "kilo-code",
    title: "Kilo Code",
    places: &["kilocode.kilo-code in the editor's storage"],
    variable: None,
    what: "each request of a task",
    find: |machine| find(machine, "kilocode.kilo-code"),
    reader: |_| Box::new(ClineLogs),
};

/// The editors' folders among the applications' settings.
const EDITORS: &[&str] = &["Code", "Code - Insiders", "VSCodium", "Cursor", "Windsurf", "Trae"];
/// Where the name of the model stands in what was said to it.
const MODEL: (&str, &str) = ("<model>", "</model>");

fn find(machine: &Machine, extension: &str) -> Vec<LogFile> {
    let storage = |folder: PathBuf| folder.join("User/globalStorage").join(extension).join("tasks");
    let editors = EDITORS
        .iter()
        .map(|editor| storage(machine.configuration().join(editor)));
    let servers = [
        ".vscode-server/data",
        ".vscode-server-insiders/data",
        ".cursor-server/data",
    ];
    let servers = servers.iter().map(|server| storage(machine.home().join(server)));
    editors.chain(servers).flat_map(|folder| tasks(&folder)).collect()
}

fn tasks(folder: &Path) -> Vec<LogFile> {
    files::below_to(
        folder,
        &|path| path.file_name().is_some_and(|name| name == "ui_messages.json"),
        1,
    )
}

struct ClineLogs;

impl LogReader for ClineLogs {
    fn read(&self, file: &LogFile, _: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let mut reading = LogReading::default();
        let task = file
            .path
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let messages = json::file(&file.path)?;
        let Some(messages) = messages.as_array() else {
            return Err(LogFault::UnknownForm("it is not a list of messages"));
        };
        let mut usual: Option<String> = None;
        for message in messages {
            let is_request = matches!(
                message["say"].as_str(),
                Some("api_req_started" | "subagent_usage" | "deleted_api_reqs")
            );
            let Some(text) = message["text"].as_str().filter(|_| is_request) else {
                continue;
            };
            let Ok(request) = serde_json::from_str::<Value>(text) else {
                reading.unreadable += 1;
                continue;
            };
            let counts = ["/tokensIn", "/tokensOut", "/cacheReads", "/cacheWrites"];
            let counts = with_cache_beside(counts.map(|name| json::count(&request, name)));
            let Some(at) = json::time(message, "/ts") else {
                reading.unreadable += 1;
                continue;
            };
            if (counts.input, counts.output) == (0, 0) {
                continue;
            }
            let model = match json::text(message, "/modelInfo/modelId") {
                Some(model) => model.to_owned(),
                None => usual.get_or_insert_with(|| said_model(&file.path)).clone(),
            };
            let provider = json::text(message, "/modelInfo/providerId")
                .unwrap_or_default()
                .to_owned();
            let identity = format!("{task}@{}", at.as_millisecond());
            each(LoggedRequest {
                stated_cost: json::amount(&request, "/cost"),
                ..LoggedRequest::new(identity, at, provider, &model, counts).of_session(Some(task), None)
            });
        }
        Ok(reading)
    }
}

/// The model that the task's conversation names.
fn said_model(messages: &Path) -> String {
    let conversation = messages.with_file_name("api_conversation_history.json");
    let text = std::fs::read_to_string(conversation).unwrap_or_default();
    let said = text.rsplit_once(MODEL.0).and_then(|(_, rest)| rest.split_once(MODEL.1));
    said.map_or("unknown", |(model, _)| model.trim()).to_owned()
}
