//! What a shell offers for arguments: providers, stored keys, labels, models and clients.
//!
//! Pressing Tab opens no vault and prompts for nothing: which keys there are is read from the audit trail, which names
//! them. No secret is read at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

use clap::{Arg, Command};
use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCandidates, CompletionCandidate},
};

use super::key_name;
use crate::{
    app::{App, Clock},
    domain::{Label, ProviderId},
    settings::{Environment, Settings},
};

/// The variable by which a completion script asks for candidates; its value names the shell.
pub(super) const VARIABLE: &str = "API_KEYS_COMPLETE";

/// How many of the newest entries of the audit trail are read.
const MAX_ENTRIES: usize = 5_000;

/// The commands whose provider is that of a stored key.
const OF_STORED_KEYS: &[&str] = &["remove", "rotate", "validate", "undo", "run"];

/// Prints candidates if a completion script asks for them, and says whether it did.
pub(super) fn complete(command: fn() -> Command, arguments: Vec<OsString>) -> bool {
    let folder = open().and_then(|app| Some(app.settings().machine().ok()?.working().to_owned()));
    CompleteEnv::with_factory(|| with_candidates(command()))
        .var(VARIABLE)
        .try_complete(arguments, folder.as_deref())
        // A shell shows nothing of what goes wrong while it completes.
        .unwrap_or(true)
}

/// The command line whose arguments know what can be offered for them.
fn with_candidates(command: Command) -> Command {
    let name = command.get_name().to_owned();
    let names: Vec<String> = command
        .get_subcommands()
        .map(|known| known.get_name().to_owned())
        .collect();
    let command = command.mut_args(|argument| match candidates(&name, &argument) {
        Some(list) => argument.add(ArgValueCandidates::new(move || {
            let named = open().map(|app| list(&app)).unwrap_or_default();
            named.into_iter().map(CompletionCandidate::new).collect()
        })),
        None => argument,
    });
    names
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, with_candidates))
}

type List = fn(&App) -> BTreeSet<String>;

/// What is offered for an argument of `command`.
fn candidates(command: &str, argument: &Arg) -> Option<List> {
    match argument.get_id().as_str() {
        "provider" | "providers" if OF_STORED_KEYS.contains(&command) => Some(keys),
        "provider" | "providers" | "preferred_provider" => Some(providers),
        "label" => Some(labels),
        "model" => Some(models),
        "client" if command == "env" => Some(clients),
        "name" if command == "remove" => Some(clients),
        "destination" => Some(destinations),
        _ => None,
    }
}

fn open() -> Option<App> {
    let settings = Settings::open(&Environment::process()).ok()?;
    Some(App::new(settings, Clock::System))
}

fn providers(app: &App) -> BTreeSet<String> {
    let config = app.settings().current();
    config
        .providers()
        .iter()
        .map(|provider| provider.id.to_string())
        .collect()
}

fn keys(app: &App) -> BTreeSet<String> {
    let name = |(provider, label): (ProviderId, Label)| key_name::show(&provider, &label);
    stored(app).into_iter().map(name).collect()
}

fn labels(app: &App) -> BTreeSet<String> {
    stored(app).into_iter().map(|(_, label)| label.to_string()).collect()
}

/// The keys that the audit trail saw last as stored.
fn stored(app: &App) -> Vec<(ProviderId, Label)> {
    let mut known = BTreeMap::new();
    for entry in app.vault().recent_audit(MAX_ENTRIES).unwrap_or_default() {
        let named = entry.provider.as_deref().zip(entry.label.as_deref());
        let key = named.and_then(|(provider, label)| Some((provider.parse().ok()?, label.parse().ok()?)));
        if let (Some(key), "done") = (key, entry.outcome.as_str()) {
            known.insert(key, !matches!(entry.action.as_str(), "remove_key" | "purge_key"));
        }
    }
    let stored = known.into_iter().filter(|(_, is_stored)| *is_stored);
    stored.map(|(key, _)| key).collect()
}

fn models(app: &App) -> BTreeSet<String> {
    let catalog = app.catalog().ok();
    let models = catalog.iter().flat_map(|catalog| catalog.models());
    models.map(|model| model.id.model.to_string()).collect()
}

fn destinations(app: &App) -> BTreeSet<String> {
    let config = app.settings().current();
    config
        .alerts
        .iter()
        .map(|destination| destination.name.to_string())
        .collect()
}

fn clients(app: &App) -> BTreeSet<String> {
    let known = app.clients().list().unwrap_or_default();
    known.iter().map(|client| client.name.to_string()).collect()
}
