//! `setup`: the first run, safe to repeat. Makes the vault, tries everything out over MCP, takes keys in, and registers
//! this server with the clients found.

mod mcp_clients;
mod offers;
mod report;
mod trial;

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser};
use serde_json::json;

use self::report::SetupReport;
use super::{
    CommandDef, Run, Session,
    caller::Terminal,
    command_line::yes,
    own_server::{self, Greeting},
    wait,
};
use crate::{
    app::App,
    error::Result,
    mcp_clients::{CLIENTS, Launch},
    services::vault,
    storage::vault::VaultStatus,
};

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "setup",
    define: |command| {
        let switch =
            |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
        command
            .about("Make the vault, try the server out, take keys in, register with the MCP clients found")
            .long_about(
                "Make the vault, try the server out, take keys in, register with the MCP clients found\n\n\
                 Safe to repeat: an existing vault is only opened, and what is registered stays. The trial run starts this \
                 program as an MCP client would, with a made-up key in a folder of its own that is deleted afterwards. \
                 A client's settings are changed after a yes only, with a backup beside them; an entry of the same name with \
                 other settings is told and left alone. Without a terminal and without --yes no client is touched.",
            )
            .arg(
                Arg::new("client")
                    .long("client")
                    .value_name("NAME")
                    .action(ArgAction::Append)
                    .value_parser(PossibleValuesParser::new(CLIENTS.iter().map(|client| client.id)))
                    .help("Only this client, also where no trace of it was found; may be given several times"),
            )
            .arg(switch("project", "Register in the current folder, for everybody who works in it, instead of for yourself"))
            .arg(switch("remove", "Take this server out of the clients' settings again; the vault stays"))
            .arg(switch("dry-run", "Show what would change, and change nothing"))
            .arg(yes())
    },
    run: Run::With(run),
};

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let mut report = SetupReport::new(session.console);
    let launch = own_server::launch(app)?;
    report.set("program", launch.command.as_str());
    if !matches.get_flag("remove") {
        if matches.get_flag("dry-run") {
            would_make_vault(session, &mut report)?;
        } else {
            let made = make_vault(session, matches, &mut report)?;
            let greeting = prove(session, &launch, &mut report)?;
            let file = app.settings().paths().vault_file();
            report.set("vault", json!({"file": file, "made": made, "state": greeting.vault}));
        }
        tell_budget(app, &mut report)?;
        offers::keys(session, matches, &mut report)?;
        offers::local_servers(session, &mut report)?;
    }
    mcp_clients::run(session, matches, &launch, &mut report)?;
    report.finish()
}

/// Whether a person at the terminal says yes; who wants JSON is shown nothing that could be agreed to.
fn agrees(session: &Session, question: &str) -> bool {
    !session.console.is_json() && session.console.agrees(question) == Some(true)
}

/// Opens the vault, or makes it; says whether it was made.
fn make_vault(session: &Session, matches: &ArgMatches, report: &mut SetupReport) -> Result<bool> {
    let app = &session.app;
    let existed = !matches!(app.vault().status()?, VaultStatus::Absent);
    let warnings = wait(vault::open_or_create(app, &Terminal::new(session, matches)))?;
    let file = app.settings().paths().vault_file();
    let done = if existed { "opened" } else { "made" };
    report.step("Vault", &format!("{done} {}", file.display()))?;
    for warning in &warnings {
        report.warning(warning);
    }
    Ok(!existed)
}

fn would_make_vault(session: &Session, report: &mut SetupReport) -> Result<()> {
    let absent = matches!(session.app.vault().status()?, VaultStatus::Absent);
    let file = session.app.settings().paths().vault_file();
    let said = if absent { "would be made:" } else { "is there:" };
    report.set("vault", json!({"file": file, "made": false}));
    report.step("Vault", &format!("{said} {}", file.display()))
}

/// Says what is in force without anybody having asked for it.
fn tell_budget(app: &App, report: &mut SetupReport) -> Result<()> {
    let budget = &app.settings().current().budget;
    let (day, month) = (budget.daily_limit, budget.monthly_limit);
    let said = if budget.enabled {
        format!("{day} a day and {month} a month, which the gateway keeps to; [budget] in config.toml says otherwise")
    } else {
        "no limit is in force".to_owned()
    };
    report.set(
        "budget",
        json!({"enabled": budget.enabled, "daily_limit_usd": day, "monthly_limit_usd": month}),
    );
    report.step("Budget", &said)
}

/// Starts the server as a client does, with a key of its own first, then on the user's files.
fn prove(session: &Session, launch: &Launch, report: &mut SetupReport) -> Result<Greeting> {
    let trial = trial::run(session, launch)?;
    report.step("Trial", &trial)?;
    let greeting = Greeting::of(&session.app, launch)?;
    report.step("Server", &greeting.to_string())?;
    if greeting.vault == "locked" {
        report.step("Keys", "the server finds the vault locked")?;
        let variable = &session.app.settings().current().vault.passphrase_env;
        report.hint(format!(
            "a client has the vault open where it passes {variable} on, as Codex does with `env_vars = [\"{variable}\"]` in \
             its entry; others ask for the passphrase. `api-keys vault add-slot keychain` lets the keychain open it"
        ));
    } else {
        report.step(
            "Keys",
            &format!(
                "{} stored; the server finds the vault {}",
                greeting.keys, greeting.vault
            ),
        )?;
    }
    report.set("server", greeting.json());
    report.set("keys", greeting.keys);
    Ok(greeting)
}
