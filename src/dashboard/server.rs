//! The loopback server: accepts connections while someone looks, and asks the gate about each request.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::{
    routes,
    state::{DashboardOptions, DashboardState},
};
use crate::{
    app::App,
    error::{Code, Error, Result},
};

/// How long a browser may take to send its headers.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// Browsers open six for an origin; with a few windows that is enough.
const MAX_CONNECTIONS: usize = 64;
/// How often it is checked whether someone still looks.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// A dashboard that listens.
#[derive(Debug)]
pub struct DashboardListener {
    state: Arc<DashboardState>,
    listener: TcpListener,
    address: SocketAddr,
    idle: Option<Duration>,
}

/// Listens on the loopback address, and nowhere else.
pub async fn listen(app: Arc<App>, options: DashboardOptions) -> Result<DashboardListener> {
    let (port, idle) = (options.port, options.idle);
    let unavailable = |why: std::io::Error| {
        let message = format!("the dashboard cannot listen at port {port}: {}", why.kind());
        Error::new(Code::AddressUnavailable, message).hint("leave out `--port` for a free one")
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(unavailable)?;
    let address = listener.local_addr().map_err(unavailable)?;
    let token = app.random()?;
    let state = DashboardState::new(app, address.port(), token, options);
    Ok(DashboardListener {
        state: Arc::new(state),
        listener,
        address,
        idle,
    })
}

impl DashboardListener {
    /// The address of its first page.
    pub fn address(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The same with a ticket that opens it once, within `lifetime`: a secret.
    pub fn link(&self, lifetime: Duration) -> Result<String> {
        let ticket = self.state.sessions.ticket(&self.state.app, lifetime)?;
        Ok(format!("{}#{ticket}", self.address()))
    }

    /// Serves until `stop` ends, or no page was open for as long as the options say.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self {
            state, listener, idle, ..
        } = self;
        let unused = async {
            loop {
                tokio::time::sleep(IDLE_CHECK_INTERVAL).await;
                if idle.is_some_and(|idle| state.unused() >= idle) {
                    return;
                }
            }
        };
        tokio::select! {
            () = accept(&state, &listener) => {}
            () = unused => {}
            () = stop => {}
        }
    }
}

async fn accept(state: &Arc<DashboardState>, listener: &TcpListener) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The system is short of something: let others do their work first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            continue;
        };
        let state = Arc::clone(state);
        tokio::spawn(async move {
            converse(stream, state).await;
            drop(permit);
        });
    }
}

async fn converse(stream: TcpStream, state: Arc<DashboardState>) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(routes::answer(&state, request).await) }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SEND_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
