//! `vault`: create it, inspect it, and manage its keyslots.

mod arguments;
mod command;
mod slots;

pub(super) use self::command::COMMAND;
