//! `import`: what other programs keep of usage and keys.

mod answers;
mod command;
mod command_center;
mod gather;
mod keys;
mod logs;
mod taking;

pub(super) use self::{command::COMMAND, keys::look};
