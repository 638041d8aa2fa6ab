//! Taking one key into the vault, wherever it was found.

use std::collections::BTreeSet;

use clap::{Arg, ArgMatches};

use super::answers::ImportFate;
use crate::{
    app::App,
    cli::{
        caller::Terminal,
        command::{Session, wait},
        console::{DRY_RUN, YES, dry_run},
    },
    domain::{ApiKey, Secret},
    error::Result,
    providers::Provider,
    services::{
        keys::{self, NewKey},
        scan, vault_access,
    },
    storage::vault::VaultStatus,
};

/// Takes keys into the vault.
pub(super) struct KeyTaker<'a> {
    pub(super) session: &'a Session,
    caller: Terminal,
    pub(super) is_dry: bool,
    pub(super) is_sure: bool,
}

/// The option that only shows what would be stored.
pub(super) fn dry_run_option() -> Arg {
    dry_run("Only show what would be stored")
}

/// The key in `secret`, where it can be one of the provider's.
pub(super) fn judged(provider: &Provider, secret: &Secret) -> Result<ApiKey> {
    keys::judge(Some(provider), secret)?;
    Ok(ApiKey::parse(&secret.trimmed())?)
}

/// Whether the vault, which is open, holds this key.
pub(super) fn is_stored(app: &App, secret: &Secret) -> Result<bool> {
    let text = secret.trimmed();
    // EXPOSE: only its fingerprint is compared
    Ok(app.vault().recognizer()?.find(text.expose()).is_some())
}

impl<'a> KeyTaker<'a> {
    pub(super) fn new(session: &'a Session, matches: &ArgMatches) -> Self {
        Self {
            session,
            caller: Terminal::new(session, matches),
            is_dry: matches.get_flag(DRY_RUN),
            is_sure: matches.get_flag(YES),
        }
    }

    /// Opens the vault, where there is one.
    pub(super) fn open_vault(&self) -> Result<()> {
        if self.session.app.vault().status()? != VaultStatus::Absent {
            wait(vault_access::open(&self.session.app, &self.caller))?;
        }
        Ok(())
    }

    /// What is to become of a key, by the answer to `question` where there is to be one.
    pub(super) fn fate(&self, question: &str) -> ImportFate {
        if self.is_dry {
            ImportFate::New
        } else if self.is_sure || self.session.console.agrees(question).unwrap_or(false) {
            ImportFate::Stored
        } else {
            ImportFate::Declined
        }
    }

    /// Stores a key, and notes that it is exposed if it was; returns what people should know.
    pub(super) fn store(&self, new: NewKey, is_exposed: bool) -> Result<Vec<String>> {
        let app = &self.session.app;
        let added = wait(keys::add(app, &self.caller, new))?;
        if let (true, Some(active)) = (is_exposed, added.record.active()) {
            let exposed = BTreeSet::from([(added.record.key_id, active.version)]);
            wait(scan::mark_exposed(app, &self.caller, &exposed))?;
        }
        Ok(added.warnings)
    }
}
