//! The server as a process: how it begins, how it ends, and what it survives.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    Home, is_quick,
    mcp_client::{LEGACY, MODERN, McpClient},
    strace,
};

/// Far below the five seconds that the library waits.
const AT_ONCE: Duration = Duration::from_secs(3);

fn serve(home: &Home) -> Command {
    home.command(["serve"])
}

fn signal(client: &McpClient, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(client.id()).expect("a small number")).expect("not zero");
    kill_process(pid, signal).expect("it is ours");
}

#[test]
fn every_revision_with_a_handshake_is_spoken() {
    let home = Home::new();
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = McpClient::open(serve(&home), revision, json!({}));
        assert_eq!(client.greeting["protocolVersion"], revision);
        assert_eq!(client.greeting["serverInfo"]["name"], "api-keys");
        assert_eq!(client.greeting["serverInfo"]["title"], "API Key Manager");
        assert_eq!(client.greeting["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
        client.result("ping", json!({}));
        let tools = client.result("tools/list", json!({}));
        assert!(tools["tools"].is_array());
        assert!(tools.get("resultType").is_none(), "a field of a later revision");
        assert!(client.hang_up().status.success());
    }
}

#[test]
fn an_unknown_revision_is_answered_with_one_that_exists() {
    let home = Home::new();
    for asked in ["1999-01-01", "2026-07-28", "2099-01-01"] {
        let mut client = McpClient::start(serve(&home), LEGACY, json!({}));
        let id = client.initialize(asked);
        assert_eq!(client.answer(id)["result"]["protocolVersion"], LEGACY, "{asked}");
    }
}

#[test]
fn the_newest_revision_needs_no_handshake() {
    let home = Home::new();
    let mut client = McpClient::open(serve(&home), MODERN, json!({}));
    let found = client.result("server/discover", json!({}));
    let versions = found["supportedVersions"].as_array().expect("versions");
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        assert!(versions.contains(&json!(revision)), "{revision}");
    }
    assert_eq!(found["resultType"], "complete");
    let tools = client.result("tools/list", json!({}));
    assert_eq!(tools["resultType"], "complete");
    assert!(tools["ttlMs"].is_number() && tools["cacheScope"].is_string());
    assert!(client.hang_up().status.success());
}

#[test]
fn a_client_may_probe_first_and_shake_hands_then() {
    let home = Home::new();
    let mut client = McpClient::open(serve(&home), MODERN, json!({}));
    client.result("server/discover", json!({}));
    client.notify("notifications/cancelled", json!({"requestId": 1}));
    let id = client.initialize("2025-06-18");
    assert_eq!(client.answer(id)["result"]["protocolVersion"], "2025-06-18");
}

#[test]
fn a_request_of_an_unsupported_revision_is_refused_and_the_next_one_is_not() {
    let home = Home::new();
    let mut client = McpClient::open(serve(&home), "2099-01-01", json!({}));
    let id = client.request("tools/list", json!({}));
    let answer = client.answer(id);
    assert!(answer["error"]["data"]["supported"].is_array(), "{answer}");
    let mut client = McpClient::open(serve(&home), MODERN, json!({}));
    client.send(&json!({"jsonrpc": "2.0", "id": 70, "method": "tools/list", "params": {}}));
    assert!(client.answer(70)["error"].is_object());
    client.result("tools/list", json!({}));
}

#[test]
fn the_instructions_are_short_and_name_tools_that_exist() {
    let home = Home::new();
    let mut client = McpClient::open(serve(&home), LEGACY, json!({}));
    let instructions = client.greeting["instructions"]
        .as_str()
        .expect("instructions")
        .to_owned();
    assert!(instructions.chars().count() < 1500, "{}", instructions.chars().count());
    let tools = client.result("tools/list", json!({}));
    for tool in tools["tools"].as_array().expect("tools") {
        let name = tool["name"].as_str().expect("a name");
        assert!(instructions.contains(name), "{name}");
    }
}

#[test]
fn a_client_that_probes_and_hangs_up_is_no_failure() {
    let home = Home::new();
    for begin in ["", "\n", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n"] {
        let mut client = McpClient::start(serve(&home), LEGACY, json!({}));
        client.send_raw(begin);
        let end = client.hang_up();
        assert_eq!(end.status.code(), Some(0), "{begin:?}: {}", end.stderr);
        assert_eq!(end.stderr, "", "{begin:?}");
    }
    assert!(!home.path().exists(), "a probe leaves nothing behind");
}

#[test]
fn the_end_of_input_ends_the_server_at_once() {
    let home = Home::new();
    for revision in [LEGACY, MODERN] {
        let ends = || {
            let mut client = McpClient::open(serve(&home), revision, json!({}));
            client.result("tools/list", json!({}));
            let end = client.hang_up();
            assert_eq!((end.status.code(), end.stderr.as_str()), (Some(0), ""));
            end.took
        };
        assert!(is_quick(AT_ONCE, ends), "{revision}");
    }
}

#[test]
fn signals_end_the_server_cleanly() {
    let home = Home::new();
    for (at_start, by) in [
        (true, Signal::INT),
        (true, Signal::TERM),
        (false, Signal::INT),
        (false, Signal::TERM),
    ] {
        let ends = || {
            let mut client = McpClient::start(serve(&home), LEGACY, json!({}));
            // The first answer says that the handlers are there.
            client.send_raw("{\"jsonrpc\":\"2.0\",\"id\":70,\"method\":\"ping\"}\n");
            client.answer(70);
            if !at_start {
                let id = client.initialize(LEGACY);
                client.answer(id);
                client.result("tools/list", json!({}));
            }
            let since = Instant::now();
            signal(&client, by);
            let end = client.wait(since);
            assert_eq!(end.status.code(), Some(0), "{by:?}: {}", end.stderr);
            end.took
        };
        assert!(is_quick(AT_ONCE, ends), "{by:?}");
    }
}

#[test]
fn signals_end_a_server_whose_input_is_a_socket_or_a_file() {
    let home = Home::new();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("sockets");
    let mut child = serve(&home)
        .stdin(std::os::fd::OwnedFd::from(theirs.try_clone().expect("a copy")))
        .stdout(std::os::fd::OwnedFd::from(theirs))
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(ours.try_clone().expect("a copy")));
    (&ours)
        .write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n")
        .expect("sent");
    let answer: Value = serde_json::from_str(&lines.next().expect("a line").expect("read")).expect("JSON");
    assert_eq!(answer["id"], 1);
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TERM).expect("it is ours");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));

    // A file ends: what stood in it is answered first.
    let requests = home.beside("requests");
    std::fs::write(&requests, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").expect("written");
    let output = serve(&home)
        .stdin(std::fs::File::open(&requests).expect("opened"))
        .output()
        .expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"id\":1"));
}

#[test]
fn requests_sent_all_at_once_before_the_end_of_input_are_answered() {
    let home = Home::new();
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let rest = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n\
                {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}\n\
                {\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"resources/list\"}\n";
    let ended = home.run_with(serve(&home), &format!("{initialize}\n{rest}"));
    assert_eq!(ended.code, Some(0));
    let mut ids: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].clone())
        .collect();
    ids.sort_by_key(Value::as_u64);
    assert_eq!(ids, [json!(1), json!(2), json!(3)]);
}

#[test]
fn a_key_sent_just_before_the_end_of_input_is_stored_and_answered() {
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"key-file\"\n");
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let add = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "add_api_key",
        "arguments": {"provider": "openai", "api_key": "sk-0123456789abcdefghijklmnopqrstuv"}}});
    let ended = home.run_with(serve(&home), &format!("{initialize}\n{add}\n"));
    assert_eq!(ended.code, Some(0));
    let answer = ended.stdout.lines().last().expect("answers");
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    assert_eq!(
        (&answer["id"], &answer["result"]["isError"]),
        (&json!(2), &json!(false)),
        "{answer}"
    );
}

#[test]
fn the_first_answers_open_no_vault_and_no_connection() {
    if !strace::can_trace() {
        return;
    }
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"key-file\"\n");
    let added = home.run_with(
        home.command(["add", "openai", "--stdin"]),
        "sk-0123456789abcdefghijklmnopqrstuv\n",
    );
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let (serve, trace) = (serve(&home), home.beside("trace"));
    for revision in [LEGACY, MODERN] {
        let traced = strace::command(&serve, &trace, &["-f", "-e", "trace=%file,%network"]);
        let mut client = McpClient::open(traced, revision, json!({}));
        client.result("tools/list", json!({}));
        client.result("resources/list", json!({}));
        let calls = std::fs::read_to_string(&trace).expect("a trace");
        assert!(calls.contains("execve"), "the trace is empty");
        for unwanted in [
            "vault.json",
            "connect(",
            "socket(AF_INET",
            "audit.jsonl",
            "ledger.db",
            "ssl",
        ] {
            assert!(!calls.contains(unwanted), "{unwanted} in {calls}");
        }
        client.structured("list_api_keys", json!({}));
        let calls = std::fs::read_to_string(&trace).expect("a trace");
        assert!(calls.contains("vault.json"), "a tool that needs the vault opens it");
    }
}

#[test]
fn lines_that_are_no_requests_do_no_harm() {
    let home = Home::new();
    let mut client = McpClient::open(serve(&home), LEGACY, json!({}));
    for garbage in [
        "not json\n",
        "{\n",
        "[]\n",
        "null\n",
        "\u{feff}{}\n",
        "{\"jsonrpc\":\"2.0\"}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"tools/list\"}\n",
        "{\"jsonrpc\":\"1.0\",\"id\":5,\"method\":\"ping\"}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/unheard-of\"}\n",
        "\n\n\r\n",
    ] {
        client.send_raw(garbage);
    }
    client.send_raw(&format!("{}\n", "x".repeat(1 << 20)));
    let nested = format!("{}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    client.send_raw(&nested);
    client.result("tools/list", json!({}));
    let end = client.hang_up();
    assert_eq!(end.status.code(), Some(0), "{}", end.stderr);
}

#[test]
fn an_unknown_method_is_an_error_and_nothing_more() {
    let home = Home::new();
    let mut client = McpClient::open(serve(&home), LEGACY, json!({}));
    for method in ["tools/unheard-of", "prompts/get", "logging/setLevel"] {
        let id = client.request(method, json!({"name": "x", "level": "debug"}));
        assert!(client.answer(id)["error"]["code"].is_i64(), "{method}");
    }
    client.result("ping", json!({}));
}

#[test]
fn nothing_is_logged_of_what_the_library_reads_and_writes() {
    let home = Home::new();
    let canary = "sk-ant-api03-canary-0123456789abcdef";
    for variables in [
        [("RUST_LOG", "trace"), ("API_KEYS_LOG", "trace")],
        [
            ("RUST_LOG", "rmcp=trace"),
            ("API_KEYS_LOG", "rmcp=trace,api_keys=trace"),
        ],
    ] {
        let mut command = serve(&home);
        command.envs(variables);
        let mut client = McpClient::open(command, LEGACY, json!({}));
        let id = client.request("tools/call", json!({"name": canary, "arguments": {"api_key": canary}}));
        client.answer(id);
        let id = client.request("resources/read", json!({"uri": format!("api://{canary}")}));
        client.answer(id);
        client.notify("notifications/cancelled", json!({"requestId": 1, "reason": canary}));
        assert!(!client.transcript.contains(canary));
        let end = client.hang_up();
        assert!(
            !end.stderr.contains("rmcp") && !end.stderr.contains(canary),
            "{}",
            end.stderr
        );
    }
}

#[test]
fn standard_output_closed_by_the_client_ends_the_server() {
    let home = Home::new();
    let mut child = serve(&home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("piped");
    let _ = stdin.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    drop(stdin);
}
