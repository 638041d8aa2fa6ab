//! The passphrase and recovery code of a backup: from a file, standard input, the environment, or the hidden prompt.

use std::path::PathBuf;

use clap::ArgMatches;

use crate::{
    cli::{command::Session, secret_source::SecretSource},
    domain::{Passphrase, Secret},
    error::{Code, Error, Result},
    storage::backup::UnlockBackup,
};

/// What opens a backup, as it was typed or stored.
pub(super) enum BackupSecret {
    Passphrase(Passphrase),
    Recovery(Secret),
}

impl BackupSecret {
    /// What is to open an existing backup.
    pub(super) fn ask(session: &Session, matches: &ArgMatches) -> Result<Self> {
        if matches.get_flag("recovery") {
            let code = source(matches).read("Recovery code of the backup (hidden): ", &[]);
            return code
                .map(Self::Recovery)
                .map_err(|error| no_terminal(error, "recovery code"));
        }
        passphrase(session, matches, false).map(Self::Passphrase)
    }

    pub(super) fn unlock(&self) -> UnlockBackup<'_> {
        match self {
            Self::Passphrase(passphrase) => UnlockBackup::Passphrase(passphrase),
            Self::Recovery(code) => UnlockBackup::Recovery(code),
        }
    }
}

/// The passphrase of a backup; a new one is typed twice.
pub(super) fn passphrase(session: &Session, matches: &ArgMatches, is_new: bool) -> Result<Passphrase> {
    let source = source(matches);
    let from_environment = session.app.settings().backup_passphrase_from_environment();
    if let (SecretSource::Prompt, Some(passphrase)) = (&source, from_environment) {
        return Ok(passphrase);
    }
    let read = |question: &str| {
        let secret = source.read(question, &[]);
        secret.map_err(|error| no_terminal(error, "passphrase"))
    };
    if !is_new {
        return read("Passphrase of the backup (hidden): ").map(Passphrase::new);
    }
    let first = read("New passphrase for the backup (hidden): ")?;
    if source == SecretSource::Prompt {
        let again = read("Repeat the passphrase (hidden): ")?;
        // EXPOSE: compared with the second typing, in memory
        if first.expose() != again.expose() {
            return Err(Error::new(Code::InvalidArgument, "the two passphrases differ").hint("run the command again"));
        }
    }
    Ok(Passphrase::new(first))
}

fn source(matches: &ArgMatches) -> SecretSource {
    match matches.get_one::<PathBuf>("passphrase-file") {
        Some(path) => SecretSource::File(path.clone()),
        None => SecretSource::of(matches),
    }
}

/// The error where there is no terminal to type in.
fn no_terminal(error: Error, what: &str) -> Error {
    if error.code() != Code::KeyRequired {
        return error;
    }
    Error::new(Code::KeyRequired, format!("no terminal to type the backup's {what} in"))
        .hint("use `--stdin`, `--passphrase-file PATH` or API_KEYS_BACKUP_PASSPHRASE, or run the command in a terminal")
}
