//! `api://providers`: how the providers are configured, and what is known of them.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::resource::{ResourceDef, written};
use crate::{
    app::App,
    domain::{HealthState, ProviderId, zone_text},
    error::{Error, Result},
    providers::{Provider, ProviderKind},
    services::{
        health,
        routing::{self, ProviderStats, RoutingSnapshot},
    },
    settings::{BudgetConfig, RoutingConfig},
    storage::vault::{SlotKind, VaultStatus},
};

pub(super) const PROVIDERS: ResourceDef = ResourceDef {
    uri: "api://providers",
    name: "providers",
    title: "Providers",
    description: "Configuration and status of the providers: addresses, keys, health, latency, models, prices, the \
                  vault, task map, fallback order and budget settings",
    read: |app| Box::pin(read(app)),
    stamp,
};

async fn read(app: &App) -> Result<Value> {
    let state = RoutingSnapshot::of(app).await?;
    let config = &state.config;
    let stats = routing::stats(app, &state, None)?;
    let providers = stats.providers.iter().zip(state.providers());
    let problem = app.settings().problem();
    Ok(json!({
        "providers": providers.map(|(stats, it)| provider(&state, it, stats)).collect::<Result<Vec<_>>>()?,
        "total_providers": stats.total_providers,
        "available_providers": stats.available_providers,
        "enabled_providers": stats.enabled_providers,
        "total_keys": stats.providers.iter().map(|it| it.keys).sum::<Option<usize>>(),
        "vault": vault_state(app, state.vault_problem())?,
        "routing": routing_settings(&config.routing),
        "budget": budget(&config.budget, app.now()),
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

/// One provider as it is configured and as it fares; what depends on the keys is null where they are not known.
fn provider(state: &RoutingSnapshot, provider: &Provider, stats: &ProviderStats) -> Result<Value> {
    let records = state.records(&provider.id);
    let labels = records.map(|records| {
        records
            .iter()
            .map(|record| record.label.to_string())
            .collect::<Vec<_>>()
    });
    let configured = json!({
        "provider": provider.id.as_str(),
        "title": provider.title,
        "kind": match provider.kind {
            ProviderKind::BuiltIn => "built-in",
            ProviderKind::OpenAiCompatible => "openai-compatible",
        },
        "base_url": if provider.base_url.is_empty() { Value::Null } else { provider.base_url.as_str().into() },
        "env_var": provider.env_var,
        "needs_key": provider.needs_key(),
        "labels": labels,
        "weight": provider.weight,
    });
    let mut shown = written(stats)?;
    if let (Value::Object(shown), Value::Object(configured)) = (&mut shown, configured) {
        shown.extend(configured);
    }
    Ok(shown)
}

fn vault_state(app: &App, closed: Option<&Error>) -> Result<Value> {
    let (state, master_key) = match app.vault().status() {
        Ok(VaultStatus::Absent) => ("absent", Value::Null),
        Ok(VaultStatus::Unlocked { by, .. }) => ("unlocked", by.as_str().into()),
        Ok(VaultStatus::Locked { slots }) => {
            let kinds: Vec<&str> = slots.iter().map(|slot| slot.kind.as_str()).collect();
            ("locked", kinds.join(", ").into())
        }
        // Damaged, foreign, rolled back: the problem below says which.
        Err(_) if closed.is_some() => ("unusable", Value::Null),
        Err(why) => return Err(why.into()),
    };
    let problem = closed.and_then(|error| error.to_json().get_mut("error").map(Value::take));
    Ok(json!({"state": state, "master_key": master_key, "problem": problem}))
}

fn routing_settings(routing: &RoutingConfig) -> Value {
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

fn budget(budget: &BudgetConfig, now: Timestamp) -> Value {
    json!({
        "enabled": budget.enabled,
        "daily_limit_usd": budget.daily_limit.to_json(),
        "monthly_limit_usd": budget.monthly_limit.to_json(),
        "alert_threshold": budget.alert_threshold.to_json(),
        "time_zone": zone_text(&budget.time_zone, now),
    })
}

/// Files by their change, the ledger, cooldowns that have begun or ended, and whether the vault waits for a person.
pub(super) fn stamp(app: &App) -> String {
    let paths = app.settings().paths();
    let mut stamp = String::new();
    for file in [paths.config_file(), paths.vault_file()] {
        stamp_file(&mut stamp, &file);
    }
    let waits = match app.vault().status() {
        Ok(VaultStatus::Locked { slots }) => !slots
            .iter()
            .any(|slot| matches!(slot.kind, SlotKind::Keychain | SlotKind::KeyFile)),
        Ok(VaultStatus::Absent | VaultStatus::Unlocked { .. }) | Err(_) => false,
    };
    let _ = write!(stamp, "{waits} {} ", app.ledger().stamp());
    // Time alone ends a cooldown: then the stamp is another, though no file is.
    let now = app.now();
    for ((provider, label), health) in health::all(app).unwrap_or_default() {
        let cools = matches!(
            health.state(None, now),
            HealthState::Cooling { .. } | HealthState::Probing { .. }
        );
        let _ = write!(stamp, "{provider}:{label} {cools} ");
    }
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
