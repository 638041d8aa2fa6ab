//! The command line of `gateway`, and the server itself.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde_json::json;

use super::{
    super::{
        caller::Terminal,
        command::{CommandDef, Run, Session},
        console::Console,
        help::HelpSection,
        panels,
    },
    arguments::{allow_remote, listen},
    service,
};
use crate::{
    app::App,
    error::{Code, Error, Result},
    gateway::{self, Options},
    services::vault_access,
    tools::view::{Block, Tone, View},
};

const FIRST_BYTE_TIMEOUT: Duration = Duration::from_mins(10);
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

pub(in crate::cli) const COMMAND: CommandDef = CommandDef {
    name: "gateway",
    section: HelpSection::Gateway,
    define: |command| {
        let seconds = |name: &'static str, default: Duration| {
            Arg::new(name)
                .long(name)
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(1..=86_400))
                .default_value(default.as_secs().to_string())
        };
        service::commands(command)
            .about("Run the local gateway, which adds provider keys to requests")
            .long_about(
                "Run the local gateway, which adds provider keys to requests: OpenAI's API at /v1, Anthropic's at /v1/messages, each provider's own at /p/PROVIDER/\n\n\
                 Each program authenticates with its own client key, created with `api-keys client add`. Usage is recorded, and budgets are enforced.",
            )
            .arg(listen())
            .arg(allow_remote())
            .arg(
                // Others have it, and every web page could then spend what the keys pay for.
                Arg::new("no-auth")
                    .long("no-auth")
                    .action(ArgAction::SetTrue)
                    .hide(true)
                    .help("Not available"),
            )
            .arg(
                Arg::new("dashboard")
                    .long("dashboard")
                    .value_name("PORT")
                    .value_parser(value_parser!(u16))
                    .help("Also serve the dashboard at this port, 0 for any free one"),
            )
            .arg(seconds("first-byte-timeout", FIRST_BYTE_TIMEOUT).help("Time limit for the first byte of a response"))
            .arg(seconds("idle-timeout", IDLE_TIMEOUT).help("Time limit between two chunks of a response"))
            .arg(seconds("grace", SHUTDOWN_TIMEOUT).help("Time limit for open requests after SIGTERM"))
    },
    run: Run::With(run),
};

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
    if matches.get_flag("no-auth") {
        return Err(
            Error::new(Code::InvalidArgument, "the gateway serves no program without a client key")
                .hint("`api-keys run --gateway -- PROGRAM` gives a program its own, and `api-keys env` a shell; you need not see it"),
        );
    }
    let options = Options {
        listen: matches
            .get_one::<SocketAddr>("listen")
            .copied()
            .ok_or_else(|| Error::new(Code::Internal, "the address has a default"))?,
        allow_remote: matches.get_flag("allow-remote"),
        first_byte_timeout: seconds("first-byte-timeout", FIRST_BYTE_TIMEOUT),
        idle_timeout: seconds("idle-timeout", IDLE_TIMEOUT),
        grace: seconds("grace", SHUTDOWN_TIMEOUT),
    };
    let app = &session.app;
    let caller = Terminal::new(session, matches);
    runtime()?.block_on(async {
        open_vault(app, &caller).await?;
        let mut signals = Signals::new()?;
        let listening = gateway::listen(Arc::clone(app), options).await?;
        let dashboard = match matches.get_one::<u16>("dashboard") {
            Some(port) => Some(panels::beside_gateway(app, *port, Arc::new(listening.in_use())).await?),
            None => None,
        };
        tell(session, listening.address(), dashboard.as_deref())?;
        listening.serve(async || signals.next().await).await
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(in crate::cli) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|why| Error::new(Code::StorageFailed, "could not start the async runtime").caused_by(why))
}

/// A gateway for one command, on any free port.
pub(in crate::cli) fn private() -> Options {
    Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        allow_remote: false,
        first_byte_timeout: FIRST_BYTE_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        grace: SHUTDOWN_TIMEOUT,
    }
}

/// Opens the vault, where there is one: keys may come later, and models on this machine need none.
pub(in crate::cli) async fn open_vault(app: &App, caller: &Terminal) -> Result<()> {
    match vault_access::open(app, caller).await {
        Err(error) if error.code() == Code::VaultAbsent => Ok(()),
        outcome => outcome,
    }
}

fn tell(session: &Session, address: SocketAddr, dashboard: Option<&str>) -> Result<()> {
    let base = format!("http://{address}");
    if session.console.is_json() {
        let mut told = json!({ "listening": base });
        if let Some(link) = dashboard {
            told["dashboard"] = link.into();
        }
        return Console::json(&told);
    }
    let mut view = View::line(Tone::Plain, format!("Listening on {base} (Ctrl-C to stop)"));
    if let Some(link) = dashboard {
        view = view.and(Block::Line(
            Tone::Plain,
            format!("Dashboard: {link} (works once, within 5 minutes)"),
        ));
    }
    if session.app.clients().list()?.is_empty() {
        view = view.and(Block::Hint(
            "no clients yet: `api-keys client add NAME` creates one".to_owned(),
        ));
    }
    session.console.view(&view)
}

/// The signals that stop a server.
pub(in crate::cli) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub(in crate::cli) fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind)
                .map_err(|why| Error::new(Code::StorageFailed, "could not install signal handlers").caused_by(why))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    #[cfg(unix)]
    pub(in crate::cli) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
    pub(in crate::cli) fn new() -> Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(in crate::cli) async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
