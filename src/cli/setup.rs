//! `setup`: the first run, safe to repeat. Makes the vault, tries everything out over MCP, says how to go on.

use std::{path::Path, process::ExitCode, time::Instant};

use clap::ArgMatches;
use serde_json::{Value, json};

use super::{CommandDef, Run, Session, caller::Terminal, console::Console, own_server::OwnServer, wait};
use crate::{
    error::{Code, Error, Result},
    services::vault,
    storage::files::Folder,
    tools::view::{Block, Tone, View},
};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "setup",
    define: |command| {
        command
            .about("Make the vault if there is none, try the server out, say how to connect clients")
            .long_about(
                "Make the vault if there is none, try the server out, say how to connect clients\n\n\
                 Safe to repeat: an existing vault is only opened. The trial run starts this program as an MCP client would, \
                 with a made-up key in a folder of its own that is deleted afterwards.",
            )
    },
    run: Run::With(run),
};

/// A value that has the shape of a key and was never one.
const MADE_UP_KEY: &str = "sk-proj-made-up-for-the-trial-run-0000000000000000";
/// The variable that the trial's server finds it in.
const TRIAL_VARIABLE: &str = "API_KEYS_TRIAL";
/// The trial's folder, inside the data folder.
const TRIAL_FOLDER: &str = "trial";

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let mut report = Report::new(session.console);
    let caller = Terminal::new(session, matches);

    let existed = !matches!(app.vault().status()?, crate::storage::vault::Status::Absent);
    let warnings = wait(vault::open_or_create(app, &caller))?;
    let file = app.settings().paths().vault_file();
    report.step(
        "Vault",
        &format!("{} {}", if existed { "opened" } else { "made" }, file.display()),
    )?;
    for warning in &warnings {
        report.warning(warning);
    }

    let program = app
        .settings()
        .environment()
        .program()
        .ok_or_else(|| Error::new(Code::CommandFailed, "the system does not say where this program is"))?;
    let trial = try_out(session, &program)?;
    report.step("Trial", &trial)?;

    let began = Instant::now();
    let none: [(&str, &str); 0] = [];
    let mut server = OwnServer::start(&program, &none)?;
    let answered = began.elapsed();
    let tools = server.tools()?;
    let listed = server.call("list_api_keys", &json!({}))?;
    let said = format!(
        "{} {} answered over MCP {} after {:.1?} with {} tools: {}",
        server.name,
        server.version,
        server.revision,
        answered,
        tools.len(),
        tools.join(", ")
    );
    server.close()?;
    report.step("Server", &said)?;
    let keys = listed.get("total_count").and_then(Value::as_u64).unwrap_or_default();
    let state = listed
        .pointer("/vault/state")
        .and_then(Value::as_str)
        .unwrap_or_default();
    report.step("Keys", &format!("{keys} stored; the server finds the vault {state}"))?;

    report.offers(session, keys);
    report.clients(&program);
    report.finish(&json!({
        "vault": {"file": file, "made": !existed, "state": state},
        "server": {"tools": tools, "first_answer_ms": u64::try_from(answered.as_millis()).unwrap_or(u64::MAX)},
        "keys": keys,
        "program": program,
    }))
}

/// Lets a client's whole day pass in a folder of its own: a key comes in, is listed, removed.
fn try_out(session: &Session, program: &Path) -> Result<String> {
    let home = session.app.settings().paths().data_folder().join(TRIAL_FOLDER);
    // What an interrupted trial left behind holds nothing but the made-up key.
    let _ = std::fs::remove_dir_all(&home);
    let folder = Folder::create(&home)?;
    // Whether it survives a power cut does not matter.
    let _ = folder.replace("config.toml", b"[vault]\nmaster_key = \"key-file\"\n")?;
    let outcome = trial(program, &home);
    let _ = std::fs::remove_dir_all(&home);
    outcome
}

fn trial(program: &Path, home: &Path) -> Result<String> {
    let home = home.as_os_str();
    let mut server = OwnServer::start(
        program,
        &[("API_KEYS_HOME", home), (TRIAL_VARIABLE, MADE_UP_KEY.as_ref())],
    )?;
    let added = server.call(
        "add_api_key",
        &json!({"provider": "openai", "label": "trial", "env_var": TRIAL_VARIABLE}),
    )?;
    let masked = added
        .pointer("/key/masked")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let listed = server.call("list_api_keys", &json!({}))?;
    server.call("remove_api_key", &json!({"provider": "openai", "label": "trial"}))?;
    let left = server.call("list_api_keys", &json!({}))?;
    server.close()?;
    let counts = [&listed, &left].map(|list| list.get("total_count").and_then(Value::as_u64));
    if counts != [Some(1), Some(0)] {
        return Err(Error::new(Code::Internal, "the trial key was not where it should be")
            .hint("please report this; your own vault was not touched"));
    }
    // EXPOSE: not a secret, a made-up value whose absence is checked
    if [&added, &listed, &left]
        .iter()
        .any(|answer| answer.to_string().contains(MADE_UP_KEY))
    {
        return Err(Error::new(Code::Internal, "an answer over MCP held the trial key")
            .hint("please report this, and don't use this version"));
    }
    Ok(format!(
        "stored a made-up key over MCP, saw it listed as {masked}, removed it; no answer held the key"
    ))
}

/// What setup tells, line by line as it happens; as one object for programs.
struct Report {
    console: Console,
    warnings: Vec<String>,
}

impl Report {
    fn new(console: Console) -> Self {
        Self {
            console,
            warnings: Vec::new(),
        }
    }

    fn step(&self, name: &str, what: &str) -> Result<()> {
        if self.console.is_json() {
            return Ok(());
        }
        self.console.view(&View::line(Tone::Plain, format!("{name:<7} {what}")))
    }

    fn warning(&mut self, text: &str) {
        self.warnings.push(text.to_owned());
        if !self.console.is_json() {
            self.console.remark(&Block::Warning(text.to_owned()));
        }
    }

    /// Says which keys the environment has that the vault could have instead.
    fn offers(&self, session: &Session, keys: u64) {
        if self.console.is_json() {
            return;
        }
        let settings = session.app.settings();
        let mut offered = false;
        for provider in settings
            .current()
            .providers()
            .iter()
            .filter(|provider| provider.needs_key())
        {
            for name in provider.env_vars() {
                if settings.environment().is_set(name) {
                    offered = true;
                    self.console.remark(&Block::Hint(format!(
                        "{name} is set: `api-keys add {} --env-var {name}` stores it",
                        provider.id
                    )));
                }
            }
        }
        if !offered && keys == 0 {
            self.console.remark(&Block::Hint(
                "`api-keys add anthropic` asks for a key and stores it".to_owned(),
            ));
        }
    }

    fn clients(&self, program: &Path) {
        if self.console.is_json() {
            return;
        }
        let entry = json!({"mcpServers": {"api-keys": {"command": program, "args": ["serve"]}}});
        self.console.remark(&Block::Hint(format!(
            "connect Claude Code: claude mcp add --scope user api-keys -- {} serve",
            quoted(program)
        )));
        self.console.remark(&Block::Hint(format!(
            "connect Claude Desktop, in claude_desktop_config.json (Settings, Developer, Edit Config): {entry}"
        )));
    }

    fn finish(self, result: &Value) -> Result<ExitCode> {
        if self.console.is_json() {
            let mut result = result.clone();
            if let Value::Object(fields) = &mut result {
                fields.insert("warnings".to_owned(), json!(self.warnings));
            }
            Console::json(&result)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+'));
    if plain {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
