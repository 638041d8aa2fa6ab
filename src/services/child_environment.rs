//! Keys for a child process: found, checked, audited, and only then revealed.

use std::collections::BTreeSet;

use super::{caller::Caller, keys, sdks, vault};
use crate::{
    app::App,
    domain::{ApiKey, KeyRecord, KeyState, Label, ProviderId},
    error::{Code, Error, Result},
    providers::Provider,
};

/// One variable of the child's environment, before its value is revealed.
#[derive(Debug, Clone)]
pub struct KeyVariable {
    pub name: String,
    pub record: KeyRecord,
}

/// The variables that the wanted keys will be in; without a wish, every usable key with the default label of a
/// provider that is enabled.
///
/// Nothing is revealed: this is what a dry run shows.
pub async fn variables(app: &App, caller: &dyn Caller, wanted: &[(ProviderId, Label)]) -> Result<Vec<KeyVariable>> {
    if let Err(error) = vault::open(app, caller).await {
        return Err(match wanted.first() {
            Some((provider, label)) => keys::without_vault(error, provider, label),
            None => error,
        });
    }
    let settings = app.settings().required()?;
    let now = app.now();
    let stored = keys::list(app)?;
    let records: Vec<&KeyRecord> = if wanted.is_empty() {
        let default = Label::default();
        let in_use = |record: &KeyRecord| {
            let provider = settings.provider(record.provider.as_str());
            provider.is_ok_and(|provider| provider.enabled)
        };
        stored
            .iter()
            .filter(|record| record.label == default && record.state(now) == KeyState::Usable && in_use(record))
            .collect()
    } else {
        wanted
            .iter()
            .map(|(provider, label)| keys::expect(stored.iter(), provider, label))
            .collect::<Result<_>>()?
    };
    let mut variables: Vec<KeyVariable> = Vec::new();
    for record in records {
        keys::expect_usable(record, now)?;
        let provider: Provider = settings.provider(record.provider.as_str())?;
        let name = &provider.env_var;
        if let Some(other) = variables.iter().find(|variable| variable.name == *name) {
            let (one, two) = (&other.record, record);
            // Asked for twice.
            if one.key_id == two.key_id {
                continue;
            }
            let hint = if wanted.is_empty() {
                format!(
                    "name the keys that the command needs: `--provider {}`, or `--provider {}`",
                    one.provider, two.provider
                )
            } else {
                "ask for one of the two".to_owned()
            };
            return Err(Error::new(
                Code::InvalidArgument,
                format!(
                    "{}:{} and {}:{} would both be in the variable {name}",
                    one.provider, one.label, two.provider, two.label
                ),
            )
            .hint(hint));
        }
        variables.push(KeyVariable {
            name: name.clone(),
            record: record.clone(),
        });
    }
    if variables.is_empty() {
        let named = stored.iter().find(|record| {
            record.state(now) == KeyState::Usable && settings.provider(record.provider.as_str()).is_ok()
        });
        let hint = named.map_or_else(
            || "add one with `api-keys add PROVIDER`".to_owned(),
            |record| {
                format!(
                    "keys with labels, and those of disabled providers, are named: `--provider {}:{}`",
                    record.provider, record.label
                )
            },
        );
        return Err(Error::new(Code::KeyNotFound, "there is no usable key to run with").hint(hint));
    }
    Ok(variables)
}

/// The variables in which the same libraries would look for another key, and which must not be there beside `variables`.
pub fn in_the_way(app: &App, variables: &[KeyVariable]) -> Result<BTreeSet<String>> {
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
    let mut revealed = Vec::with_capacity(variables.len());
    for KeyVariable { name, record } in variables {
        let active = keys::expect_usable(&record, app.now())?;
        let key = keys::reveal(app, caller, &record, active.version, "for a command").await?;
        revealed.push((name, key));
    }
    Ok(revealed)
}
