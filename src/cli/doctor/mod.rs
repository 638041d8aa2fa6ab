//! `doctor`: checks everything that can be wrong, and says how to fix it.

mod clients;
mod command;
mod files;
mod finding;
mod keys;
mod ledger;
mod vault;

pub(super) use self::command::COMMAND;
