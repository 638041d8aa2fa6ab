//! A person at a terminal as the caller of a tool.

use std::{future::Future, pin::Pin, sync::Arc};

use clap::ArgMatches;

use super::{command::Session, console::Console, key_name, secret_source::SecretSource};
use crate::{
    app::App,
    domain::{Label, ProviderId, Secret},
    error::{Code, Error, Result},
    providers::Provider,
    tools::{Caller, CallerKind, Question},
};

/// The person who typed the command, or the script that runs it.
pub(super) struct Terminal {
    app: Arc<App>,
    console: Console,
    key_from: SecretSource,
    passphrase_from: SecretSource,
}

impl Terminal {
    /// Keys come from where the command's options say, passphrases from the prompt.
    pub(super) fn new(session: &Session, matches: &ArgMatches) -> Self {
        Self::with_keys_from(session, SecretSource::of(matches))
    }

    /// Keys come from `key_from`, passphrases from the prompt.
    pub(super) fn with_keys_from(session: &Session, key_from: SecretSource) -> Self {
        Self {
            app: Arc::clone(&session.app),
            console: session.console,
            key_from,
            passphrase_from: SecretSource::Prompt,
        }
    }

    /// Passphrases and recovery codes come from where the command's options say: no key is prompted for.
    pub(super) fn for_passphrases(session: &Session, matches: &ArgMatches) -> Self {
        Self {
            app: Arc::clone(&session.app),
            console: session.console,
            key_from: SecretSource::Prompt,
            passphrase_from: SecretSource::of(matches),
        }
    }

    /// A recovery code, as it was shown once.
    pub(super) fn recovery_code(&self) -> Result<Secret> {
        self.passphrase_from.read("Recovery code: ", &[]).map_err(|error| {
            if error.code() != Code::KeyRequired {
                return error;
            }
            Error::new(Code::VaultLocked, "no terminal to type the recovery code in")
                .hint("pipe it in with `--stdin`, or run the command in a terminal")
        })
    }

    fn answer(&self, question: &Question) -> Result<Secret> {
        match question {
            Question::NewKey {
                provider,
                label,
                rotation,
            } => {
                let (what, command) = if *rotation {
                    ("New API key", "rotate")
                } else {
                    ("API key", "add")
                };
                let prompt = format!("{what} for {} (hidden): ", key_name::show(provider, label));
                let known = self.app.settings().current().provider(provider.as_str());
                let variables = known.as_ref().map(Provider::env_vars).unwrap_or_default();
                let key = self
                    .key_from
                    .read(&prompt, &variables)
                    .map_err(|error| no_key(error, command, provider, label))?;
                Ok(key.trimmed())
            }
            Question::Passphrase => self
                .passphrase_from
                .read("Passphrase of the vault (hidden): ", &[])
                .map_err(no_passphrase),
            Question::NewPassphrase => self.new_passphrase().map_err(no_new_passphrase),
        }
    }

    /// Asks twice, since a passphrase cannot be recovered; a script does not mistype.
    fn new_passphrase(&self) -> Result<Secret> {
        let first = self
            .passphrase_from
            .read("New passphrase of the vault (hidden): ", &[])?;
        if self.passphrase_from == SecretSource::Prompt {
            let again = self.passphrase_from.read("Repeat the passphrase (hidden): ", &[])?;
            // EXPOSE: compared with the second typing, in memory
            if first.expose() != again.expose() {
                return Err(
                    Error::new(Code::InvalidArgument, "the two passphrases differ").hint("run the command again")
                );
            }
        }
        Ok(first)
    }
}

/// The same error with what to do where there is no terminal to type a key in.
fn no_key(error: Error, command: &str, provider: &ProviderId, label: &Label) -> Error {
    if error.code() != Code::KeyRequired {
        return error;
    }
    error.hint(format!(
        "use `--stdin`, `--env-var NAME` or `--from-file PATH`, or run `api-keys {command} {}` in a terminal",
        key_name::show(provider, label)
    ))
}

/// The error where there is no terminal to type a passphrase in.
fn no_passphrase(error: Error) -> Error {
    if error.code() != Code::KeyRequired {
        return error;
    }
    Error::new(
        Code::VaultLocked,
        "the vault is locked, and there is no terminal to type its passphrase in",
    )
    .hint(
        "set API_KEYS_PASSPHRASE, or the variable that `vault.passphrase_env` names, or run the command in a terminal",
    )
}

/// The error where there is no terminal to type a new passphrase in.
fn no_new_passphrase(error: Error) -> Error {
    if error.code() != Code::KeyRequired {
        return error;
    }
    Error::new(Code::KeyRequired, "no terminal to type the new passphrase in").hint(
        "run the command in a terminal; `api-keys vault` commands also read it with `--stdin`, and a new vault takes it from API_KEYS_PASSPHRASE",
    )
}

impl Caller for Terminal {
    fn kind(&self) -> CallerKind {
        CallerKind::Cli
    }

    fn ask<'a>(&'a self, question: Question) -> Pin<Box<dyn Future<Output = Result<Secret>> + Send + 'a>> {
        Box::pin(async move { self.answer(&question) })
    }

    fn progress(&self, done: usize, total: usize, message: &str) {
        self.console.progress(done, total, message);
    }
}
