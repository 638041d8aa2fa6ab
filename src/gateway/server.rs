//! The server: listens, accepts connections, and shuts down gracefully.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket},
    runtime,
    sync::oneshot,
};
use tokio_util::sync::CancellationToken;

use super::{
    connection,
    state::{GatewayState, Options},
};
use crate::{
    app::App,
    error::{Code, Error, Result},
    services::alerts,
};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// A gateway that listens: who connects is answered as soon as it serves.
#[derive(Debug)]
pub struct GatewayListener {
    state: GatewayState,
    listener: std::net::TcpListener,
    address: SocketAddr,
}

/// Listens where `options` say.
pub async fn listen(app: Arc<App>, options: Options) -> Result<GatewayListener> {
    check_address(&app, &options)?;
    let unavailable = |why: std::io::Error| {
        let message = format!("the gateway cannot listen at {}: {}", options.listen, why.kind());
        Error::new(Code::AddressUnavailable, message)
            .hint("another gateway may be running there; choose a free one with `--listen 127.0.0.1:PORT`")
    };
    let listener = bind(options.listen).map_err(unavailable)?;
    let address = listener.local_addr().map_err(unavailable)?;
    Ok(GatewayListener {
        state: GatewayState::new(app, options)?,
        listener: listener.into_std().map_err(could_not_start)?,
        address,
    })
}

impl GatewayListener {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counts the requests that are under way and those that wait for a key, for as long as it is asked.
    pub fn in_use(&self) -> impl Fn() -> (usize, usize) + Send + Sync + 'static {
        let capacity = Arc::clone(&self.state.capacity);
        move || capacity.in_use()
    }

    /// Serves until `stop` ends, and then until every request under way is answered, the grace period is over, or
    /// `stop` ends again.
    ///
    /// Fails where what requests used is not recorded.
    pub async fn serve(self, mut stop: impl AsyncFnMut()) -> Result<()> {
        let Self { state, listener, .. } = self;
        alerts::start(&state.app);
        let finished = CancellationToken::new();
        // Where one worker cannot start, the others end.
        let guards = (finished.clone().drop_guard(), state.stopping.clone().drop_guard());
        let count = thread::available_parallelism().map_or(1, usize::from);
        let mut workers = Vec::with_capacity(count);
        for _ in 0..count {
            let listener = listener.try_clone().map_err(could_not_start)?;
            let worker = Worker::start(state.for_worker(), listener, finished.clone());
            workers.push(worker.map_err(could_not_start)?);
        }
        drop(listener);
        let started = start_all(&mut workers).await;
        if started.is_ok() {
            stop().await;
        }
        state.stopping.cancel();
        let grace = tokio::time::sleep(state.options.grace);
        let gives_up = async {
            tokio::select! {
                () = grace => {}
                () = stop() => {}
            }
        };
        state.tasks.end(gives_up).await;
        drop(guards);
        for worker in workers {
            let _ = worker.thread.join();
        }
        state.accounts.close().and(started)
    }
}

/// A thread that serves connections by itself: what belongs to one request is never handed to another thread.
#[derive(Debug)]
struct Worker {
    thread: JoinHandle<()>,
    /// Fails where the thread could not begin to serve.
    started: oneshot::Receiver<()>,
}

impl Worker {
    /// Serves those of the listener's connections that it gets, until `finished` is canceled.
    fn start(
        state: GatewayState,
        listener: std::net::TcpListener,
        finished: CancellationToken,
    ) -> std::io::Result<Self> {
        let (starts, started) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let serve = async move {
            let Ok(listener) = TcpListener::from_std(listener) else {
                return;
            };
            let _ = starts.send(());
            let state = Arc::new(state);
            tokio::select! {
                () = accept(&state, &listener) => {}
                () = state.stopping.cancelled() => {}
            }
            drop(listener);
            finished.cancelled().await;
        };
        let thread = thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || runtime.block_on(serve))?;
        Ok(Self { thread, started })
    }
}

/// Waits until all of them serve.
async fn start_all(workers: &mut [Worker]) -> Result<()> {
    for worker in workers {
        let started = (&mut worker.started).await;
        started.map_err(|_| could_not_start(std::io::ErrorKind::Other.into()))?;
    }
    Ok(())
}

fn could_not_start(why: std::io::Error) -> Error {
    Error::new(Code::StorageFailed, "could not start the gateway's threads").caused_by(why)
}

/// As [`TcpListener::bind`], which queues at most 128: with more at once, some would retry only after a second.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Elsewhere it means that two may listen there.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Refuses to be reachable from other machines by accident, and where no client has a key.
fn check_address(app: &App, options: &Options) -> Result<()> {
    if options.listen.ip().is_loopback() {
        return Ok(());
    }
    let refuse = |message: &str, hint: &str| Err(Error::new(Code::InvalidArgument, message).hint(hint));
    if !options.allow_remote {
        return refuse(
            "other machines could reach the gateway at that address",
            "listen on 127.0.0.1, or use `--allow-remote`: requests and client keys then cross the network unencrypted",
        );
    }
    if app.clients().list()?.is_empty() {
        return refuse(
            "no client key exists yet",
            "create one first: `api-keys client add NAME`",
        );
    }
    Ok(())
}

async fn accept(state: &Arc<GatewayState>, listener: &TcpListener) {
    loop {
        if let Ok((stream, peer)) = listener.accept().await {
            let Some(permit) = state.capacity.connection().await else {
                return;
            };
            let connection = connection::serve(Arc::clone(state), stream, peer, Arc::new(permit));
            state.tasks.spawn(connection);
        } else {
            // The system is out of files or memory: let others finish first.
            state.capacity.close_longest_idle();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
