//! `import`, `discover` and `export`: keys that other programs keep, taken in once, and given out only when a person says so.
#![cfg(unix)]

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::Value;

use crate::support::{Ended, Home, private_file};

const OPENAI: &str = "sk-proj-MadeUpForTheTestsOai0123456789abcdefXYZ";
const ANTHROPIC: &str = "sk-ant-api03-MadeUpForTheTestsAnt0123456789abcdefXYZ";

fn home() -> Home {
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"key-file\"\n");
    home
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/imports")
        .join(name)
}

fn run(home: &Home, arguments: &[&str]) -> Ended {
    let ended = home.run(arguments);
    for key in [OPENAI, ANTHROPIC] {
        assert!(!ended.stdout.contains(key) && !ended.stderr.contains(key), "{ended:?}");
    }
    ended
}

/// Provider and state of each key.
fn states(ended: &Ended) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let json = ended.json();
    let keys = json["keys"].as_array().unwrap_or_else(|| panic!("{ended:?}")).clone();
    keys.iter()
        .map(|key| (text(&key["provider"]), text(&key["state"])))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(one, other): &(&str, &str)| ((*one).to_owned(), (*other).to_owned());
    expected.iter().map(owned).collect()
}

#[test]
fn keys_of_another_program_are_stored_once_and_marked_as_exposed() {
    let home = home();
    let file = golden("llm.json");
    let file = file.to_str().expect("text");
    let dry = run(&home, &["import", file, "--dry-run", "--json"]);
    assert_eq!(
        states(&dry),
        pairs(&[("openai", "new"), ("anthropic", "new")]),
        "{dry:?}"
    );
    let unanswered = run(&home, &["import", file, "--json"]);
    assert_eq!(
        states(&unanswered),
        pairs(&[("openai", "declined"), ("anthropic", "declined")])
    );
    let stored = run(&home, &["import", file, "--yes", "--json"]);
    assert_eq!(
        states(&stored),
        pairs(&[("openai", "stored"), ("anthropic", "stored")]),
        "{stored:?}"
    );
    let again = run(&home, &["import", file, "--yes", "--json"]);
    assert_eq!(states(&again), pairs(&[("openai", "known"), ("anthropic", "known")]));
    let listed = run(&home, &["list", "--json"]);
    assert!(listed.stdout.contains("was in clear text in"), "{listed:?}");
    assert_eq!(listed.json()["total_count"], 2);
}

#[test]
fn logins_and_references_are_named_and_left() {
    let home = home();
    for (name, said) in [
        ("codex-plan.json", "login of a subscription"),
        ("opencode.json", "login of a subscription"),
        ("bitwarden-encrypted.json", "encrypted by its program"),
        ("continue.yaml", "kept elsewhere"),
    ] {
        let file = golden(name);
        let seen = run(&home, &["import", file.to_str().expect("text"), "--dry-run", "--json"]);
        let left = seen.json()["left_out"].to_string();
        assert!(left.contains(said), "{name}: {left}");
    }
    let own = golden("litellm.yaml");
    let seen = run(&home, &["import", own.to_str().expect("text"), "--dry-run"]);
    assert!(
        seen.stdout.contains("llm.example.com"),
        "a key of another server is not sent to the provider: {seen:?}"
    );
}

#[test]
fn the_same_key_in_several_places_is_one_and_its_line_becomes_a_comment() {
    let home = home();
    let env = home.beside(".env");
    fs::write(&env, format!("A=1\nOPENAI_API_KEY={OPENAI}\nB=2\n")).expect("written");
    private_file(&home.beside(".profile-not-here"), b"");
    fs::write(home.beside(".zshrc"), format!("export OPENAI_API_KEY='{OPENAI}'\n")).expect("written");
    let found = run(&home, &["discover", "--deep", "--json"]).json();
    let row = found["found"]
        .as_array()
        .and_then(|rows| rows.iter().find(|row| row["kind"] == "key"))
        .cloned();
    assert_eq!(row.expect("a key")["state"], "in clear text");
    let stored = run(&home, &["import", "--yes", "--comment-out", "--json"]);
    assert_eq!(states(&stored), pairs(&[("openai", "stored")]), "{stored:?}");
    assert_eq!(
        stored.json()["keys"][0]["places"].as_array().map(Vec::len),
        Some(2),
        "{stored:?}"
    );
    let text = fs::read_to_string(&env).expect("readable");
    assert!(
        !text.contains(OPENAI)
            && text.starts_with("A=1\n# OPENAI_API_KEY is in the vault")
            && text.ends_with("\nB=2\n"),
        "{text}"
    );
    let kept = home.beside(".env.api-keys-backup");
    assert!(fs::read_to_string(&kept).expect("kept").contains(OPENAI));
    assert_eq!(fs::metadata(&kept).expect("kept").permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_a_command_prints_is_imported_and_not_taken_for_exposed() {
    let home = home();
    let file = golden("doppler.json");
    let stored = run(
        &home,
        &[
            "import",
            "--yes",
            "--json",
            "--from-command",
            "cat",
            file.to_str().expect("text"),
        ],
    );
    assert_eq!(
        states(&stored)[0],
        ("openai".to_owned(), "stored".to_owned()),
        "{stored:?}"
    );
    let listed = run(&home, &["list", "--json"]);
    assert!(!listed.stdout.contains("clear text"), "{listed:?}");
    let failed = run(&home, &["import", "--json", "--from-command", "false"]);
    assert_eq!(failed.error_code(), "command_failed");
}

#[test]
fn an_export_holds_no_key_and_values_need_a_person() {
    let home = home();
    let added = home.run_with(home.command(["add", "openai", "--stdin"]), OPENAI);
    assert_eq!(added.code, Some(0), "{added:?}");
    for format in ["env", "json", "litellm", "opencode", "continue"] {
        let written = run(&home, &["export", "--format", format]);
        assert_eq!(written.code, Some(0), "{written:?}");
    }
    assert!(run(&home, &["export"]).stdout.contains("OPENAI_API_KEY"));
    let refused = run(&home, &["export", "--values", "--json"]);
    assert_eq!(refused.error_code(), "input_declined", "{refused:?}");
    let tree = home.beside("tree");
    fs::create_dir_all(tree.join(".git")).expect("a work tree");
    let file = tree.join("keys.env");
    let refused = run(
        &home,
        &["export", "--values", "--to", file.to_str().expect("text"), "--json"],
    );
    assert_eq!(refused.error_code(), "unsafe_file", "{refused:?}");
    assert!(!file.exists());
}
