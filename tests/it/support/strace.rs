//! Programs under strace: which system calls they make, and what they do when one fails.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

use super::outside::{installed, not_possible};

/// Whether strace can be used here. In CI it must be.
pub(crate) fn can_trace() -> bool {
    static MAY: OnceLock<bool> = OnceLock::new();
    let may = || {
        let mut strace = Command::new("strace");
        strace.args(["-o", "/dev/null", "true"]).stderr(Stdio::null());
        strace.status().is_ok_and(|status| status.success())
    };
    installed(&["strace"]) && (*MAY.get_or_init(may) || not_possible("strace may not trace here"))
}

/// Whether strace can see the files of a hardened process: the system shows them to root alone.
pub(crate) fn can_trace_files() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    can_trace() && (is_root || not_possible("strace has to run as root here"))
}

/// `program` under strace with `options`, in its own environment and folder; the log goes to `log`.
pub(crate) fn command(program: &Command, log: &Path, options: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace
        .args(["-qq", "-e", "signal=none", "-o"])
        .arg(log)
        .args(options)
        .arg(program.get_program())
        .args(program.get_args())
        .env_clear()
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = program.get_current_dir() {
        strace.current_dir(folder);
    }
    strace
}
