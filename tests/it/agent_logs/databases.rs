//! Agents that keep databases: read as they are, and left as they were.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use super::*;
use crate::support::outside::installed;

/// Runs `sql` in the database below the user's home, in WAL mode, and leaves what it wrote in the WAL.
fn database(home: &Home, path: &str, sql: &str) {
    let path = home.beside(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let script = format!("PRAGMA journal_mode = WAL; .dbconfig no_ckpt_on_close on\n{sql}");
    let script = script.replace("; .dbconfig", ";\n.dbconfig");
    let mut shell = Command::new("sqlite3");
    let done = shell
        .arg(&path)
        .arg("-bail")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn();
    let mut done = done.unwrap();
    std::io::Write::write_all(&mut done.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(done.wait().unwrap().success());
}

/// Every file in the folder of a database, with its contents.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// Imports, and fails where anything beside the database has changed.
fn import_untouched(home: &Home, folder: &str) -> Value {
    let folder = home.beside(folder);
    let before = snapshot(&folder);
    let told = import(home);
    assert!(
        before == snapshot(&folder),
        "another program's folder is as it was: {:?}",
        snapshot(&folder).keys()
    );
    told
}

fn message(id: u64, created: u64, output: u64) -> Value {
    json!({
        "role": "assistant", "time": {"created": created, "completed": created + 5}, "modelID": "gpt-made-up",
        "providerID": "openai", "path": {"cwd": "/home/me/acme"}, "cost": 0,
        "tokens": {"input": 1000 + id, "output": output, "reasoning": 7, "cache": {"read": 100, "write": 10}},
    })
}

const OPENCODE: &str = ".local/share/opencode";

#[test]
fn opencodes_forks_copy_messages_with_new_ids_that_count_once() {
    if !installed(&["sqlite3"]) {
        return;
    }
    let home = home();
    let insert = |id: &str, session: &str, data: &Value| {
        format!("INSERT INTO message VALUES ('{id}', '{session}', '{data}');\n")
    };
    let (one, two) = (message(1, 1_763_632_800_000, 50), message(2, 1_763_632_900_000, 60));
    let sql = [
        "CREATE TABLE message (id TEXT PRIMARY KEY, session_id TEXT, data TEXT);".to_owned(),
        insert("m1", "s1", &one),
        insert("m2", "s1", &two),
        // A fork with both, and a turn of its own.
        insert("m3", "s2", &one),
        insert("m4", "s2", &two),
        insert("m5", "s2", &message(3, 1_763_633_000_000, 70)),
        insert("m6", "s2", &json!({"role": "user", "time": {"created": 1}})),
    ];
    database(&home, &format!("{OPENCODE}/opencode.db"), &sql.concat());
    assert!(
        exists(home.beside(&format!("{OPENCODE}/opencode.db-wal"))),
        "the rows are in the WAL"
    );
    let _ = fs::remove_file(home.beside(&format!("{OPENCODE}/opencode.db-shm")));
    import_untouched(&home, OPENCODE);
    let input = 3 * 1000 + 1 + 2 + 3 + 3 * 110;
    assert_eq!(totals(&home), [3, input, 50 + 60 + 70 + 21, 300, 30]);
    assert_eq!(groups(&home, "project"), [("acme".to_owned(), 3)]);
    import_untouched(&home, OPENCODE);
    assert_eq!(totals(&home)[0], 3);
    expect_whole(&home);
}

#[test]
fn opencode_2_says_which_rows_of_a_fork_are_copies_and_a_migrated_file_has_both_tables() {
    if !installed(&["sqlite3"]) {
        return;
    }
    let home = home();
    let data = |id: u64, created: u64, output: u64| {
        let old = message(id, created, output);
        json!({"time": old["time"], "tokens": old["tokens"], "model": {"providerID": "openai", "id": "gpt-made-up"}})
    };
    let row = |id: &str, session: &str, seq: u64, data: &Value| {
        format!("INSERT INTO session_message VALUES ('{id}', '{session}', 'assistant', {seq}, '{data}');\n")
    };
    let (one, two) = (data(1, 1_763_632_800_000, 300), data(2, 1_763_632_900_000, 600));
    let sql = [
        "CREATE TABLE session_v2 (id TEXT, directory TEXT, fork_session_id TEXT, fork_boundary TEXT, cost REAL);
         CREATE TABLE session_message (id TEXT, session_id TEXT, type TEXT, seq INTEGER, data TEXT);
         CREATE TABLE message (id TEXT, session_id TEXT, data TEXT);
         INSERT INTO session_v2 VALUES ('s1', '/home/me/acme', NULL, NULL, 0), ('s2', '/home/me/acme', 's1', 'm2', 0);"
            .to_owned(),
        row("m1", "s1", 1, &one),
        row("m2", "s1", 3, &two),
        // Copied with other times: the row's number says so.
        row("m3", "s2", 1, &data(1, 1_763_640_000_000, 300)),
        row("m4", "s2", 3, &data(2, 1_763_640_000_001, 600)),
        row("m5", "s2", 5, &data(3, 1_763_640_000_002, 900)),
        format!(
            "INSERT INTO message VALUES ('m1', 's1', '{}');",
            message(1, 1_763_632_800_000, 300)
        ),
    ];
    database(&home, &format!("{OPENCODE}/opencode.db"), &sql.concat());
    import_untouched(&home, OPENCODE);
    assert_eq!(totals(&home), [3, 3 * 1110 + 6, 1800 + 21, 300, 30]);
    assert_eq!(groups(&home, "session"), [("s1".to_owned(), 2), ("s2".to_owned(), 1)]);
}

#[test]
fn copilots_rows_count_and_its_totals_only_where_there_are_no_rows() {
    if !installed(&["sqlite3"]) {
        return;
    }
    let home = home();
    let sql = "CREATE TABLE sessions (id TEXT, cwd TEXT);
        CREATE TABLE assistant_usage_events (id INTEGER PRIMARY KEY, session_id TEXT, created_at TEXT, model TEXT,
            input_tokens INTEGER, output_tokens INTEGER, cache_read_tokens INTEGER, cache_write_tokens INTEGER,
            reasoning_tokens INTEGER);
        CREATE TABLE auth (token TEXT);
        INSERT INTO sessions VALUES ('a', '/home/me/acme');
        INSERT INTO assistant_usage_events VALUES
            (1, 'a', '2026-11-20T10:00:00.000Z', 'gpt-made-up', 100, 10, 40, 5, 3),
            (2, 'a', '2026-11-20T10:01:00.000Z', 'gpt-made-up', 200, 20, 80, 0, 0);";
    database(&home, ".copilot/session-store.db", sql);
    let end = |model: &str, input: u64, output: u64| {
        json!({"type": "session.shutdown", "timestamp": "2026-11-20T12:00:00Z", "data": {"modelMetrics": {model: {
            "usage": {"inputTokens": input, "outputTokens": output, "cacheReadTokens": 0, "cacheWriteTokens": 0}}}}})
    };
    // Of the session with rows it says nothing new; of another one, resumed twice, it is all there is.
    put(
        &home,
        ".copilot/session-state/a/events.jsonl",
        &lines(&[end("gpt-made-up", 300, 30)]),
    );
    let legs = [
        end("gpt-made-up", 1000, 10),
        end("gpt-made-up", 1500, 15),
        end("gpt-made-up", 40, 4),
    ];
    put(&home, ".copilot/session-state/b/events.jsonl", &lines(&legs));
    import_untouched(&home, ".copilot");
    assert_eq!(totals(&home), [5, 300 + 1500 + 40, 30 + 15 + 4, 120, 5]);
    database(
        &home,
        ".copilot/session-store.db",
        "INSERT INTO assistant_usage_events VALUES
        (3, 'a', '2026-11-20T10:02:00.000Z', 'gpt-made-up', 7, 7, 0, 0, 0);",
    );
    assert_eq!(import_untouched(&home, ".copilot")["new"], 1);
}

#[test]
fn sessions_that_only_say_totals_count_by_what_is_new_in_them() {
    if !installed(&["sqlite3"]) {
        return;
    }
    let home = home();
    let goose = ".local/share/goose/sessions";
    let sql = "CREATE TABLE sessions (id TEXT, updated_at TEXT, created_at TEXT, model_config_json TEXT,
            provider_name TEXT, working_dir TEXT, accumulated_input_tokens INTEGER, accumulated_output_tokens INTEGER,
            accumulated_total_tokens INTEGER);
        INSERT INTO sessions VALUES ('g1', '2026-11-20 10:00:00', '2026-11-20 09:00:00',
            '{\"model_name\": \"gpt-made-up\"}', 'openai', '/home/me/acme', 1000, 100, 1150);";
    database(&home, &format!("{goose}/sessions.db"), sql);
    import_untouched(&home, goose);
    assert_eq!(totals(&home), [1, 1000, 150, 0, 0]);
    let grows = "UPDATE sessions SET accumulated_input_tokens = 1500, accumulated_output_tokens = 120,
        accumulated_total_tokens = 1670, updated_at = '2026-11-21 10:00:00';";
    database(&home, &format!("{goose}/sessions.db"), grows);
    import_untouched(&home, goose);
    assert_eq!(totals(&home), [2, 1500, 170, 0, 0]);
    import(&home);
    assert_eq!(totals(&home)[0], 2);
    let falls = "UPDATE sessions SET accumulated_input_tokens = 10, accumulated_total_tokens = 130;";
    database(&home, &format!("{goose}/sessions.db"), falls);
    import(&home);
    assert_eq!(totals(&home), [2, 1500, 170, 0, 0], "a counter that fell says nothing");
    assert_eq!(
        home.run(["usage", "--days", "3000", "--source", "cumulative_log", "--json"])
            .json()["totals"]["requests"],
        2
    );
}

#[test]
fn a_database_of_another_form_and_one_that_is_none_are_reported() {
    if !installed(&["sqlite3"]) {
        return;
    }
    let home = home();
    database(
        &home,
        ".local/share/goose/sessions/sessions.db",
        "CREATE TABLE sessions (id TEXT);",
    );
    put(
        &home,
        &format!("{OPENCODE}/opencode.db"),
        "this is not a database, however long it may be read",
    );
    let ended = home.run(["import", "logs", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told = ended.json();
    let problems: Vec<&Value> = told["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| &agent["problems"])
        .collect();
    assert!(
        problems.iter().all(|problems| problems.as_array().unwrap().len() == 1),
        "{told}"
    );
}
