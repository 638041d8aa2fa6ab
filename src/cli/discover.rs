//! `discover`: keys, servers of models, plans and agents on this machine, in one table; nothing is sent anywhere.

use std::{path::Path, process::ExitCode};

use clap::{Arg, ArgAction, ArgMatches};
use serde_json::{Value, json};

use super::{
    command::{CommandDef, Run, Session, wait},
    console::Console,
    help::HelpSection,
    import,
};
use crate::{
    agent_logs::AGENTS,
    error::Result,
    providers::LocalServer,
    settings::Machine,
    tools::view::{Block, Cell, Column, Tone, View},
};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "discover",
    section: HelpSection::Setup,
    define: |command| {
        command
            .about("Show the keys, model servers, plans and agents on this machine, and what to do about each")
            .long_about(
                "Show the keys, model servers, plans and agents on this machine, and what to do about each\n\n\
                 Keys are shown by name and masked. Servers on this machine are asked what they are; nothing else is \
                 contacted, no key is sent, and nothing is changed. Of plans only the existence of their login is seen.",
            )
            .arg(
                Arg::new("deep")
                    .long("deep")
                    .action(ArgAction::SetTrue)
                    .help("Also look at files outside this folder: shell profiles and the settings of other programs"),
            )
    },
    run: Run::With(run),
};

/// One line of the table.
struct Discovery {
    kind: &'static str,
    what: String,
    place: String,
    state: &'static str,
    todo: String,
}

/// Where programs keep the login of a plan; only whether the file is there is looked at.
const PLANS: &[(&str, &str)] = &[
    ("Claude plan", ".claude/.credentials.json"),
    ("ChatGPT plan (Codex)", ".codex/auth.json"),
    ("Gemini login", ".gemini/oauth_creds.json"),
    ("Qwen login", ".qwen/oauth_creds.json"),
    ("Copilot plan", ".config/github-copilot/apps.json"),
];

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let machine = session.app.settings().machine()?;
    let servers = wait(async { Ok(session.app.checker().local_servers(&moved_ports(&machine)).await) })?;
    let mut found = keys(session, matches.get_flag("deep"))?;
    found.extend(servers.iter().map(|server| server_row(session, server)));
    found.extend(plans(&machine));
    found.extend(agents(&machine));
    if session.console.is_json() {
        let rows: Vec<Value> = found
            .iter()
            .map(|row| {
                json!({"kind": row.kind, "what": row.what, "where": row.place, "state": row.state, "todo": row.todo})
            })
            .collect();
        Console::json(&json!({ "found": rows }))?;
    } else {
        session.console.view(&table(&found, matches.get_flag("deep")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The ports that programs were told to listen at.
pub(super) fn moved_ports(machine: &Machine) -> Vec<u16> {
    let ollama = machine.named_by("OLLAMA_HOST");
    let port = ollama.and_then(|host| {
        let host = host.to_string_lossy().into_owned();
        host.rsplit(':').next()?.trim_end_matches('/').parse().ok()
    });
    port.into_iter().collect()
}

/// Keys in this folder, and with `deep` in all known places.
fn keys(session: &Session, deep: bool) -> Result<Vec<Discovery>> {
    let found = import::look(session, deep)?;
    Ok(found
        .into_iter()
        .map(|key| Discovery {
            kind: "key",
            what: format!("{} {}", key.provider, key.masked),
            todo: if key.is_stored {
                "remove it there; `api-keys run` sets it".to_owned()
            } else {
                "`api-keys import` stores it".to_owned()
            },
            state: if key.is_stored { "in vault" } else { "in clear text" },
            place: key.places.join(", "),
        })
        .collect())
}

fn server_row(session: &Session, server: &LocalServer) -> Discovery {
    let config = session.app.settings().current();
    let provider = &server.provider;
    let known = config.providers().iter().find(|known| known.origin == provider.origin);
    Discovery {
        kind: "server",
        what: server.title.to_owned(),
        place: provider.base_url.clone(),
        state: "server up",
        todo: match known {
            Some(known) => format!("provider {}, {} models", known.id, server.models),
            None => format!("`api-keys setup` adds it as {}, {} models", provider.id, server.models),
        },
    }
}

fn plans(machine: &Machine) -> Vec<Discovery> {
    let is_there = |place: &&(&str, &str)| machine.home().join(place.1).is_file();
    PLANS
        .iter()
        .filter(is_there)
        .map(|(what, place)| Discovery {
            kind: "plan",
            what: (*what).to_owned(),
            place: format!("~/{place}"),
            state: "plan",
            todo: "stays with its program; `api-keys import logs` counts its use".to_owned(),
        })
        .collect()
}

/// The agents whose folders are there.
fn agents(machine: &Machine) -> Vec<Discovery> {
    let folder = |place: &str| -> Option<String> {
        let below = place.strip_prefix("~/")?;
        // Up to what stands for any name.
        let fixed: Vec<&str> = below
            .split('/')
            .take_while(|part| !part.contains(['*', '<', '…']))
            .collect();
        Some(fixed.join("/"))
    };
    let is_there = |below: &String| !below.is_empty() && machine.home().join(Path::new(below)).exists();
    AGENTS
        .iter()
        .filter_map(|agent| {
            let below = agent.places.iter().filter_map(|place| folder(place)).find(is_there)?;
            Some(Discovery {
                kind: "agent",
                what: agent.title.to_owned(),
                place: format!("~/{below}"),
                state: "present",
                todo: format!("`api-keys import logs --agent {}` counts its use", agent.name),
            })
        })
        .collect()
}

fn table(found: &[Discovery], deep: bool) -> View {
    if found.is_empty() {
        let view = View::line(
            Tone::Plain,
            "Nothing found in this folder or on this machine's usual ports",
        );
        return view.and(Block::Hint("`api-keys discover --deep` looks in more files".to_owned()));
    }
    let columns = [
        Column::new("WHAT"),
        Column::new("WHERE").wrapped(),
        Column::new("STATE"),
        Column::new("WHAT TO DO").wrapped().rank(1),
    ];
    let rows = found.iter().map(|row| {
        let tone = match row.state {
            "in clear text" => Tone::Attention,
            "in vault" | "server up" => Tone::Good,
            _ => Tone::Plain,
        };
        vec![
            row.what.as_str().into(),
            row.place.as_str().into(),
            Cell::new(tone, row.state),
            row.todo.as_str().into(),
        ]
    });
    let view = View::default().and(Block::table(columns, rows.collect()));
    if deep {
        view
    } else {
        view.and(Block::Hint(
            "`--deep` also looks at shell profiles and other programs' settings".to_owned(),
        ))
    }
}
