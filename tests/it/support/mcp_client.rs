//! A minimal MCP client: writes and reads one line of JSON at a time.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::PATIENCE;

/// The newest revision of the protocol: no handshake, every request is self-contained.
pub(crate) const MODERN: &str = "2026-07-28";
/// The newest revision with a handshake.
pub(crate) const LEGACY: &str = "2025-11-25";

/// The server and the conversation with it.
pub(crate) struct McpClient {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    last_id: u64,
    revision: String,
    capabilities: Value,
    /// What the server answered to `initialize`.
    pub(crate) greeting: Value,
    /// Messages that arrived while waiting for another.
    pub(crate) aside: Vec<Value>,
    /// Every line the server wrote.
    pub(crate) transcript: String,
}

/// How a server ended.
#[derive(Debug)]
pub(crate) struct Goodbye {
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
    pub(crate) stderr: String,
}

impl McpClient {
    /// Starts `command` without sending anything.
    pub(crate) fn start(mut command: Command, revision: &str, capabilities: Value) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdout = child.stdout.take().expect("piped");
        let mut stderr = child.stderr.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if line.is_ok_and(|line| sender.send(line).is_err()) {
                    return;
                }
            }
        });
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
            errors: Some(errors),
            last_id: 0,
            revision: revision.to_owned(),
            capabilities,
            greeting: Value::Null,
            aside: Vec::new(),
            transcript: String::new(),
        }
    }

    /// Starts `command` and does the handshake, if `revision` has one.
    pub(crate) fn open(command: Command, revision: &str, capabilities: Value) -> Self {
        let mut client = Self::start(command, revision, capabilities);
        if !client.is_modern() {
            let id = client.initialize(revision);
            let answer = client.answer(id);
            client.greeting = answer["result"].clone();
            assert!(client.greeting.is_object(), "{answer}");
            client.notify("notifications/initialized", json!({}));
        }
        client
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.revision.as_str() >= MODERN
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `initialize` for `revision`; returns the request's id.
    pub(crate) fn initialize(&mut self, revision: &str) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": {
            "protocolVersion": revision, "capabilities": self.capabilities,
            "clientInfo": {"name": "line-client", "version": "1"}}}));
        id
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.send_raw(&format!("{message}\n"));
    }

    /// Sends arbitrary text.
    pub(crate) fn send_raw(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("the input is open");
        stdin.write_all(text.as_bytes()).expect("the server reads");
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request and returns its id.
    pub(crate) fn request(&mut self, method: &str, mut params: Value) -> u64 {
        if self.is_modern() {
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = json!(self.revision);
            meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
            meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "line-client", "version": "1"});
        }
        self.last_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}));
        self.last_id
    }

    /// The next message, whatever it is.
    pub(crate) fn next(&mut self) -> Value {
        self.next_within(PATIENCE).expect("a message in time")
    }

    /// The next message, if one comes within `limit`.
    pub(crate) fn next_within(&mut self, limit: Duration) -> Option<Value> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => {
                self.transcript.push_str(&line);
                self.transcript.push('\n');
                Some(serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why} in {line:?}")))
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the server closed its output"),
        }
    }

    /// The response to request `id`; earlier messages go to `aside`.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.next();
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
            self.aside.push(message);
        }
    }

    /// The result of a request that succeeds.
    pub(crate) fn result(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        let answer = self.answer(id);
        assert!(answer.get("result").is_some(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The result of a call of `tool`.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.result("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// The structured result of a call that succeeds.
    pub(crate) fn structured(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments);
        assert_ne!(result["isError"], true, "{tool}: {result}");
        result["structuredContent"].clone()
    }

    /// The code of the error of a call that fails.
    pub(crate) fn failure(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{tool}: {result}");
        result["structuredContent"]["error"]["code"]
            .as_str()
            .expect("a code")
            .to_owned()
    }

    /// Kills the server without warning, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }

    /// Closes the server's input and waits for it to exit.
    pub(crate) fn hang_up(mut self) -> Goodbye {
        let since = Instant::now();
        drop(self.stdin.take());
        self.wait(since)
    }

    /// Waits for the server to exit.
    pub(crate) fn wait(&mut self, since: Instant) -> Goodbye {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(since.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(1));
        };
        let took = since.elapsed();
        let stderr = self.errors.take().expect("once").join().expect("read");
        Goodbye { status, took, stderr }
    }
}

impl Drop for McpClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
