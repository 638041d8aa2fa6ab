//! The server: listens, accepts connections, and shuts down gracefully.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpSocket};

use super::{
    connection,
    state::{GatewayState, Options},
};
use crate::{
    app::App,
    error::{Code, Error, Result},
};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// A gateway that listens: who connects is answered as soon as it serves.
#[derive(Debug)]
pub struct Listening {
    state: Arc<GatewayState>,
    listener: TcpListener,
    address: SocketAddr,
}

/// Listens where `options` say.
pub async fn listen(app: Arc<App>, options: Options) -> Result<Listening> {
    check_address(&app, &options)?;
    let unavailable = |why: std::io::Error| {
        let message = format!("the gateway cannot listen at {}: {}", options.listen, why.kind());
        Error::new(Code::AddressUnavailable, message)
            .hint("another gateway may be running there; choose a free one with `--listen 127.0.0.1:PORT`")
    };
    let listener = bind(options.listen).map_err(unavailable)?;
    let address = listener.local_addr().map_err(unavailable)?;
    Ok(Listening {
        state: Arc::new(GatewayState::new(app, options)?),
        listener,
        address,
    })
}

impl Listening {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` ends, and then until every request under way is answered, the grace period is over, or
    /// `stop` ends again.
    ///
    /// Fails where what requests used is not recorded.
    pub async fn serve(self, mut stop: impl AsyncFnMut()) -> Result<()> {
        let Self { state, listener, .. } = self;
        let stopping = state.stopping.clone();
        tokio::select! {
            () = accept(&state, &listener) => {}
            () = stop() => {}
        }
        drop(listener);
        stopping.cancel();
        let grace = tokio::time::sleep(state.options.grace);
        let gives_up = async {
            tokio::select! {
                () = grace => {}
                () = stop() => {}
            }
        };
        state.tasks.end(gives_up).await;
        state.accounts.close()
    }
}

/// As [`TcpListener::bind`], which lets no more than 128 wait: of more at once some would try again only after a second.
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
            "listen on 127.0.0.1, or say `--allow-remote`: requests and client keys then cross the network unencrypted",
        );
    }
    if app.clients().list()?.is_empty() {
        return refuse("no client key exists yet", "make one first: `api-keys client add NAME`");
    }
    Ok(())
}

async fn accept(state: &Arc<GatewayState>, listener: &TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(permit) = state.capacity.connection().await else {
                    return;
                };
                let connection = connection::serve(Arc::clone(state), stream, peer, Arc::new(permit));
                state.tasks.spawn(connection);
            }
            // The system is out of files or memory: let others finish first.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
