//! A command that finds the gateway and a key of its own in its environment, and no provider's key.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    io,
    net::SocketAddr,
    path::Path,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use clap::ArgMatches;
use serde_json::json;
use tokio::process::{Child, Command};

use super::{
    super::{caller::Terminal, command::Session, console::Console, gateway as served, key_name},
    child::cannot_start,
};
use crate::{
    app::App,
    domain::{Label, ProviderId, Secret},
    error::{Code, Error, Result},
    gateway::{self, GatewayListener},
    mcp_clients::shell_word,
    process,
    services::{agents::AgentProgram, gateway_clients, sdks},
    storage::gateway_clients::GatewayClient,
    tools::view::{Block, View},
};

/// How often the key's expiry is checked.
const KEY_CHECK_INTERVAL: Duration = Duration::from_mins(1);

/// The gateway that the command uses.
enum Served {
    /// In this process, for this command.
    Here(Box<GatewayListener>),
    There(SocketAddr),
}

/// Runs `command` behind a gateway, and ends as it does.
pub(super) fn run(session: &Session, matches: &ArgMatches, mut command: std::process::Command) -> Result<ExitCode> {
    let app = &session.app;
    let caller = Terminal::new(session, matches);
    let providers = providers(app, matches)?;
    served::runtime()?
        .block_on(async {
            let served = if let Some(address) = matches.get_one::<SocketAddr>("gateway") {
                served::expect_gateway(*address)?;
                Served::There(*address)
            } else {
                served::open_vault(app, &caller).await?;
                Served::Here(Box::new(gateway::listen(app.clone(), served::private()).await?))
            };
            let name = Path::new(command.get_program()).file_stem().unwrap_or_default();
            let (mut client, key) = gateway_clients::add_for_command(app, &name.to_string_lossy(), &providers)?;
            let outcome = attend(app, served, &mut command, &mut client, &key).await;
            match gateway_clients::remove(app, &client.name) {
                Err(why) if why.code() != Code::ClientNotFound => Err(why),
                _ => outcome,
            }
        })?
        .or_else(|why| Ok(cannot_start(session, why)))
}

/// Starts the command, and waits for its end.
async fn attend(
    app: &App,
    served: Served,
    command: &mut std::process::Command,
    client: &mut GatewayClient,
    key: &Secret,
) -> Result<io::Result<ExitCode>> {
    let address = match &served {
        Served::Here(listening) => listening.address(),
        Served::There(address) => {
            // The same files as here, or it does not know the key.
            served::expect_key(*address, key)?;
            *address
        }
    };
    dress(app, command, &format!("http://{address}"), key)?;
    let agent = agent_of(command.get_program());
    let mut signals = signals::Passed::new()?;
    let mut command = Command::from(std::mem::replace(command, std::process::Command::new("")));
    // Nothing of ours makes files yet: a gateway here has not begun to serve.
    let mut child = match process::with_callers_limits(|| command.spawn()) {
        Ok(child) => child,
        Err(why) => return Ok(Err(why)),
    };
    let mut ended = None;
    match served {
        Served::There(_) => ended = Some(until_end(app, &mut child, &mut signals, client).await),
        Served::Here(listening) => {
            let base = format!("http://{}", listening.address());
            let stop = async || {
                if ended.is_some() {
                    signals.next().await;
                } else {
                    ended = Some(until_end(app, &mut child, &mut signals, client).await);
                }
            };
            listening.serve(stop).await?;
            if let Some(agent) = agent {
                agent.remove_settings(app, &base)?;
            }
        }
    }
    let status = ended.ok_or_else(|| Error::new(Code::Internal, "the gateway stopped before the command"))?;
    Ok(status.map(code_of))
}

/// Waits for the command; signals to this process are passed on, and the client's key is kept alive.
async fn until_end(
    app: &App,
    child: &mut Child,
    signals: &mut signals::Passed,
    client: &mut GatewayClient,
) -> io::Result<ExitStatus> {
    let mut look = tokio::time::interval(KEY_CHECK_INTERVAL);
    loop {
        tokio::select! {
            status = child.wait() => return status,
            signal = signals.next() => signals::pass_on(child, signal),
            _ = look.tick() => if let Err(why) = gateway_clients::renew(app, client) {
                tracing::warn!(error = why.code().as_str(), "could not renew the command's client key");
            },
        }
    }
}

/// The code of a command that ended, as shells tell it where a signal ended it.
fn code_of(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let signalled = std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| signal + 128);
    #[cfg(not(unix))]
    let signalled = None;
    // Codes beyond a byte, as Windows has them, still say that something failed.
    status
        .code()
        .or(signalled)
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The agent that `program` starts, if it is one that needs more than the libraries' variables.
fn agent_of(program: &OsStr) -> Option<&'static AgentProgram> {
    let program = Path::new(program).file_stem()?;
    AgentProgram::of_program(program.to_str()?)
}

/// Puts the gateway into the command's environment in place of every provider's key.
fn dress(app: &App, command: &mut std::process::Command, base: &str, key: &Secret) -> Result<()> {
    for name in key_variables(app)? {
        command.env_remove(name);
    }
    command.envs(sdks::addresses(base));
    let agent = agent_of(command.get_program());
    for name in sdks::keys().chain(agent.into_iter().flat_map(AgentProgram::keys)) {
        // EXPOSE: the child's environment; it opens this gateway, for as long as the child runs
        command.env(name, key.expose());
    }
    if let Some(agent) = agent {
        for name in agent.without {
            command.env_remove(name);
        }
        command.envs(agent.addresses(base));
        command.envs(agent.write_settings(app, base)?);
        put_first(command, agent.arguments(base));
    }
    // A proxy elsewhere could not reach a gateway on this machine.
    let environment = app.settings().environment();
    for name in ["NO_PROXY", "no_proxy"] {
        let before = environment.text(name).map(|before| before + ",").unwrap_or_default();
        command.env(name, format!("{before}127.0.0.1,localhost,::1"));
    }
    Ok(())
}

/// The same command with these arguments before its own.
fn put_first(command: &mut std::process::Command, arguments: Vec<String>) {
    if arguments.is_empty() {
        return;
    }
    let mut longer = std::process::Command::new(command.get_program());
    longer.args(arguments).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => longer.env(name, value),
            None => longer.env_remove(name),
        };
    }
    *command = longer;
}

/// The variables of providers' keys, whether they are set or not.
fn key_variables(app: &App) -> Result<BTreeSet<String>> {
    let config = app.settings().required()?;
    let names = config.providers().iter().flat_map(|provider| provider.env_vars());
    Ok(names
        .chain(sdks::PREFERRED.iter().copied())
        .map(str::to_owned)
        .collect())
}

/// The only providers that the command may use; a client has no labels to choose from.
fn providers(app: &App, matches: &ArgMatches) -> Result<BTreeSet<ProviderId>> {
    let wanted = matches.get_many::<String>("providers").into_iter().flatten();
    wanted
        .map(|name| match key_name::parse(app, name)? {
            (provider, label) if label == Label::default() => Ok(provider),
            _ => Err(Error::new(
                Code::InvalidArgument,
                "behind the gateway, a key cannot be chosen by its label",
            )
            .hint("name only the provider: the gateway chooses among its keys")),
        })
        .collect()
}

/// Names the variables that would be set and taken away, and what else the agent gets.
pub(super) fn show(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let program = matches.get_one::<OsString>("command");
    let agent = program.and_then(|program| agent_of(program));
    let base = match matches.get_one::<SocketAddr>("gateway") {
        Some(address) => format!("http://{address}"),
        // The port of a private one is known when it listens.
        None => "http://127.0.0.1:PORT".to_owned(),
    };
    let without = agent.map_or(&[][..], |agent| agent.without);
    let set: BTreeSet<&str> = sdks::addresses("")
        .into_iter()
        .map(|(name, _)| name)
        .chain(sdks::keys())
        .chain(agent.into_iter().flat_map(AgentProgram::variable_names))
        .filter(|name| !without.contains(name))
        .collect();
    let environment = session.app.settings().environment();
    let removed: Vec<String> = key_variables(&session.app)?
        .into_iter()
        .filter(|name| environment.is_set(name) && !set.contains(name.as_str()))
        .collect();
    let arguments = agent.map(|agent| agent.arguments(&base)).unwrap_or_default();
    let settings = agent.and_then(|agent| agent.settings_file(&session.app, &base));
    let label = session.app.settings().project().map(|project| project.label);
    if session.console.is_json() {
        Console::json(&json!({
            "set": set,
            "removed": removed,
            "agent": agent.map(|agent| agent.id),
            "arguments": arguments,
            "settings_file": settings.as_ref().map(|(_, path)| path),
            "key_label": label.as_ref().map(Label::as_str),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |name: &str, what: &str| vec![name.into(), what.into()];
    let rows = set
        .iter()
        .map(|name| row(name, "set"))
        .chain(removed.iter().map(|name| row(name, "removed")));
    let mut view = View::default().and(Block::table(["VARIABLE", "IS"], rows.collect()));
    if let (Some(agent), false) = (agent, arguments.is_empty()) {
        let words: Vec<String> = arguments.iter().map(|word| shell_word(word)).collect();
        view = view.and(Block::Step(
            "Starts",
            format!("{} {} …", agent.program, words.join(" ")),
        ));
    }
    if let Some((_, path)) = settings {
        view = view.and(Block::Step("Reads", path.display().to_string()));
    }
    if let Some(label) = label {
        view = view.and(Block::Step(
            "Keys",
            format!("labelled {label}, where a provider has such a key"),
        ));
    }
    session.console.view(&view)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(unix)]
mod signals {
    //! Signals to this process, for the command.

    use std::task::Poll;

    use rustix::process::{Pid, Signal, getpgrp, kill_process};
    use tokio::{
        process::Child,
        signal::unix::{Signal as Told, SignalKind, signal},
    };

    use crate::error::{Code, Error, Result};

    /// The signals that are passed on.
    pub(super) struct Passed(Vec<(Signal, Told)>);

    impl Passed {
        pub(super) fn new() -> Result<Self> {
            let kinds = [
                (Signal::TERM, SignalKind::terminate()),
                (Signal::INT, SignalKind::interrupt()),
                (Signal::QUIT, SignalKind::quit()),
                (Signal::HUP, SignalKind::hangup()),
                (Signal::USR1, SignalKind::user_defined1()),
                (Signal::USR2, SignalKind::user_defined2()),
            ];
            let told = kinds.into_iter().map(|(name, kind)| Ok((name, signal(kind)?)));
            told.collect::<std::io::Result<_>>()
                .map(Self)
                .map_err(|why| Error::new(Code::StorageFailed, "could not install signal handlers").caused_by(why))
        }

        pub(super) async fn next(&mut self) -> Signal {
            std::future::poll_fn(|context| {
                let mut told = self.0.iter_mut();
                let came = told.find_map(|(name, told)| told.poll_recv(context).is_ready().then_some(*name));
                came.map_or(Poll::Pending, Poll::Ready)
            })
            .await
        }
    }

    pub(super) fn pass_on(child: &Child, signal: Signal) {
        let is_typed = matches!(signal, Signal::INT | Signal::QUIT) && is_in_front();
        let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let (false, Some(id)) = (is_typed, id) {
            let _ = kill_process(id, signal);
        }
    }

    /// Whether the terminal tells this process what is typed, and so the command as well.
    fn is_in_front() -> bool {
        let terminal = std::fs::File::open("/dev/tty");
        terminal.is_ok_and(|terminal| rustix::termios::tcgetpgrp(terminal) == Ok(getpgrp()))
    }
}

#[cfg(not(unix))]
mod signals {
    //! Where there are no signals, the console tells the command itself.

    use crate::error::Result;

    pub(super) struct Passed;

    impl Passed {
        #[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
        pub(super) fn new() -> Result<Self> {
            Ok(Self)
        }

        #[expect(clippy::unused_self, reason = "there are some elsewhere")]
        pub(super) async fn next(&mut self) {
            let _ = tokio::signal::ctrl_c().await;
        }
    }

    pub(super) fn pass_on(_: &tokio::process::Child, (): ()) {}
}
