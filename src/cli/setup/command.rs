//! The command line of `setup`, and its steps in order.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser};
use serde_json::json;

use super::{
    super::{
        caller::Terminal,
        command::{CommandDef, Run, Session, wait},
        console::yes,
        gateway::{LISTEN, behind},
        help::HelpSection,
        own_server::{self, Greeting},
    },
    agent_logs, gateway, mcp_clients, offers,
    report::SetupReport,
    trial,
};
use crate::{
    app::App,
    error::Result,
    mcp_clients::{CLIENTS, Launch},
    services::vault_access,
    storage::vault::VaultStatus,
};

pub(in crate::cli) const COMMAND: CommandDef = CommandDef {
    name: "setup",
    section: HelpSection::Setup,
    define: |command| {
        let switch =
            |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
        command
            .about("Create the vault, test the server, import keys, register with MCP clients")
            .long_about(
                "Create the vault, test the server, import keys, register with MCP clients\n\n\
                 Safe to repeat: an existing vault is only opened, and registrations are kept. The test starts this program as \
                 an MCP client would, with a made-up key in a temporary folder. A client's settings are changed only after you \
                 confirm, with a backup beside them; an entry that another copy of this program wrote is updated, and one of the \
                 same name that starts something else is reported and left alone. Without a terminal and without --yes, no client is changed.\n\n\
                 With --gateway, it makes coding agents use a running gateway from then on (Claude Code, Codex, OpenCode, Gemini CLI), \
                 and nothing else; --gateway --remove restores their settings.",
            )
            .arg(
                Arg::new("client")
                    .long("client")
                    .value_name("NAME")
                    .action(ArgAction::Append)
                    .value_parser(PossibleValuesParser::new(names()))
                    .help("Only this client or agent, even if it was not found; repeatable"),
            )
            .arg(
                behind("Make agents use the gateway at this address, 127.0.0.1:8787 by default")
                    .default_missing_value(LISTEN),
            )
            .arg(
                switch("project", "Register in the current folder's project instead of for your user")
                    .conflicts_with("gateway"),
            )
            .arg(switch("remove", "Remove this server from the clients' settings; the vault is kept"))
            .arg(switch("dry-run", "Show what would change without changing it"))
            .arg(yes())
    },
    run: Run::With(run),
};

/// The clients, and the agents that are no MCP clients of ours.
fn names() -> Vec<&'static str> {
    let clients = CLIENTS.iter().map(|client| client.id);
    let mut names: Vec<&str> = clients.collect();
    names.extend(gateway::names().filter(|name| CLIENTS.iter().all(|client| client.id != *name)));
    names
}

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let app = &session.app;
    let mut report = SetupReport::new(session.console);
    let launch = own_server::launch(app)?;
    report.set("program", launch.command.as_str());
    if matches.contains_id("gateway") {
        gateway::run(session, matches, &launch, &mut report)?;
        return report.finish();
    }
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
        agent_logs::offer(session, matches, &mut report)?;
    }
    mcp_clients::run(session, matches, &launch, &mut report)?;
    report.finish()
}

/// Opens the vault, or makes it; says whether it was made.
fn make_vault(session: &Session, matches: &ArgMatches, report: &mut SetupReport) -> Result<bool> {
    let app = &session.app;
    let existed = !matches!(app.vault().status()?, VaultStatus::Absent);
    let warnings = wait(vault_access::open_or_create(app, &Terminal::new(session, matches)))?;
    let file = app.settings().paths().vault_file();
    let done = if existed { "opened" } else { "created" };
    report.step("Vault", &format!("{done} {}", file.display()))?;
    for warning in &warnings {
        report.warning(warning);
    }
    Ok(!existed)
}

fn would_make_vault(session: &Session, report: &mut SetupReport) -> Result<()> {
    let absent = matches!(session.app.vault().status()?, VaultStatus::Absent);
    let file = session.app.settings().paths().vault_file();
    let said = if absent { "would be created:" } else { "exists:" };
    report.set("vault", json!({"file": file, "made": false}));
    report.step("Vault", &format!("{said} {}", file.display()))
}

/// Shows what is in force by default.
fn tell_budget(app: &App, report: &mut SetupReport) -> Result<()> {
    let budget = &app.settings().current().budget;
    let (day, month) = (budget.daily_limit, budget.monthly_limit);
    let said = if budget.enabled {
        format!("{day} a day and {month} a month, enforced by the gateway; change it under [budget] in config.toml")
    } else {
        "limits are off".to_owned()
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
        report.step("Keys", "the server cannot open the vault: it is locked")?;
        let variable = &session.app.settings().current().vault.passphrase_env;
        report.hint(format!(
            "clients that pass {variable} on open the vault, as Codex does with `env_vars = [\"{variable}\"]` in its entry; others \
             ask for the passphrase. `api-keys vault add-slot keychain` lets the keychain open it"
        ));
    } else {
        report.step(
            "Keys",
            &format!(
                "{} stored; the server reports the vault {}",
                greeting.keys, greeting.vault
            ),
        )?;
    }
    report.set("server", greeting.json());
    report.set("keys", greeting.keys);
    Ok(greeting)
}
