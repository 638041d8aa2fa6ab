//! `run`: keys in the child's environment, and the child's own end.
#![cfg(unix)]

use std::process::Command;

use crate::support::{Ended, Home};

const KEY: &str = "sk-proj-MadeUpForTheTests0123456789abcdefXYZW";
const OTHER: &str = "sk-ant-api03-MadeUpForTheTests0123456789abcdefXYZW";

fn with_keys() -> Home {
    let home = Home::new();
    for (name, key) in [("openai", KEY), ("anthropic:work", OTHER)] {
        let ended = home.run_with(home.command(["add", name, "--stdin"]), key);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    home
}

fn run(home: &Home, arguments: &[&str]) -> Ended {
    home.run([&["run"], arguments].concat())
}

#[test]
fn the_command_finds_the_keys_under_their_usual_names() {
    let home = with_keys();
    let ended = run(&home, &["--", "sh", "-c", "echo $OPENAI_API_KEY:$ANTHROPIC_API_KEY"]);
    assert_eq!(
        (ended.code, ended.stdout.trim()),
        (Some(0), format!("{KEY}:{OTHER}").as_str()),
        "the only key of a provider needs no default label: {ended:?}"
    );
    let ended = run(
        &home,
        &[
            "--provider",
            "openai",
            "-p",
            "anthropic:work",
            "--",
            "sh",
            "-c",
            "echo $OPENAI_API_KEY:$ANTHROPIC_API_KEY",
        ],
    );
    assert_eq!(ended.stdout.trim(), format!("{KEY}:{OTHER}"), "{ended:?}");
}

#[test]
fn a_provider_that_is_switched_off_or_gone_stops_no_command() {
    let home = with_keys();
    let own = "[providers.mine]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:9/v1\"\n";
    home.config(own);
    let added = home.run_with(home.command(["add", "mine", "--stdin"]), "mine-0123456789abcdef");
    assert_eq!(added.code, Some(0), "{added:?}");
    let names = |home: &Home| run(home, &["--dry-run", "--json"]).json()["variables"].clone();
    assert_eq!(names(&home).as_array().map(Vec::len), Some(3));

    home.config(&format!("{own}enabled = false\n"));
    assert_eq!(names(&home)[1]["name"], "OPENAI_API_KEY");
    assert_eq!(names(&home).as_array().map(Vec::len), Some(2));
    let ended = run(&home, &["--", "true"]);
    assert!(
        ended.code == Some(0) && ended.stderr.contains("mine is disabled"),
        "{ended:?}"
    );
    let asked_for = run(&home, &["--provider", "mine", "--", "sh", "-c", "echo $MINE_API_KEY"]);
    assert_eq!(asked_for.stdout.trim(), "mine-0123456789abcdef", "{asked_for:?}");

    home.config("");
    assert_eq!(names(&home).as_array().map(Vec::len), Some(2));
    // A key of a provider that is gone can be taken away and brought back.
    assert_eq!(home.run(["remove", "mine"]).code, Some(0));
    assert_eq!(home.run(["undo", "mine:default"]).code, Some(0));
    assert_eq!(
        home.run(["undo", "nonsense", "--json"]).error_code(),
        "unknown_provider"
    );
}

#[test]
fn the_exit_code_and_a_signal_are_the_commands_own() {
    let home = with_keys();
    assert_eq!(run(&home, &["--", "sh", "-c", "exit 42"]).code, Some(42));
    // Ended by a signal: no exit code, as if the command had been started directly.
    assert_eq!(run(&home, &["--", "sh", "-c", "kill -TERM $$"]).code, None);
    let ended = home.run_with(home.command(["run", "--", "cat"]), "what is piped in");
    assert_eq!(ended.stdout, "what is piped in");
}

#[test]
fn a_command_that_cannot_start_ends_as_in_a_shell() {
    let home = with_keys();
    let ended = run(&home, &["--", "no-such-command-anywhere"]);
    assert_eq!(ended.code, Some(127), "{ended:?}");
    assert!(
        ended.stderr.starts_with("error: ") && ended.stderr.contains("hint: "),
        "{ended:?}"
    );
    let file = home.beside("not-executable");
    std::fs::write(&file, "#!/bin/sh\n").expect("a file");
    let ended = run(&home, &["--", file.to_str().expect("text")]);
    assert_eq!(ended.code, Some(126), "{ended:?}");
}

#[test]
fn a_dry_run_names_variables_and_runs_nothing() {
    let home = with_keys();
    let touched = home.beside("touched");
    let ended = run(&home, &["--dry-run", "--", "touch", touched.to_str().expect("text")]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("OPENAI_API_KEY") && !ended.stdout.contains(KEY),
        "{ended:?}"
    );
    assert!(!touched.exists());
    let ended = run(&home, &["--dry-run", "--json"]);
    assert_eq!(ended.json()["variables"][1]["name"], "OPENAI_API_KEY", "{ended:?}");
}

/// Libraries look in several variables, and prefer one or the other.
#[test]
fn no_other_key_of_the_same_provider_is_left_to_the_command() {
    let home = with_keys();
    let added = home.run_with(
        home.command(["add", "google", "--stdin"]),
        "AIzaMadeUpForTheTests0123456789abcdefXY",
    );
    assert_eq!(added.code, Some(0), "{added:?}");
    let with = |arguments: &[&str]| {
        let mut command = home.command([&["run", "-p", "google", "-p", "anthropic:work"], arguments].concat());
        for name in ["GOOGLE_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY"] {
            command.env(name, "mine");
        }
        home.run_with(command, "")
    };
    let script = "echo $GEMINI_API_KEY:$GOOGLE_API_KEY:$ANTHROPIC_API_KEY:$ANTHROPIC_AUTH_TOKEN:$OPENAI_API_KEY";
    let ended = with(&["--", "sh", "-c", script]);
    assert_eq!(
        ended.stdout.trim(),
        format!("AIzaMadeUpForTheTests0123456789abcdefXY::{OTHER}::mine"),
        "{ended:?}"
    );
    let dry = with(&["--dry-run", "--json"]).json();
    assert_eq!(
        dry["removed"],
        serde_json::json!(["ANTHROPIC_AUTH_TOKEN", "GOOGLE_API_KEY"])
    );
    let dry = with(&["--dry-run"]).stdout;
    let line = dry.lines().find(|line| line.starts_with("GOOGLE_API_KEY"));
    assert!(line.is_some_and(|line| line.contains("removed")), "{dry}");
}

#[test]
fn what_opens_the_vault_is_not_handed_on() {
    let home = with_keys();
    let mut command = home.command(["run", "--", "sh", "-c", "echo [$API_KEYS_PASSPHRASE]"]);
    command.env("API_KEYS_PASSPHRASE", "not for the child");
    assert_eq!(home.run_with(command, "").stdout.trim(), "[]");
}

#[test]
fn the_command_gets_the_callers_umask_and_core_limit_back() {
    let home = with_keys();
    let mut direct = Command::new("sh");
    direct.args(["-c", "umask; ulimit -S -c"]);
    let direct = home.run_with(direct, "").stdout;
    assert_eq!(run(&home, &["--", "sh", "-c", "umask; ulimit -S -c"]).stdout, direct);
}

#[test]
fn the_use_is_in_the_audit_trail() {
    let home = with_keys();
    run(&home, &["--provider", "openai", "--", "true"]);
    let entries = home.run(["audit", "--json"]).json();
    let last = entries["entries"]
        .as_array()
        .and_then(|entries| entries.last())
        .expect("entries");
    assert_eq!(
        (last["provider"].as_str(), last["actor"].as_str()),
        (Some("openai"), Some("cli")),
        "{last}"
    );
}

#[test]
fn an_expired_or_missing_key_starts_nothing() {
    let home = with_keys();
    let touched = home.beside("touched");
    for name in ["groq", "openai:other"] {
        let ended = run(
            &home,
            &[
                "--json",
                "--provider",
                name,
                "--",
                "touch",
                touched.to_str().expect("text"),
            ],
        );
        assert_eq!(ended.error_code(), "key_not_found", "{ended:?}");
    }
    assert!(!touched.exists());
    let ended = run(&home, &["--provider", "openai", "true"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--"), "{ended:?}");
}

#[test]
fn two_keys_for_one_variable_are_told_apart_by_naming_one() {
    let home = with_keys();
    for name in ["local", "ollama-cloud"] {
        let added = home.run_with(home.command(["add", name, "--stdin"]), "ollama-0123456789abcdef");
        assert_eq!(added.code, Some(0), "{added:?}");
    }
    let ended = run(&home, &["--", "true"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("`--provider local`, or `--provider ollama-cloud`"),
        "{ended:?}"
    );
    let ended = run(&home, &["-p", "local", "-p", "ollama-cloud", "--", "true"]);
    assert!(ended.stderr.contains("ask for one of the two"), "{ended:?}");
    let ended = run(
        &home,
        &["-p", "openai", "-p", "openai", "--", "sh", "-c", "echo $OPENAI_API_KEY"],
    );
    assert_eq!(ended.stdout.trim(), KEY, "{ended:?}");
}

#[test]
fn several_labelled_keys_of_a_provider_are_left_out_and_named() {
    let home = with_keys();
    home.run_with(home.command(["add", "anthropic:home", "--stdin"]), OTHER);
    let ended = run(&home, &["--", "sh", "-c", "echo [$ANTHROPIC_API_KEY]"]);
    assert_eq!((ended.code, ended.stdout.trim()), (Some(0), "[]"), "{ended:?}");
    assert!(ended.stderr.contains("anthropic:home, anthropic:work"), "{ended:?}");
    let left_out = run(&home, &["--dry-run", "--json"]).json()["left_out"].clone();
    assert_eq!(left_out[0]["provider"], "anthropic", "{left_out}");
    assert_eq!(home.run(["remove", "openai"]).code, Some(0));
    let ended = run(&home, &["--", "true"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("anthropic has several keys"), "{ended:?}");
}

#[test]
fn a_folder_of_a_project_gets_the_keys_of_its_label() {
    let home = with_keys();
    let added = home.run_with(
        home.command(["add", "openai:work", "--stdin"]),
        "sk-proj-OfTheProject0123456789abcdefXYZW",
    );
    assert_eq!(added.code, Some(0), "{added:?}");
    home.config("[projects]\n\"~/work/**\" = \"work\"\n");
    let folder = home.beside("work/deep");
    std::fs::create_dir_all(&folder).expect("a folder");
    let in_folder = |folder: &std::path::Path, arguments: &[&str]| {
        let mut command = home.command([&["run"], arguments].concat());
        command.current_dir(folder);
        home.run_with(command, "").stdout.trim().to_owned()
    };
    let echo = ["--", "sh", "-c", "echo $OPENAI_API_KEY"];
    assert_eq!(in_folder(&folder, &echo), "sk-proj-OfTheProject0123456789abcdefXYZW");
    assert_eq!(in_folder(&home.beside(""), &echo), KEY);
    let told_otherwise = [&["-p", "openai:default"], &echo[..]].concat();
    assert_eq!(in_folder(&folder, &told_otherwise), KEY);
    let mut doctor = home.command(["doctor", "--offline"]);
    doctor.current_dir(&folder);
    assert!(home.run_with(doctor, "").stdout.contains("keys labelled `work`"));
    home.config("[projects]\n\"work\" = \"work\"\n");
    assert_eq!(
        run(&home, &echo).code,
        Some(1),
        "a mistake in the configuration stops it"
    );
}

#[test]
fn an_agent_gets_what_it_needs_to_go_through_the_gateway() {
    let home = with_keys();
    let made = |program: &str| {
        let path = home.path().join(program);
        let script = "#!/bin/sh\necho \"$1 $2 [$ANTHROPIC_API_KEY] ${ANTHROPIC_AUTH_TOKEN%%_*} ${API_KEYS_CLIENT_KEY%%_*} \
             $GEMINI_CLI_SYSTEM_SETTINGS_PATH\"\n";
        std::fs::write(&path, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&path, mode).unwrap();
        let ended = run(&home, &["--gateway", "--", path.to_str().unwrap(), "mine"]);
        ended.stdout.trim().to_owned()
    };
    assert_eq!(made("claude"), "mine  [] akc", "its token alone");
    assert_eq!(made("codex").split(" [").next(), Some("-c model_provider=\"api-keys\""));
    assert!(made("codex").ends_with("] akc akc"), "its provider's key");
    let settings = made("gemini").split(' ').next_back().unwrap().to_owned();
    let settings = std::fs::read_to_string(settings).unwrap();
    assert!(settings.contains("gemini-api-key"), "{settings}");
    let env = home.run(["env", "--client", "one", "--new", "--for", "codex"]);
    assert!(env.stdout.contains("codex() { command codex '-c'"), "{}", env.stdout);
    let env = home.run(["env", "--client", "two", "--new", "--for", "claude-code"]);
    assert!(env.stdout.contains("unset ANTHROPIC_API_KEY;"), "{}", env.stdout);
    assert!(!env.stdout.contains("export ANTHROPIC_API_KEY"), "{}", env.stdout);
}
