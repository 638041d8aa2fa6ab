//! `import command-center`: keys of another program, stored once, with nothing changed there and nothing shown.
#![cfg(unix)]

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::support::{Ended, Home};

const KEYS: &str = include_str!("../../src/imports/command_center/keys.enc.json");
const USAGE: &str = include_str!("../../src/imports/command_center/usage.json");
const SECRETS: &str = "secret_key='example-secret-key-for-vectors'\nENCRYPTION_SALT=example-salt-for-vectors\n";

/// A checkout with the server's folder in it.
fn checkout(home: &Home, keys: &str) -> PathBuf {
    let root = home.beside("checkout");
    let server = root.join(".commandcenter/mcp-servers/api-keys");
    fs::create_dir_all(&server).expect("made");
    fs::create_dir_all(root.join("backend")).expect("made");
    for (path, text) in [
        (server.join(".keys.enc"), keys),
        (server.join("usage.json"), USAGE),
        (
            server.join("routing_config.json"),
            r#"{"routing": {"code": "anthropic"}, "budget": {"enabled": true, "daily_limit": 5.0}}"#,
        ),
        (root.join("backend/.env"), SECRETS),
    ] {
        fs::write(path, text).expect("written");
    }
    root
}

fn import(home: &Home, options: &[&str]) -> Ended {
    let root = home.beside("checkout");
    let named = ["import", "command-center", root.to_str().expect("text")];
    let ended = home.run([&named, options].concat());
    for value in ["EXAMPLEonly", "sk-plain-text-0123456789"] {
        assert!(
            !ended.stdout.contains(value) && !ended.stderr.contains(value),
            "{ended:?}"
        );
    }
    ended
}

fn states(ended: &Ended) -> Vec<(String, String)> {
    let text = |key: &Value, name: &str| key[name].as_str().expect("text").to_owned();
    let json = ended.json();
    let keys = json["keys"].as_array().unwrap_or_else(|| panic!("{ended:?}"));
    keys.iter()
        .map(|key| (text(key, "provider"), text(key, "state")))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(one, other)| ((*one).to_owned(), (*other).to_owned()))
        .collect()
}

#[test]
fn keys_are_stored_once_with_what_is_known_of_them() {
    let home = Home::new();
    let root = checkout(&home, KEYS);
    let file = root.join(".commandcenter/mcp-servers/api-keys/.keys.enc");

    let dry = import(&home, &["--dry-run", "--json"]);
    assert_eq!(
        states(&dry),
        pairs(&[("anthropic", "new"), ("openai", "new")]),
        "{dry:?}"
    );
    let unanswered = import(&home, &["--json"]);
    assert_eq!(
        states(&unanswered),
        pairs(&[("anthropic", "declined"), ("openai", "declined")])
    );
    assert_eq!(
        home.run(["list", "--json"]).json()["keys"].as_array().map(Vec::len),
        Some(0)
    );

    let first = import(&home, &["--yes", "--json"]);
    assert_eq!(
        states(&first),
        pairs(&[("anthropic", "stored"), ("openai", "stored")]),
        "{first:?}"
    );
    let again = import(&home, &["--yes", "--json"]);
    assert_eq!(
        states(&again),
        pairs(&[("anthropic", "known"), ("openai", "known")]),
        "{again:?}"
    );
    let listed = home.run(["list", "--json"]).json();
    let keys = listed["keys"].as_array().expect("keys");
    assert_eq!(keys.len(), 2);
    let anthropic = keys.iter().find(|key| key["provider"] == "anthropic").expect("stored");
    assert_eq!(anthropic["description"], "main");
    assert!(
        anthropic["expires_at"]
            .as_str()
            .is_some_and(|date| date.starts_with("2027-01-31")),
        "{anthropic}"
    );
    assert_eq!(anthropic["exposed"], false);
    assert_eq!(
        fs::read_to_string(&file).expect("there"),
        KEYS,
        "nothing there is changed"
    );

    let shown = import(&home, &["--yes"]);
    for said in [
        "0 keys stored",
        "known",
        "3 requests",
        "daily_limit = 5.0",
        "\"code\" = \"anthropic\"",
    ] {
        assert!(
            shown.stdout.contains(said) || shown.stderr.contains(said),
            "{said}: {shown:?}"
        );
    }
}

#[test]
fn a_key_that_lay_open_is_marked_and_one_that_differs_is_stored_beside() {
    let home = Home::new();
    let plain = r#"{"keys": {"openai": "sk-plain-text-0123456789abcdef", "nobody": "sk-plain-text-0123456789abcdeg"},
        "metadata": {"openai": {"encrypted": true, "description": "it is sk-plain-text-0123456789abcdef",
            "expiration_date": "soon"}}}"#;
    checkout(&home, plain);
    let added = home.run_with(
        home.command(["add", "openai", "--stdin"]),
        "sk-proj-another0123456789abcdef",
    );
    assert_eq!(added.code, Some(0), "{added:?}");
    let imported = import(&home, &["--yes", "--json"]);
    assert_eq!(
        states(&imported),
        pairs(&[("openai", "stored"), ("nobody", "skipped")]),
        "{imported:?}"
    );
    let notes = imported.json()["keys"][0]["notes"].to_string();
    assert!(notes.contains("plain text") && notes.contains("opposite"), "{notes}");
    assert!(
        notes.contains("its description") && notes.contains("its expiry date"),
        "{notes}"
    );
    let listed = home.run(["list", "--json"]).json();
    let keys = listed["keys"].as_array().expect("keys");
    let beside = keys
        .iter()
        .find(|key| key["label"] == "command-center")
        .expect("stored");
    assert_eq!(beside["exposed"], true);
    assert_eq!(home.run(["audit", "--verify"]).code, Some(0));
}

#[test]
fn damage_beside_the_keys_does_not_stop_them() {
    let home = Home::new();
    let root = checkout(&home, KEYS);
    let server = root.join(".commandcenter/mcp-servers/api-keys");
    fs::write(server.join("usage.json"), &USAGE[..USAGE.len() / 2]).expect("written");
    let imported = import(&home, &["--yes", "--json"]);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert_eq!(
        states(&imported),
        pairs(&[("anthropic", "stored"), ("openai", "stored")])
    );
    let remarks = imported.json()["remarks"].to_string();
    assert!(remarks.contains("usage.json is not JSON"), "{remarks}");
    assert!(remarks.contains("daily_limit = 5.0"), "{remarks}");
}

#[test]
fn a_torn_file_is_an_error_and_closed_keys_are_named() {
    let home = Home::new();
    let root = checkout(&home, &KEYS[..KEYS.len() / 2]);
    let torn = import(&home, &["--yes", "--json"]);
    assert_eq!(
        (torn.code, torn.error_code().as_str()),
        (Some(2), "invalid_argument"),
        "{torn:?}"
    );
    checkout(&home, KEYS);
    fs::write(root.join("backend/.env"), "SECRET_KEY=wrong\n").expect("written");
    let closed = import(&home, &["--yes", "--json"]);
    assert_eq!(
        states(&closed),
        pairs(&[("anthropic", "skipped"), ("openai", "skipped")]),
        "{closed:?}"
    );
    let missing = home.run(["import", "command-center", "/nonexistent", "--json"]);
    assert_eq!(missing.error_code(), "storage_failed");
}
