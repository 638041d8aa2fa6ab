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
/// How far before the newest change rows are read again, in milliseconds: clocks may be set back.
const READ_AGAIN_MS: u64 = 24 * 60 * 60 * 1000;

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

/// What was read of a database.
struct OpenCodeRows {
    /// When the database was last written, in milliseconds since 1970.
    now: i64,
    /// From when on changes are read.
    since: u64,
    found: Vec<LoggedRequest>,
    unreadable: u64,
    /// The newest change, and the oldest of a message that is under way; nothing where a table does not say.
    newest: Option<u64>,
    under_way: Option<u64>,
}

impl LogReader for OpenCodeLogs {
    fn read(&self, file: &LogFile, from: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let now = file.mark.modified / 1_000_000;
        if file.form == LogForm::Lines {
            let message = json::file(&file.path)?;
            each_message(&message, None, now, each);
            return Ok(LogReading::default());
        }
        let rows = database::read(&file.path, |database| {
            let mut rows = OpenCodeRows {
                now,
                since: from,
                found: Vec::new(),
                unreadable: 0,
                newest: Some(from),
                under_way: None,
            };
            first_version(database, &mut rows)?;
            second_version(database, &mut rows)?;
            Ok(rows)
        })?;
        let reading = LogReading {
            read_to: rows.read_to(),
            unreadable: rows.unreadable,
        };
        rows.found.into_iter().for_each(each);
        Ok(reading)
    }
}

impl OpenCodeRows {
    /// What selects the rows of `table` that have changed, and the column that says when.
    fn changed(&mut self, sql: &Database, table: &str) -> rusqlite::Result<(&'static str, &'static str)> {
        if sql.has(table, &["time_updated"])? {
            return Ok(("time_updated", "time_updated > ?1"));
        }
        self.newest = None;
        Ok(("NULL", "?1 IS NOT NULL"))
    }

    /// Takes in the message in a row that was changed at `changed`.
    fn take(&mut self, message: Option<&Value>, (session, folder): (Option<&str>, Option<&str>), changed: u64) {
        self.newest = self.newest.map(|newest| newest.max(changed));
        let Some(message) = message else {
            self.unreadable += 1;
            return;
        };
        let found = &mut self.found;
        let session = session.map(|session| (session, folder));
        let is_under_way = each_message(message, session, self.now, &mut |it| found.push(it));
        if is_under_way {
            self.under_way = Some(self.under_way.map_or(changed, |oldest| oldest.min(changed)));
        }
    }

    /// From when on changes are read next time; 0 for everything.
    fn read_to(&self) -> u64 {
        let newest = self.newest.map_or(0, |newest| newest.saturating_sub(READ_AGAIN_MS));
        let under_way = self.under_way.map_or(u64::MAX, |oldest| oldest.saturating_sub(1));
        newest.max(self.newest.map_or(0, |_| self.since)).min(under_way)
    }
}

fn first_version(sql: &Database, rows: &mut OpenCodeRows) -> rusqlite::Result<()> {
    if !sql.has("message", &["session_id", "data"])? {
        return Ok(());
    }
    let folders = folders(sql, "session")?;
    let (column, changed) = rows.changed(sql, "message")?;
    let select = format!("SELECT session_id, data, {column} FROM message WHERE {changed}");
    sql.each(&select, rows.since, |row| {
        let session = database::text(row, 0);
        let folder = session.as_ref().and_then(|session| folders.get(session));
        let place = (session.as_deref(), folder.map(String::as_str));
        rows.take(database::json(row, 1).as_ref(), place, database::count(row, 2));
        Ok(())
    })
}

fn second_version(sql: &Database, rows: &mut OpenCodeRows) -> rusqlite::Result<()> {
    if !sql.has("session_message", &["session_id", "type", "seq", "data"])? {
        return Ok(());
    }
    let folders = folders(sql, "session_v2")?;
    let boundaries = boundaries(sql)?;
    let (column, changed) = rows.changed(sql, "session_message")?;
    let select =
        format!("SELECT session_id, data, {column}, seq FROM session_message WHERE type = 'assistant' AND {changed}");
    sql.each(&select, rows.since, |row| {
        let Some(session) = database::text(row, 0) else {
            return Ok(());
        };
        let is_copy = |boundary: &u64| database::count(row, 3) <= *boundary;
        if !boundaries.get(&session).is_some_and(is_copy) {
            let place = (Some(session.as_str()), folders.get(&session).map(String::as_str));
            rows.take(database::json(row, 1).as_ref(), place, database::count(row, 2));
        }
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

/// Gives the request of a message, of either version, to `each`; returns whether it is still under way. `session` is where
/// it stands, and its folder.
fn each_message(
    message: &Value,
    session: Option<(&str, Option<&str>)>,
    now: i64,
    each: &mut dyn FnMut(LoggedRequest),
) -> bool {
    let count = |pointer: &str| json::count(message, pointer);
    if !message["tokens"].is_object() || message["role"].as_str().is_some_and(|role| role != "assistant") {
        return false;
    }
    let counts = with_cache_beside([
        count("/tokens/input"),
        count("/tokens/output"),
        count("/tokens/cache/read"),
        count("/tokens/cache/write"),
    ]);
    let counts = with_reasoning(counts, count("/tokens/reasoning"));
    let Some(at) = json::time(message, "/time/created") else {
        return false;
    };
    let has_ended = json::time(message, "/time/completed").is_some() || !message["error"].is_null();
    if !has_ended && now - at.as_millisecond() < UNDER_WAY_MS {
        return true;
    }
    if (counts.input, counts.output) == (0, 0) {
        return false;
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
    false
}
