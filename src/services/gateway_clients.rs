//! The programs that may use the gateway: added with a key that is shown once, listed, removed.

use std::{collections::BTreeSet, num::NonZeroU32};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::{SignedDuration, Timestamp};

use super::agents::AgentProgram;
use crate::{
    app::App,
    domain::{Label, ProviderId, Secret, Usd, Window},
    error::{Code, Error, Result},
    providers,
    storage::gateway_clients::{GatewayClient, IssuedKey, KeyHash},
};

/// How a client's key begins, so that people and scanners know it for one.
const PREFIX: &str = "akc_";
/// The longest key that is hashed.
const MAX_KEY_LENGTH: usize = 200;
/// The longest name of a folder that is recorded, in bytes.
const MAX_PROJECT_LEN: usize = 100;
/// How long the key of a command still works once it is no longer renewed, because the command was killed.
const COMMAND_KEY_TIMEOUT: SignedDuration = SignedDuration::from_hours(1);
/// How long a key works that a program asked for; programs are told to ask again after half of it.
pub const ISSUED_KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// How many further keys a client can have; the oldest goes where one more is issued.
const MAX_ISSUED_KEYS: usize = 100;

/// A client to be added.
#[derive(Debug, Default)]
pub struct NewClient {
    pub name: Label,
    /// The only providers that it may use; none named is all.
    pub providers: BTreeSet<ProviderId>,
    /// The only models that it may use, with `*` for anything; none named is all.
    pub models: BTreeSet<String>,
    /// The project that its requests are recorded under, where they name none.
    pub project: Option<String>,
    pub daily_limit: Option<Usd>,
    pub monthly_limit: Option<Usd>,
    pub requests_per_minute: Option<NonZeroU32>,
    /// When its key stops opening anything; nothing is never.
    pub expires_at: Option<Timestamp>,
    /// The agent that its requests are recorded under, where they don't name one that is known.
    pub agent: Option<String>,
    /// The session that its requests are recorded under, where they name none.
    pub session: Option<String>,
    /// The label of the keys that its requests go with, where a provider has such a key.
    pub key_label: Option<Label>,
}

impl NewClient {
    /// A client without limits.
    pub fn named(name: Label) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }
}

/// What a client has spent in the day and the month that it is now.
#[derive(Debug)]
pub struct Spending {
    pub client: GatewayClient,
    pub today: Usd,
    pub this_month: Usd,
}

/// Adds a client, and forgets those that have expired; only the caller has its key afterwards.
pub fn add(app: &App, new: NewClient) -> Result<(GatewayClient, Secret)> {
    let key = make_key(app)?;
    let client = GatewayClient {
        name: new.name,
        key_hash: KeyHash::of(&key),
        created_at: app.now(),
        providers: new.providers,
        models: new.models,
        project: new.project,
        daily_limit: new.daily_limit,
        monthly_limit: new.monthly_limit,
        requests_per_minute: new.requests_per_minute,
        expires_at: new.expires_at,
        agent: new.agent,
        session: new.session,
        key_label: new.key_label,
        issued: Vec::new(),
    };
    let (added, now) = (client.clone(), app.now());
    app.clients().change(move |clients| {
        clients.retain(|known| !known.is_expired(now));
        if clients.iter().any(|known| known.name == added.name) {
            let message = format!("the client {} already exists", added.name);
            let hint = format!(
                "choose another name, or remove it first: `api-keys client remove {}`",
                added.name
            );
            return Err(Error::new(Code::ClientExists, message).hint(hint));
        }
        clients.push(added);
        Ok(())
    })?;
    Ok((client, key))
}

/// A further key of the client called `name`, which works for as long as `lifetime` says; nothing is for ever.
pub fn issue_key(app: &App, name: &Label, lifetime: Option<SignedDuration>) -> Result<(Secret, Option<Timestamp>)> {
    let (key, now) = (make_key(app)?, app.now());
    let expires_at = lifetime.and_then(|lifetime| now.checked_add(lifetime).ok());
    let issued = IssuedKey {
        key_hash: KeyHash::of(&key),
        expires_at,
    };
    app.clients().change(|clients| {
        let client = clients.iter_mut().find(|client| client.name == *name);
        let client = client
            .filter(|client| !client.is_expired(now))
            .ok_or_else(|| not_found(name))?;
        client.issued.retain(|key| !key.is_expired(now));
        if client.issued.len() >= MAX_ISSUED_KEYS {
            client.issued.remove(0);
        }
        client.issued.push(issued);
        Ok::<_, Error>(())
    })?;
    Ok((key, expires_at))
}

/// Whether there is a client of that name.
pub fn exists(app: &App, name: &Label) -> Result<bool> {
    let now = app.now();
    let clients = app.clients().list()?;
    Ok(clients
        .iter()
        .any(|client| client.name == *name && !client.is_expired(now)))
}

/// A key that nothing has yet.
fn make_key(app: &App) -> Result<Secret> {
    let random = zeroize::Zeroizing::new(app.random::<32>()?);
    let text = zeroize::Zeroizing::new(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(random.as_slice())));
    Ok(Secret::new(&text))
}

/// Whether a text has the form of a client key.
pub fn is_client_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

fn not_found(name: &Label) -> Error {
    Error::new(Code::ClientNotFound, format!("no client {name}")).hint("`api-keys client list` shows the clients")
}

/// Adds a client for as long as a command runs, under a name made of the command's; [`renew`] keeps its key alive.
///
/// One run of an agent is one session where the agent names none: other programs may run for ever, and their requests
/// are better spread over all keys.
pub fn add_for_command(app: &App, command: &str, providers: &BTreeSet<ProviderId>) -> Result<(GatewayClient, Secret)> {
    let agent = AgentProgram::of_program(command);
    let session = match agent {
        Some(_) => Some(format!("run-{}", HEXLOWER.encode(&app.random::<8>()?))),
        None => None,
    };
    let plain: String = command
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(32)
        .collect();
    let project = project_of(app);
    let mut number = 1;
    loop {
        let name = if number == 1 {
            format!("run-{plain}")
        } else {
            format!("run-{plain}-{number}")
        };
        let added = add(
            app,
            NewClient {
                providers: providers.clone(),
                project: project.clone(),
                agent: agent.map(|agent| agent.id.to_owned()),
                session: session.clone(),
                key_label: app.settings().project().map(|project| project.label),
                expires_at: app.now().checked_add(COMMAND_KEY_TIMEOUT).ok(),
                ..NewClient::named(name.parse()?)
            },
        );
        match added {
            Err(why) if why.code() == Code::ClientExists => number += 1,
            outcome => return outcome,
        }
    }
}

/// The project that is worked on here: the one that the environment names, else the folder.
fn project_of(app: &App) -> Option<String> {
    let settings = app.settings();
    let folder = || {
        let name = settings.machine().ok()?.working().file_name()?.to_str()?.to_owned();
        (name.len() <= MAX_PROJECT_LEN && !providers::has_key_form(&name)).then_some(name)
    };
    settings.environment().project().or_else(folder)
}

/// Keeps the key of a command alive, once half of its time is over; one that was removed stays removed.
///
/// Where the machine slept for longer than that, the client may be forgotten already: it is there again.
pub fn renew(app: &App, client: &mut GatewayClient) -> Result<()> {
    let now = app.now();
    if client
        .expires_at
        .is_some_and(|at| now.duration_until(at) > COMMAND_KEY_TIMEOUT / 2)
    {
        return Ok(());
    }
    let may_be_forgotten = client.is_expired(now);
    client.expires_at = now.checked_add(COMMAND_KEY_TIMEOUT).ok();
    let renewed = client.clone();
    app.clients().change(move |clients| {
        if let Some(known) = clients.iter_mut().find(|known| known.key_hash == renewed.key_hash) {
            known.expires_at = renewed.expires_at;
        } else if may_be_forgotten && clients.iter().all(|known| known.name != renewed.name) {
            clients.push(renewed);
        }
        Ok(())
    })
}

/// All clients, by name, with what they have spent.
pub fn list(app: &App) -> Result<Vec<Spending>> {
    let zone = app.settings().current().budget.time_zone.clone();
    let now = app.now();
    let spans = [Window::Day, Window::Month].map(|window| window.around(now, &zone));
    app.clients()
        .list()?
        .iter()
        .filter(|client| !client.is_expired(now))
        .map(|client| {
            let spent = app.ledger().spent(Some(client.name.as_str()), &spans, now)?;
            Ok(Spending {
                client: client.clone(),
                today: spent[0].recorded,
                this_month: spent[1].recorded,
            })
        })
        .collect()
}

/// Removes a client: its key opens nothing from now on.
pub fn remove(app: &App, name: &Label) -> Result<GatewayClient> {
    app.clients().change(|clients| {
        let at = clients.iter().position(|client| client.name == *name);
        let at = at.ok_or_else(|| not_found(name))?;
        Ok(clients.remove(at))
    })
}

/// The client that has this key.
pub fn authenticate(app: &App, key: &Secret) -> Result<GatewayClient> {
    // EXPOSE: its length only
    let is_long = key.expose().len() > MAX_KEY_LENGTH;
    let hash = KeyHash::of(key);
    let clients = app.clients().list()?;
    let now = app.now();
    let found = clients.iter().rfind(|client| client.has_key(&hash, now));
    found.filter(|_| !is_long).cloned().ok_or_else(|| {
        Error::new(Code::ClientKeyInvalid, "the client key is not one of this gateway's")
            .hint("create one with `api-keys client add NAME`, and send it as `Authorization: Bearer` or `x-api-key`; provider keys are not accepted here")
    })
}
