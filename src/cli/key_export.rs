//! `export`: what other programs need to use the keys; the keys themselves only after a person has said so.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _, stderr, stdin, stdout},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use clap::{Arg, ArgAction, ArgMatches, ValueEnum, ValueHint, value_parser};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{
    caller::Terminal,
    command::{CommandDef, Run, Session, wait},
    console::Console,
    gateway,
    help::HelpSection,
    key_name,
};
use crate::{
    domain::ApiKey,
    error::{Code, Error, Result},
    services::child_environment::{self, KeyVariable},
    storage::files::FreshFile,
    tools::view::{Block, Tone, View},
};

/// What a person types to agree.
const WORD: &str = "export";

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "export",
    section: HelpSection::Keys,
    define,
    run: Run::With(run),
};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KeyFormat {
    /// Variables, as `.env` files have them
    Env,
    /// An object of variables
    Json,
    /// The proxy's config.yaml, with the gateway as its provider
    Litellm,
    /// opencode.json, with the gateway as its provider
    Opencode,
    /// Continue's config.yaml, with the gateway as its provider
    Continue,
}

fn define(command: clap::Command) -> clap::Command {
    command
        .about("Write what other programs need to use the keys, without the keys")
        .long_about(
            "Write what other programs need to use the keys, without the keys\n\n\
             By default these are references: names of variables that `api-keys run` sets, or a configuration that \
             points at the gateway with a client key from API_KEYS_CLIENT_KEY. `--values` writes the keys themselves, in \
             clear text, after the word `export` was typed at a terminal; each key is in the audit trail.",
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(value_parser!(KeyFormat))
                .default_value("env")
                .help("What to write"),
        )
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .help("Write a new private file instead of standard output"),
        )
        .arg(
            Arg::new("values")
                .long("values")
                .action(ArgAction::SetTrue)
                .help("Write the keys themselves; only with the formats env and json"),
        )
        .arg(
            Arg::new("show")
                .long("show")
                .action(ArgAction::SetTrue)
                .requires("values")
                .help("Let keys appear on the terminal"),
        )
        .arg(
            Arg::new("gateway")
                .long("gateway")
                .value_name("ADDRESS:PORT")
                .default_value(gateway::LISTEN)
                .help("Address of the gateway"),
        )
}

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let caller = Terminal::new(session, matches);
    let format = matches
        .get_one::<KeyFormat>("format")
        .copied()
        .unwrap_or(KeyFormat::Env);
    let file = matches.get_one::<PathBuf>("to");
    let selection = wait(child_environment::select(app, &caller, &[]))?;
    let gateway = matches.get_one::<String>("gateway").map_or("", String::as_str);
    let text = if matches.get_flag("values") {
        refuse_places(format, file.map(PathBuf::as_path), matches.get_flag("show"))?;
        agree(selection.variables.len())?;
        let keys = wait(child_environment::reveal_for(
            app,
            &caller,
            selection.variables,
            "exported in clear text",
        ))?;
        values(format, &keys)
    } else {
        Zeroizing::new(references(format, &selection.variables, gateway))
    };
    let Some(file) = file else {
        Console::raw(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut fresh = FreshFile::create(file)?;
    fresh.write_all(text.as_bytes()).map_err(|why| fresh.failed(why))?;
    let _ = fresh.keep()?;
    let shown = file.display().to_string();
    if session.console.is_json() {
        Console::json(&json!({"file": shown, "values": matches.get_flag("values")}))?;
    } else {
        let mut view = View::line(Tone::Good, format!("Wrote {shown}"));
        if matches.get_flag("values") {
            view = view.and(Block::Warning(format!(
                "{shown} holds keys in clear text: delete it when it is used"
            )));
        }
        session.console.view(&view)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails where keys would end up where they should not.
fn refuse_places(format: KeyFormat, file: Option<&Path>, may_show: bool) -> Result<()> {
    if !matches!(format, KeyFormat::Env | KeyFormat::Json) {
        return Err(Error::new(Code::InvalidArgument, "that format is for references alone")
            .hint("leave out `--values`, or use `--format env` or `--format json`"));
    }
    match file {
        None if stdout().is_terminal() && !may_show => Err(Error::new(
            Code::InvalidArgument,
            "the keys would be shown on the terminal",
        )
        .hint("write a file with `--to FILE`, pipe them to a program, or add `--show`")),
        Some(file) if is_tracked_by_git(file) => Err(Error::new(
            Code::UnsafeFile,
            format!("{} is in a git work tree and not ignored", file.display()),
        )
        .hint("choose a file outside of it, or add it to .gitignore first")),
        None | Some(_) => Ok(()),
    }
}

/// Whether a file would be one that git offers to commit; also where git cannot be asked.
fn is_tracked_by_git(file: &Path) -> bool {
    let Ok(path) = std::path::absolute(file) else {
        return true;
    };
    let mut folders = path.ancestors().skip(1);
    if !folders.any(|folder| folder.join(".git").exists()) {
        return false;
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    let asked = Command::new("git")
        .arg("-C")
        .arg(parent)
        .args(["check-ignore", "--quiet", "--"])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    !asked.is_ok_and(|status| status.success())
}

/// Asks the person at the terminal to type a word; a script cannot.
fn agree(keys: usize) -> Result<()> {
    let declined = |said: &str| Error::new(Code::InputDeclined, said).hint("no key was revealed");
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(declined("keys are exported only by a person at a terminal"));
    }
    let s = if keys == 1 { "" } else { "s" };
    let question = format!("This writes {keys} key{s} in clear text. Type `{WORD}` to go on: ");
    // If stderr is closed, no person can answer.
    let _ = stderr().write_all(question.as_bytes());
    let mut answer = String::new();
    let read = stdin().read_line(&mut answer);
    if read.is_ok() && answer.trim() == WORD {
        Ok(())
    } else {
        Err(declined("not confirmed"))
    }
}

/// The keys themselves.
fn values(format: KeyFormat, keys: &[(String, ApiKey)]) -> Zeroizing<String> {
    // Large enough not to grow: growing leaves copies behind.
    let length = keys.iter().map(|(name, _)| name.len() + 4200).sum::<usize>() + 64;
    let mut text = Zeroizing::new(String::with_capacity(length));
    let is_json = format == KeyFormat::Json;
    if is_json {
        text.push_str("{\n");
    }
    for (at, (name, key)) in keys.iter().enumerate() {
        // EXPOSE: what the person at the terminal asked for and confirmed, audited before
        let key = key.expose();
        // Keys have neither quotes nor backslashes nor white space.
        let _ = if is_json {
            let comma = if at + 1 < keys.len() { "," } else { "" };
            writeln!(text, "  \"{name}\": {}{comma}", Value::from(key))
        } else {
            writeln!(text, "{name}={key}")
        };
    }
    if is_json {
        text.push_str("}\n");
    }
    text
}

/// What leads to the keys without holding them.
fn references(format: KeyFormat, variables: &[KeyVariable], gateway: &str) -> String {
    const CLIENT_KEY: &str = "API_KEYS_CLIENT_KEY";
    let ids: Vec<&str> = variables
        .iter()
        .map(|variable| variable.record.provider.as_str())
        .collect();
    match format {
        KeyFormat::Env => {
            let mut text =
                "# The keys are in the vault of api-keys: `api-keys run -- COMMAND` sets these variables.\n".to_owned();
            for variable in variables {
                let name = key_name::show(&variable.record.provider, &variable.record.label);
                let _ = writeln!(text, "# {}  ({name})", variable.name);
            }
            text
        }
        KeyFormat::Json => {
            let members: Map<String, Value> = variables
                .iter()
                .map(|variable| {
                    let name = key_name::show(&variable.record.provider, &variable.record.label);
                    (variable.name.clone(), Value::String(name))
                })
                .collect();
            format!("{:#}\n", Value::Object(members))
        }
        KeyFormat::Litellm => {
            let mut text = format!(
                "# {CLIENT_KEY}: the key of a client of the gateway, `api-keys client add NAME`\nmodel_list:\n"
            );
            for id in ids {
                let _ = write!(
                    text,
                    "  - model_name: {id}/*\n    litellm_params:\n      model: openai/{id}/*\n      \
                     api_base: http://{gateway}/v1\n      api_key: os.environ/{CLIENT_KEY}\n"
                );
            }
            text
        }
        KeyFormat::Opencode => {
            let options = json!({"baseURL": format!("http://{gateway}/v1"), "apiKey": format!("{{env:{CLIENT_KEY}}}")});
            let provider = json!({
                "npm": "@ai-sdk/openai-compatible",
                "name": "api-keys",
                "options": options,
                "models": {"auto": {"name": "auto: routed by api-keys"}},
            });
            let document = json!({"$schema": "https://opencode.ai/config.json", "provider": {"api-keys": provider}});
            format!("{document:#}\n")
        }
        KeyFormat::Continue => format!(
            "name: api-keys\nversion: 0.0.1\nschema: v1\nmodels:\n  - name: api-keys\n    provider: openai\n    model: auto\n    \
             apiBase: http://{gateway}/v1\n    apiKey: ${{{{ secrets.{CLIENT_KEY} }}}}\n"
        ),
    }
}
