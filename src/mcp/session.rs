//! The server's session: it starts, converses and ends.

use std::{sync::Arc, time::Duration};

use rmcp::{ServiceExt, service::ServerInitializeError};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    lines::{Ends, Lines},
    server::Server,
    stdio::{output_is_closed, streams},
};
use crate::{
    app::App,
    error::{Code, Error, Result},
};

/// The log filter that keeps the MCP library silent, whatever the environment asks for.
///
/// The library logs whole requests and results, and a request may hold a key.
pub const LOG_DIRECTIVE: &str = "rmcp=off";

/// How long calls that the client can still hear of may go on once it has hung up.
const EXIT_DEADLINE: Duration = Duration::from_secs(2);
/// How long it may take to write what is answered at the very end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(35);

/// Speaks MCP over standard input and output until the client hangs up or a signal asks to stop.
///
/// Wants a current-thread runtime that is not waited for afterwards (`Runtime::shutdown_background`):
/// where standard input is neither a pipe nor a socket, a thread may be stuck reading it.
pub async fn serve(app: Arc<App>) -> Result<()> {
    // Signals first: a client that starts and stops us at once must find a clean exit.
    let signal = signals()?;
    let ends = Ends::default();
    let (reader, writer) = streams();
    let lines = Lines::new(reader, writer, ends.clone());
    let conversation = converse(Server::new(app, &ends), lines, ends.clone(), signal);
    tokio::select! {
        outcome = conversation => outcome,
        () = output_is_closed() => Ok(()),
    }
}

/// Answers what comes over `lines` until one of `ends` comes or `signal` ends.
async fn converse<R, W>(server: Server, lines: Lines<R, W>, ends: Ends, signal: impl Future<Output = ()>) -> Result<()>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let session = async {
        match server.serve_with_ct(lines, CancellationToken::new()).await {
            Ok(running) => running.waiting().await.map(drop).map_err(|why| {
                Error::new(Code::Internal, "the protocol loop ended unexpectedly")
                    .hint("start the server again, and report it if it happens twice")
                    .caused_by(why)
            }),
            // A client that only probes and hangs up has done nothing wrong.
            Err(
                ServerInitializeError::ConnectionClosed(_)
                | ServerInitializeError::TransportError { .. }
                | ServerInitializeError::Cancelled,
            ) => Ok(()),
            Err(why) => Err(
                Error::new(Code::InvalidArgument, "the client did not start with `initialize`")
                    .hint("this command is for MCP clients; people use `api-keys --help`")
                    .caused_by(why),
            ),
        }
    };
    tokio::pin!(session, signal);
    tokio::select! {
        outcome = &mut session => return outcome,
        () = &mut signal => {
            ends.gone.cancel();
            return timeout(SHUTDOWN_TIMEOUT, session).await.unwrap_or(Ok(()));
        }
        () = ends.unread.cancelled() => return timeout(SHUTDOWN_TIMEOUT, session).await.unwrap_or(Ok(())),
        () = ends.gone.cancelled() => {}
    }
    // Requests from before the end are answered. Those that wait for a person have given up by now.
    tokio::select! {
        outcome = timeout(EXIT_DEADLINE, &mut session) => if let Ok(outcome) = outcome { return outcome },
        () = &mut signal => return Ok(()),
        () = ends.unread.cancelled() => return Ok(()),
    }
    // The rest gets the error that it was too late.
    ends.over.cancel();
    timeout(SHUTDOWN_TIMEOUT, session).await.unwrap_or(Ok(()))
}

/// Ends when the system or the client asks us to stop; listening begins at once.
#[cfg(unix)]
fn signals() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let listen = |kind| {
        signal(kind).map_err(|why| {
            Error::new(Code::Internal, "signals cannot be received")
                .hint("report it with the name and version of the system")
                .caused_by(why)
        })
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends when the system or the client asks us to stop; listening begins at once.
#[cfg(not(unix))]
fn signals() -> Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
