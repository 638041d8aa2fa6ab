//! `backup`: make, verify, list, restore and prune backups.

mod arguments;
mod command;
mod secrets;
mod views;

pub(super) use self::command::COMMAND;
