//! `gateway`: the server that puts keys into the requests of programs that have none.

mod service;

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde_json::json;

use super::{CommandDef, Run, Session, caller::Terminal, console::Console};
use crate::{
    app::App,
    domain::Label,
    error::{Code, Error, Result},
    gateway::{self, Options},
    services::vault,
    tools::view::{Block, Tone, View},
};

/// Where it listens unless it is told otherwise.
pub(super) const LISTEN: &str = "127.0.0.1:8787";
const FIRST_BYTE: Duration = Duration::from_mins(10);
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
const GRACE: Duration = Duration::from_secs(10);

pub(super) const COMMAND: CommandDef = CommandDef {
    name: "gateway",
    define: |command| {
        let seconds = |name: &'static str, default: Duration| {
            Arg::new(name)
                .long(name)
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(1..=86_400))
                .default_value(default.as_secs().to_string())
        };
        service::commands(command)
            .about("Serve programs on this machine that use providers without holding their keys")
            .long_about(
                "Serve programs on this machine that use providers without holding their keys: OpenAI's API at /v1, Anthropic's at /v1/messages, each provider's own at /p/PROVIDER/\n\n\
                 Each program has a client key of its own, made with `api-keys client add`. What it uses is recorded, and budgets are kept.",
            )
            .arg(listen())
            .arg(allow_remote())
            .arg(seconds("first-byte-timeout", FIRST_BYTE).help("How long a provider may take until its answer begins"))
            .arg(seconds("idle-timeout", IDLE_TIMEOUT).help("How long an answer may stand still"))
            .arg(seconds("grace", GRACE).help("How long requests under way may take to end after SIGTERM"))
    },
    run: Run::With(run),
};

fn listen() -> Arg {
    Arg::new("listen")
        .long("listen")
        .value_name("ADDRESS:PORT")
        .value_parser(value_parser!(SocketAddr))
        .default_value(LISTEN)
        .help("Where to listen")
}

fn allow_remote() -> Arg {
    Arg::new("allow-remote")
        .long("allow-remote")
        .action(ArgAction::SetTrue)
        .help("Let other machines in, unencrypted")
}

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("install", matches)) => service::install(session, matches),
        Some(("uninstall", matches)) => service::uninstall(session, matches),
        _ => serve(session, matches),
    }
}

fn serve(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let seconds = |name, default| {
        matches
            .get_one::<u64>(name)
            .copied()
            .map_or(default, Duration::from_secs)
    };
    let options = Options {
        listen: matches
            .get_one::<SocketAddr>("listen")
            .copied()
            .ok_or_else(|| Error::new(Code::Internal, "the address has a default"))?,
        project: None,
        allow_remote: matches.get_flag("allow-remote"),
        first_byte_timeout: seconds("first-byte-timeout", FIRST_BYTE),
        idle_timeout: seconds("idle-timeout", IDLE_TIMEOUT),
        grace: seconds("grace", GRACE),
    };
    let app = &session.app;
    let caller = Terminal::new(session, matches);
    runtime()?.block_on(async {
        open_vault(app, &caller).await?;
        let mut signals = Signals::new()?;
        let listening = gateway::listen(Arc::clone(app), options).await?;
        tell(session, listening.address())?;
        listening.serve(async || signals.next().await).await
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|why| Error::new(Code::StorageFailed, "the system refused to start threads").caused_by(why))
}

/// A gateway for one command, where there is a port, with the keys of that project.
pub(super) fn private(project: Option<Label>) -> Options {
    Options {
        project,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        allow_remote: false,
        first_byte_timeout: FIRST_BYTE,
        idle_timeout: IDLE_TIMEOUT,
        grace: GRACE,
    }
}

/// Opens the vault, where there is one: keys may come later, and models on this machine need none.
pub(super) async fn open_vault(app: &App, caller: &Terminal) -> Result<()> {
    match vault::open(app, caller).await {
        Err(error) if error.code() == Code::VaultAbsent => Ok(()),
        outcome => outcome,
    }
}

fn tell(session: &Session, address: SocketAddr) -> Result<()> {
    let base = format!("http://{address}");
    if session.console.is_json() {
        return Console::json(&json!({ "listening": base }));
    }
    let mut view = View::line(Tone::Plain, format!("Listening on {base}; Ctrl-C ends it"));
    if session.app.clients().list()?.is_empty() {
        view = view.and(Block::Hint(
            "no program may use it yet: `api-keys client add NAME` makes a client key".to_owned(),
        ));
    }
    session.console.view(&view)
}

/// The signals by which somebody wants the gateway to end.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind)
                .map_err(|why| Error::new(Code::StorageFailed, "the system refused to tell of signals").caused_by(why))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
    fn new() -> Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
