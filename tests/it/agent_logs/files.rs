//! Files that cannot be read, and those that are never opened.

use super::*;

#[test]
fn a_file_that_is_not_json_is_reported_and_holds_nothing_up() {
    let home = home();
    put(&home, ".gemini/tmp/0a1b/chats/session-1.json", "{\"messages\": [}");
    put(&home, CLAUDE, &lines(&[said("msg_1", "req_1", 1, [1, 1, 0, 0]).line()]));
    let ended = home.run(["import", "logs"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("Imported 1 new request"), "{ended:?}");
    assert!(
        format!("{}{}", ended.stdout, ended.stderr).contains("session-1.json"),
        "{ended:?}"
    );
}

#[test]
fn a_database_that_its_program_is_writing_is_reported_and_read_once_it_is_free() {
    let home = home();
    let path = home.beside(".local/share/goose/sessions/sessions.db");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let goose = rusqlite::Connection::open(&path).unwrap();
    let sessions = "CREATE TABLE sessions (id TEXT, updated_at TEXT, created_at TEXT, model_config_json TEXT,
            provider_name TEXT, working_dir TEXT, accumulated_input_tokens INTEGER, accumulated_output_tokens INTEGER,
            accumulated_total_tokens INTEGER);
        INSERT INTO sessions VALUES ('g1', '2026-11-20 10:00:00', NULL, NULL, 'openai', NULL, 1000, 100, 1100);";
    goose.execute_batch(sessions).unwrap();
    // With a rollback journal beside it, as between two writes of a transaction that has outgrown its cache.
    let journal = home.beside(".local/share/goose/sessions/sessions.db-journal");
    fs::write(&journal, "a journal").unwrap();
    let ended = home.run(["import", "logs", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told = ended.json();
    let problem = told["agents"][0]["problems"][0]["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("locked"), "{told}");
    fs::remove_file(journal).unwrap();
    assert_eq!(import(&home)["new"], 1);
    let of = |source: &str| {
        let told = home
            .run(["usage", "--days", "3000", "--source", source, "--json"])
            .json();
        told["totals"]["requests"].as_u64().unwrap()
    };
    assert_eq!((of("cumulative_log"), of("log")), (1, 0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_person_sees_how_far_an_import_is_and_may_interrupt_it() {
    use crate::support::{outside::installed, terminal::OnTerminal};
    if !installed(&["script"]) {
        return;
    }
    let home = home();
    for number in 0..40_u32 {
        let part: Vec<Value> = (0..100)
            .map(|at| {
                let (message, request) = (format!("msg_{number}_{at}"), format!("req_{number}_{at}"));
                said(&message, &request, at, [1, 1, 0, 0]).line()
            })
            .collect();
        put(&home, &format!(".claude/projects/p/{number}.jsonl"), &lines(&part));
    }
    let mut terminal = OnTerminal::start(&home, "api-keys import logs");
    terminal.wait_for("Reading logs");
    terminal.type_in("\u{3}");
    terminal.end();
    // Whether it had ended by then or not, nothing is lost or counted twice.
    import(&home);
    assert_eq!(totals(&home), [4000, 4000, 4000, 0, 0]);
    expect_whole(&home);
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_opened_but_logs() {
    use crate::support::strace;
    if !strace::can_trace_files() {
        return;
    }
    let home = home();
    put(&home, CLAUDE, &lines(&[said("msg_1", "req_1", 1, [1, 1, 0, 0]).line()]));
    let canaries = [
        ".claude/.credentials.json",
        ".claude.json",
        ".codex/auth.json",
        ".codex/config.toml",
        ".gemini/oauth_creds.json",
        ".local/share/opencode/auth.json",
        ".copilot/config.json",
        ".qwen/oauth_creds.json",
        ".kimi/credentials.json",
        ".factory/auth.json",
        ".pi/agent/auth.json",
        ".openclaw/openclaw.json",
    ];
    for canary in canaries {
        put(&home, canary, "{\"token\": \"canary\"}");
    }
    let log = home.beside("strace.log");
    let traced = strace::command(
        &home.command(["import", "logs"]),
        &log,
        &["-f", "-e", "trace=openat,open"],
    );
    let ended = home.run_with(traced, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let opened = fs::read_to_string(&log).unwrap();
    assert!(
        opened.contains("11111111-1111-4111-8111-111111111111.jsonl"),
        "the log itself is opened"
    );
    for canary in canaries {
        assert!(!opened.contains(canary), "{canary} was opened");
    }
}
