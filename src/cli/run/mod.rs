//! `run`: a command with keys in its environment, and nowhere else.

mod child;
mod command;
mod gateway;

pub(super) use self::command::COMMAND;
