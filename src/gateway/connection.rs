//! One connection of a downstream client, and its limits.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    body::{Body, Frame, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::{
    capacity::{ConnectionPermit, RequestPermit},
    handler,
    http::body::ResponseBody,
    state::GatewayState,
};

/// The longest request line with all headers, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;
/// How long a connection may be idle between two requests, and a head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Waits for the connection's first byte, and then for all its requests.
pub(super) async fn serve(
    state: Arc<GatewayState>,
    stream: TcpStream,
    peer: SocketAddr,
    permit: Arc<ConnectionPermit>,
) {
    let mut first = [0];
    tokio::select! {
        spoke = tokio::time::timeout(HEAD_TIMEOUT, stream.peek(&mut first)) => if !matches!(spoke, Ok(Ok(1..))) {
            return;
        },
        () = state.stopping.cancelled() => return,
        () = permit.asked_to_close() => return,
    }
    // Boxed, since it takes kilobytes that a connection without a request does not need.
    Box::pin(serve_requests(state, stream, peer, permit)).await;
}

/// All requests of one connection, until it is closed, or until the present one is answered when the gateway stops.
async fn serve_requests(state: Arc<GatewayState>, stream: TcpStream, peer: SocketAddr, permit: Arc<ConnectionPermit>) {
    // Small chunks of a stream must not wait for the client's acknowledgement of the chunk before.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let (state, mut permit) = (Arc::clone(&state), permit.begin());
        async move {
            let response = handler::handle(&state, request, peer, &mut permit).await;
            Ok::<_, Infallible>(response.map(|body| PermittedBody { body, _permit: permit }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = state.stopping.cancelled() => {}
        () = permit.asked_to_close() => if !permit.is_busy() {
            return;
        },
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = state.tasks.given_up() => {}
    }
}

/// A response body with the permits that its request holds until it is sent.
struct PermittedBody {
    body: ResponseBody,
    _permit: RequestPermit,
}

impl Body for PermittedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
