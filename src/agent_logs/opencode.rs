//! OpenCode 1 and 2, and what was built from it: Kilo's command line and MiMo Code.
//!
//! Each message of an assistant is a request. Forks copy messages with new ids, but not with new times: what recognizes a
//! message is when it was made, its model and its counts. Version 2 also says which rows of a fork are copies. A database
//! that was migrated has both versions' tables, and the messages of the old one twice.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{
    agent::{Agent, LogReader},
    database::{self, Database},
    fault::LogFault,
    files::{self, LogFile, LogForm},
    json,
    request::{LogReading, LoggedRequest, with_cache_beside, with_reasoning},
};
use crate::settings::Machine;

pub(super) const OPENCODE: Agent = Agent {
    name: "opencode",
    title: "OpenCode",
    places: &["~/.local/share/opencode"],
    variable: Some("OPENCODE_DATA_DIR"),
    what: "each message, of versions 1 and 2; copies in forks count once",
    find: |machine| {
        let named = machine.named_by("OPENCODE_DB").and_then(database::find);
        let mut found = find(machine, "OPENCODE_DATA_DIR", "opencode", "opencode");
        found.extend(named);
        found
    },
    reader: |_| Box::new(OpenCodeLogs),
};

pub(super) const KILO_CLI: Agent = Agent {
    name: "kilo-cli",
    title: "Kilo CLI",
    places: &["~/.local/share/kilo"],
    variable: Some("KILO_DATA_DIR"),
    what: "each message; copies in forks count once",
    find: |machine| find(machine, "KILO_DATA_DIR", "kilo", "kilo"),
    reader: |_| Box::new(OpenCodeLogs),
};

pub(super) const MIMO_CODE: Agent = Agent {
    name: "mimocode",
    title: "MiMo Code",
    places: &["~/.local/share/mimocode"],
    variable: None,
    what: "each message; copies in forks count once",
    find: |machine| find(machine, "MIMOCODE_DATA_DIR", "mimocode", "mimicode"),
    reader: |_| Box::new(OpenCodeLogs),
};

/// How long a message without an end may still be under way, in milliseconds.
const UNDER_WAY_MS: i64 = 60 * 60 * 1000;

fn find(machine: &Machine, variable: &str, folder: &str, name: &str) -> Vec<LogFile> {
    let root = machine
        .named_by(variable)
        .unwrap_or_else(|| super::agent::data_folder(machine).join(folder));
    let is_database = |path: &Path| {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        file.starts_with(name) && files::ends_with(path, "db") && path.parent() == Some(&root)
    };
    let databases: Vec<LogFile> = files::below_to(&root, &is_database, 0)
        .into_iter()
        .filter_map(|file| database::find(file.path))
        .collect();
    if !databases.is_empty() {
        return databases;
    }
    // The tree of files of the first versions; the database has all that is in it.
    files::below(&root.join("storage/message"), &|path| files::ends_with(path, "json"))
}

struct OpenCodeLogs;

impl LogReader for OpenCodeLogs {
    fn read(&self, file: &LogFile, _: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let mut reading = LogReading::default();
        if file.form == LogForm::Lines {
            let message = json::file(&file.path)?;
            each_message(&message, None, file.mark.modified / 1_000_000, each);
            return Ok(reading);
        }
        let now = file.mark.modified / 1_000_000;
        let found = database::read(&file.path, |database| {
            let mut found = Vec::new();
            let mut unreadable = 0;
            first_version(database, now, &mut unreadable, &mut found)?;
            second_version(database, now, &mut unreadable, &mut found)?;
            Ok((found, unreadable))
        })?;
        reading.unreadable = found.1;
        found.0.into_iter().for_each(each);
        Ok(reading)
    }
}

fn first_version(
    sql: &Database,
    now: i64,
    unreadable: &mut u64,
    found: &mut Vec<LoggedRequest>,
) -> rusqlite::Result<()> {
    if !sql.has("message", &["session_id", "data"])? {
        return Ok(());
    }
    let folders = folders(sql, "session")?;
    sql.each("SELECT session_id, data FROM message", 0, |row| {
        let session = database::text(row, 0);
        let Some(message) = database::json(row, 1) else {
            *unreadable += 1;
            return Ok(());
        };
        let folder = session.as_ref().and_then(|session| folders.get(session));
        each_message(
            &message,
            session.as_deref().zip(Some(folder.map(String::as_str))),
            now,
            &mut |it| found.push(it),
        );
        Ok(())
    })
}

fn second_version(
    sql: &Database,
    now: i64,
    unreadable: &mut u64,
    found: &mut Vec<LoggedRequest>,
) -> rusqlite::Result<()> {
    if !sql.has("session_message", &["session_id", "type", "seq", "data"])? {
        return Ok(());
    }
    let folders = folders(sql, "session_v2")?;
    let boundaries = boundaries(sql)?;
    let select = "SELECT session_id, data, seq FROM session_message WHERE type = 'assistant'";
    sql.each(select, 0, |row| {
        let Some(session) = database::text(row, 0) else {
            return Ok(());
        };
        if boundaries
            .get(&session)
            .is_some_and(|boundary| database::count(row, 2) <= *boundary)
        {
            return Ok(());
        }
        let Some(message) = database::json(row, 1) else {
            *unreadable += 1;
            return Ok(());
        };
        let folder = folders.get(&session).map(String::as_str);
        each_message(&message, Some((&session, folder)), now, &mut |it| found.push(it));
        Ok(())
    })
}

/// The folder of each session, where the table says.
fn folders(sql: &Database, table: &str) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut folders = BTreeMap::new();
    if sql.has(table, &["id", "directory"])? {
        sql.each(&format!("SELECT id, directory FROM {table}"), 0, |row| {
            folders.extend(database::text(row, 0).zip(database::text(row, 1)));
            Ok(())
        })?;
    }
    Ok(folders)
}

/// Up to which row each fork is a copy: the boundary is a row's number, or the id of a message.
fn boundaries(sql: &Database) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut boundaries = BTreeMap::new();
    if !sql.has("session_v2", &["id", "fork_session_id", "fork_boundary"])? {
        return Ok(boundaries);
    }
    let by_id = if sql.has("session_message", &["id"])? {
        "(SELECT max(seq) FROM session_message WHERE session_message.id = session_v2.fork_boundary)"
    } else {
        "NULL"
    };
    let select = format!(
        "SELECT id, coalesce({by_id}, CASE WHEN typeof(fork_boundary) = 'integer' OR fork_boundary GLOB '[0-9]*'
            THEN CAST(fork_boundary AS INTEGER) END)
         FROM session_v2 WHERE fork_session_id IS NOT NULL AND fork_boundary IS NOT NULL"
    );
    sql.each(&select, 0, |row| {
        if let (Some(session), Some(_)) = (database::text(row, 0), database::text(row, 1)) {
            boundaries.insert(session, database::count(row, 1));
        }
        Ok(())
    })?;
    Ok(boundaries)
}

/// Gives the request of a message, of either version, to `each`; `session` is where it stands, and its folder.
fn each_message(message: &Value, session: Option<(&str, Option<&str>)>, now: i64, each: &mut dyn FnMut(LoggedRequest)) {
    let count = |pointer: &str| json::count(message, pointer);
    if !message["tokens"].is_object() || message["role"].as_str().is_some_and(|role| role != "assistant") {
        return;
    }
    let counts = with_cache_beside([
        count("/tokens/input"),
        count("/tokens/output"),
        count("/tokens/cache/read"),
        count("/tokens/cache/write"),
    ]);
    let counts = with_reasoning(counts, count("/tokens/reasoning"));
    let Some(at) = json::time(message, "/time/created") else {
        return;
    };
    let has_ended = json::time(message, "/time/completed").is_some() || !message["error"].is_null();
    if (counts.input, counts.output) == (0, 0) || (!has_ended && now - at.as_millisecond() < UNDER_WAY_MS) {
        return;
    }
    let model = json::text(message, "/modelID")
        .or(json::text(message, "/model/id"))
        .unwrap_or("unknown");
    let provider = json::text(message, "/providerID").or(json::text(message, "/model/providerID"));
    let provider = provider.unwrap_or_default().to_owned();
    let identity = format!(
        "{}:{provider}/{model}:{}.{}.{}.{}.{}",
        at.as_millisecond(),
        counts.input,
        counts.output,
        counts.cache_read,
        counts.cache_write,
        counts.reasoning
    );
    let folder = json::text(message, "/path/cwd").or(session.and_then(|(_, folder)| folder));
    let id = session.map(|(id, _)| id).or(json::text(message, "/sessionID"));
    each(LoggedRequest {
        stated_cost: json::amount(message, "/cost"),
        ..LoggedRequest::new(identity, at, provider, model, counts).of_session(id, folder)
    });
}
