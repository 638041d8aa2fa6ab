//! The secrets of destinations, in the vault as a class of their own.

use std::collections::BTreeMap;

use crate::{
    alerts::{self, Channel, Destination},
    app::App,
    domain::{DestinationRecord, KeyId, Label, Secret},
    error::{Code, Error, Result},
    services::{caller::Caller, vault_access},
    storage::{
        audit::{Action, AuditEntry, AuditOutcome},
        vault::VaultError,
    },
};

/// Stores the secret of the destination `name`, in place of an earlier one; returns what people should know.
pub async fn add(
    app: &App,
    caller: &dyn Caller,
    name: &Label,
    channel: &Channel,
    secret: &Secret,
) -> Result<(String, Vec<String>)> {
    alerts::check_secret(channel, secret).map_err(|why| {
        let what = channel.secret().unwrap_or("secret");
        Error::new(Code::MalformedKey, format!("this cannot be a {what}: {why}")).hint("nothing was stored")
    })?;
    let mut warnings = vault_access::open_or_create(app, caller).await?;
    let record = DestinationRecord {
        name: name.clone(),
        key_id: KeyId::from_random(app.random()?),
        masked: alerts::masked(secret),
        added_at: app.now(),
    };
    let masked = record.masked.clone();
    let entry = entry(app, &caller.kind().to_string(), Action::AddDestination, name);
    let ((), notices) = vault_access::change(app, &entry, |edit, _| Ok(edit.destination(record, secret)?)).await?;
    warnings.extend(notices);
    Ok((masked, warnings))
}

/// Forgets the secret of the destination `name`; returns whether there was one.
pub async fn remove(app: &App, caller: &dyn Caller, name: &Label) -> Result<bool> {
    match vault_access::contents(app, caller).await {
        Ok(contents) if contents.destinations.contains_key(name) => {}
        Ok(_) => return Ok(false),
        Err(why) if why.code() == Code::VaultAbsent => return Ok(false),
        Err(why) => return Err(why),
    }
    let entry = entry(app, &caller.kind().to_string(), Action::RemoveDestination, name);
    let (is_removed, _) = vault_access::change(app, &entry, |edit, _| Ok(edit.remove_destination(name))).await?;
    Ok(is_removed)
}

/// The secrets that the vault holds, masked; none where it is closed.
pub async fn stored_secrets(app: &App) -> BTreeMap<Label, DestinationRecord> {
    let contents = vault_access::contents_unasked(app).await;
    contents
        .map(|contents| contents.destinations.clone())
        .unwrap_or_default()
}

/// The destination called `name` in the configuration.
pub fn expect(app: &App, name: &str) -> Result<Destination> {
    let config = app.settings().required()?;
    let found = config
        .alerts
        .iter()
        .find(|destination| destination.name.as_str() == name);
    found.cloned().ok_or_else(|| {
        Error::new(Code::DestinationNotFound, "no destination of alerts has that name")
            .hint("`api-keys alerts list` shows them; `api-keys alerts add CHANNEL NAME` adds one")
    })
}

/// The secret of `destination`, in the audit trail before; nothing where it needs none.
pub(super) async fn reveal(app: &App, destination: &Destination) -> Result<Option<Secret>> {
    if destination.channel.secret().is_none() {
        return Ok(None);
    }
    vault_access::open_unasked(app).await?;
    let entry = entry(app, "alerts", Action::RevealDestination, &destination.secret);
    let revealed = vault_access::in_turn(app, |vault| {
        vault
            .reveal_destination(&entry, &destination.secret)
            .map_err(|why: VaultError| Error::from(why))
    });
    revealed.await.map(Some)
}

fn entry(app: &App, actor: &str, action: Action, name: &Label) -> AuditEntry {
    AuditEntry {
        at: app.now(),
        actor: actor.to_owned(),
        action,
        provider: None,
        label: Some(name.clone()),
        key_id: None,
        outcome: AuditOutcome::Done,
        detail: None,
    }
}
