//! Whether the MCP clients on the machine start this server, and get an answer.

use super::{Finding, Severity};
use crate::{
    app::App,
    cli::own_server::{self, Greeting},
    error::{Code, Error},
    mcp_clients::{CLIENTS, Intent, Launch, Registration, RegistrationState, SERVER, Scope, SlashCommand},
    settings::Machine,
};

/// What there is to say of each client that is used here, and of what this folder's project asks for.
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
            Finding::new("client", health, format!("not registered with {}", titles.join(", "))).mend(format!(
                "`api-keys setup{}` registers it",
                match without.as_slice() {
                    [only] if registered => format!(" --client {}", only.id),
                    _ => String::new(),
                }
            )),
        );
    }
    findings
}

/// Starts what the client would start, but no server that a project gives variables to: the project may be anybody's,
/// and with variables our own program runs what is not ours.
fn answers(app: &App, registration: &Registration<'_>, launch: &Launch, machine: &Machine) -> Finding {
    let title = registration.client.title;
    if launch.program(machine).is_none() {
        return gone(registration, launch);
    }
    if registration.scope == Scope::Project && !launch.environment.is_empty() {
        let said = format!("{title}: this project gives the server variables of its own, so it was not tried");
        let mend = format!(
            "see which, before you let {title} start it: {}",
            registration.file.display()
        );
        return Finding::new("client", Severity::Notice, said).mend(mend);
    }
    match Greeting::of(app, launch) {
        Ok(greeting) => Finding::good("client", format!("{title}: {greeting}")),
        Err(error) => Finding::of("client", &error).about(title),
    }
}

/// Slash commands that an older version wrote, or that are missing.
fn outdated(registration: &Registration<'_>, machine: &Machine, scope: Scope) -> Option<Finding> {
    let client = registration.client;
    let commands = SlashCommand::all(client, machine, scope).into_iter();
    let old: Vec<String> = commands
        .filter(|command| command.is_to_change(Intent::Register).unwrap_or(false))
        .map(|command| command.name())
        .collect();
    (!old.is_empty()).then(|| {
        let said = format!("{} does not have this version's {}", client.title, old.join(", "));
        Finding::new("client", Severity::Notice, said)
            .mend(format!("`api-keys setup{}` writes them", registration.options()))
    })
}

/// An entry of our name that is not what would be put there now.
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
        format!("{title} would start {}, which is not there", launch.command),
    )
    .mend(format!(
        "`api-keys setup --remove{options}` and then `api-keys setup{options}`"
    ))
}

/// Settings that cannot be read are the client's trouble first, and somebody should know.
fn unreadable(error: &Error) -> Finding {
    let health = if error.code() == Code::ClientConfigInvalid {
        Severity::Wrong
    } else {
        Severity::Notice
    };
    Finding::of("client", error).but(health)
}
