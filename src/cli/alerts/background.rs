//! Sending at the end of a command, by a process of its own: no command waits for a server.

use std::process::{Command, Stdio};

use crate::{app::App, services::alerts};

/// How long that process goes on while something waits: a message that others are grouped into, or a second attempt.
const PATIENCE_SECONDS: &str = "45";

/// Starts a process that sends what is not sent yet, where anything is; it goes on when this one has ended.
pub(in crate::cli) fn send_in_background(app: &App) {
    if !alerts::needs_sender(app) {
        return;
    }
    let Some(program) = app.settings().environment().program() else {
        return;
    };
    let mut command = Command::new(program);
    command
        .args(["alerts", "flush", "--wait", PATIENCE_SECONDS])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    // Where it cannot be started, the next command tries again.
    drop(command.spawn());
}
