//! Who calls a service, and how that caller is prompted for a secret.

use std::{future::Future, pin::Pin};

use crate::{
    domain::{Label, ProviderId, Secret},
    error::Result,
};

/// Whoever calls a tool: an MCP client or a person at a terminal.
pub trait Caller: Send + Sync {
    /// What the audit trail calls this caller.
    fn kind(&self) -> CallerKind;

    /// Asks the person behind the caller for a secret, never the model.
    ///
    /// Fails with `key_required`, `vault_locked` and the like where there is no way to ask.
    fn ask<'a>(&'a self, question: Question) -> Pin<Box<dyn Future<Output = Result<Secret>> + Send + 'a>>;

    /// Tells how far long work has come; best effort.
    fn progress(&self, done: usize, total: usize, message: &str);
}

/// What the audit trail calls a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerKind {
    /// A client over MCP, by the name and version it gave (untrusted, cleaned and cut).
    Mcp {
        client: String,
    },
    Cli,
    Gateway,
    Dashboard,
}

/// A secret that is needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// The key to store under this provider and label.
    NewKey {
        provider: ProviderId,
        label: Label,
        rotation: bool,
    },
    /// The passphrase that opens the vault.
    Passphrase,
    /// A passphrase to protect a new vault with; typed twice where that is possible.
    NewPassphrase,
}

impl std::fmt::Display for CallerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mcp { client } => write!(f, "mcp:{client}"),
            Self::Cli => f.write_str("cli"),
            Self::Gateway => f.write_str("gateway"),
            Self::Dashboard => f.write_str("dashboard"),
        }
    }
}
