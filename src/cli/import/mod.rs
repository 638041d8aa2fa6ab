//! `import`: what other programs keep of usage and keys.

mod command;
mod command_center;
mod logs;

pub(super) use command::COMMAND;
