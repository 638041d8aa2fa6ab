//! A person at a terminal as the caller of a tool.

use std::{future::Future, pin::Pin};

use clap::ArgMatches;

use super::{Session, console::Console, secret_source::SecretSource};
use crate::{
    domain::Secret,
    error::{Code, Error, Result},
    tools::{Caller, CallerKind, Question},
};

/// The person who typed the command, or the script that runs it.
pub(super) struct Terminal {
    console: Console,
    key_from: SecretSource,
}

impl Terminal {
    pub(super) fn new(session: &Session, matches: &ArgMatches) -> Self {
        Self {
            console: session.console,
            key_from: SecretSource::of(matches),
        }
    }

    fn answer(&self, question: &Question) -> Result<Secret> {
        match question {
            Question::NewKey {
                provider,
                label,
                rotation,
            } => {
                let what = if *rotation { "New API key" } else { "API key" };
                let whose = if label.as_str() == "default" {
                    provider.to_string()
                } else {
                    format!("{provider}:{label}")
                };
                self.key_from.read(&format!("{what} for {whose} (hidden): ")).map(|key| key.trimmed()).map_err(|error| {
                    if error.code() == Code::KeyRequired {
                        error.hint(format!(
                            "pipe it in with `--stdin`, or name a variable with `--env-var` or a file with `--from-file`; on a terminal, `api-keys {} {provider}` asks for it",
                            if *rotation { "rotate" } else { "add" }
                        ))
                    } else {
                        error
                    }
                })
            }
            Question::NewPassphrase => new_passphrase(),
            Question::Passphrase => SecretSource::Prompt
                .read("Passphrase of the vault (hidden): ")
                .map_err(|error| {
                    if error.code() == Code::KeyRequired {
                        Error::new(
                            Code::VaultLocked,
                            "the vault is locked and nobody can be asked for its passphrase",
                        )
                        .hint("set API_KEYS_PASSPHRASE, or run the command on a terminal")
                    } else {
                        error
                    }
                }),
        }
    }
}

/// Asks twice for a passphrase that nobody can recover.
fn new_passphrase() -> Result<Secret> {
    let first = SecretSource::Prompt.read("New passphrase (hidden): ")?;
    let again = SecretSource::Prompt.read("The same again (hidden): ")?;
    // EXPOSE: compared with the second typing, in memory
    if first.expose() == again.expose() {
        Ok(first)
    } else {
        Err(Error::new(Code::InvalidArgument, "the two passphrases differ").hint("run the command again"))
    }
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
