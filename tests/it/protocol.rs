//! What the server makes of clients that are in a hurry, careless, or gone.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    Home, PATIENCE, eventually, is_quick,
    mcp_client::{LEGACY, MODERN, McpClient},
    stand_in::{Reply, StandIn},
};

/// A revision in which several messages may come in one line.
const BATCHED: &str = "2025-03-26";
const KEY: &str = "sk-proj-0123456789abcdefghijklmnopqrstuv";
/// By how much the server's memory may grow; what it has at the start depends on how it was built.
const MAX_GROWTH_KIB: u64 = 16 << 10;

fn open(home: &Home, revision: &str) -> McpClient {
    McpClient::open(home.command(["serve"]), revision, json!({}))
}

/// The lines with which a session begins.
fn handshake() -> String {
    let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}});
    format!(
        "{begin}\n{}\n",
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
    )
}

fn call(id: u64, tool: &str, arguments: &Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    format!(
        "{}\n",
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    )
}

fn cancel(id: u64) -> String {
    let params = json!({"requestId": id});
    format!(
        "{}\n",
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
    )
}

/// What a server says to `input` until it ends, after its input has.
fn answers(mut command: Command, input: &str) -> Vec<Value> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_owned();
    let writes = std::thread::spawn(move || stdin.write_all(input.as_bytes()).expect("the server reads"));
    let mut said = String::new();
    child
        .stdout
        .take()
        .expect("piped")
        .read_to_string(&mut said)
        .expect("text");
    writes.join().expect("written");
    assert!(child.wait().expect("a child").success());
    said.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn what_was_asked_before_the_input_ended_is_answered() {
    let home = Home::new();
    let mut input = handshake();
    for id in 1..=200 {
        input.push_str(&call(id, "get_usage", &json!({})));
    }
    let answered = answers(home.command(["serve"]), &input);
    let mut ids: Vec<u64> = answered.iter().filter_map(|answer| answer["id"].as_u64()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..=200).collect::<Vec<_>>());
    assert!(answered.iter().all(|answer| answer["result"].is_object()));
}

#[test]
fn a_last_line_without_an_end_is_a_line() {
    let home = Home::new();
    let input = handshake() + call(1, "check_budget", &json!({})).trim_end();
    let answered = answers(home.command(["serve"]), &input);
    assert!(
        answered
            .iter()
            .any(|answer| answer["id"] == 1 && answer["result"].is_object())
    );
}

#[test]
fn a_call_that_waits_for_another_longer_than_the_end_may_take_is_told_so() {
    let provider = StandIn::answering(Reply::silence());
    let home = Home::with_openai(&provider);
    let input = handshake() + &call(1, "validate_key", &json!({"provider": "openai", "api_key": KEY}));
    let since = Instant::now();
    let answered = answers(home.command(["serve"]), &input);
    assert!(since.elapsed() < PATIENCE);
    let answer = answered.iter().find(|answer| answer["id"] == 1).expect("an answer");
    assert_eq!(
        answer["result"]["structuredContent"]["error"]["code"], "interrupted",
        "{answer}"
    );
}

/// A server on pipes that nobody reads yet, and what its memory came to.
struct Unread {
    child: Child,
}

impl Unread {
    fn start(home: &Home) -> Self {
        let mut command = home.command(["serve"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Self {
            child: child.expect("the server starts"),
        }
    }

    /// The most memory that it ever had, in KiB, and the CPU time it took, in ticks.
    #[cfg(target_os = "linux")]
    fn status(&self) -> (u64, u64) {
        let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("it runs");
        let memory = of("status");
        let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
        let stat = of("stat");
        let times: u64 = stat
            .rsplit(") ")
            .next()
            .expect("fields")
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|it| it.parse::<u64>().ok())
            .sum();
        (peak.expect("a number"), times)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_client_that_does_not_read_is_not_read_either() {
    const CALLS: u64 = 10_000;
    let home = Home::new();
    let mut server = Unread::start(&home);
    let mut stdin = server.child.stdin.take().expect("piped");
    let mut stdout = BufReader::new(server.child.stdout.take().expect("piped"));
    let first = handshake() + &call(1, "list_api_keys", &json!({}));
    stdin.write_all(first.as_bytes()).expect("the server reads");
    for _ in 0..2 {
        stdout.read_line(&mut String::new()).expect("an answer");
    }
    let (idle, _) = server.status();
    let input: String = (2..=CALLS).map(|id| call(id, "list_api_keys", &json!({}))).collect();
    let writes = std::thread::spawn(move || stdin.write_all(input.as_bytes()).map(|()| stdin));
    // It stops: nothing more is done while nobody reads.
    let mut last = None;
    eventually(
        || {
            std::thread::sleep(Duration::from_millis(200));
            let now = server.status();
            last.replace(now) == Some(now)
        },
        "it goes on although nobody reads",
    );
    assert!(!writes.is_finished(), "all was read");
    let mut ids: Vec<u64> = Vec::new();
    for line in stdout.lines() {
        let answer: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        assert!(answer["result"].is_object(), "{answer}");
        ids.extend(answer["id"].as_u64());
        if ids.len() as u64 == CALLS - 1 {
            break;
        }
    }
    ids.sort_unstable();
    assert_eq!(ids, (2..=CALLS).collect::<Vec<_>>());
    let (peak, _) = server.status();
    assert!(peak < idle + MAX_GROWTH_KIB, "{idle} KiB at first, {peak} KiB at most");
    drop(writes.join().expect("written"));
}

#[test]
fn calls_that_were_taken_back_hold_nothing_up() {
    const CALLS: u64 = 500;
    let provider = StandIn::answering(Reply::silence());
    let home = Home::with_openai(&provider);
    for (tool, arguments) in [
        ("get_provider_stats", json!({})),
        ("validate_key", json!({"provider": "openai", "api_key": KEY})),
        ("add_api_key", json!({"provider": "openai"})),
    ] {
        let mut client = McpClient::open(home.command(["serve"]), LEGACY, json!({"elicitation": {"url": {}}}));
        let mut input = String::new();
        for id in 1000..1000 + CALLS {
            input.push_str(&call(id, tool, &arguments));
        }
        for id in 1000..1000 + CALLS {
            input.push_str(&cancel(id));
        }
        let ping = json!({"jsonrpc": "2.0", "id": 9999, "method": "ping"});
        writeln!(input, "{ping}").expect("text");
        client.send_raw(&input);
        client.answer(9999);
        let answered = client
            .aside
            .iter()
            .filter(|message| message.get("result").is_some())
            .count();
        assert!(answered < 100, "{tool}: {answered} calls were done first");
        client.result("ping", json!({}));
    }
}

#[test]
fn a_ping_waits_for_no_call() {
    let home = Home::new();
    let mut client = open(&home, LEGACY);
    let mut input: String = (1000..1500)
        .map(|id| call(id, "get_provider_stats", &json!({})))
        .collect();
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": 9999, "method": "ping"})).expect("text");
    client.send_raw(&input);
    client.answer(9999);
    assert!(client.aside.len() < 400, "{} calls were done first", client.aside.len());
}

#[test]
fn a_line_that_is_not_json_gets_a_parse_error_and_the_session_goes_on() {
    let home = Home::new();
    for revision in [LEGACY, MODERN] {
        let mut client = open(&home, revision);
        for line in [
            "nonsense",
            "{\"jsonrpc\":",
            "{]",
            "\u{1}",
            "[1,",
            "\"text",
            &"[".repeat(100_000),
        ] {
            client.send_raw(&format!("{line}\n"));
            let answer = client.next();
            assert_eq!(answer["error"]["code"], -32700, "{answer}");
            assert!(answer.get("id").is_none_or(Value::is_null), "{answer}");
        }
        client.send_raw("\n \n\r\n");
        client.result("tools/list", json!({}));
        assert!(client.aside.is_empty(), "{:?}", client.aside);
    }
}

#[test]
fn json_that_is_no_message_is_an_invalid_request() {
    let home = Home::new();
    let mut client = open(&home, LEGACY);
    for (line, id) in [
        ("7", Value::Null),
        ("\"text\"", Value::Null),
        ("{}", Value::Null),
        ("{\"id\":7}", Value::Null),
        ("{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"ping\"}", json!(7)),
        ("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":7}", json!("a")),
        ("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", Value::Null),
        ("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", Value::Null),
    ] {
        client.send_raw(&format!("{line}\n"));
        let answer = client.next();
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(-32600), &id),
            "{line}: {answer}"
        );
    }
    // A notification is never answered.
    client.send_raw("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":7}\n");
    client.result("ping", json!({}));
    assert!(client.aside.is_empty(), "{:?}", client.aside);
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_one_is_read() {
    let home = Home::new();
    let mut client = open(&home, LEGACY);
    let long = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"{}\"}}\n",
        "x".repeat(17 << 20)
    );
    client.send_raw(&long);
    assert_eq!(client.next()["error"]["code"], -32600);
    client.result("ping", json!({}));
    assert!(client.aside.is_empty(), "{:?}", client.aside);
}

#[test]
fn a_server_that_nobody_reads_any_more_ends() {
    let home = Home::new();
    for writes in [false, true] {
        let ends = || {
            let mut server = Unread::start(&home);
            let mut stdin = server.child.stdin.take().expect("piped");
            let mut stdout = BufReader::new(server.child.stdout.take().expect("piped"));
            stdin.write_all(handshake().as_bytes()).expect("the server reads");
            let mut greeting = String::new();
            stdout.read_line(&mut greeting).expect("a greeting");
            drop(stdout);
            let since = Instant::now();
            if writes {
                // It may be gone by now.
                let _ = stdin.write_all(call(1, "check_budget", &json!({})).as_bytes());
            }
            eventually(|| server.child.try_wait().expect("a child").is_some(), "it goes on");
            let took = since.elapsed();
            assert_eq!(server.child.wait().expect("a child").code(), Some(0));
            took
        };
        if writes || cfg!(target_os = "linux") {
            assert!(is_quick(Duration::from_secs(1), ends), "{writes}");
        }
    }
}

#[test]
fn a_batch_is_answered_in_one_line_in_the_revision_that_has_them() {
    let home = Home::new();
    let mut client = open(&home, BATCHED);
    let request = |id: Value, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method});
    let budget = json!({"jsonrpc": "2.0", "id": "b", "method": "tools/call",
                        "params": {"name": "check_budget", "arguments": {}}});
    client.send(&json!([
        request(json!(70), "ping"),
        budget,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        7,
        request(json!(71), "no/such/method"),
        request(json!(70), "ping"),
        request(json!(72), "initialize"),
        request(json!(KEY), "ping"),
    ]));
    let answers = client.next();
    let answers = answers.as_array().expect("an array");
    let of = |id: Value| answers.iter().find(|answer| answer["id"] == id).expect("an answer");
    assert_eq!(of(json!(70))["result"], json!({}));
    assert!(of(json!("b"))["result"]["structuredContent"]["daily"].is_object());
    assert_eq!(of(json!(71))["error"]["code"], -32601);
    let refused = answers
        .iter()
        .filter(|answer| answer["error"]["code"] == -32600)
        .count();
    assert_eq!((answers.len(), refused), (7, 3), "{answers:?}");
    assert!(!client.transcript.contains(KEY));

    // What expects no answer gets none, and nothing is no batch.
    client.send(&json!([{"jsonrpc": "2.0", "method": "notifications/initialized"}]));
    client.send(&json!([]));
    assert_eq!(client.next()["error"]["code"], -32600);
    let many: Vec<Value> = (0..257).map(|id| request(json!(id), "ping")).collect();
    client.send(&Value::Array(many));
    assert_eq!(client.next()["error"]["code"], -32600);
    client.result("ping", json!({}));
}

#[test]
fn a_batch_is_whole_without_the_request_that_was_taken_back() {
    let provider = StandIn::answering(Reply::silence());
    let home = Home::with_openai(&provider);
    let mut client = open(&home, BATCHED);
    client.send(&json!([
        {"jsonrpc": "2.0", "id": 70, "method": "ping"},
        {"jsonrpc": "2.0", "id": 71, "method": "tools/call",
         "params": {"name": "validate_key", "arguments": {"provider": "openai", "api_key": KEY}}},
    ]));
    eventually(|| provider.connections() > 0, "the provider is not asked");
    client.send_raw(&cancel(71));
    let answers = client.next();
    assert_eq!(answers, json!([{"jsonrpc": "2.0", "id": 70, "result": {}}]));
}

#[test]
fn a_batch_is_refused_in_every_other_revision() {
    let home = Home::new();
    for revision in ["2024-11-05", "2025-06-18", LEGACY, MODERN] {
        let mut client = open(&home, revision);
        client.send(&json!([{"jsonrpc": "2.0", "id": 70, "method": "ping"}]));
        let answer = client.next();
        assert_eq!(answer["error"]["code"], -32600, "{revision}: {answer}");
        client.result("tools/list", json!({}));
    }
}

#[test]
fn a_handshake_that_lacks_something_is_told_what() {
    let home = Home::new();
    let whole = json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    let mut client = McpClient::start(home.command(["serve"]), LEGACY, json!({}));
    for (path, lacks) in [
        ("/clientInfo", "clientInfo"),
        ("/clientInfo/name", "clientInfo.name"),
        ("/clientInfo/version", "clientInfo.version"),
        ("/protocolVersion", "protocolVersion"),
        ("/capabilities", "capabilities"),
    ] {
        let mut params = whole.clone();
        let (parent, field) = path.rsplit_once('/').expect("a path");
        params
            .pointer_mut(parent)
            .and_then(Value::as_object_mut)
            .expect("an object")
            .remove(field);
        client.send(&json!({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": params}));
        let answer = client.next();
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&json!(7), &json!(-32602)),
            "{answer}"
        );
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(&format!("`{lacks}`")), "{path}: {message}");
    }
    // Where each request says its revision there is no such method.
    let params = json!({"_meta": {
        "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}});
    client.send(&json!({"jsonrpc": "2.0", "id": 8, "method": "initialize", "params": params}));
    assert_eq!(client.next()["error"]["code"], -32601);
    // It may try again.
    let id = client.initialize(LEGACY);
    assert!(client.answer(id)["result"].is_object());
}

#[test]
fn a_key_in_the_place_of_an_id_is_not_repeated() {
    let home = Home::new();
    for revision in [LEGACY, MODERN] {
        let mut client = open(&home, revision);
        for message in [
            json!({"jsonrpc": "2.0", "id": KEY, "method": "tools/list"}),
            json!({"jsonrpc": "2.0", "id": KEY, "method": 7}),
            json!({"jsonrpc": "2.0", "id": KEY, "method": "initialize", "params": {}}),
        ] {
            client.send(&message);
            let answer = client.next();
            assert_eq!(answer["error"]["code"], -32600, "{answer}");
        }
        // An id may be as random as it likes.
        let random = "Zq3vX9TfKb71LmPw0RsYhD5nUjA8cEg2";
        client.send(&json!({"jsonrpc": "2.0", "id": random, "method": "ping"}));
        assert_eq!(client.next()["id"], random);
        // A token of progress is repeated as well.
        let params = json!({"name": "validate_all_keys", "arguments": {}, "_meta": {"progressToken": KEY}});
        client.result("tools/call", params);
        assert!(!client.transcript.contains(KEY));
    }
}
