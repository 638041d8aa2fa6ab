//! The programs that may use the gateway: added with a key that is shown once, listed, removed.

use std::{collections::BTreeSet, num::NonZeroU32};

use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};

use crate::{
    app::App,
    domain::{Label, ProviderId, Secret, Usd, Window},
    error::{Code, Error, Result},
    providers,
    storage::gateway_clients::{GatewayClient, KeyHash},
};

/// How a client's key begins, so that people and scanners know it for one.
const PREFIX: &str = "akc_";
/// The longest key that is hashed.
const MAX_KEY_LENGTH: usize = 200;
/// The longest name of a folder that is recorded, in bytes.
const MAX_PROJECT_LEN: usize = 100;
/// How long the key of a command still works once it is no longer renewed, because the command was killed.
const COMMAND_KEY_TIMEOUT: SignedDuration = SignedDuration::from_hours(1);

/// A client to be added.
#[derive(Debug)]
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
}

impl NewClient {
    /// A client without limits.
    pub fn named(name: Label) -> Self {
        Self {
            name,
            providers: BTreeSet::new(),
            models: BTreeSet::new(),
            project: None,
            daily_limit: None,
            monthly_limit: None,
            requests_per_minute: None,
            expires_at: None,
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
    let random = zeroize::Zeroizing::new(app.random::<32>()?);
    let text = zeroize::Zeroizing::new(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(random.as_slice())));
    let key = Secret::new(&text);
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

/// Adds a client for as long as a command runs, under a name made of the command's; [`renew`] keeps its key alive.
pub fn add_for_command(app: &App, command: &str, providers: &BTreeSet<ProviderId>) -> Result<(GatewayClient, Secret)> {
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
        let at = clients.iter().position(|client| client.name == *name).ok_or_else(|| {
            Error::new(Code::ClientNotFound, format!("no client {name}"))
                .hint("`api-keys client list` shows the clients")
        })?;
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
    let found = clients.iter().rfind(|client| client.key_hash == hash);
    found.filter(|client| !is_long && !client.is_expired(now)).cloned().ok_or_else(|| {
        Error::new(Code::ClientKeyInvalid, "the client key is not one of this gateway's")
            .hint("create one with `api-keys client add NAME`, and send it as `Authorization: Bearer` or `x-api-key`; provider keys are not accepted here")
    })
}
