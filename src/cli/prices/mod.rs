//! `prices`: what models cost, the sources, and loading newer prices.

mod command;
mod explanation;

pub(super) use self::command::COMMAND;
