//! Keys that lie around, and servers of models on this machine: found, named, and taken in after a yes.

use std::path::PathBuf;

use clap::ArgMatches;
use serde_json::json;

use super::report::SetupReport;
use crate::{
    cli::{
        caller::Terminal,
        command::{Session, wait},
        console::YES,
        discover,
        env_file::{self, EnvFile},
        secret_source::SecretSource,
    },
    domain::{Label, Secret},
    error::{Code, Result},
    providers::Provider,
    services::{
        keys::{self, NewKey, NewSecretSource},
        vault_access,
    },
    tools::view::Tone,
};

/// A key outside the vault, by name only.
struct OfferedKey {
    provider: Provider,
    variable: String,
    place: KeyPlace,
}

enum KeyPlace {
    Environment,
    File(PathBuf),
}

impl OfferedKey {
    /// The command that takes it in.
    fn command(&self) -> String {
        let provider = &self.provider.id;
        match &self.place {
            KeyPlace::Environment => format!("api-keys add {provider} --env-var {}", self.variable),
            KeyPlace::File(path) => {
                let path = path.file_name().unwrap_or_default().to_string_lossy();
                format!("api-keys add {provider} --from-env-file {path}")
            }
        }
    }

    fn place(&self) -> String {
        match &self.place {
            KeyPlace::Environment => "the environment".to_owned(),
            KeyPlace::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

/// Offers to import the keys of known providers from the environment and the `.env` files of this folder.
///
/// A person is prompted; a script gets the commands. No value is shown.
pub(super) fn keys(session: &Session, matches: &ArgMatches, report: &mut SetupReport) -> Result<()> {
    let stored = match wait(vault_access::open_unasked(&session.app)) {
        Ok(()) => keys::list(&session.app)?,
        Err(error) if matches!(error.code(), Code::VaultAbsent | Code::VaultLocked) => Vec::new(),
        Err(error) => return Err(error),
    };
    let default = Label::default();
    let found: Vec<OfferedKey> = look(session)
        .into_iter()
        .filter(|found| {
            !stored
                .iter()
                .any(|record| record.provider == found.provider.id && record.label == default)
        })
        .collect();
    let mut offered = Vec::new();
    for found in &found {
        let question = format!(
            "{} in {} contains a key: store it as {}?",
            found.variable,
            found.place(),
            found.provider.id
        );
        // Whoever agrees beforehand to what setup changes has not said that of keys that it may find.
        let is_asked = !matches.get_flag("dry-run") && !matches.get_flag(YES);
        let taken = is_asked && report.agrees(&question);
        if taken {
            match take(session, matches, found) {
                Ok(masked) => {
                    report.line(Tone::Good, &format!("        stored {} {masked}", found.provider.id))?;
                    report.hint(match found.place {
                        KeyPlace::Environment => format!(
                            "remove {} from your shell profile, and use `api-keys run` instead",
                            found.variable
                        ),
                        KeyPlace::File(_) => format!(
                            "remove {} from {}, and use `api-keys run` instead",
                            found.variable,
                            found.place()
                        ),
                    });
                }
                Err(error) => report.failure(&error),
            }
        } else {
            report.hint(format!(
                "{} in {}: `{}` stores it",
                found.variable,
                found.place(),
                found.command()
            ));
        }
        offered.push(json!({
            "provider": found.provider.id,
            "variable": found.variable,
            "place": found.place(),
            "command": found.command(),
            "stored": taken,
        }));
    }
    if found.is_empty() && stored.is_empty() {
        report.hint("`api-keys add anthropic` asks for a key and stores it");
    }
    report.set("offers", offered);
    Ok(())
}

/// The keys that are there, one for each provider.
fn look(session: &Session) -> Vec<OfferedKey> {
    let settings = session.app.settings();
    let files: Vec<(PathBuf, EnvFile)> = settings
        .machine()
        .map(|machine| env_file::in_folder(machine.working()))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|path| EnvFile::found(&path).ok().map(|file| (path, file)))
        .collect();
    let config = settings.current();
    let mut found = Vec::new();
    for provider in config.providers().iter().filter(|provider| provider.needs_key()) {
        let here = |name: &str, secret: Option<Secret>, place| {
            looks_right(provider, &secret?).then(|| OfferedKey {
                provider: provider.clone(),
                variable: name.to_owned(),
                place,
            })
        };
        let first = provider.env_vars().into_iter().find_map(|name| {
            here(name, settings.variable(name).ok(), KeyPlace::Environment).or_else(|| {
                let mut files = files.iter();
                files.find_map(|(path, file)| here(name, file.secret(name), KeyPlace::File(path.clone())))
            })
        });
        found.extend(first);
    }
    found
}

/// Whether it can be a key of `provider`: no placeholder, and nothing of another provider.
fn looks_right(provider: &Provider, secret: &Secret) -> bool {
    keys::judge(Some(provider), secret).is_ok()
}

/// Stores what was found, and says how it is recognised.
fn take(session: &Session, matches: &ArgMatches, found: &OfferedKey) -> Result<String> {
    let (caller, source) = match &found.place {
        KeyPlace::Environment => (
            Terminal::new(session, matches),
            NewSecretSource::Variable(found.variable.clone()),
        ),
        KeyPlace::File(path) => (
            Terminal::with_keys_from(session, SecretSource::EnvFile(path.clone())),
            NewSecretSource::Ask,
        ),
    };
    let new = NewKey {
        provider: found.provider.clone(),
        label: Label::default(),
        description: None,
        expires_at: None,
        source,
    };
    let added = wait(keys::add(&session.app, &caller, new))?;
    let masked = added.record.active().map(|active| active.masked.clone());
    Ok(masked.unwrap_or_default())
}

/// Says which servers of models answer on this machine, and how to make providers of them.
pub(super) fn local_servers(session: &Session, report: &mut SetupReport) -> Result<()> {
    let checker = session.app.checker();
    let ports = discover::moved_ports(&session.app.settings().machine()?);
    let found = wait(async { Ok(checker.local_servers(&ports).await) })?;
    let config = session.app.settings().current();
    for server in &found {
        let (provider, models) = (&server.provider, server.models);
        let known = config.providers().iter().find(|known| known.origin == provider.origin);
        let answers = format!("{} answers at {} with {models} models", server.title, provider.base_url);
        if let Some(known) = known {
            report.step("Local", &format!("{answers}: provider {}", known.id))?;
        } else {
            report.step("Local", &answers)?;
            report.hint(format!(
                "to use it, add to {}: [providers.{}] kind = \"openai-compatible\" base_url = \"{}\"",
                session.app.settings().paths().config_file().display(),
                provider.id,
                provider.base_url
            ));
        }
    }
    let found: Vec<_> = found
        .iter()
        .map(|server| json!({"name": server.title, "base_url": server.provider.base_url, "models": server.models}))
        .collect();
    report.set("local_servers", found);
    Ok(())
}
