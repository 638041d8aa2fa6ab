//! The tables of the documentation, generated from the declarations so that they cannot go stale.

use std::fmt::Write;

use serde_json::Value;

use crate::{
    agent_logs::AGENTS,
    domain::AlertKind,
    error::{Code, ExitCode},
    prompts::PROMPTS,
    providers::PROVIDERS,
    services::{agents::AgentProgram, sdks::SDKS},
    settings::VARIABLES,
    tools::{TOOLS, ToolDef},
};

/// Returns `text` with everything between `<!-- table: NAME -->` and `<!-- end -->` replaced by the table of that name.
///
/// `commands` is the command line that the table of commands comes from.
pub fn with_tables(text: &str, commands: &clap::Command) -> String {
    let mut out = String::with_capacity(text.len());
    let mut name = None;
    for line in text.lines() {
        if line == END {
            name = None;
        }
        if name.is_none() {
            out.push_str(line);
            out.push('\n');
            name = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(" -->"));
            if let Some(name) = name {
                out.push_str(&table(name, commands));
            }
        }
    }
    out
}

const BEGIN: &str = "<!-- table: ";
const END: &str = "<!-- end -->";

fn table(name: &str, commands: &clap::Command) -> String {
    match name {
        "tools" => rows(&["tool", "arguments (**required**)", "does"], TOOLS.iter().map(tool)),
        "commands" => rows(
            &["command", "does"],
            commands
                .get_subcommands()
                .flat_map(|known| [command(known)].into_iter().chain(variants(known))),
        ),
        "prompts" => rows(
            &["command or prompt", "arguments", "does"],
            PROMPTS.iter().map(|prompt| {
                let names: Vec<&str> = prompt.arguments.iter().map(|argument| argument.name).collect();
                let (name, about) = (format!("`/{}`", prompt.name), prompt.description().to_owned());
                vec![name, names.join(", "), about]
            }),
        ),
        "providers" => rows(
            &["provider", "name", "variable"],
            PROVIDERS.iter().map(|provider| {
                let variables: Vec<String> = provider.env_vars.iter().map(|name| format!("`{name}`")).collect();
                vec![
                    format!("`{}`", provider.id),
                    provider.title.to_owned(),
                    variables.join(", "),
                ]
            }),
        ),
        "variables" => rows(
            &["variable", "does"],
            VARIABLES
                .iter()
                .map(|variable| vec![format!("`{}`", variable.name), variable.what.to_owned()]),
        ),
        "codes" => rows(
            &["code", "exit", "means", "what to do"],
            Code::ALL.iter().map(|code| {
                vec![
                    format!("`{}`", code.as_str()),
                    (code.exit_code() as u8).to_string(),
                    code.meaning().to_owned(),
                    code.remedy().to_owned(),
                ]
            }),
        ),
        "alerts" => alerts(),
        "exits" => rows(
            &["exit code", "means"],
            ExitCode::ALL
                .iter()
                .map(|exit| vec![(*exit as u8).to_string(), exit.meaning().to_owned()]),
        ),
        "doors" => rows(
            &["provider", "OpenAI's API", "Responses", "Anthropic's API"],
            PROVIDERS.iter().filter_map(|provider| {
                let doors = [provider.openai, provider.responses, provider.anthropic];
                let spoken = doors.map(|door| door.map_or("", |_| "yes").to_owned());
                let is_spoken = doors.iter().any(Option::is_some);
                is_spoken.then(|| std::iter::once(format!("`{}`", provider.id)).chain(spoken).collect())
            }),
        ),
        "sdks" => rows(
            &["library", "finds the gateway by", "as", "and the client key in"],
            SDKS.iter().map(|sdk| {
                let names = |names: &[&str]| {
                    names
                        .iter()
                        .map(|name| format!("`{name}`"))
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                let base = format!("`http://127.0.0.1:8787{}`", sdk.path);
                vec![sdk.title.to_owned(), names(sdk.bases), base, names(sdk.keys)]
            }),
        ),
        "agents" => rows(
            &["agent", "name", "logs", "variable", "what is read"],
            AGENTS.iter().map(|agent| {
                let code = |text: &&str| match text.split_once(' ') {
                    Some((path, rest)) => format!("`{path}` {rest}"),
                    None => format!("`{text}`"),
                };
                let places: Vec<String> = agent.places.iter().map(code).collect();
                vec![
                    agent.title.to_owned(),
                    format!("`{}`", agent.name),
                    places.join(", "),
                    agent.variable.map(|name| format!("`{name}`")).unwrap_or_default(),
                    agent.what.to_owned(),
                ]
            }),
        ),
        "gateway-agents" => tried_agents(),
        // An unknown name leaves an empty table, which the documentation's test notices.
        _ => String::new(),
    }
}

/// What the suite of real agents saw, which it compares with this file.
const TRIED_AGENTS: &str = include_str!("docs/agents.json");

/// The table of the agents of the suite.
fn tried_agents() -> String {
    let seen: Vec<Value> = serde_json::from_str(TRIED_AGENTS).unwrap_or_default();
    let row = |seen: &Value| {
        let text = |name: &str| seen.get(name).and_then(Value::as_str).unwrap_or_default();
        let hosts = seen.get("other_hosts").and_then(Value::as_array).into_iter().flatten();
        let hosts: Vec<String> = hosts
            .filter_map(Value::as_str)
            .map(|host| format!("`{host}`"))
            .collect();
        let or_none = |text: String| if text.is_empty() { "–".to_owned() } else { text };
        vec![
            AgentProgram::named(text("agent"))
                .map_or("", |agent| agent.title)
                .to_owned(),
            text("version").to_owned(),
            "yes".to_owned(),
            format!("yes; the session is {}", text("session")),
            or_none(match text("permanent") {
                "command" => "no file: it asks a command".to_owned(),
                "private file" => "a private file of ours".to_owned(),
                "settings" => "its settings".to_owned(),
                _ => String::new(),
            }),
            or_none(hosts.join(", ")),
        ]
    };
    let headers = [
        "agent",
        "tested version",
        "one tool call, streamed",
        "in the ledger with agent, model, exact cost and session",
        "`setup --gateway`; its client key is in",
        "asks besides for",
    ];
    rows(&headers, seen.iter().map(row))
}

fn tool(tool: &ToolDef) -> Vec<String> {
    let schema = (tool.input_schema)();
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let arguments: Vec<String> = schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|properties| properties.keys())
        .map(|name| {
            if required.contains(&name.as_str()) {
                format!("**{name}**")
            } else {
                name.clone()
            }
        })
        .collect();
    let arguments = if arguments.is_empty() {
        "–".to_owned()
    } else {
        arguments.join(", ")
    };
    vec![format!("`{}`", tool.name), arguments, description.to_owned()]
}

/// The tools that are a command with a flag.
fn variants(command: &clap::Command) -> impl Iterator<Item = Vec<String>> {
    let flagged = format!("{} --", command.get_name());
    TOOLS
        .iter()
        .filter(move |tool| tool.command.starts_with(&flagged))
        .map(|tool| {
            let schema = (tool.input_schema)();
            let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            vec![format!("`api-keys {}`", tool.command), description.to_owned()]
        })
}

fn command(command: &clap::Command) -> Vec<String> {
    let mut usage = format!("api-keys {}", command.get_name());
    for argument in command.get_positionals() {
        let name = argument.get_value_names().and_then(|names| names.first()).map_or_else(
            || argument.get_id().as_str().to_uppercase(),
            |name| name.to_string().to_uppercase(),
        );
        let _ = match (argument.is_last_set(), argument.is_required_set()) {
            (true, _) => write!(usage, " -- {name}…"),
            (false, true) => write!(usage, " {name}"),
            (false, false) => write!(usage, " [{name}]"),
        };
    }
    let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    if !verbs.is_empty() {
        let verbs = verbs.join("/");
        let _ = if command.is_subcommand_required_set() {
            write!(usage, " {verbs}")
        } else {
            write!(usage, " [{verbs}]")
        };
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    vec![format!("`{usage}`"), about]
}

/// The kinds of alerts but the test.
fn alerts() -> String {
    let kinds = AlertKind::ALL.iter().filter(|kind| **kind != AlertKind::Test);
    rows(
        &["kind", "raised when", "at most"],
        kinds.map(|kind| {
            let severity = kind.severity().as_str().to_owned();
            vec![format!("`{}`", kind.as_str()), kind.about().to_owned(), severity]
        }),
    )
}

fn rows(headers: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", headers.join(" | "), "---|".repeat(headers.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_between_the_markers_changes() {
        let text = "before\n<!-- table: variables -->\n| stale row |\n<!-- end -->\nafter\n";
        let once = with_tables(text, &clap::Command::new("api-keys"));
        assert!(once.starts_with("before\n<!-- table: variables -->\n| variable | does |\n"));
        assert!(once.ends_with("\n<!-- end -->\nafter\n"));
        assert!(!once.contains("stale row"));
        assert_eq!(with_tables(&once, &clap::Command::new("api-keys")), once);
    }
}
