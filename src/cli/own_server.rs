//! This program's own server, started and spoken to as a client does: over pipes, in the protocol.

use std::{
    ffi::OsStr,
    fmt,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    app::App,
    error::{Code, Error, Result},
    mcp_clients::Launch,
    settings,
};

/// The requested protocol revision: one that every client still speaks.
const REVISION: &str = "2025-11-25";
/// How long one answer may take; a keychain that asks its user is slower than a server should be.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server and the pipes to it.
pub(super) struct OwnServer {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    requests: u64,
    /// The name, version and revision that the server answered with.
    pub(super) name: String,
    pub(super) version: String,
    pub(super) revision: String,
}

impl OwnServer {
    /// Starts what `launch` says, with these variables besides, and shakes hands.
    ///
    /// What the environment here says of our own files, and what opens the vault, does not count: a client's environment
    /// would not say it. The program is the one found here, never one that the variables lead to.
    pub(super) fn start(app: &App, launch: &Launch, variables: &[(&str, &OsStr)]) -> Result<Self> {
        let program = launch
            .program(&app.settings().machine()?)
            .ok_or_else(|| no_answer("the server's program does not exist"))?;
        let mut command = Command::new(program);
        command.args(&launch.arguments).env_remove(settings::HOME.name);
        for name in app.settings().passphrase_variables() {
            command.env_remove(name);
        }
        let mut child = command
            .envs(&launch.environment)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| no_answer("the server could not be started").caused_by(why))?;
        let input = child.stdin.take();
        let output = child
            .stdout
            .take()
            .ok_or_else(|| no_answer("the server has no output"))?;
        let (sender, lines) = mpsc::channel();
        // A thread, since reading a pipe cannot be given a deadline; it ends with the server's output.
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Self {
            child,
            input,
            lines,
            requests: 0,
            name: String::new(),
            version: String::new(),
            revision: String::new(),
        };
        let hello = server.ask(
            "initialize",
            &json!({
                "protocolVersion": REVISION,
                "capabilities": {},
                "clientInfo": {"name": "api-keys-setup", "version": env!("CARGO_PKG_VERSION")},
            }),
        )?;
        let text = |pointer: &str| {
            hello
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        server.name = text("/serverInfo/name");
        server.version = text("/serverInfo/version");
        server.revision = text("/protocolVersion");
        server.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(server)
    }

    /// The names of the tools it lists.
    pub(super) fn tools(&mut self) -> Result<Vec<String>> {
        let listed = self.ask("tools/list", &json!({}))?;
        let tools = listed.get("tools").and_then(Value::as_array).into_iter().flatten();
        Ok(tools
            .filter_map(|tool| tool.get("name")?.as_str().map(str::to_owned))
            .collect())
    }

    /// The structured result of a tool; its failure is ours.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        let mut result = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}))?;
        let answer = result.get_mut("structuredContent").map(Value::take).unwrap_or_default();
        if result.get("isError").and_then(Value::as_bool) == Some(true) {
            let text = |field: &str| {
                let text = answer
                    .get("error")
                    .and_then(|error| error.get(field))
                    .and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            return Err(no_answer(format!("{tool} failed over MCP: {}", text("message"))).hint(text("hint")));
        }
        Ok(answer)
    }

    /// Hangs up and waits until the server has ended.
    pub(super) fn close(mut self) -> Result<()> {
        drop(self.input.take());
        // The reading thread ends with the server's output, so this waits no longer than the server lives.
        while self.lines.recv_timeout(ANSWER_TIMEOUT).is_ok() {}
        let _ = self.child.kill();
        self.child
            .wait()
            .map(drop)
            .map_err(|why| no_answer("the server did not exit").caused_by(why))
    }

    fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let line = self
                .lines
                .recv_timeout(ANSWER_TIMEOUT)
                .map_err(|why| no_answer(format!("the server did not answer {method}")).caused_by(why))?;
            let mut message: Value = serde_json::from_str(&line)
                .map_err(|_| no_answer(format!("the server's answer to {method} is not JSON")))?;
            if message.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            return match message.get_mut("result") {
                Some(result) => Ok(result.take()),
                None => Err(no_answer(format!("the server refused {method}"))),
            };
        }
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let Some(input) = &mut self.input else {
            return Err(no_answer("the server's input is closed"));
        };
        writeln!(input, "{message}")
            .and_then(|()| input.flush())
            .map_err(|why| no_answer("the server closed its input").caused_by(why))
    }
}

/// What a server answered when it was started as a client starts it.
pub(super) struct Greeting {
    name: String,
    tools: Vec<String>,
    first_answer: Duration,
    pub(super) keys: u64,
    pub(super) vault: String,
}

impl Greeting {
    /// Starts `launch`, shakes hands, and asks for the tools and the keys.
    pub(super) fn of(app: &App, launch: &Launch) -> Result<Self> {
        let began = Instant::now();
        let mut server = OwnServer::start(app, launch, &[])?;
        let first_answer = began.elapsed();
        let tools = server.tools()?;
        let listed = server.call("list_api_keys", &json!({}))?;
        let greeting = Self {
            name: format!(
                "{} {} answered over MCP {}",
                server.name, server.version, server.revision
            ),
            tools,
            first_answer,
            keys: listed.get("total_count").and_then(Value::as_u64).unwrap_or_default(),
            vault: listed
                .pointer("/vault/state")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        };
        server.close()?;
        Ok(greeting)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "tools": self.tools,
            "first_answer_ms": u64::try_from(self.first_answer.as_millis()).unwrap_or(u64::MAX),
            "vault": self.vault,
        })
    }
}

impl fmt::Display for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} after {:.1?} with {} tools",
            self.name,
            self.first_answer,
            self.tools.len()
        )
    }
}

/// How clients are to start this program on the files that are in use here.
pub(super) fn launch(app: &App) -> Result<Launch> {
    let settings = app.settings();
    let program = settings.environment().program();
    let program = program
        .and_then(|program| program.into_os_string().into_string().ok())
        .ok_or_else(|| Error::new(Code::CommandFailed, "cannot determine the path of this program"))?;
    let home = settings.paths().named_home().and_then(|home| home.to_str());
    Ok(Launch::server(&program, home))
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // After `close` it has ended already, and both calls do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn no_answer(message: impl Into<String>) -> Error {
    Error::new(Code::CommandFailed, message)
        .hint("run `api-keys serve` with API_KEYS_LOG=debug to see its log; `api-keys doctor` checks the rest")
}
