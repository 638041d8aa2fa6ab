//! The command line from outside: what it says, how it ends, and what it never repeats.

use serde_json::json;

use crate::support::{
    Home,
    mcp_client::{LEGACY, McpClient},
    stand_in::{Reply, StandIn},
};

/// Has the shape of a key and never was one.
const OPENAI_KEY: &str = "sk-proj-MadeUpForTheTests0123456789abcdefXYZW";
/// Has the shape of a key and never was one.
const KEY: &str = "sk-ant-api03-MadeUpForTheTests0123456789abcdefXYZW";

#[test]
fn an_unknown_command_is_a_usage_error_in_both_forms() {
    let home = Home::new();
    let ended = home.run(["nonsense"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(
        ended.stderr.starts_with("error: unknown command `nonsense`\nhint: "),
        "{}",
        ended.stderr
    );

    let ended = home.run(["nonsense", "--json"]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.error_code(), "invalid_argument");
}

#[test]
fn help_and_version_are_answers() {
    let home = Home::new();
    for arguments in [["--help"], ["--version"], ["-h"], ["help"]] {
        let ended = home.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}");
        assert!(
            ended.stdout.contains("api-keys") && ended.stderr.is_empty(),
            "{ended:?}"
        );
        assert!(!ended.stdout.contains('\u{1b}'), "no colours in a pipe: {ended:?}");
    }
}

#[test]
fn a_mistyped_provider_gets_a_suggestion_wherever_it_is_named() {
    let home = Home::new();
    let suggests = |arguments: &[&str], meant: &str| {
        let ended = home.run(arguments);
        assert!(
            ended.stderr.contains(&format!("did you mean `{meant}`?")),
            "{arguments:?}: {ended:?}"
        );
    };
    for arguments in [
        &["remove", "opnai", "--yes"] as &[&str],
        &["validate", "opnai:work"],
        &["usage", "--provider", "opnai"],
        &["run", "--gateway", "--provider", "opnai", "--", "true"],
        &["client", "add", "editor", "--provider", "opnai"],
    ] {
        suggests(arguments, "openai");
    }
    suggests(&["route", "chat", "--model", "opnai/gpt-5"], "openai/…");
    home.config("[routing]\nfallback_order = [\"opnai\"]\n");
    suggests(&["list"], "openai");
    home.config("[providers.antropic]\nenabled = false\n");
    suggests(&["list"], "anthropic");
}

#[test]
fn every_command_has_help() {
    let home = Home::new();
    let mut below = vec![(Vec::new(), api_keys::cli::command())];
    let mut seen = 0;
    while let Some((names, command)) = below.pop() {
        for command in command.get_subcommands() {
            let names = [names.as_slice(), &[command.get_name().to_owned()]].concat();
            let help = |flag| home.run(names.iter().map(String::as_str).chain([flag]));
            assert_eq!(help("--help").code, Some(0), "{names:?}");
            let ended = help("-h");
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let first = ended.stdout.lines().next().unwrap_or_default();
            assert!(
                first.len() > 10 && !first.ends_with('.') && !first.starts_with("Usage"),
                "{names:?}: {first}"
            );
            seen += 1;
            below.push((names, command.clone()));
        }
    }
    assert!(seen > 35, "only {seen} commands");
}

#[test]
fn completions_name_the_commands_even_without_a_home() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut command = home.command(["completions", shell]);
        command.env_remove("HOME").env_remove("API_KEYS_HOME");
        let ended = home.run_with(command, "");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("rotate"), "{ended:?}");
    }
}

#[cfg(unix)]
#[test]
fn bash_completes_commands_and_their_options() {
    let home = Home::new();
    let script = home.beside("completions.bash");
    std::fs::write(&script, home.run(["completions", "bash"]).stdout).expect("a script");
    home.run_with(home.command(["add", "openai:work", "--stdin"]), OPENAI_KEY);
    home.run(["client", "add", "editor"]);
    for (typed, offered) in [
        (&["rot"][..], "rotate"),
        (&["rotate", "--rev"], "--revoke-now"),
        (&["run", "--dry"], "--dry-run"),
        (&["vault", "add-"], "add-slot"),
        (&["vault", "add-slot", "recov"], "recovery"),
        (&["vault", "add-slot", "--std"], "--stdin"),
        (&["validate", "openai:w"], "openai:work"),
        (&["validate", "--label", ""], "work"),
        (&["usage", "openr"], "openrouter"),
        (&["route", "summ"], "summarization"),
        (&["client", "remove", "ed"], "editor"),
    ] {
        // What bash does when Tab is pressed after these words.
        let tab = "source \"$1\"; shift; COMP_WORDS=(api-keys \"$@\"); COMP_CWORD=$#\n\
                   eval \"$(complete -p api-keys | sed -E 's/.*-F ([^ ]+).*/\\1/')\" \
                   api-keys '\"${COMP_WORDS[COMP_CWORD]}\"' '\"${COMP_WORDS[COMP_CWORD - 1]}\"'\n\
                   echo \"${COMPREPLY[@]}\"";
        let mut bash = std::process::Command::new("bash");
        bash.args(["--norc", "-c", tab, "bash"]).arg(&script).args(typed);
        bash.env("API_KEYS_HOME", home.path());
        let ended = home.run_with(bash, "");
        assert_eq!(ended.stdout.trim(), offered, "{typed:?} {ended:?}");
    }
}

#[test]
fn a_key_as_an_argument_is_refused_and_never_repeated() {
    let home = Home::new();
    for arguments in [
        &["add", "anthropic", KEY][..],
        &["add", KEY],
        &["add", "anthropic", "--label", KEY],
        &["add", "anthropic", &format!("--api-key={KEY}")],
        &["rotate", "anthropic", KEY],
        &["validate", KEY],
        &["list", KEY],
        &["run", "--provider", KEY, "--", "true"],
        &[KEY],
    ] {
        for json in [false, true] {
            let mut arguments = arguments.to_vec();
            if json {
                arguments.insert(0, "--json");
            }
            let ended = home.run(&arguments);
            assert_eq!(ended.code, Some(2), "{ended:?}");
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!said.contains("MadeUp") && !said.contains("sk-ant"), "{said}");
            assert!(ended.stderr.contains("hint: "), "{said}");
            if json {
                assert_eq!(ended.error_code(), "key_in_wrong_place");
            }
        }
    }
    assert!(!home.path().join("vault.json").exists());
}

#[test]
fn something_after_the_provider_gets_the_right_advice() {
    let home = Home::new();
    let ended = home.run(["add", "anthropic", "hunter2"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    assert!(ended.stderr.contains("keys are never arguments"), "{ended:?}");
}

#[test]
fn a_key_comes_in_by_stdin_variable_or_file() {
    let home = Home::new();
    let ended = home.run_with(
        home.command(["add", "anthropic", "--stdin", "--json"]),
        &format!("{KEY}\n"),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.json()["key"]["provider"], "anthropic");
    assert_eq!(ended.json()["replaced"], false);

    let mut command = home.command(["add", "anthropic:variable", "--env-var", "SOME_KEY", "--json"]);
    command.env("SOME_KEY", KEY);
    let ended = home.run_with(command, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.json()["key"]["label"], "variable");

    let file = home.beside("key.txt");
    std::fs::write(&file, format!("{KEY}\r\n")).expect("a file");
    let mut arguments = vec![
        "add".into(),
        "anthropic".into(),
        "--label".into(),
        "file".into(),
        "--from-file".into(),
    ];
    arguments.push(file.into_os_string());
    let ended = home.run(arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("key.txt still contains the key"), "{ended:?}");

    let listed = home.run(["list", "--json"]);
    assert_eq!(listed.json()["total_count"], 3);
    let everything = format!("{ended:?}{listed:?}");
    assert!(!everything.contains(KEY), "{everything}");
}

#[test]
fn a_key_comes_from_one_source() {
    let home = Home::new();
    for command in ["add", "rotate"] {
        for other in [
            &["--stdin"][..],
            &["--from-file", "key.txt"],
            &["--from-env-file", ".env"],
        ] {
            let arguments = [&[command, "anthropic", "--json", "--env-var", "SOME_KEY"], other].concat();
            let mut both = home.command(arguments);
            both.env("SOME_KEY", KEY);
            let ended = home.run_with(both, KEY);
            assert_eq!(
                (ended.code, ended.error_code().as_str()),
                (Some(2), "invalid_argument"),
                "{ended:?}"
            );
        }
    }
    assert!(!home.path().join("vault.json").exists());
}

#[test]
fn without_a_terminal_or_a_source_the_error_names_the_ways() {
    let home = Home::new();
    let mut command = home.command(["add", "anthropic", "--json"]);
    without_terminal(&mut command);
    let ended = home.run_with(command, "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.error_code(), "key_required");
    assert!(!home.path().join("vault.json").exists(), "no vault is made for nothing");
    for way in ["--stdin", "--env-var", "--from-file"] {
        assert!(ended.stderr.contains(way), "{ended:?}");
    }
    let mut command = home.command(["add", "anthropic:work"]);
    without_terminal(&mut command);
    let ended = home.run_with(command, "");
    assert!(ended.stderr.contains("`api-keys add anthropic:work`"), "{ended:?}");
}

#[test]
fn a_missing_file_a_device_and_an_empty_line_are_told_apart() {
    let home = Home::new();
    let missing = home.beside("missing");
    let missing = missing.to_str().expect("text");
    for (source, code) in [(missing, "storage_failed"), ("/dev/zero", "unsafe_file")] {
        let ended = home.run(["add", "anthropic", "--json", "--from-file", source]);
        assert_eq!(ended.error_code(), code, "{ended:?}");
    }
    let ended = home.run_with(home.command(["add", "anthropic", "--stdin", "--json"]), "\n");
    assert_eq!(ended.error_code(), "malformed_key", "{ended:?}");
}

#[test]
fn a_removed_key_comes_back_by_undo() {
    let home = Home::new();
    home.run_with(home.command(["add", "anthropic:work", "--stdin"]), KEY);
    let removed = home.run(["remove", "anthropic:work", "--json"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert_eq!(removed.json()["removed"], true);
    assert_eq!(home.run(["list", "--json"]).json()["total_count"], 0);

    let undone = home.run(["undo", "anthropic:work", "--json"]);
    assert_eq!(undone.code, Some(0), "{undone:?}");
    assert_eq!(undone.json()["undone"], "removal");
    assert_eq!(home.run(["list", "--json"]).json()["total_count"], 1);
    assert_eq!(home.run(["undo", "--json"]).error_code(), "nothing_to_undo");
}

#[test]
fn doctor_finds_a_list_of_the_gateways_clients_that_is_damaged() {
    let home = Home::new();
    assert_eq!(home.run(["client", "add", "editor"]).code, Some(0));
    let gateway = || {
        let ended = home.run(["doctor", "--offline", "--json"]);
        let findings = ended.json()["findings"].as_array().cloned().expect("findings");
        let found = findings.into_iter().find(|finding| finding["check"] == "gateway");
        (ended.code, found.expect("a finding")["state"].clone())
    };
    assert_eq!(gateway(), (Some(0), "ok".into()));
    std::fs::write(home.path().join("clients.json"), "x").expect("damaged");
    assert_eq!(gateway(), (Some(1), "wrong".into()));
}

#[test]
fn doctor_finds_a_journal_that_could_not_be_read_to_its_end() {
    let home = Home::new();
    let is_told = || {
        let ended = home.run(["doctor", "--offline"]);
        (
            ended.code,
            ended.stdout.contains(".damaged could not be read to its end"),
        )
    };
    assert_eq!(is_told(), (Some(0), false));
    let journals = home.path().join("journal");
    crate::support::private_folder(&journals);
    // Doctor itself is the one who replays it.
    let left = journals.join("0123456789abcdef-00000001.journal");
    std::fs::write(&left, "not a journal").expect("damaged");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&left, std::fs::Permissions::from_mode(0o600)).expect("private");
    }
    assert_eq!(is_told(), (Some(1), true));
    assert!(!left.exists());
    assert_eq!(is_told(), (Some(1), true), "until it is removed");
}

#[test]
fn json_is_exactly_what_the_tool_answers() {
    let provider = StandIn::answering(Reply::json(200, &json!({"object": "list", "data": []})));
    let home = Home::new();
    home.config(&format!("[providers.openai]\nbase_url = \"{}/v1\"\n", provider.url()));
    let key = "sk-proj-MadeUpForTheTests0123456789abcdefXYZW";
    assert_eq!(
        home.run_with(home.command(["add", "openai", "--stdin"]), key).code,
        Some(0)
    );
    let mut client = McpClient::open(home.command(["serve"]), LEGACY, json!({}));
    for (line, tool, arguments) in [
        (&["list"][..], "list_api_keys", json!({})),
        (
            &["list", "--include-metadata", "false"],
            "list_api_keys",
            json!({"include_metadata": false}),
        ),
        (&["validate", "openai"], "validate_key", json!({"provider": "openai"})),
        (&["validate", "--all"], "validate_all_keys", json!({})),
    ] {
        let mut printed = home.run([line, &["--json"]].concat()).json();
        let mut answered = client.structured(tool, arguments);
        // The command asks anew, and its answer is what the client is told for the next minute.
        let cached = ["/cached", "/results/0/cached"];
        let cached = cached.map(|at| {
            (
                printed.pointer_mut(at).map(serde_json::Value::take),
                answered.pointer_mut(at).map(serde_json::Value::take),
            )
        });
        assert!(
            cached
                .iter()
                .all(|cached| [(None, None), (Some(false.into()), Some(true.into()))].contains(cached)),
            "{line:?}: {cached:?}"
        );
        assert_eq!(printed, answered, "{line:?}");
    }
    for (line, tool, arguments) in [
        (&["remove", "groq"][..], "remove_api_key", json!({"provider": "groq"})),
        (
            &["validate", "openai:no"],
            "validate_key",
            json!({"provider": "openai", "label": "no"}),
        ),
        (&["validate", "nobody"], "validate_key", json!({"provider": "nobody"})),
    ] {
        let printed = home.run([line, &["--json"]].concat());
        assert_eq!(
            printed.json(),
            client.call(tool, arguments)["structuredContent"],
            "{line:?}"
        );
    }
}

#[test]
fn more_keys_than_a_model_can_read_are_counted_and_people_see_them_all() {
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"key-file\"\nkeys_in_chat = \"allow\"\n");
    let mut client = McpClient::open(home.command(["serve"]), LEGACY, json!({}));
    for number in 0..60 {
        let (provider, prefix) = if number < 55 {
            ("openai", "sk-proj-")
        } else {
            ("groq", "gsk_")
        };
        let arguments = json!({
            "provider": provider,
            "api_key": format!("{prefix}{number:02}MadeUpForTheTests0123456789abcdef"),
            "label": format!("number-{number}"),
            "description": "d".repeat(450),
        });
        client.structured("add_api_key", arguments);
    }
    let listed = client.structured("list_api_keys", json!({}));
    let count = |listed: &serde_json::Value| listed["keys"].as_array().unwrap().len() as u64;
    assert!(listed.to_string().chars().count() < 50_000);
    assert_eq!(listed["total_count"], 60);
    assert_eq!(count(&listed) + listed["omitted"].as_u64().unwrap(), 60);
    for narrower in [json!({"provider": "groq"}), json!({"include_metadata": false})] {
        let listed = client.structured("list_api_keys", narrower);
        assert_eq!(listed["omitted"], serde_json::Value::Null);
        assert_eq!(listed["total_count"], count(&listed));
    }
    let unknown = client.call("list_api_keys", json!({"provider": "nobody"}));
    assert_eq!(unknown["structuredContent"]["error"]["code"], "unknown_provider");
    let all = home.run(["list", "--json"]).json();
    assert_eq!(count(&all), 60);
    assert_eq!(count(&home.run(["list", "--provider", "groq", "--json"]).json()), 5);
}

#[test]
fn a_list_is_a_table_for_people() {
    let home = Home::new();
    let ended = home.run(["list"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("No keys"), "{ended:?}");
    home.run_with(
        home.command(["add", "anthropic", "--stdin", "--description", "for work"]),
        KEY,
    );
    let ended = home.run(["list"]);
    let mut lines = ended.stdout.lines();
    assert!(
        lines.next().is_some_and(|head| head.starts_with("PROVIDER")),
        "{ended:?}"
    );
    assert!(
        lines.next().is_some_and(|row| row.starts_with("anthropic")),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn colours_come_only_when_asked_for_or_seen() {
    let home = Home::new();
    home.run_with(home.command(["add", "anthropic", "--stdin"]), KEY);
    let colours = |ended: &crate::support::Ended| ended.stdout.contains("\u{1b}[");
    assert!(!colours(&home.run(["list"])));
    assert!(colours(&home.run(["list", "--color", "always"])));
    let mut command = home.command(["list", "--color", "always"]);
    command.env("NO_COLOR", "1");
    assert!(
        colours(&home.run_with(command, "")),
        "the option wins over the variable"
    );
}

#[test]
fn a_reader_that_hangs_up_is_no_failure() {
    let home = Home::new();
    let mut child = home
        .command(["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_missing_home_is_said_and_nothing_is_guessed() {
    let home = Home::new();
    let mut command = home.command(["list", "--json"]);
    command.env_remove("HOME").env_remove("API_KEYS_HOME");
    let ended = home.run_with(command, "");
    assert_eq!(ended.error_code(), "home_missing", "{ended:?}");
}

#[test]
fn setup_makes_a_vault_and_proves_the_server_and_can_be_repeated() {
    let home = Home::new();
    for made in [true, false] {
        let ended = home.run(["setup", "--json"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let said = ended.json();
        assert_eq!(said["vault"]["made"], made, "{said}");
        assert_eq!(said["vault"]["state"], "unlocked", "{said}");
        assert_eq!(said["keys"], 0, "{said}");
        assert!(
            said["server"]["tools"].as_array().is_some_and(|tools| tools.len() >= 6),
            "{said}"
        );
    }
    let ended = home.run(["setup"]);
    assert!(ended.stderr.contains("claude mcp add"), "{ended:?}");
    assert!(!home.path().join("trial").exists());
}

#[test]
fn alone_without_a_terminal_it_is_a_server_that_ends_with_its_input() {
    let home = Home::new();
    let ended = home.run([""; 0]);
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (Some(0), "", "")
    );
}

/// Takes the terminal away that the tests may have been started on.
pub(crate) fn without_terminal(command: &mut std::process::Command) {
    if !cfg!(target_os = "linux") {
        return;
    }
    // `setsid` of util-linux leaves the session, and with it the terminal.
    let mut outside = std::process::Command::new("setsid");
    outside
        .arg("--wait")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    outside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        outside.current_dir(folder);
    }
    *command = outside;
}
