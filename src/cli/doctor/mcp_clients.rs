//! Whether the MCP clients on this machine can start this server.

use super::finding::{Finding, Severity};
use crate::{
    app::App,
    cli::own_server::{self, Greeting},
    error::{Code, Error},
    mcp_clients::{CLIENTS, Intent, Launch, Registration, RegistrationState, SERVER, Scope, SlashCommand},
    settings::Machine,
};

/// Each client that is used here, and what this folder's project asks for.
pub(super) fn look(app: &App) -> Vec<Finding> {
    let (Ok(machine), Ok(launch)) = (app.settings().machine(), own_server::launch(app)) else {
        // Without a home folder there are no clients either.
        return Vec::new();
    };
    let mut findings = Vec::new();
    let mut without = Vec::new();
    let mut registered = false;
    for client in CLIENTS.iter().filter(|client| client.is_here(&machine)) {
        for scope in [Scope::User, Scope::Project] {
            let wanted = match scope {
                Scope::User => launch.clone(),
                Scope::Project => Launch::server(SERVER, None),
            };
            let Some(registration) = Registration::new(client, &machine, scope, Intent::Register, &wanted) else {
                continue;
            };
            match (registration.state(), scope) {
                (Ok(RegistrationState::Absent), Scope::User) => without.push(client),
                (Ok(RegistrationState::Absent), Scope::Project) => {}
                (Ok(RegistrationState::Registered(launch)), _) => {
                    registered = true;
                    findings.push(answers(app, &registration, &launch, &machine));
                    findings.extend(outdated(&registration, &machine, scope));
                    findings.extend(doubled(&registration, &machine));
                }
                (Ok(state @ RegistrationState::Different(_)), _) => {
                    findings.push(different(&registration, &state, &machine));
                }
                (Err(error), _) => findings.push(unreadable(&error)),
            }
        }
    }
    if !without.is_empty() {
        let titles: Vec<&str> = without.iter().map(|client| client.title).collect();
        let health = if registered { Severity::Good } else { Severity::Notice };
        findings.push(
            Finding::new("client", health, format!("not registered with {}", titles.join(", "))).fix(format!(
                "`api-keys setup{}` registers the server",
                match without.as_slice() {
                    [only] if registered => format!(" --client {}", only.id),
                    _ => String::new(),
                }
            )),
        );
    }
    findings
}

/// Starts what the client would start, but no server that a project sets variables for: the project may be untrusted,
/// and variables can make a program run other code.
fn answers(app: &App, registration: &Registration<'_>, launch: &Launch, machine: &Machine) -> Finding {
    let title = registration.client.title;
    if launch.program(machine).is_none() {
        return gone(registration, launch);
    }
    if registration.scope == Scope::Project && !launch.environment.is_empty() {
        let said = format!("{title}: this project sets variables for the server, so it was not started");
        let fix = format!("review {} before you let {title} start it", registration.file.display());
        return Finding::new("client", Severity::Notice, said).fix(fix);
    }
    match Greeting::of(app, launch) {
        Ok(greeting) => Finding::good("client", format!("{title}: {greeting}")),
        Err(error) => Finding::of("client", &error).about(title),
    }
}

/// Slash commands that are missing, or from an older version.
fn outdated(registration: &Registration<'_>, machine: &Machine, scope: Scope) -> Option<Finding> {
    let client = registration.client;
    let commands = SlashCommand::all(client, machine, scope).into_iter();
    let old: Vec<String> = commands
        .filter(|command| command.is_to_change(Intent::Register).unwrap_or(false))
        .map(|command| command.name())
        .collect();
    (!old.is_empty()).then(|| {
        let said = format!(
            "{} has outdated or missing slash commands: {}",
            client.title,
            old.join(", ")
        );
        Finding::new("client", Severity::Notice, said)
            .fix(format!("`api-keys setup{}` updates them", registration.options()))
    })
}

/// A plugin of this server in a client that also has an entry of it.
fn doubled(registration: &Registration<'_>, machine: &Machine) -> Option<Finding> {
    let client = registration.client;
    let plugin = client.plugin(machine)?;
    let said = format!(
        "{} has this server twice: its own entry, and the plugin {plugin}",
        client.title
    );
    Some(Finding::new("client", Severity::Notice, said).fix(format!(
        "`claude plugin uninstall {plugin}` or `api-keys setup --remove{}`",
        registration.options()
    )))
}

/// An entry of our name that differs from what setup would write.
fn different(registration: &Registration<'_>, state: &RegistrationState, machine: &Machine) -> Finding {
    match state {
        RegistrationState::Different(Some(launch)) if launch.program(machine).is_none() => gone(registration, launch),
        RegistrationState::Different(_) | RegistrationState::Absent | RegistrationState::Registered(_) => {
            Finding::of("client", &registration.taken(state)).but(Severity::Notice)
        }
    }
}

fn gone(registration: &Registration<'_>, launch: &Launch) -> Finding {
    let (title, options) = (registration.client.title, registration.options());
    Finding::new(
        "client",
        Severity::Wrong,
        format!("{title} starts {}, which does not exist", launch.command),
    )
    .fix(match registration.scope {
        Scope::User => format!("`api-keys setup{options}` updates it"),
        Scope::Project => format!("put `{SERVER}` on the PATH, or run `api-keys setup{options}`"),
    })
}

/// Settings that cannot be read: a problem of the client first.
fn unreadable(error: &Error) -> Finding {
    let health = if error.code() == Code::ClientConfigInvalid {
        Severity::Wrong
    } else {
        Severity::Notice
    };
    Finding::of("client", error).but(health)
}
