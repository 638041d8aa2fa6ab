//! The clients: shown what would change in their settings, changed after a yes, and tried through what was written.

use std::path::Path;

use clap::ArgMatches;
use serde_json::{Value, json};

use super::report::SetupReport;
use crate::{
    app::App,
    cli::{command::Session, console::YES, own_server::Greeting},
    error::{Code, Error, Result},
    mcp_clients::{
        CLIENTS, CommandState, Intent, Launch, McpClient, Registration, RegistrationState, SERVER, Scope, SlashCommand,
        shell_word,
    },
    settings::Machine,
    tools::view::Tone,
};

/// What is wanted of the clients.
struct Wish {
    intent: Intent,
    scope: Scope,
    /// These only; empty for all that are here.
    named: Vec<&'static McpClient>,
    dry_run: bool,
    sure: bool,
}

impl Wish {
    fn of(matches: &ArgMatches) -> Result<Self> {
        let named: Vec<&String> = matches.get_many("client").into_iter().flatten().collect();
        let is_client = |id: &String| CLIENTS.iter().any(|client| client.id == id);
        if let Some(agent) = named.iter().find(|id| !is_client(id)) {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("{agent} is no MCP client that this program can register with"),
            )
            .hint("with `--gateway` it can be made to use the gateway"));
        }
        Ok(Self {
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
            named: CLIENTS
                .iter()
                .filter(|client| named.iter().any(|id| *id == client.id))
                .collect(),
            dry_run: matches.get_flag("dry-run"),
            sure: matches.get_flag(YES),
        })
    }

    fn clients(&self, machine: &Machine) -> Vec<&'static McpClient> {
        if self.named.is_empty() {
            // A project may hold what was registered where other clients were installed.
            let is_left = |client: &McpClient| {
                self.intent == Intent::Remove && self.scope == Scope::Project && client.has_project_settings(machine)
            };
            CLIENTS
                .iter()
                .filter(|client| client.is_here(machine) || is_left(client))
                .collect()
        } else {
            self.named.clone()
        }
    }
}

/// What would be done, once confirmed.
#[derive(Default)]
struct Plan<'a> {
    entries: Vec<(Registration<'a>, String)>,
    commands: Vec<SlashCommand>,
    /// What `--json` says of those that need nothing, or cannot be changed.
    rows: Vec<Value>,
}

/// Shows, asks, changes, and proves it.
pub(super) fn run(session: &Session, matches: &ArgMatches, launch: &Launch, report: &mut SetupReport) -> Result<()> {
    let wish = Wish::of(matches)?;
    let machine = session.app.settings().machine()?;
    let launch = match wish.scope {
        Scope::User => launch.clone(),
        // Others who work in the project have the program somewhere else, and files of their own.
        Scope::Project => Launch::server(SERVER, None),
    };
    let mut plan = Plan::default();
    let in_full = launch.clone().with_network(session.app.settings().environment());
    for client in wish.clients(&machine) {
        let keeps_environment = wish.scope == Scope::User && !client.passes_environment;
        let launch = if keeps_environment { &in_full } else { &launch };
        let Some(registration) = Registration::new(client, &machine, wish.scope, wish.intent, launch) else {
            if !wish.named.is_empty() {
                return Err(Error::new(
                    Code::InvalidArgument,
                    format!("{} has no project settings", client.title),
                )
                .hint("omit `--project`"));
            }
            continue;
        };
        // Slash commands are useless without the server they name.
        if plan_entry(report, &wish, registration, &mut plan)? {
            if wish.intent == Intent::Register {
                warn_of_plugin(report, client, &machine);
            }
            let commands = SlashCommand::all(client, &machine, wish.scope);
            plan_commands(report, &wish, commands, &mut plan)?;
        }
    }
    let Plan {
        entries,
        mut commands,
        mut rows,
    } = plan;
    let nothing = entries.is_empty() && commands.is_empty();
    let agreed = !nothing && !wish.dry_run && agreed(report, &wish, &entries);
    for (registration, preview) in &entries {
        rows.push(if agreed {
            match change(&session.app, report, registration) {
                Ok(answered) => row(registration, "changed", "server", &answered),
                Err(error) => {
                    report.failure(&error);
                    // Slash commands are useless without the server they name.
                    commands.retain(|command| command.client.id != registration.client.id);
                    refusal(registration, &error)
                }
            }
        } else {
            row(registration, "would_change", "change", &preview.as_str().into())
        });
    }
    if agreed {
        install(report, &wish, &commands)?;
    } else if !nothing && !wish.dry_run {
        say_how(report, &wish);
    }
    if rows.is_empty() {
        match wish.intent {
            Intent::Register => say_where(report, &launch),
            Intent::Remove => report.hint("no MCP client found; nothing to remove"),
        }
    }
    report.set("clients", rows);
    report.set(
        "slash_commands",
        commands.iter().map(|command| json!(command.file)).collect::<Vec<_>>(),
    );
    Ok(())
}

/// Plans the entry in a client's settings, and says whether it stands or can be made to.
fn plan_entry<'a>(
    report: &mut SetupReport,
    wish: &Wish,
    registration: Registration<'a>,
    plan: &mut Plan<'a>,
) -> Result<bool> {
    let title = registration.client.title;
    match registration.preview() {
        Ok(Some(preview)) => {
            show(report, &registration, &preview)?;
            plan.entries.push((registration, preview));
        }
        Ok(None) => {
            let said = match wish.intent {
                Intent::Register => "registered in",
                Intent::Remove => "not registered in",
            };
            report.step("Client", &format!("{title}: {said} {}", registration.file.display()))?;
            plan.rows.push(row(&registration, "unchanged", "server", &Value::Null));
        }
        Err(error) => {
            report.step("Client", &format!("{title}: not changed"))?;
            plan.rows.push(refusal(&registration, &error));
            if wish.sure && !wish.dry_run {
                report.failure(&error);
            } else {
                report.problem(&error);
            }
            return Ok(false);
        }
    }
    Ok(true)
}

/// Says that a client would start this server twice.
fn warn_of_plugin(report: &mut SetupReport, client: &McpClient, machine: &Machine) {
    if let Some(plugin) = client.plugin(machine) {
        report.warning(&format!(
            "{} also has the plugin {plugin}, so it starts two of these servers",
            client.title
        ));
        report.hint(format!(
            "keep one: `claude plugin uninstall {plugin}`, or `api-keys setup --remove --client {}`",
            client.id
        ));
    }
}

fn plan_commands(
    report: &mut SetupReport,
    wish: &Wish,
    commands: Vec<SlashCommand>,
    plan: &mut Plan<'_>,
) -> Result<()> {
    for command in commands {
        match command.state() {
            Ok(CommandState::Foreign) => report.hint(format!(
                "{} was changed by hand and is left alone; delete it to get this version's",
                command.file.display()
            )),
            Ok(_) if command.is_to_change(wish.intent)? => {
                let (sign, tone) = sign(wish.intent);
                report.line(tone, &format!("        {sign} {}", command.file.display()))?;
                plan.commands.push(command);
            }
            Ok(_) => {}
            Err(error) => report.problem(&error),
        }
    }
    Ok(())
}

/// Writes the slash commands, or takes them away.
fn install(report: &mut SetupReport, wish: &Wish, commands: &[SlashCommand]) -> Result<()> {
    let mut done = Vec::new();
    for command in commands {
        match command.apply(wish.intent) {
            Ok(true) => done.push(command.name()),
            Ok(false) => {}
            Err(error) => report.failure(&error),
        }
    }
    if done.is_empty() {
        return Ok(());
    }
    let names = done.join(", ");
    report.step(
        "Done",
        &match wish.intent {
            Intent::Register => format!("slash commands for Claude Code: {names}"),
            Intent::Remove => format!("slash commands removed: {names}"),
        },
    )
}

fn agreed(report: &SetupReport, wish: &Wish, entries: &[(Registration<'_>, String)]) -> bool {
    let clients: Vec<&str> = entries
        .iter()
        .map(|(registration, _)| registration.client.title)
        .collect();
    let question = if clients.is_empty() {
        "Change these files?".to_owned()
    } else {
        format!("Change the settings of {}?", clients.join(", "))
    };
    wish.sure || report.agrees(&question)
}

/// How a change is shown.
fn sign(intent: Intent) -> (char, Tone) {
    match intent {
        Intent::Register => ('+', Tone::Good),
        Intent::Remove => ('-', Tone::Bad),
    }
}

/// What would change: only what is ours, never a line of the user's.
fn show(report: &SetupReport, registration: &Registration<'_>, preview: &str) -> Result<()> {
    report.step(
        "Client",
        &format!("{}: {}", registration.client.title, registration.file.display()),
    )?;
    if registration.intent == Intent::Register
        && let Some(old) = registration.outdated()?
    {
        report.line(Tone::Bad, &format!("        - starts {}", old.command))?;
    }
    let (sign, tone) = sign(registration.intent);
    preview
        .lines()
        .try_for_each(|line| report.line(tone, &format!("        {sign} {line}")))
}

/// Makes the change and, where something was put in, starts what the client would start.
fn change(app: &App, report: &mut SetupReport, registration: &Registration<'_>) -> Result<Value> {
    let client = registration.client;
    registration.apply()?;
    let backup = format!("{}.api-keys-backup", registration.file.display());
    let backup = if Path::new(&backup).exists() {
        format!("; backup: {backup}")
    } else {
        String::new()
    };
    if registration.intent == Intent::Remove {
        report.step("Done", &format!("{}: removed{backup}", client.title))?;
        return Ok(Value::Null);
    }
    // From the file, not from memory: this is what the client will read.
    let RegistrationState::Registered(launch) = registration.state()? else {
        return Err(
            Error::new(Code::Busy, format!("{} restored its old settings", client.title))
                .hint(format!("close {} and run the command again", client.title)),
        );
    };
    let greeting = Greeting::of(app, &launch).map_err(|error| {
        let hint = match registration.scope {
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

fn row(registration: &Registration<'_>, state: &str, name: &str, value: &Value) -> Value {
    json!({
        "client": registration.client.id,
        "title": registration.client.title,
        "file": registration.file,
        "state": state,
        name: value,
    })
}

fn refusal(registration: &Registration<'_>, error: &Error) -> Value {
    let error = error.to_json().get("error").cloned().unwrap_or_default();
    row(registration, "refused", "error", &error)
}

/// The command that does what was not done.
fn say_how(report: &SetupReport, wish: &Wish) {
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
    report.hint(format!("no client was changed; `{command}` applies these changes"));
}

/// How to connect where no client was found.
fn say_where(report: &SetupReport, launch: &Launch) {
    let names: Vec<&str> = CLIENTS.iter().map(|client| client.id).collect();
    report.hint(format!(
        "no MCP client found; `api-keys setup --client NAME` registers with one anyway: {}",
        names.join(", ")
    ));
    let words = std::iter::once(&launch.command).chain(&launch.arguments);
    let words: Vec<String> = words.map(|word| shell_word(word)).collect();
    report.hint(format!(
        "Claude Code: `claude mcp add --scope user {SERVER} -- {}`; other clients: run that command as a stdio server",
        words.join(" ")
    ));
}
