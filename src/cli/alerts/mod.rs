//! `alerts`: destinations of alerts, what was sent to them, and sending.

mod background;
mod change;
mod command;
mod options;
mod show;
mod timer;

pub(super) use self::{background::send_in_background, command::COMMAND};
