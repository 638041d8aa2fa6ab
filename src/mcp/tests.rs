//! Both eras over a pipe in memory, with tools that exist for these tests only.

use std::{future::pending, time::Duration};

use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf},
    net::TcpStream,
    task::JoinHandle,
};

use super::*;
use crate::{
    app::Clock,
    intake::Intake,
    mcp::{caller::CallerContext, rounds::Rounds},
    settings::{Environment, Settings},
    tools::{Area, Caller, Hints, Question, ToolDef, ToolOutput},
};

const KEY: &str = "sk-ant-api03-0123456789abcdefghij";

/// Wants a key, panics, or reports its progress.
const FAKES: &[ToolDef] = &[
    ToolDef {
        name: "store",
        call: |_, caller, _| Box::pin(store(caller)),
        ..FAKE
    },
    ToolDef {
        name: "panic",
        call: |_, _, _| Box::pin(async { panic!("{KEY}") }),
        ..FAKE
    },
    ToolDef {
        name: "steps",
        call: |_, caller, _| Box::pin(steps(caller)),
        ..FAKE
    },
];

const FAKE: ToolDef = ToolDef {
    area: Area::Keys,
    name: "fake",
    command: "fake",
    title: "Fake",
    search_hint: "a tool of the tests",
    hints: Hints {
        read_only: false,
        destructive: true,
        idempotent: false,
        open_world: false,
        requires_user: true,
    },
    takes_key: false,
    holds_key: |_, _| false,
    input_schema: object,
    output_schema: object,
    augment: |command| command,
    call: |_, _, _| Box::pin(async { answer(&json!({})) }),
};

fn object() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!("object"))])
}

#[expect(clippy::unnecessary_wraps, reason = "what a tool returns")]
fn answer(json: &Value) -> Result<ToolOutput> {
    Ok(ToolOutput {
        text: json.to_string(),
        ..ToolOutput::default()
    })
}

async fn store(caller: &dyn Caller) -> Result<ToolOutput> {
    let question = Question::NewKey {
        provider: "anthropic".parse()?,
        label: "work".parse()?,
        rotation: false,
    };
    let secret = caller.ask(question).await?;
    // EXPOSE: a made-up value in a test
    answer(&json!({"stored": secret.expose() == KEY}))
}

async fn steps(caller: &dyn Caller) -> Result<ToolOutput> {
    for done in 1..=3 {
        caller.progress(done, 3, "asking");
        tokio::task::yield_now().await;
    }
    answer(&json!({}))
}

/// A client at the other end of the pipe.
struct Peer {
    requests: WriteHalf<DuplexStream>,
    answers: BufReader<ReadHalf<DuplexStream>>,
    server: JoinHandle<Result<()>>,
    id: u64,
    modern: bool,
    capabilities: Value,
}

impl Peer {
    /// A client that has begun; `revision` decides the era.
    async fn new(revision: &str, capabilities: Value, patience: Duration) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let ends = Ends::default();
        let desk = CallerContext {
            intake: Intake::default(),
            rounds: Rounds::new(),
            patience,
            gone: ends.gone.clone(),
            over: ends.over.clone(),
        };
        let server = Server::with(nowhere(), FAKES, desk);
        let (reader, writer) = tokio::io::split(theirs);
        let lines = Lines::new(reader, writer, ends.clone());
        let server = tokio::spawn(converse(server, lines, ends, pending()));
        let (answers, requests) = tokio::io::split(ours);
        let mut peer = Self {
            requests,
            answers: BufReader::new(answers),
            server,
            id: 0,
            modern: revision >= "2026",
            capabilities,
        };
        if !peer.modern {
            let begin = json!({"protocolVersion": revision, "capabilities": peer.capabilities,
                               "clientInfo": {"name": "test", "version": "1"}});
            peer.request("initialize", begin).await;
            let answer = peer.receive().await;
            assert_eq!(answer["result"]["protocolVersion"], revision);
            peer.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
                .await;
        }
        peer
    }

    async fn send(&mut self, message: Value) {
        let line = format!("{message}\n");
        self.requests
            .write_all(line.as_bytes())
            .await
            .expect("the server reads");
    }

    async fn request(&mut self, method: &str, mut params: Value) -> u64 {
        self.id += 1;
        if self.modern {
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        }
        self.send(json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}))
            .await;
        self.id
    }

    async fn call(&mut self, tool: &str) -> u64 {
        self.request("tools/call", json!({"name": tool, "arguments": {}})).await
    }

    async fn receive(&mut self) -> Value {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        tokio::time::timeout(Duration::from_mins(1), read)
            .await
            .expect("an answer in time")
            .expect("the server writes");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line:?}"))
    }

    /// The next answer to a request, past notifications.
    async fn result(&mut self) -> Value {
        loop {
            let message = self.receive().await;
            if message.get("result").is_some() || message.get("error").is_some() {
                return message["result"].clone();
            }
        }
    }
}

/// Types `secret` on the page at `address` as a browser would, and returns the page that follows.
async fn type_on_page(address: &str, secret: &str) -> String {
    let (authority, path) = address
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .expect("an address");
    let body = format!("secret={secret}");
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: {authority}\r\nOrigin: http://{authority}\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(authority).await.expect("it listens");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(body.as_bytes()).await.expect("sent");
    let mut page = String::new();
    stream.read_to_string(&mut page).await.expect("answered");
    page
}

fn with_urls() -> Value {
    json!({"elicitation": {"url": {}}})
}

const LONG: Duration = Duration::from_hours(1);
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn in_a_session_the_client_shows_the_page_and_the_call_goes_on() {
    let mut peer = Peer::new("2025-11-25", with_urls(), LONG).await;
    peer.call("store").await;
    let asked = peer.receive().await;
    assert_eq!(asked["method"], "elicitation/create");
    assert_eq!(asked["params"]["mode"], "url");
    let address = asked["params"]["url"].as_str().expect("an address").to_owned();
    let code = asked["params"]["elicitationId"].as_str().expect("a code").to_owned();
    assert!(
        asked["params"]["message"]
            .as_str()
            .is_some_and(|text| text.contains(&code))
    );
    peer.send(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept"}}))
        .await;
    let page = tokio::spawn(async move { type_on_page(&address, KEY).await });
    let told = peer.receive().await;
    assert_eq!(told["method"], "notifications/elicitation/complete");
    assert_eq!(told["params"]["elicitationId"], code.as_str());
    assert_eq!(peer.result().await["structuredContent"], json!({"stored": true}));
    assert!(page.await.expect("typed").contains("The key is stored"));
}

#[tokio::test]
async fn the_page_may_be_finished_before_the_client_says_yes() {
    let mut peer = Peer::new("2025-11-25", with_urls(), LONG).await;
    peer.call("store").await;
    let asked = peer.receive().await;
    type_on_page(asked["params"]["url"].as_str().expect("an address"), KEY).await;
    assert_eq!(peer.result().await["structuredContent"], json!({"stored": true}));
}

#[tokio::test]
async fn without_a_session_the_client_calls_again_with_the_state() {
    let mut peer = Peer::new("2026-07-28", with_urls(), LONG).await;
    peer.call("store").await;
    let needed = peer.result().await;
    assert_eq!(needed["resultType"], "input_required");
    let asked = &needed["inputRequests"]["secret"];
    assert_eq!(asked["method"], "elicitation/create");
    let address = asked["params"]["url"].as_str().expect("an address").to_owned();
    let again = json!({"name": "store", "arguments": {}, "requestState": needed["requestState"],
                       "inputResponses": {"secret": {"action": "accept"}}});
    peer.request("tools/call", again.clone()).await;
    let page = type_on_page(&address, KEY).await;
    assert_eq!(peer.result().await["structuredContent"], json!({"stored": true}));
    assert!(page.contains("The key is stored"));
    // The same state a second time is nothing.
    peer.request("tools/call", again).await;
    let refused = peer.result().await;
    assert_eq!(refused["structuredContent"]["error"]["code"], "invalid_argument");
}

#[tokio::test]
async fn a_state_is_good_for_its_own_call_only() {
    let mut peer = Peer::new("2026-07-28", with_urls(), LONG).await;
    peer.call("store").await;
    let state = peer.result().await["requestState"].clone();
    for (tool, arguments, state) in [
        ("steps", json!({}), state.clone()),
        ("store", json!({"label": "other"}), state.clone()),
        ("store", json!({}), json!("rs1.AAAA.AAAA")),
        ("store", json!({}), json!("")),
    ] {
        peer.request(
            "tools/call",
            json!({"name": tool, "arguments": arguments, "requestState": state,
                   "inputResponses": {"secret": {"action": "accept"}}}),
        )
        .await;
        let refused = peer.result().await;
        assert_eq!(
            refused["structuredContent"]["error"]["code"], "invalid_argument",
            "{tool} {arguments}"
        );
    }
}

#[tokio::test]
async fn a_no_and_a_cancel_are_told_apart_in_both_eras() {
    for (action, code) in [("decline", "input_declined"), ("cancel", "key_required")] {
        let mut peer = Peer::new("2025-11-25", with_urls(), LONG).await;
        peer.call("store").await;
        let asked = peer.receive().await;
        // A person reads first; who answers at once is a machine.
        tokio::time::sleep(crate::mcp::caller::MIN_READING_TIME * 2).await;
        peer.send(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": action}}))
            .await;
        let result = peer.result().await;
        assert_eq!(result["isError"], true);
        assert_eq!(result["structuredContent"]["error"]["code"], code);

        let mut peer = Peer::new("2026-07-28", with_urls(), LONG).await;
        peer.call("store").await;
        let needed = peer.result().await;
        tokio::time::sleep(crate::mcp::caller::MIN_READING_TIME * 2).await;
        peer.request(
            "tools/call",
            json!({"name": "store", "arguments": {}, "requestState": needed["requestState"],
                   "inputResponses": {"secret": {"action": action}}}),
        )
        .await;
        assert_eq!(peer.result().await["structuredContent"]["error"]["code"], code);
    }
}

#[tokio::test]
async fn a_client_that_cannot_ask_gets_the_command_to_run() {
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        for capabilities in [
            json!({}),
            json!({"elicitation": {}}),
            json!({"elicitation": {"form": {}}}),
        ] {
            let mut peer = Peer::new(revision, capabilities, LONG).await;
            peer.call("store").await;
            let result = peer.result().await;
            let error = &result["structuredContent"]["error"];
            assert_eq!(error["code"], "key_required");
            let hint = error["hint"].as_str().expect("a hint");
            assert!(hint.contains("`api-keys add anthropic --label work`"), "{hint}");
        }
    }
}

#[tokio::test]
async fn what_is_typed_after_the_call_gave_up_is_there_for_the_next_one() {
    for revision in ["2025-11-25", "2026-07-28"] {
        let mut peer = Peer::new(revision, with_urls(), SHORT).await;
        peer.call("store").await;
        let asked = peer.receive().await;
        let (address, result) = if peer.modern {
            let needed = asked["result"].clone();
            let again = json!({"name": "store", "arguments": {}, "requestState": needed["requestState"],
                               "inputResponses": {"secret": {"action": "accept"}}});
            peer.request("tools/call", again).await;
            let address = needed["inputRequests"]["secret"]["params"]["url"].clone();
            (address, peer.result().await)
        } else {
            (asked["params"]["url"].clone(), peer.result().await)
        };
        let error = &result["structuredContent"]["error"];
        assert_eq!(error["code"], "input_pending");
        let hint = error["hint"].as_str().expect("a hint");
        assert!(hint.contains("same arguments"), "{hint}");
        // Some clients say that they show pages and don't.
        assert!(hint.contains("`api-keys add anthropic --label work`"), "{hint}");
        let page = type_on_page(address.as_str().expect("an address"), KEY).await;
        assert!(page.contains("Go back to your assistant"), "{page}");
        peer.call("store").await;
        assert_eq!(peer.result().await["structuredContent"], json!({"stored": true}));
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_the_server_goes_on() {
    let mut peer = Peer::new("2025-06-18", json!({}), LONG).await;
    peer.call("panic").await;
    let result = peer.result().await;
    assert_eq!(result["structuredContent"]["error"]["code"], "internal");
    assert!(!result.to_string().contains(KEY));
    peer.call("steps").await;
    assert_eq!(peer.result().await["isError"], false);
}

#[tokio::test]
async fn progress_comes_before_the_result_and_only_when_asked_for() {
    let mut peer = Peer::new("2025-06-18", json!({}), LONG).await;
    peer.request(
        "tools/call",
        json!({"name": "steps", "arguments": {}, "_meta": {"progressToken": 7}}),
    )
    .await;
    for done in 1..=3 {
        let news = peer.receive().await;
        assert_eq!(news["method"], "notifications/progress");
        assert_eq!(news["params"]["progressToken"], 7);
        assert_eq!(news["params"]["progress"].as_f64(), Some(f64::from(done)));
    }
    assert!(peer.receive().await.get("result").is_some());
    peer.call("steps").await;
    assert!(peer.receive().await.get("result").is_some());
}

#[tokio::test]
async fn an_unknown_tool_is_a_protocol_error_that_repeats_nothing() {
    let mut peer = Peer::new("2025-06-18", json!({}), LONG).await;
    peer.call(KEY).await;
    let answer = peer.receive().await;
    assert_eq!(answer["error"]["code"], -32602);
    assert!(!answer.to_string().contains(KEY));
}

#[tokio::test]
async fn the_end_of_input_ends_the_waiting_for_a_person() {
    for revision in ["2025-11-25", "2026-07-28"] {
        let mut peer = Peer::new(revision, with_urls(), LONG).await;
        peer.call("store").await;
        peer.receive().await;
        peer.requests.shutdown().await.expect("closed");
        drop(peer.requests);
        let ended = tokio::time::timeout(Duration::from_mins(1), peer.server).await;
        assert!(ended.expect("it ends").expect("it did not panic").is_ok());
    }
}

#[tokio::test]
async fn changing_ones_mind_leaves_nothing_behind() {
    let mut peer = Peer::new("2025-11-25", json!({}), LONG).await;
    let uri = json!({"uri": "api://usage"});
    peer.request("resources/subscribe", uri.clone()).await;
    peer.receive().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for _ in 0..50 {
        for method in ["resources/unsubscribe", "resources/subscribe"] {
            peer.request(method, uri.clone()).await;
            assert!(peer.receive().await["result"].is_object());
        }
    }
    // Each request may have a task of its own, which ends a little after the answer.
    assert!(tasks() < before + 10, "{before} before, {} now", tasks());
}

#[tokio::test]
async fn what_comes_before_the_session_is_passed_over() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let ends = Ends::default();
    let server = Server::new(nowhere(), &ends);
    let (reader, writer) = tokio::io::split(theirs);
    let lines = Lines::new(reader, writer, ends.clone());
    tokio::spawn(converse(server, lines, ends, pending()));
    let (answers, mut requests) = tokio::io::split(ours);
    let stray = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n\
                 {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n\
                 {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n\
                 {\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}\n\
                 {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n";
    requests.write_all(stray.as_bytes()).await.expect("sent");
    let mut answers = BufReader::new(answers).lines();
    for id in [1, 2] {
        let line = answers.next_line().await.expect("readable").expect("an answer");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(answer["id"], id);
    }
}

/// A program without files, variables or keys.
fn nowhere() -> Arc<App> {
    let environment = Environment::of([("API_KEYS_HOME", "/nonexistent")]);
    Arc::new(App::new(
        Settings::open(&environment).expect("no file is a good configuration"),
        Clock::System,
    ))
}
