//! `api://providers`: how the providers are configured, and what is known of them.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};

use super::ResourceDef;
use crate::{
    app::App,
    domain::{KeyRecord, KeyState, ProviderId},
    error::{Code, Error, Result},
    providers::{Provider, ProviderKind},
    services::{keys, vault},
    settings::{Budget, Routing},
    storage::vault::{SlotKind, Status},
};

pub(super) const PROVIDERS: ResourceDef = ResourceDef {
    uri: "api://providers",
    name: "providers",
    title: "Providers",
    description: "Configuration and status of the providers: addresses, how many keys are stored, the vault, task map, \
                  fallback order and budget settings",
    read: |app| Box::pin(read(app)),
    stamp,
};

async fn read(app: &App) -> Result<Value> {
    let opened = vault::open_unasked(app).await;
    let records = match &opened {
        Ok(()) => Some(keys::list(app)?),
        Err(error) if error.code() == Code::VaultAbsent => Some(Vec::new()),
        // What a locked or damaged vault holds is not known; the rest is.
        Err(_) => None,
    };
    let config = app.settings().current();
    let problem = app.settings().problem();
    Ok(json!({
        "providers": config.providers().iter().map(|it| provider(app, it, records.as_deref())).collect::<Vec<_>>(),
        "total_keys": records.as_ref().map(Vec::len),
        "vault": vault_state(app, opened.err())?,
        "routing": routing(&config.routing),
        "budget": budget(&config.budget),
        "prices_overridden": config.prices.len(),
        "config": {
            "file": "config.toml",
            "problem": problem.map(|problem| json!({
                "line": problem.line,
                "field": problem.field,
                "message": problem.to_string(),
                "in_force": if app.settings().required().is_ok() {
                    "the last good configuration"
                } else {
                    "none: tools refuse to work until the file is corrected"
                },
            })),
        },
    }))
}

/// One provider; what depends on the keys is null where they are not known.
fn provider(app: &App, provider: &Provider, records: Option<&[KeyRecord]>) -> Value {
    let stored: Option<Vec<&KeyRecord>> =
        records.map(|records| records.iter().filter(|record| record.provider == provider.id).collect());
    let labels: Option<Vec<&str>> = stored
        .as_ref()
        .map(|stored| stored.iter().map(|record| record.label.as_str()).collect());
    json!({
        "provider": provider.id.as_str(),
        "title": provider.title,
        "kind": match provider.kind {
            ProviderKind::BuiltIn => "built-in",
            ProviderKind::OpenAiCompatible => "openai-compatible",
        },
        "enabled": provider.enabled,
        "status": status(app, provider, stored.as_deref()),
        "base_url": if provider.base_url.is_empty() { Value::Null } else { provider.base_url.as_str().into() },
        "env_var": provider.env_var,
        "needs_key": provider.needs_key(),
        "keys": labels.as_ref().map(Vec::len),
        "labels": labels,
        "rate_limit": provider.rate_limit.unwrap_or(0),
        "models": provider.models,
    })
}

/// Whether the provider can be used, in one word.
fn status(app: &App, provider: &Provider, stored: Option<&[&KeyRecord]>) -> &'static str {
    if !provider.enabled {
        return "disabled";
    }
    if provider.base_url.is_empty() {
        return "no_address";
    }
    let Some(stored) = stored else {
        return if provider.needs_key() { "unknown" } else { "ready" };
    };
    let usable: Vec<_> = stored
        .iter()
        .filter(|record| record.state(app.now()) == KeyState::Usable)
        .collect();
    let refused = |record: &KeyRecord| {
        let active = record.active();
        let validation = active.and_then(|active| active.validation.as_ref());
        validation.is_some_and(|validation| validation.status.is_valid() == Some(false))
    };
    if stored.is_empty() && provider.needs_key() {
        "no_key"
    } else if usable.is_empty() && !stored.is_empty() {
        "key_expired"
    } else if !usable.is_empty() && usable.iter().all(|record| refused(record)) {
        "key_refused"
    } else {
        "ready"
    }
}

fn vault_state(app: &App, closed: Option<Error>) -> Result<Value> {
    let (state, master_key) = match app.vault().status() {
        Ok(Status::Absent) => ("absent", Value::Null),
        Ok(Status::Unlocked { by, .. }) => ("unlocked", by.as_str().into()),
        Ok(Status::Locked { slots }) => {
            let kinds: Vec<&str> = slots.iter().map(|slot| slot.kind.as_str()).collect();
            ("locked", kinds.join(", ").into())
        }
        // Damaged, foreign, rolled back: the problem below says which.
        Err(_) if closed.is_some() => ("unusable", Value::Null),
        Err(why) => return Err(why.into()),
    };
    let problem = closed
        .filter(|error| error.code() != Code::VaultAbsent)
        .and_then(|error| error.to_json().get_mut("error").map(Value::take));
    Ok(json!({"state": state, "master_key": master_key, "problem": problem}))
}

fn routing(routing: &Routing) -> Value {
    let tasks: BTreeMap<&str, String> = routing
        .tasks
        .iter()
        .map(|(task, (provider, model))| match model {
            Some(model) => (task.as_str(), format!("{provider}/{model}")),
            None => (task.as_str(), provider.to_string()),
        })
        .collect();
    // As the file spells it: one alone by its name, several of equal rank in a list.
    let order: Vec<Value> = routing
        .fallback_order
        .iter()
        .map(|group| match group.as_slice() {
            [only] => only.as_str().into(),
            several => several.iter().map(ProviderId::as_str).collect(),
        })
        .collect();
    json!({
        "fallback_order": order,
        "objective": routing.objective.as_str(),
        "tasks": tasks,
    })
}

fn budget(budget: &Budget) -> Value {
    json!({
        "enabled": budget.enabled,
        "daily_limit_usd": budget.daily_limit.to_json(),
        "monthly_limit_usd": budget.monthly_limit.to_json(),
        "alert_threshold": budget.alert_threshold.to_json(),
        "time_zone": budget.time_zone.iana_name().unwrap_or("UTC"),
    })
}

/// Files by their change, and whether the vault waits for a person.
fn stamp(app: &App) -> String {
    let paths = app.settings().paths();
    let mut stamp = String::new();
    for file in [paths.config_file(), paths.vault_file()] {
        stamp_file(&mut stamp, &file);
    }
    let waits = match app.vault().status() {
        Ok(Status::Locked { slots }) => !slots
            .iter()
            .any(|slot| matches!(slot.kind, SlotKind::Keychain | SlotKind::KeyFile)),
        Ok(Status::Absent | Status::Unlocked { .. }) | Err(_) => false,
    };
    let _ = write!(stamp, "{waits}");
    stamp
}

fn stamp_file(stamp: &mut String, file: &Path) {
    if let Ok(found) = fs::metadata(file) {
        let _ = write!(stamp, "{:?} {} ", found.modified().ok(), found.len());
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let _ = write!(stamp, "{} {} ", found.ino(), found.ctime_nsec());
        }
    }
    stamp.push(';');
}
