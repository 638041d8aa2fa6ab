//! `doctor`: checks everything that can be wrong, and says how to fix it.

mod alerts;
mod backup;
mod command;
mod files;
mod finding;
mod keys;
mod ledger;
mod mcp_clients;
mod prices;
mod vault;

pub(super) use self::command::{COMMAND, offline};
