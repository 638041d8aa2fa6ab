//! `vault`, `audit` and `doctor` from outside.

use crate::{
    cli::without_terminal,
    support::{Ended, Home},
};

const KEY: &str = "sk-proj-MadeUpForTheTests0123456789abcdefXYZW";

/// Runs without a terminal, with `input` on stdin, and with a passphrase in the environment or none.
fn run(home: &Home, arguments: &[&str], passphrase: Option<&str>, input: &str) -> Ended {
    let mut command = home.command(arguments);
    if let Some(passphrase) = passphrase {
        command.env("API_KEYS_PASSPHRASE", passphrase);
    }
    without_terminal(&mut command);
    home.run_with(command, input)
}

fn slot_kinds(home: &Home) -> Vec<String> {
    let status = home.run(["vault", "status", "--json"]).json();
    let slots = status["slots"].as_array().expect("slots");
    slots
        .iter()
        .map(|slot| slot["kind"].as_str().expect("a kind").to_owned())
        .collect()
}

#[test]
fn a_vault_is_made_once_and_says_what_opens_it() {
    let home = Home::new();
    assert_eq!(home.run(["vault", "status", "--json"]).json()["state"], "absent");
    assert_eq!(
        home.run(["vault", "unlock-check", "--json"]).error_code(),
        "vault_absent"
    );
    let made = home.run(["vault", "init", "--master-key", "key-file", "--json"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert_eq!(slot_kinds(&home), ["key-file"]);
    assert_eq!(home.run(["vault", "init", "--json"]).error_code(), "vault_exists");
    assert_eq!(
        home.run(["vault", "unlock-check", "--json"]).json()["state"],
        "unlocked"
    );
}

#[test]
fn adding_the_first_key_makes_a_vault_and_says_what_protects_it() {
    let home = Home::new();
    let added = home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(
        added.stderr.contains("Created the vault") && added.stderr.contains("key file"),
        "{added:?}"
    );
    let again = home.run_with(home.command(["add", "openai:second", "--stdin"]), KEY);
    assert!(!again.stderr.contains("Created the vault"), "{again:?}");
}

#[test]
fn a_passphrase_vault_is_locked_without_it_and_exits_with_3() {
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"passphrase\"\n");
    let made = run(&home, &["vault", "init"], Some("correct horse"), "");
    assert_eq!(made.code, Some(0), "{made:?}");
    for (passphrase, code) in [(None, "vault_locked"), (Some("wrong"), "wrong_passphrase")] {
        let ended = run(&home, &["vault", "unlock-check", "--json"], passphrase, "");
        assert_eq!((ended.code, ended.error_code().as_str()), (Some(3), code), "{ended:?}");
    }
    assert_eq!(
        run(&home, &["vault", "unlock-check"], Some("correct horse"), "").code,
        Some(0)
    );

    let changed = run(
        &home,
        &["vault", "passwd", "--stdin"],
        Some("correct horse"),
        "battery staple\n",
    );
    assert_eq!(changed.code, Some(0), "{changed:?}");
    assert_eq!(
        run(&home, &["vault", "unlock-check"], Some("correct horse"), "").code,
        Some(3)
    );
    assert_eq!(
        run(&home, &["vault", "unlock-check"], Some("battery staple"), "").code,
        Some(0)
    );
}

#[test]
fn nobody_types_for_a_slot_that_is_not_there() {
    let home = Home::new();
    assert_eq!(home.run(["vault", "passwd", "--json"]).error_code(), "vault_absent");
    assert_eq!(home.run(["vault", "init"]).code, Some(0));
    for command in ["passwd", "recover"] {
        let ended = home.run(["vault", command, "--json"]);
        assert_eq!(ended.error_code(), "slot_not_found", "{ended:?}");
    }
}

#[test]
fn a_hint_names_the_variable_that_the_configuration_names() {
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"passphrase\"\npassphrase_env = \"VAULT_WORDS\"\n");
    let with = |words: &str, arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("VAULT_WORDS", words);
        home.run_with(command, "")
    };
    assert_eq!(with("right", &["vault", "init"]).code, Some(0));
    let wrong = with("wrong", &["list"]);
    assert_eq!(wrong.code, Some(3));
    assert!(wrong.stderr.contains("VAULT_WORDS"), "{wrong:?}");
    let doctor = home.run(["doctor", "--offline"]);
    assert!(doctor.stderr.contains("set VAULT_WORDS"), "{doctor:?}");
    let mut client = crate::support::mcp_client::McpClient::open(
        home.command(["serve"]),
        crate::support::mcp_client::LEGACY,
        serde_json::json!({}),
    );
    let listed = client.structured("list_api_keys", serde_json::json!({}));
    assert!(listed["vault"]["hint"].to_string().contains("VAULT_WORDS"), "{listed}");
}

#[test]
fn two_passphrases_are_two_lines_of_standard_input() {
    let home = Home::new();
    let made = run(
        &home,
        &["vault", "init", "--master-key", "passphrase", "--stdin"],
        None,
        "first one\n",
    );
    assert_eq!(made.code, Some(0), "{made:?}");
    let changed = run(&home, &["vault", "passwd", "--stdin"], None, "first one\nsecond one\n");
    assert_eq!(changed.code, Some(0), "{changed:?}");
    let opened = run(&home, &["vault", "unlock-check", "--stdin"], None, "second one\n");
    assert_eq!(opened.code, Some(0), "{opened:?}");
}

#[test]
fn a_recovery_code_opens_the_vault_when_the_key_file_is_lost() {
    let home = Home::new();
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    let added = home.run(["vault", "add-slot", "recovery", "--json"]);
    let code = added.json()["recovery_code"].as_str().expect("a code").to_owned();
    for entry in std::fs::read_dir(home.path()).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains("key") {
            std::fs::remove_file(entry.path()).expect("removed");
        }
    }
    assert_eq!(home.run(["list", "--json"]).error_code(), "key_file_missing");
    let wrong = run(&home, &["vault", "recover", "--stdin", "--json"], None, "nonsense\n");
    assert_ne!(wrong.code, Some(0), "{wrong:?}");
    let recovered = run(&home, &["vault", "recover", "--stdin"], None, &format!("{code}\n"));
    assert_eq!(recovered.code, Some(0), "{recovered:?}");
    assert_eq!(home.run(["list", "--json"]).json()["total_count"], 1);
}

#[test]
fn slots_come_and_go_but_never_the_last() {
    let home = Home::new();
    home.run(["vault", "init", "--master-key", "key-file"]);
    assert_eq!(
        home.run(["vault", "remove-slot", "key-file", "--json"]).error_code(),
        "last_slot"
    );
    assert_eq!(
        home.run(["vault", "remove-slot", "keychain", "--json"]).error_code(),
        "slot_not_found"
    );
    let added = run(
        &home,
        &["vault", "add-slot", "passphrase", "--stdin"],
        None,
        "some words\n",
    );
    assert_eq!(added.code, Some(0), "{added:?}");
    let removed = home.run(["vault", "remove-slot", "key-file"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert_eq!(slot_kinds(&home), ["passphrase"]);
    assert_eq!(run(&home, &["list"], None, "").code, Some(3));
    assert_eq!(run(&home, &["list"], Some("some words"), "").code, Some(0));
}

#[test]
fn rekey_keeps_the_keys() {
    let home = Home::new();
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    let done = home.run(["vault", "rekey", "--json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let shown = home.run(["run", "--", "sh", "-c", "echo $OPENAI_API_KEY"]);
    assert_eq!(shown.stdout.trim(), KEY, "{shown:?}");
    assert_eq!(home.run(["audit", "--verify", "--json"]).json()["ok"], true);
}

#[test]
fn an_older_vault_file_is_noticed_and_can_be_accepted() {
    let home = Home::new();
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    let file = home.path().join("vault.json");
    let old = std::fs::read(&file).expect("a vault");
    home.run_with(home.command(["add", "openai:second", "--stdin"]), KEY);
    std::fs::write(&file, old).expect("put back");
    let add = |label: &str| home.run_with(home.command(["add", label, "--stdin", "--json"]), KEY);
    assert_eq!(add("openai:third").error_code(), "vault_rolled_back");
    let doctor = home.run(["doctor", "--offline"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(doctor.stderr.contains("accept-rollback"), "{doctor:?}");
    let accepted = home.run(["vault", "accept-rollback", "--json"]);
    assert_eq!(accepted.json()["before"], "rolled_back", "{accepted:?}");
    assert_eq!(add("openai:third").code, Some(0));
}

#[test]
fn the_audit_trail_is_a_table_and_a_changed_line_is_found() {
    let home = Home::new();
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    home.run(["remove", "openai"]);
    let shown = home.run(["audit"]);
    assert!(
        shown.stdout.starts_with("TIME") && shown.stdout.contains("remove key"),
        "{shown:?}"
    );
    let newest = home.run(["audit", "--limit", "1", "--json"]).json();
    assert_eq!(newest["entries"].as_array().map(Vec::len), Some(1));
    let whole = home.run(["audit", "--verify", "--json"]).json();
    assert_eq!(whole["ok"], true, "{whole}");

    let file = home.path().join("audit.jsonl");
    let text = std::fs::read_to_string(&file).expect("a trail");
    let changed: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(at, line)| {
            if at == 1 {
                line.replacen("\"cli\"", "\"me\"", 1)
            } else {
                line.to_owned()
            }
        })
        .collect();
    assert_ne!(changed.join("\n") + "\n", text, "the second line names its actor");
    std::fs::write(&file, changed.join("\n") + "\n").expect("changed");
    let broken = home.run(["audit", "--verify", "--json"]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert_eq!(broken.json()["break"]["line"], 2, "{broken:?}");
    let told = home.run(["audit", "--verify"]);
    assert!(told.stderr.contains("line 2 of audit.jsonl"), "{told:?}");
    assert_eq!(home.run(["doctor", "--offline"]).code, Some(1));
}

#[test]
fn doctor_is_content_with_a_fresh_vault_and_finds_what_is_wrong() {
    let home = Home::new();
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    let well = home.run(["doctor", "--offline", "--json"]);
    assert_eq!(well.code, Some(0), "{well:?}");
    assert_eq!(well.json()["ok"], true);

    home.config("[vault]\nmaster_kee = \"auto\"\n");
    let ill = home.run(["doctor", "--offline"]);
    assert_eq!(ill.code, Some(1), "{ill:?}");
    assert!(
        ill.stdout.contains("master_kee") && ill.stderr.contains("config.toml"),
        "{ill:?}"
    );
}

#[cfg(unix)]
#[test]
fn doctor_finds_files_that_are_open_to_others() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    home.config("");
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    for (name, mode, closed) in [("config.toml", 0o666, 0o644), ("vault.json", 0o644, 0o600)] {
        let file = home.path().join(name);
        let set = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
        assert_eq!(home.run(["doctor", "--offline"]).code, Some(0), "{name}");
        set(mode);
        let ended = home.run(["doctor", "--offline", "--json"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let mend = format!("`chmod 600 '{}'`", file.display());
        assert!(ended.stdout.contains(&mend), "{ended:?}");
        set(closed);
    }
}

#[test]
fn the_status_tells_open_locked_and_broken_apart() {
    let home = Home::new();
    let state = |passphrase| run(&home, &["vault", "status", "--json"], passphrase, "");
    assert_eq!(state(None).json()["state"], "absent");
    run(
        &home,
        &["vault", "init", "--master-key", "passphrase"],
        Some("words"),
        "",
    );
    assert_eq!(state(None).json()["state"], "locked");
    assert_eq!(state(Some("words")).json()["state"], "unlocked");
    let wrong = state(Some("others"));
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert_eq!(wrong.json()["problem"]["code"], "wrong_passphrase");
}

#[test]
fn where_nobody_can_type_a_new_passphrase_the_vault_is_not_said_to_be_locked() {
    let home = Home::new();
    assert_eq!(home.run(["vault", "init", "--master-key", "key-file"]).code, Some(0));
    let ended = run(&home, &["vault", "add-slot", "passphrase", "--json"], None, "");
    assert_eq!((ended.code, ended.error_code().as_str()), (Some(1), "key_required"));
    assert!(
        ended.stdout.contains("new passphrase") && ended.stdout.contains("--stdin"),
        "{ended:?}"
    );
}

#[test]
fn a_key_file_without_its_vault_is_told_by_every_command() {
    let home = Home::new();
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    for name in ["vault.json", "anchor.json", "audit.jsonl"] {
        std::fs::remove_file(home.path().join(name)).expect("lost");
    }
    for arguments in [
        &["vault", "status", "--json"][..],
        &["vault", "init", "--json"],
        &["list", "--json"],
    ] {
        let ended = home.run(arguments);
        assert_eq!(ended.error_code(), "vault_missing", "{ended:?}");
        assert!(ended.stdout.contains("vault-*.key"), "{ended:?}");
    }
}

#[test]
fn an_undo_without_a_name_is_audited_with_the_key_that_it_changed() {
    let home = Home::new();
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    home.run(["remove", "openai"]);
    assert_eq!(home.run(["undo"]).code, Some(0));
    let newest = home.run(["audit", "--limit", "1", "--json"]).json();
    let entry = &newest["entries"][0];
    assert_eq!(
        (&entry["action"], &entry["provider"]),
        (&"undo".into(), &"openai".into())
    );
    assert!(entry["key_id"].is_string(), "{entry}");
}

#[test]
fn a_recovery_code_also_opens_a_file_that_is_not_the_newest() {
    let accept = |home: &Home, code: &str| {
        let opened = ["vault", "accept-rollback", "--recovery", "--stdin", "--yes", "--json"];
        let accepted = run(home, &opened, None, &format!("{code}\n"));
        assert_eq!(accepted.code, Some(0), "{accepted:?}");
        let recovered = run(home, &["vault", "recover", "--stdin"], None, &format!("{code}\n"));
        assert_eq!(recovered.code, Some(0), "{recovered:?}");
        assert_eq!(home.run(["list", "--json"]).json()["total_count"], 1);
        let added = home.run_with(home.command(["add", "openai:third", "--stdin"]), KEY);
        assert_eq!(added.code, Some(0), "{added:?}");
        accepted.json()["before"].as_str().expect("a standing").to_owned()
    };
    let lose_key_files = |home: &Home| {
        for entry in std::fs::read_dir(home.path()).expect("a folder").flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "key") {
                std::fs::remove_file(entry.path()).expect("removed");
            }
        }
    };
    let home = Home::new();
    let made = home.run(["vault", "init", "--master-key", "key-file", "--recovery-code", "--json"]);
    let code = made.json()["recovery_code"].as_str().expect("a code").to_owned();
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    let file = home.path().join("vault.json");
    let backup = std::fs::read(&file).expect("a vault");
    home.run_with(home.command(["add", "openai:second", "--stdin"]), KEY);
    std::fs::write(&file, &backup).expect("put back");
    lose_key_files(&home);
    let refused = run(&home, &["vault", "recover", "--stdin"], None, &format!("{code}\n"));
    assert!(
        refused.stderr.contains("accept-rollback`, with `--recovery`"),
        "{refused:?}"
    );
    let refused = home.run(["vault", "accept-rollback", "--yes"]);
    assert!(refused.stderr.contains("accept-rollback --recovery"), "{refused:?}");
    assert_eq!(accept(&home, &code), "rolled_back");

    // A new machine, where another vault was made already.
    let home = Home::new();
    home.run(["vault", "init", "--master-key", "key-file"]);
    std::fs::write(home.path().join("vault.json"), &backup).expect("put in");
    assert_eq!(accept(&home, &code), "foreign");

    // The same with an anchor that nobody can read.
    let home = Home::new();
    home.run(["vault", "init", "--master-key", "key-file"]);
    std::fs::write(home.path().join("vault.json"), &backup).expect("put in");
    std::fs::write(home.path().join("anchor.json"), "?").expect("damaged");
    assert_eq!(accept(&home, &code), "anchor_damaged");
}

#[test]
fn looking_at_the_vault_tells_that_its_file_is_not_the_one_last_written() {
    let home = Home::new();
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    let file = home.path().join("vault.json");
    let old = std::fs::read(&file).expect("a vault");
    assert_eq!(home.run(["vault", "status", "--json"]).json()["standing"], "current");
    home.run_with(home.command(["add", "openai:second", "--stdin"]), KEY);
    std::fs::write(&file, old).expect("put back");
    for command in ["status", "unlock-check"] {
        let json = home.run(["vault", command, "--json"]).json();
        assert_eq!(json["standing"], "rolled_back", "{json}");
        let told = home.run(["vault", command]);
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.stderr.contains("accept-rollback"), "{told:?}");
    }

    let other = Home::new();
    other.run_with(other.command(["add", "openai", "--stdin"]), KEY);
    for entry in std::fs::read_dir(other.path()).expect("a folder").flatten() {
        let name = entry.file_name();
        if name == "vault.json" || entry.path().extension().is_some_and(|extension| extension == "key") {
            std::fs::copy(entry.path(), home.path().join(&name)).expect("copied");
        }
    }
    let status = home.run(["vault", "status", "--json"]);
    assert_eq!((status.code, &status.json()["state"]), (Some(1), &"unavailable".into()));
    assert_eq!(status.json()["problem"]["code"], "vault_foreign");
    assert_eq!(
        home.run(["vault", "unlock-check", "--json"]).error_code(),
        "vault_foreign"
    );
    // Everything else is looked at all the same.
    let doctor = home.run(["doctor", "--offline"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(
        doctor.stdout.contains("ledger") && doctor.stderr.contains("accept-rollback"),
        "{doctor:?}"
    );
}

#[cfg(unix)]
#[test]
fn doctor_finds_what_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    for (name, mode, usual) in [
        ("", 0o500, 0o700),
        ("vault.lock", 0o400, 0o600),
        ("audit.jsonl", 0o400, 0o600),
    ] {
        let path = home.path().join(name);
        let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        assert_eq!(home.run(["doctor", "--offline"]).code, Some(0), "{name}");
        set(mode);
        let ended = home.run(["doctor", "--offline"]);
        assert_eq!(ended.code, Some(1), "{name}: {ended:?}");
        assert!(ended.stdout.contains("is not writable"), "{ended:?}");
        set(usual);
    }
}
