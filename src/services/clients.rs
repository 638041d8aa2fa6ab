//! The programs that may use the gateway: added with a key that is shown once, listed, removed.

use std::{collections::BTreeSet, num::NonZeroU32};

use data_encoding::BASE64URL_NOPAD;

use crate::{
    app::App,
    domain::{Label, ProviderId, Secret, Usd, Window},
    error::{Code, Error, Result},
    storage::clients::{Client, KeyHash},
};

/// How a client's key begins, so that people and scanners know it for one.
const PREFIX: &str = "akc_";
/// The longest key that is hashed.
const LONGEST: usize = 200;

/// A client to be added.
#[derive(Debug)]
pub struct NewClient {
    pub name: Label,
    /// The only providers that it may use; none named is all.
    pub providers: BTreeSet<ProviderId>,
    pub daily_limit: Option<Usd>,
    pub monthly_limit: Option<Usd>,
    pub requests_per_minute: Option<NonZeroU32>,
}

/// What a client has spent in the day and the month that it is now.
#[derive(Debug)]
pub struct Spending {
    pub client: Client,
    pub today: Usd,
    pub this_month: Usd,
}

/// Adds a client; its key is in nobody's hands but the caller's afterwards.
pub fn add(app: &App, new: NewClient) -> Result<(Client, Secret)> {
    let random = zeroize::Zeroizing::new(app.random::<32>()?);
    let text = zeroize::Zeroizing::new(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(random.as_slice())));
    let key = Secret::new(&text);
    let client = Client {
        name: new.name,
        key_hash: KeyHash::of(&key),
        created_at: app.now(),
        providers: new.providers,
        daily_limit: new.daily_limit,
        monthly_limit: new.monthly_limit,
        requests_per_minute: new.requests_per_minute,
    };
    let added = client.clone();
    app.clients().change(move |clients| {
        if clients.iter().any(|known| known.name == added.name) {
            let message = format!("there is a client {} already", added.name);
            let hint = format!(
                "take another name, or remove it first: `api-keys client remove {}`",
                added.name
            );
            return Err(Error::new(Code::ClientExists, message).hint(hint));
        }
        clients.push(added);
        Ok(())
    })?;
    Ok((client, key))
}

/// All clients, by name, with what they have spent.
pub fn list(app: &App) -> Result<Vec<Spending>> {
    let zone = app.settings().current().budget.time_zone.clone();
    let now = app.now();
    let spans = [Window::Day, Window::Month].map(|window| window.around(now, &zone));
    app.clients()
        .list()?
        .iter()
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
pub fn remove(app: &App, name: &Label) -> Result<Client> {
    app.clients().change(|clients| {
        let at = clients.iter().position(|client| client.name == *name).ok_or_else(|| {
            Error::new(Code::ClientNotFound, format!("there is no client {name}"))
                .hint("`api-keys client list` shows the clients")
        })?;
        Ok(clients.remove(at))
    })
}

/// The client that has this key.
pub fn authenticate(app: &App, key: &Secret) -> Result<Client> {
    // EXPOSE: its length only
    let is_long = key.expose().len() > LONGEST;
    let hash = KeyHash::of(key);
    let clients = app.clients().list()?;
    let found = clients.iter().rfind(|client| client.key_hash == hash);
    found.filter(|_| !is_long).cloned().ok_or_else(|| {
        Error::new(Code::ClientKeyInvalid, "the client key is not one of this gateway's")
            .hint("make one with `api-keys client add NAME`, and send it as `Authorization: Bearer` or `x-api-key`; a provider's own key is not wanted here")
    })
}
