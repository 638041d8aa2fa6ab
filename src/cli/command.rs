//! What a command of the shell's own is, and what it works with.

use std::{process, sync::Arc};

use clap::ArgMatches;

use super::{console::Console, help::HelpSection};
use crate::{
    app::App,
    error::{Code, Error, ExitCode, Result},
};

/// A command of the shell's own, next to those that are tools.
pub(super) struct CommandDef {
    pub(super) name: &'static str,
    pub(super) section: HelpSection,
    pub(super) define: fn(clap::Command) -> clap::Command,
    pub(super) run: Run,
}

/// What a command needs before it can run.
pub(super) enum Run {
    /// The whole command line, and nothing else: it runs where there is not even a home folder.
    Bare(fn(&clap::Command, &ArgMatches) -> Result<process::ExitCode>),
    /// Settings and everything that depends on them.
    With(fn(&Session, &ArgMatches) -> Result<process::ExitCode>),
}

/// What a command works with.
pub(super) struct Session {
    pub(super) app: Arc<App>,
    pub(super) console: Console,
}

/// Waits for `work` on a runtime of this thread; commands that wait for nothing never start one.
pub(super) fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    runtime()?.block_on(work)
}

/// An async runtime on this thread.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Error::new(Code::StorageFailed, "could not start the async runtime").caused_by(why))
}

pub(super) fn exit(code: ExitCode) -> process::ExitCode {
    process::ExitCode::from(code as u8)
}
