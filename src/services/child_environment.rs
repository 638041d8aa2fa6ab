//! Keys for a child process: found, checked, audited, and only then revealed.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{caller::Caller, keys, sdks, vault_access};
use crate::{
    app::App,
    domain::{ApiKey, KeyRecord, KeyState, Label, ProviderId},
    error::{Code, Error, Result},
    providers::Provider,
    settings::Config,
};

/// One variable of the child's environment, before its value is revealed.
#[derive(Debug, Clone)]
pub struct KeyVariable {
    pub name: String,
    pub record: KeyRecord,
}

/// The keys for a command, and the providers of which it gets none.
#[derive(Debug, Default)]
pub struct Selection {
    pub variables: Vec<KeyVariable>,
    pub left_out: Vec<LeftOut>,
}

/// A provider with stored keys of which none is taken.
#[derive(Debug)]
pub struct LeftOut {
    pub provider: ProviderId,
    /// Why, as the end of a sentence.
    pub reason: String,
    /// What to do about it.
    pub way_out: String,
}

/// The variables that the wanted keys will be in; without a wish, one key of each enabled provider.
///
/// Nothing is revealed: this is what a dry run shows.
pub async fn select(app: &App, caller: &dyn Caller, wanted: &[(ProviderId, Label)]) -> Result<Selection> {
    let contents = vault_access::contents(app, caller)
        .await
        .map_err(|error| match wanted.first() {
            Some((provider, label)) => keys::without_vault(error, provider, label),
            None => error,
        })?;
    let settings = app.settings().required()?;
    let now = app.now();
    let stored = keys::list_of(&contents);
    let (records, left_out) = if wanted.is_empty() {
        let project = app.settings().project().map(|project| project.label);
        let labels: Vec<Label> = project.into_iter().chain([Label::default()]).collect();
        one_of_each(&stored, &settings, &labels, now)
    } else {
        let named = wanted
            .iter()
            .map(|(provider, label)| keys::expect(stored.iter(), provider, label));
        (named.collect::<Result<_>>()?, Vec::new())
    };
    let mut variables: Vec<KeyVariable> = Vec::new();
    for record in records {
        keys::expect_usable(record, now)?;
        let provider: Provider = settings.provider(record.provider.as_str())?;
        let name = &provider.env_var;
        if let Some(other) = variables.iter().find(|variable| variable.name == *name) {
            // Asked for twice.
            if other.record.key_id == record.key_id {
                continue;
            }
            return Err(same_variable(name, &other.record, record, wanted.is_empty()));
        }
        variables.push(KeyVariable {
            name: name.clone(),
            record: record.clone(),
        });
    }
    if variables.is_empty() {
        return Err(nothing_usable(&left_out));
    }
    Ok(Selection { variables, left_out })
}

/// Of each enabled provider the usable key with the first of `labels` that there is, or else its only usable one.
fn one_of_each<'a>(
    stored: &'a [KeyRecord],
    settings: &Config,
    labels: &[Label],
    now: Timestamp,
) -> (Vec<&'a KeyRecord>, Vec<LeftOut>) {
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    // They come by provider and label.
    for records in stored.chunk_by(|one, next| one.provider == next.provider) {
        let Some(first) = records.first() else { continue };
        let id = &first.provider;
        let usable: Vec<&KeyRecord> = records
            .iter()
            .filter(|record| record.state(now) == KeyState::Usable)
            .collect();
        let names = |records: &[&KeyRecord]| {
            let names: Vec<String> = records.iter().map(|record| format!("{id}:{}", record.label)).collect();
            names.join(", ")
        };
        let in_use = settings.provider(id.as_str()).map(|provider| provider.enabled);
        let (reason, way_out) = match (in_use, usable.as_slice()) {
            (Err(_), _) => (
                format!("{id} is not in the configuration"),
                format!("add [providers.{id}] to config.toml"),
            ),
            (Ok(false), [record, ..]) => (
                format!("{id} is disabled"),
                format!("name it: `--provider {id}:{}`", record.label),
            ),
            (Ok(_), []) => {
                let expired: Vec<&KeyRecord> = records
                    .iter()
                    .filter(|record| record.state(now) == KeyState::Expired)
                    .collect();
                let (all, what) = match expired.as_slice() {
                    [] => (records.iter().collect(), "was never finished"),
                    _ => (expired, "has expired"),
                };
                let labels = all.iter().map(|record| &record.label);
                let commands: Vec<String> = labels
                    .map(|label| format!("`{}`", keys::command("rotate", id, label)))
                    .collect();
                (
                    format!("{} {what}", names(&all)),
                    format!("{} stores a successor", commands.join(" or ")),
                )
            }
            (Ok(true), [only]) => {
                taken.push(*only);
                continue;
            }
            (Ok(true), several) => match labels
                .iter()
                .find_map(|label| several.iter().find(|record| record.label == *label))
            {
                Some(record) => {
                    taken.push(*record);
                    continue;
                }
                None => (
                    format!("{id} has several keys and none is labelled `default`"),
                    format!("name one of {} with `--provider`", names(several)),
                ),
            },
        };
        left_out.push(LeftOut {
            provider: id.clone(),
            reason,
            way_out,
        });
    }
    (taken, left_out)
}

fn same_variable(name: &str, one: &KeyRecord, two: &KeyRecord, unasked: bool) -> Error {
    let hint = if unasked {
        format!(
            "name the keys that the command needs: `--provider {}`, or `--provider {}`",
            one.provider, two.provider
        )
    } else {
        "ask for one of the two".to_owned()
    };
    Error::new(
        Code::InvalidArgument,
        format!(
            "{}:{} and {}:{} would both be in the variable {name}",
            one.provider, one.label, two.provider, two.label
        ),
    )
    .hint(hint)
}

fn nothing_usable(left_out: &[LeftOut]) -> Error {
    let message = "there is no usable key to run with";
    if left_out.is_empty() {
        return Error::new(Code::KeyNotFound, message).hint("add one with `api-keys add PROVIDER`");
    }
    let reasons: Vec<&str> = left_out.iter().map(|left_out| left_out.reason.as_str()).collect();
    let ways_out: Vec<&str> = left_out.iter().map(|left_out| left_out.way_out.as_str()).collect();
    Error::new(Code::KeyNotFound, format!("{message}: {}", reasons.join(", "))).hint(ways_out.join("; "))
}

/// The variables in which the same libraries would find another key, and which a command with `variables` must not see.
pub fn conflicting_variables(app: &App, variables: &[KeyVariable]) -> Result<BTreeSet<String>> {
    let settings = app.settings().required()?;
    let mut names = BTreeSet::new();
    for KeyVariable { name, record } in variables {
        let provider = settings.provider(record.provider.as_str())?;
        names.extend(provider.env_vars().into_iter().map(str::to_owned));
        names.extend(sdks::keys_beside(name).map(str::to_owned));
    }
    names.retain(|name| !variables.iter().any(|variable| variable.name == *name));
    Ok(names)
}

/// Reveals each key for its variable, after the audit trail has said so.
pub async fn reveal(app: &App, caller: &dyn Caller, variables: Vec<KeyVariable>) -> Result<Vec<(String, ApiKey)>> {
    reveal_for(app, caller, variables, "for a command").await
}

/// The same for another purpose, in a few words.
pub async fn reveal_for(
    app: &App,
    caller: &dyn Caller,
    variables: Vec<KeyVariable>,
    purpose: &str,
) -> Result<Vec<(String, ApiKey)>> {
    let mut revealed = Vec::with_capacity(variables.len());
    for KeyVariable { name, record } in variables {
        let active = keys::expect_usable(&record, app.now())?;
        let key = keys::reveal(app, caller, &record, active.version, purpose).await?;
        revealed.push((name, key));
    }
    Ok(revealed)
}
