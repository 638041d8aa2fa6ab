//! `serve`: speak MCP over stdio.

use std::{
    io::{IsTerminal, stdin},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

use super::{
    command::{CommandDef, Run, Session, runtime},
    help::HelpSection,
};
use crate::{
    app::App,
    error::Result,
    mcp,
    services::{self, log_import},
    tools::view::Block,
};

/// The pause between two imports.
const IMPORT_INTERVAL: Duration = Duration::from_mins(5);

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "serve",
    section: HelpSection::Setup,
    define: |command| command.about("Serve MCP over standard input and output"),
    run: Run::With(|session, _| run(session)),
};

/// Serves until the client hangs up.
pub(super) fn run(session: &Session) -> Result<ExitCode> {
    if stdin().is_terminal() {
        session.console.remark(&Block::Hint(
            "waiting for an MCP client on standard input; Ctrl-D stops the server, `api-keys --help` lists the commands".to_owned(),
        ));
    }
    import_logs(&session.app);
    services::alerts::start(&session.app);
    let runtime = runtime()?;
    let outcome = runtime.block_on(mcp::serve(Arc::clone(&session.app)));
    // A thread may be stuck reading standard input; nothing is waited for.
    runtime.shutdown_background();
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Imports what is new in agents' logs now and then, if the configuration asks for that; ends with the process.
fn import_logs(app: &Arc<App>) {
    let app = Arc::clone(app);
    thread::spawn(move || {
        loop {
            log_import::refresh(&app);
            thread::sleep(IMPORT_INTERVAL);
        }
    });
}
