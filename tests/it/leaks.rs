//! A canary key goes through every tool, every error and every log level, and must not be seen again.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use api_keys::{resources::RESOURCES, tools::TOOLS};
use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use serde_json::{Value, json};

use crate::elicitation::{call, say, type_on_page};
use crate::support::{
    Ended, Home,
    mcp_client::{LEGACY, MODERN, McpClient},
    stand_in::{Reply, StandIn},
};

/// The part of every canary that is searched for: letters and digits, so that escaping leaves it as it is.
const CORE: &str = "CanaryJ7x2Qm9ZtVbW4kHsR8";

/// A key with characters that URLs and shells escape; the masked form may show its ends.
fn canary(number: usize) -> String {
    format!("sk-proj-{number}%+/=&~{CORE}{number}xyzw")
}

/// A key as providers make them, for places where no key belongs.
fn misplaced() -> String {
    format!("sk-proj-{CORE}wxyz")
}

/// How the canary would look where it was leaked.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("raw", CORE.as_bytes().to_vec()),
        ("reversed", CORE.bytes().rev().collect()),
        ("hex", HEXLOWER.encode(CORE.as_bytes()).into_bytes()),
        ("HEX", HEXUPPER.encode(CORE.as_bytes()).into_bytes()),
    ];
    // Base64 depends on where the canary begins; of each alignment, the part that does not depend on its neighbours.
    for skipped in 0..3 {
        let whole = (CORE.len() - skipped) / 3 * 3;
        let encoded = BASE64.encode(&CORE.as_bytes()[skipped..skipped + whole]);
        forms.push(("base64", encoded.into_bytes()));
    }
    forms
}

/// Which form of the canary is in `bytes`, if one is.
fn leak(bytes: &[u8]) -> Option<&'static str> {
    let found = |form: &[u8]| bytes.windows(form.len()).any(|window| window == form);
    forms().into_iter().find(|(_, form)| found(form)).map(|(name, _)| name)
}

fn assert_clean(what: &str, bytes: &[u8]) {
    if let Some(form) = leak(bytes) {
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| leak(line).is_some());
        let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
        panic!("{what} holds the canary, {form}:\n{}", lines.join("\n"));
    }
}

fn assert_clean_run(what: &str, ended: &Ended) {
    assert_clean(&format!("stdout of {what}"), ended.stdout.as_bytes());
    assert_clean(&format!("stderr of {what}"), ended.stderr.as_bytes());
}

/// No file below `folder` holds the canary, nor is one named after it.
fn assert_clean_files(folder: &Path) {
    let mut files = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            assert_clean("a file's name", path.as_os_str().as_encoded_bytes());
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_clean(&path.display().to_string(), &fs::read(&path).unwrap());
                files += 1;
            }
        }
    }
    assert!(files >= 3, "the vault, its key and the audit trail are among the files");
}

/// A provider that says everything it heard, with a status that changes from one request to the next.
fn echo() -> StandIn {
    let count = Arc::new(AtomicUsize::new(0));
    StandIn::start(move |request| {
        let heard: Vec<String> = request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let heard = heard.join("\n");
        let key = request
            .header("authorization")
            .unwrap_or_default()
            .trim_start_matches("Bearer ")
            .to_owned();
        let body = json!({"error": {"message": heard, "code": key, "type": key}, "data": [{"id": key}], "id": key});
        match count.fetch_add(1, Ordering::SeqCst) % 8 {
            0 => Reply::json(401, &body),
            1 => Reply::json(200, &body),
            2 => Reply::json(403, &body),
            3 => Reply::json(429, &body).header("retry-after", "1"),
            4 => Reply::json(500, &body),
            5 => Reply::new(302, heard.as_bytes()).header("location", &format!("http://127.0.0.1:9/?key={CORE}")),
            6 => Reply::new(200, format!("<html>{heard}</html>").as_bytes()).header("content-type", "text/html"),
            _ => Reply::json(400, &body),
        }
    })
}

fn loud(mut command: Command, home: &Home) -> Command {
    command
        .env("RUST_LOG", "trace")
        .env("API_KEYS_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .env("TMPDIR", home.path());
    command
}

#[test]
fn the_search_finds_every_form_of_the_canary() {
    for (prefix, suffix) in [("", ""), ("a", "b"), ("ab", ""), ("{\"x\":\"", "\"}")] {
        let text = format!("{prefix}{}{suffix}", canary(1));
        assert!(leak(text.as_bytes()).is_some());
        assert!(leak(format!("{text:?}").as_bytes()).is_some());
        assert!(leak(json!({ "x": json!({ "y": text }).to_string() }).to_string().as_bytes()).is_some());
        assert!(leak(BASE64.encode(text.as_bytes()).as_bytes()).is_some());
        assert!(leak(HEXLOWER.encode(text.as_bytes()).as_bytes()).is_some());
        assert!(leak(HEXUPPER.encode(text.as_bytes()).as_bytes()).is_some());
    }
    assert!(leak(b"sk-proj-xyzw and nothing else").is_none());
}

#[test]
fn no_tool_and_no_error_shows_a_key_in_the_handshake_era() {
    tools(LEGACY);
}

#[test]
fn no_tool_and_no_error_shows_a_key_in_the_stateless_era() {
    tools(MODERN);
}

fn tools(revision: &str) {
    let provider = echo();
    let home = Home::with_openai(&provider);
    let mut client = McpClient::open(loud(home.command(["serve"]), &home), revision, json!({}));
    let (key, misplaced) = (canary(1), misplaced());

    // A key where it belongs, and everywhere it does not.
    let stored = client.call("add_api_key", json!({"provider": "openai", "api_key": key}));
    assert_ne!(stored["isError"], true, "{stored}");
    for argument in [
        "provider",
        "label",
        "description",
        "expiration_date",
        "env_var",
        "no_such_argument",
    ] {
        let mut arguments = json!({"provider": "openai", "api_key": canary(9)});
        arguments[argument] = json!(misplaced);
        let refused = client.failure("add_api_key", arguments);
        let expected = if argument == "no_such_argument" {
            "invalid_argument"
        } else {
            "key_in_wrong_place"
        };
        assert_eq!(refused, expected, "{argument}");
    }
    for tool in TOOLS.iter().map(|tool| tool.name) {
        for arguments in [
            json!({"provider": misplaced, "api_key": "openai"}),
            json!({"provider": "openai", "label": misplaced}),
            json!({"provider": ["openai", key]}),
            json!({"provider": {"openai": key}, "api_key": {"key": key}}),
            json!({ &key: true, &misplaced: true }),
            json!({"include_metadata": key}),
            json!({"provider": "openai", "grace_hours": key, "revoke_now": key}),
            json!({"provider": "openai", "model": key, "input_tokens": 1, "output_tokens": 1}),
            json!({"provider": "openai", "model": misplaced, "input_tokens": 1, "output_tokens": 1, "text": key}),
            json!({"provider": "openai", "model": "m", "input_tokens": key, "output_tokens": 1, "project": misplaced}),
            json!({"provider": "openai", "model": "m", "input_tokens": 1, "output_tokens": 1, "request_id": misplaced}),
            json!({"provider": "openai", "model": "m", "input_tokens": 1, "output_tokens": 1, "project": misplaced}),
            json!({"provider": "openai", "days": key, "group_by": key, "task_type": key}),
            json!({"provider": "anthropic", "api_key": key, "new_api_key": key}),
            json!({"provider": "openai", "api_key": format!("{key} {key}"), "new_api_key": format!("{key}\n")}),
            json!({"provider": "openai", "api_key": key.repeat(200)}),
        ] {
            client.call(tool, arguments);
        }
    }
    // The provider's eight answers, each of which says the key back.
    for number in 0..8 {
        client.call("validate_key", json!({"provider": "openai", "api_key": canary(number)}));
        client.call("validate_key", json!({"provider": "openai"}));
        client.call(
            "rotate_key",
            json!({"provider": "openai", "new_api_key": canary(10 + number), "revoke_now": true}),
        );
        client.call("validate_all_keys", json!({}));
    }
    assert!(provider.requests().len() >= 16, "the provider was asked");
    client.call("list_api_keys", json!({}));
    for resource in RESOURCES {
        client.result("resources/read", json!({"uri": resource.uri}));
    }
    for (method, params) in [
        ("tools/call", json!({"name": key, "arguments": {}})),
        ("tools/call", json!({"name": "list_api_keys", "arguments": key})),
        ("resources/read", json!({"uri": format!("api://{key}")})),
        ("prompts/get", json!({ "name": key })),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": key}, "argument": {"name": key, "value": key}}),
        ),
        (key.as_str(), json!({})),
    ] {
        let id = client.request(method, params);
        let _: Value = client.answer(id);
    }
    client.send_raw(&format!("{{\"jsonrpc\":\"2.0\",\"id\":7777,\"method\":\"{CORE}\n"));
    client.send_raw(&format!("{CORE}\n"));
    client.call("list_api_keys", json!({}));
    client.call("remove_api_key", json!({"provider": "openai"}));

    #[cfg(target_os = "linux")]
    for file in ["cmdline", "environ"] {
        let path = format!("/proc/{}/{file}", client.id());
        assert_clean(&path, &fs::read(&path).unwrap());
    }
    let transcript = client.transcript.clone();
    let goodbye = client.hang_up();
    assert!(goodbye.status.success(), "{}", goodbye.stderr);
    assert!(!goodbye.stderr.is_empty(), "the log was on");
    assert_clean("the protocol's output", transcript.as_bytes());
    assert_clean("the log", goodbye.stderr.as_bytes());
    assert_clean_files(&home.path());
}

#[test]
fn nothing_that_is_typed_on_a_page_is_shown() {
    for revision in [LEGACY, MODERN] {
        let provider = echo();
        let home = Home::with_openai(&provider);
        let passphrase = format!("{CORE} and more words");
        let mut init = home.command(["vault", "init", "--master-key", "passphrase"]);
        init.env("API_KEYS_PASSPHRASE", &passphrase);
        assert_clean_run("vault init", &home.run_with(loud(init, &home), ""));
        let pages = json!({"elicitation": {"url": {}}});
        let mut client = McpClient::open(loud(home.command(["serve"]), &home), revision, pages);
        let mut type_for = |tool: &str, typed: &str| {
            let arguments = json!({"provider": "openai"});
            let asked = call(&mut client, tool, &arguments);
            let id = say(&mut client, tool, &arguments, &asked, "accept");
            let page = type_on_page(&asked.address, typed);
            assert_clean("a page", page.as_bytes());
            client.answer(id);
            page
        };
        assert!(type_for("remove_api_key", CORE).contains("Something went wrong"));
        assert!(type_for("remove_api_key", &passphrase).contains("unlocked"));
        let key = |number: usize| format!("sk-proj-{CORE}{number}xyzw");
        assert!(type_for("add_api_key", &key(0)).contains("The key is stored"));
        for number in 1..8 {
            type_for("rotate_key", &key(number));
        }
        client.call("list_api_keys", json!({}));
        let transcript = client.transcript.clone();
        let goodbye = client.hang_up();
        assert!(!goodbye.stderr.is_empty(), "the log was on");
        assert_clean("the protocol's output", transcript.as_bytes());
        assert_clean("the log", goodbye.stderr.as_bytes());
        assert_clean_files(&home.path());
    }
}

#[test]
fn a_client_named_after_a_key_does_not_put_it_into_the_audit_trail() {
    let provider = echo();
    let home = Home::with_openai(&provider);
    let mut client = McpClient::start(loud(home.command(["serve"]), &home), LEGACY, json!({}));
    client.send(
        &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": LEGACY,
        "capabilities": {}, "clientInfo": {"name": canary(1), "version": canary(2)}}}),
    );
    client.answer(1);
    client.notify("notifications/initialized", json!({}));
    let id = client.request(
        "tools/call",
        json!({"name": "add_api_key", "arguments": {"provider": "openai", "api_key": canary(3)}}),
    );
    assert!(client.next()["id"].is_number() || id > 0);
    let goodbye = client.hang_up();
    assert_clean("the log", goodbye.stderr.as_bytes());
    assert_clean_files(&home.path());
}

#[test]
fn no_command_shows_a_key() {
    let provider = echo();
    let home = Home::with_openai(&provider);
    let key = canary(1);
    let run = |arguments: &[&str], input: &str| {
        let ended = home.run_with(loud(home.command(arguments), &home), input);
        assert_clean_run(&arguments.join(" ").replace(&key, "KEY"), &ended);
        ended
    };
    assert_eq!(run(&["add", "openai", "--stdin"], &key).code, Some(0));
    run(&["rotate", "openai", "--stdin"], &canary(2));
    run(&["validate", "openai"], "");
    run(&["validate", "openai", "--stdin", "--json"], &canary(3));
    run(&["validate", "--all", "--json"], "");
    let misplaced = misplaced();
    let tools = TOOLS.iter().filter_map(|tool| tool.command.split(' ').next());
    for command in tools.chain(["run", "vault", "audit", "doctor", "undo", "prices", "no-such"]) {
        for key in [&key, &misplaced] {
            run(&[command, key], "");
            run(&[command, "openai", key], "");
            run(&[command, "openai", "--label", key, "--json"], "");
            run(&[command, "openai", &format!("--{key}"), "--json"], "");
        }
    }
    run(&["prices", "show", &misplaced], "");
    run(&["prices", "list", &misplaced, "--json"], "");
    run(&["prices", "update", "--from", &format!("/nonexistent/{key}")], "");
    run(&["add", "openai", "--env-var", &misplaced], "");
    run(&["add", "openai", "--from-file", &format!("/nonexistent/{key}")], "");
    run(&["add", "openai", "--expiration-date", &key], "");
    assert_eq!(
        run(&["add", "openai", "--stdin", "--description", &misplaced], &key).code,
        Some(2)
    );
    run(&["add", "anthropic", "--stdin"], &key);
    run(&["add", "openai", "--stdin"], &format!("{key} {key}"));

    let file = home.beside("key.txt");
    fs::write(&file, canary(4)).unwrap();
    run(
        &[
            "add",
            "openai",
            "--label",
            "file",
            "--from-file",
            file.to_str().unwrap(),
        ],
        "",
    );
    let mut with_variable = loud(
        home.command(["add", "openai", "--label", "var", "--env-var", "CANARY"]),
        &home,
    );
    with_variable.env("CANARY", canary(5));
    assert_clean_run("add --env-var", &home.run_with(with_variable, ""));

    run(&["list"], "");
    run(&["list", "--json"], "");
    run(&["run", "--provider", "openai", "--dry-run", "--", "true"], "");
    run(&["run", "--provider", "openai", "--", "true"], "");
    run(&["run", "--provider", "openai", "--", "/nonexistent/program"], "");
    run(&["audit"], "");
    run(&["audit", "--verify", "--json"], "");
    run(&["vault", "status"], "");
    run(&["doctor"], "");
    run(&["remove", "openai", "--yes"], "");
    run(&["undo"], "");
    assert_clean_files(&home.path());

    // A key in the configuration is not shown.
    let good = fs::read_to_string(home.path().join("config.toml")).unwrap();
    for line in [
        format!("{misplaced} = 1"),
        format!("[vault]\n{misplaced} = 1"),
        format!("[providers.openai]\nenv_var = '{key}'"),
        format!("x = '{key}' {key}"),
    ] {
        home.config(&line);
        run(&["list"], "");
        run(&["doctor", "--json"], "");
    }
    home.config(&good);
    assert_eq!(run(&["list"], "").code, Some(0));
}

#[test]
fn a_scan_says_where_keys_are_and_shows_none() {
    let provider = echo();
    let home = Home::with_openai(&provider);
    let stored = canary(1);
    let added = home.run_with(loud(home.command(["add", "openai", "--stdin"]), &home), &stored);
    assert_eq!(added.code, Some(0));
    let folder = home.beside("leaked");
    fs::create_dir(&folder).unwrap();
    let kinds = [
        stored.clone(),
        misplaced(),
        format!("MISTRAL_API_KEY={CORE}"),
        format!("aws_secret_access_key = {CORE}/+{}", &CORE[..14]),
        format!("sk-ant-admin01-{CORE}"),
        format!("ghp_{CORE}{CORE}"),
        format!("{{\"text\":\"\\n{stored}\\n\"}}"),
    ];
    for (number, text) in kinds.iter().enumerate() {
        fs::write(folder.join(format!("file-{number}")), text).unwrap();
    }
    fs::write(folder.join(misplaced()), &stored).unwrap();
    let path = folder.to_str().unwrap();
    for arguments in [
        &["scan", path][..],
        &["scan", path, "--json"],
        &["scan", &format!("{path}/{}", misplaced())],
        &["scan", &format!("/nonexistent/{}", misplaced()), "--json"],
    ] {
        let ended = home.run_with(loud(home.command(arguments), &home), "");
        assert_clean_run("scan", &ended);
        if arguments == ["scan", path, "--json"] {
            let findings = ended.json()["findings"].as_array().map(Vec::len);
            assert_eq!(findings, Some(kinds.len() + 1), "{ended:?}");
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    assert_clean_files(&home.path());
}

#[test]
fn a_child_gets_the_key_and_nobody_else_does() {
    let provider = echo();
    let home = Home::with_openai(&provider);
    let key = canary(1);
    assert_eq!(
        home.run_with(loud(home.command(["add", "openai", "--stdin"]), &home), &key)
            .code,
        Some(0)
    );
    let seen = home.beside("seen");
    let script = format!("printf %s \"$OPENAI_API_KEY\" > {}", seen.display());
    let ended = home.run_with(
        loud(
            home.command(["run", "--provider", "openai", "--", "sh", "-c", &script]),
            &home,
        ),
        "",
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_clean_run("run", &ended);
    assert_eq!(fs::read_to_string(seen).unwrap(), key);
    assert_clean_files(&home.path());
}
