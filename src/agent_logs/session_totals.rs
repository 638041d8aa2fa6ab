//! Agents whose logs say only what a session used in all: Goose, Droid, Crush and Zed.
//!
//! Each session is a counter. What is new since it was last read counts, at the time of the session's last activity.

use std::path::Path;

use serde_json::Value;

use super::{
    agent::{self, Agent, LogReader},
    database,
    fault::LogFault,
    files::{self, LogFile},
    json,
    request::{LogKind, LogReading, LoggedRequest, with_cache_beside, with_cache_within, with_reasoning},
};
use crate::settings::Machine;

pub(super) const GOOSE: Agent = Agent {
    name: "goose",
    title: "Goose",
    places: &["~/.local/share/goose/sessions/sessions.db"],
    variable: Some("GOOSE_PATH_ROOT"),
    what: "what each session used in all; which input was cached is not told",
    find: |machine| {
        let named = machine.named_by("GOOSE_PATH_ROOT").map(|root| root.join("data"));
        let folders = match named {
            Some(named) => vec![named],
            None => vec![
                agent::data_folder(machine).join("goose"),
                agent::data_folder(machine).join("Block/goose"),
                machine.configuration().join("Block/goose"),
            ],
        };
        folders
            .into_iter()
            .filter_map(|folder| database::find(folder.join("sessions/sessions.db")))
            .collect()
    },
    reader: |_| Box::new(SessionTotals(read_goose)),
};

pub(super) const DROID: Agent = Agent {
    name: "droid",
    title: "Droid",
    places: &["~/.factory/sessions"],
    variable: Some("DROID_SESSIONS_DIR"),
    what: "what each session used in all",
    find: |machine| {
        let named = machine.named_by("DROID_SESSIONS_DIR");
        let root = named.unwrap_or_else(|| machine.home().join(".factory/sessions"));
        let is_log = |path: &Path| path.to_str().is_some_and(|path| path.ends_with(".settings.json"));
        files::below(&root, &is_log)
    },
    reader: |_| Box::new(SessionTotals(read_droid)),
};

pub(super) const CRUSH: Agent = Agent {
    name: "crush",
    title: "Crush",
    places: &["~/.local/share/crush/projects.json", ".crush/crush.db in each project"],
    variable: Some("CRUSH_GLOBAL_DATA"),
    what: "what each session used in all, with what it cost",
    find: find_crush,
    reader: |_| Box::new(SessionTotals(read_crush)),
};

pub(super) const ZED: Agent = Agent {
    name: "zed",
    title: "Zed",
    places: &["~/.local/share/zed/threads/threads.db"],
    variable: None,
    what: "what each thread used in all",
    find: |machine| {
        let folders = [
            agent::data_folder(machine).join("zed"),
            machine.configuration().join("Zed"),
        ];
        let databases = folders.into_iter().map(|folder| folder.join("threads/threads.db"));
        databases.filter_map(database::find).collect()
    },
    reader: |_| Box::new(SessionTotals(read_zed)),
};

/// The largest conversation of Zed that is unpacked.
const MAX_UNPACKED_BYTES: u64 = 256 << 20;

/// Gives what the sessions in a file used in all; says how many could not be read.
type ReadSessionTotals = fn(&LogFile, &mut Vec<LoggedRequest>) -> Result<u64, LogFault>;

struct SessionTotals(ReadSessionTotals);

impl LogReader for SessionTotals {
    fn read(&self, file: &LogFile, _: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let mut found = Vec::new();
        let unreadable = (self.0)(file, &mut found)?;
        for total in found
            .into_iter()
            .filter(|it| (it.counts.input, it.counts.output) != (0, 0))
        {
            each(LoggedRequest {
                kind: LogKind::Cumulative,
                ..total
            });
        }
        Ok(LogReading { read_to: 0, unreadable })
    }
}

fn read_goose(file: &LogFile, found: &mut Vec<LoggedRequest>) -> Result<u64, LogFault> {
    let rows = database::read(&file.path, |sql| {
        let mut rows = Vec::new();
        let needed = [
            "id",
            "accumulated_input_tokens",
            "accumulated_output_tokens",
            "accumulated_total_tokens",
        ];
        if !sql.has("sessions", &needed)? {
            return Err(rusqlite::Error::InvalidQuery);
        }
        let optional = |name: &'static str| sql.has("sessions", &[name]).map(|has| if has { name } else { "NULL" });
        let select = format!(
            "SELECT id, coalesce({}, {}), {}, {}, {}, accumulated_input_tokens, accumulated_output_tokens,
                accumulated_total_tokens FROM sessions",
            optional("updated_at")?,
            optional("created_at")?,
            optional("model_config_json")?,
            optional("provider_name")?,
            optional("working_dir")?,
        );
        sql.each(&select, 0, |row| {
            let texts: [Option<String>; 5] = std::array::from_fn(|at| database::text(row, at));
            let counts: [u64; 3] = std::array::from_fn(|at| database::count(row, at + 5));
            rows.push((texts, counts));
            Ok(())
        })?;
        Ok(rows)
    })?;
    let mut unreadable = 0;
    for ([id, at, model, provider, folder], [input, output, total]) in rows {
        let (Some(id), Some(at)) = (id, at.and_then(|at| json::text_time(&at))) else {
            unreadable += u64::from(total > 0);
            continue;
        };
        let model: Option<Value> = model.and_then(|model| serde_json::from_str(&model).ok());
        let model = model
            .as_ref()
            .and_then(|model| json::text(model, "/model_name"))
            .unwrap_or("unknown");
        let reasoning = total.saturating_sub(input.saturating_add(output));
        let counts = with_reasoning(with_cache_within([input, output, 0, 0]), reasoning);
        let request = LoggedRequest::new(id.clone(), at, provider.unwrap_or_default(), model, counts);
        found.push(request.of_session(Some(&id), folder.as_deref()));
    }
    Ok(unreadable)
}

fn read_droid(file: &LogFile, found: &mut Vec<LoggedRequest>) -> Result<u64, LogFault> {
    let settings = json::file(&file.path)?;
    if !settings["tokenUsage"].is_object() {
        return Ok(0);
    }
    let count = |name: &str| json::count(&settings["tokenUsage"], name);
    let counts = [
        "/inputTokens",
        "/outputTokens",
        "/cacheReadTokens",
        "/cacheCreationTokens",
    ];
    let counts = with_reasoning(with_cache_beside(counts.map(count)), count("/thinkingTokens"));
    let modified = jiff::Timestamp::from_millisecond(file.mark.modified / 1_000_000).ok();
    let Some(at) = json::time(&settings, "/providerLockTimestamp").or(modified) else {
        return Ok(1);
    };
    let session = file.stem().trim_end_matches(".settings").to_owned();
    let model = json::text(&settings, "/model").unwrap_or("unknown");
    // Models of the user's own: `custom:NAME-0`, with the place in the list behind it in some versions.
    let model = model.trim_start_matches("custom:").split('[').next().unwrap_or(model);
    let provider = json::text(&settings, "/providerLock").filter(|provider| *provider != "factory");
    let request = LoggedRequest::new(
        session.clone(),
        at,
        provider.unwrap_or_default().to_owned(),
        model,
        counts,
    );
    found.push(request.of_session(Some(&session), None));
    Ok(0)
}

fn find_crush(machine: &Machine) -> Vec<LogFile> {
    let named = machine.named_by("CRUSH_GLOBAL_DATA");
    let root = named.unwrap_or_else(|| agent::data_folder(machine).join("crush"));
    let Ok(registry) = json::file(&root.join("projects.json")) else {
        return Vec::new();
    };
    let projects = registry["projects"].as_array().or(registry.as_array());
    let folders = projects.into_iter().flatten().filter_map(|project| {
        let data = json::text(project, "/data_dir").map(std::path::PathBuf::from);
        data.or_else(|| json::text(project, "/path").map(|path| Path::new(path).join(".crush")))
    });
    folders
        .filter_map(|folder| database::find(folder.join("crush.db")))
        .collect()
}

fn read_crush(file: &LogFile, found: &mut Vec<LoggedRequest>) -> Result<u64, LogFault> {
    let rows = database::read(&file.path, |sql| {
        let mut rows = Vec::new();
        if !sql.has(
            "sessions",
            &[
                "id",
                "parent_session_id",
                "prompt_tokens",
                "completion_tokens",
                "cost",
                "updated_at",
            ],
        )? {
            return Err(rusqlite::Error::InvalidQuery);
        }
        let last = |column: &'static str| {
            let has = sql.has("messages", &["session_id", column, "created_at"])?;
            let select = format!(
                "(SELECT {column} FROM messages WHERE messages.session_id = sessions.id AND {column} <> ''
                  ORDER BY messages.created_at DESC LIMIT 1)"
            );
            Ok::<_, rusqlite::Error>(if has { select } else { "NULL".to_owned() })
        };
        let select = format!(
            "SELECT id, updated_at, {}, {}, cost, prompt_tokens, completion_tokens FROM sessions
             WHERE parent_session_id IS NULL OR parent_session_id = ''",
            last("model")?,
            last("provider")?,
        );
        sql.each(&select, 0, |row| {
            let texts: [Option<String>; 5] = std::array::from_fn(|at| database::text(row, at));
            rows.push((texts, database::count(row, 5), database::count(row, 6)));
            Ok(())
        })?;
        Ok(rows)
    })?;
    let folder = file.path.parent().and_then(Path::parent).and_then(Path::to_str);
    let mut unreadable = 0;
    for ([id, at, model, provider, cost], input, output) in rows {
        let (Some(id), Some(at)) = (id, at.and_then(|at| json::text_time(&at))) else {
            unreadable += 1;
            continue;
        };
        let counts = with_cache_within([input, output, 0, 0]);
        let model = model.unwrap_or_else(|| "unknown".to_owned());
        found.push(LoggedRequest {
            stated_cost: cost.and_then(|cost| json::dollars(&cost)),
            ..LoggedRequest::new(id.clone(), at, provider.unwrap_or_default(), &model, counts)
                .of_session(Some(&id), folder)
        });
    }
    Ok(unreadable)
}

fn read_zed(file: &LogFile, found: &mut Vec<LoggedRequest>) -> Result<u64, LogFault> {
    let rows = database::read(&file.path, |sql| {
        let mut rows = Vec::new();
        if !sql.has("threads", &["id", "updated_at", "data_type", "data"])? {
            return Err(rusqlite::Error::InvalidQuery);
        }
        sql.each("SELECT id, updated_at, data_type, data FROM threads", 0, |row| {
            let texts: [Option<String>; 3] = std::array::from_fn(|at| database::text(row, at));
            let data: Vec<u8> = row
                .get_ref(3)?
                .as_bytes_or_null()
                .unwrap_or_default()
                .unwrap_or_default()
                .to_vec();
            rows.push(zed_thread(texts, &data));
            Ok(())
        })?;
        Ok(rows)
    })?;
    let unreadable = rows.iter().filter(|row| row.is_none()).count();
    found.extend(rows.into_iter().flatten());
    Ok(unreadable as u64)
}

fn zed_thread([id, at, kind]: [Option<String>; 3], data: &[u8]) -> Option<LoggedRequest> {
    let thread: Value = match kind.as_deref() {
        Some("zstd") => {
            use std::io::Read;
            let unpacked = ruzstd::decoding::StreamingDecoder::new(data).ok()?;
            serde_json::from_reader(std::io::BufReader::new(unpacked.take(MAX_UNPACKED_BYTES))).ok()?
        }
        _ => serde_json::from_slice(data).ok()?,
    };
    let (id, at) = (id?, json::text_time(&at?)?);
    let names = [
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ];
    let of = |usage: &Value| names.map(|name| json::count(&usage[name], ""));
    let total = of(&thread["cumulative_token_usage"]);
    // The total of older threads is missing where each request has its own.
    let requests = &thread["request_token_usage"];
    let each: Vec<&Value> = match requests {
        Value::Object(by_message) => by_message.values().collect(),
        Value::Array(all) => all.iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let mut sum = [0u64; 4];
    for usage in each {
        for (sum, count) in sum.iter_mut().zip(of(usage)) {
            *sum = sum.saturating_add(count);
        }
    }
    let counts = if total == [0; 4] { sum } else { total };
    let model = json::text(&thread, "/model/model").unwrap_or("unknown");
    let provider = match json::text(&thread, "/model/provider").unwrap_or_default() {
        "zed.dev" => "",
        other => other,
    };
    let request = LoggedRequest::new(id.clone(), at, provider.to_owned(), model, with_cache_beside(counts));
    Some(request.of_session(Some(&id), None))
}
