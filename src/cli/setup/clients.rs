//! The clients: shown what would change in their settings, changed after a yes, and tried through what was written.

use std::path::Path;

use clap::ArgMatches;
use serde_json::{Value, json};

use super::Report;
use crate::{
    cli::{Session, console::YES, own_server::Greeting},
    clients::{CLIENTS, Client, Intent, Launch, Registration, SERVER, Scope, State},
    error::{Code, Error, Result},
    settings::Machine,
    tools::view::Tone,
};

/// What is wanted of the clients.
struct Wish {
    intent: Intent,
    scope: Scope,
    /// These only; empty for all that are here.
    named: Vec<&'static Client>,
    dry_run: bool,
    sure: bool,
}

impl Wish {
    fn of(matches: &ArgMatches) -> Self {
        let named = matches.get_many::<String>("client").into_iter().flatten();
        Self {
            intent: if matches.get_flag("remove") {
                Intent::Remove
            } else {
                Intent::Register
            },
            scope: if matches.get_flag("project") {
                Scope::Project
            } else {
                Scope::User
            },
            named: named.filter_map(|id| Client::named(id)).collect(),
            dry_run: matches.get_flag("dry-run"),
            sure: matches.get_flag(YES),
        }
    }

    fn clients(&self, machine: &Machine) -> Vec<&'static Client> {
        if self.named.is_empty() {
            CLIENTS.iter().filter(|client| client.is_here(machine)).collect()
        } else {
            self.named.clone()
        }
    }
}

/// Shows, asks, changes, and proves it.
pub(super) fn run(session: &Session, matches: &ArgMatches, launch: &Launch, report: &mut Report) -> Result<()> {
    let wish = Wish::of(matches);
    let machine = session.app.settings().machine()?;
    let launch = match wish.scope {
        Scope::User => launch.clone(),
        // Others who work in the project have the program somewhere else, and files of their own.
        Scope::Project => Launch::server(SERVER, None),
    };
    let mut wanted = Vec::new();
    let mut rows = Vec::new();
    for client in wish.clients(&machine) {
        let Some(registration) = Registration::new(client, &machine, wish.scope, &launch) else {
            if !wish.named.is_empty() {
                return Err(Error::new(
                    Code::InvalidArgument,
                    format!("{} has no settings for a project", client.title),
                )
                .hint("leave `--project` out"));
            }
            continue;
        };
        match registration.preview(wish.intent) {
            Ok(None) => {
                let said = match wish.intent {
                    Intent::Register => "registered in",
                    Intent::Remove => "not registered in",
                };
                report.step(
                    "Client",
                    &format!("{}: {said} {}", client.title, registration.file.display()),
                )?;
                rows.push(row(&registration, "unchanged", None));
            }
            Ok(Some(preview)) => {
                show(report, &registration, wish.intent, &preview)?;
                wanted.push((registration, preview));
            }
            Err(error) => {
                report.step("Client", &format!("{}: left alone", client.title))?;
                rows.push(row(&registration, "refused", Some(&error)));
                if wish.sure && !wish.dry_run {
                    report.failure(&error);
                } else {
                    report.problem(&error);
                }
            }
        }
    }
    let agreed = !wanted.is_empty() && !wish.dry_run && agreed(session, &wish, &wanted);
    for (registration, preview) in &wanted {
        if !agreed {
            let mut row = row(registration, "would_change", None);
            set(&mut row, "change", preview.as_str().into());
            rows.push(row);
            continue;
        }
        match change(report, &wish, registration) {
            Ok(answered) => {
                let mut row = row(registration, "changed", None);
                set(&mut row, "server", answered);
                rows.push(row);
            }
            Err(error) => {
                rows.push(row(registration, "refused", Some(&error)));
                report.failure(&error);
            }
        }
    }
    if !wanted.is_empty() && !agreed && !wish.dry_run {
        say_how(report, &wish);
    }
    if rows.is_empty() {
        say_where(report, &launch);
    }
    report.set("clients", rows);
    Ok(())
}

fn agreed(session: &Session, wish: &Wish, wanted: &[(Registration<'_>, String)]) -> bool {
    let clients: Vec<&str> = wanted
        .iter()
        .map(|(registration, _)| registration.client.title)
        .collect();
    let question = format!("Change the settings of {}?", clients.join(", "));
    wish.sure || session.console.agrees(&question) == Some(true)
}

/// What would change: only what is ours, never a line of the user's.
fn show(report: &Report, registration: &Registration<'_>, intent: Intent, preview: &str) -> Result<()> {
    report.step(
        "Client",
        &format!("{}: {}", registration.client.title, registration.file.display()),
    )?;
    let (sign, tone) = match intent {
        Intent::Register => ('+', Tone::Good),
        Intent::Remove => ('-', Tone::Bad),
    };
    preview
        .lines()
        .try_for_each(|line| report.line(tone, &format!("        {sign} {line}")))
}

/// Makes the change and, where something was put in, starts what the client would start.
fn change(report: &mut Report, wish: &Wish, registration: &Registration<'_>) -> Result<Value> {
    let client = registration.client;
    registration.apply(wish.intent)?;
    let backup = format!("{}.api-keys-backup", registration.file.display());
    let backup = if Path::new(&backup).exists() {
        format!("; what was there before: {backup}")
    } else {
        String::new()
    };
    if wish.intent == Intent::Remove {
        report.step("Done", &format!("{}: taken out{backup}", client.title))?;
        return Ok(Value::Null);
    }
    // From the file, not from memory: this is what the client will read.
    let State::Registered(launch) = registration.state()? else {
        return Err(Error::new(
            Code::Busy,
            format!("{} put back its settings as they were", client.title),
        )
        .hint(format!("close {} and run the command again", client.title)));
    };
    let greeting = Greeting::of(&launch).map_err(|error| {
        let hint = match wish.scope {
            Scope::User => error.hint_text().unwrap_or_default().to_owned(),
            Scope::Project => format!("put `{SERVER}` on the PATH: `cargo install --path .` does"),
        };
        Error::new(
            error.code(),
            format!("registered with {}, but {}", client.title, error.message()),
        )
        .hint(hint)
    })?;
    report.step("Done", &format!("{}: {greeting}{backup}", client.title))?;
    Ok(greeting.json())
}

fn row(registration: &Registration<'_>, state: &str, error: Option<&Error>) -> Value {
    let mut row = json!({
        "client": registration.client.id,
        "title": registration.client.title,
        "file": registration.file,
        "state": state,
    });
    if let Some(error) = error {
        let error = error.to_json().get("error").cloned().unwrap_or_default();
        set(&mut row, "error", error);
    }
    row
}

fn set(row: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = row {
        fields.insert(name.to_owned(), value);
    }
}

/// The command that does what was not done.
fn say_how(report: &Report, wish: &Wish) {
    let mut command = "api-keys setup --yes".to_owned();
    if wish.intent == Intent::Remove {
        command.push_str(" --remove");
    }
    if wish.scope == Scope::Project {
        command.push_str(" --project");
    }
    for client in &wish.named {
        command.push_str(" --client ");
        command.push_str(client.id);
    }
    report.hint(format!("no client was touched; `{command}` makes these changes"));
}

/// How to connect where no client was found.
fn say_where(report: &Report, launch: &Launch) {
    let names: Vec<&str> = CLIENTS.iter().map(|client| client.id).collect();
    report.hint(format!(
        "no MCP client was found here; `api-keys setup --client NAME` registers with one all the same: {}",
        names.join(", ")
    ));
    let words = std::iter::once(&launch.command).chain(&launch.arguments);
    let words: Vec<String> = words.map(|word| quoted(word)).collect();
    report.hint(format!(
        "Claude Code: claude mcp add --scope user {SERVER} -- {}; any other client: that command, over standard input and output",
        words.join(" ")
    ));
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+'));
    if plain {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
