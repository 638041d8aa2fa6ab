//! The server: who is let in, and how it ends.

use std::{
    convert::Infallible,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Response,
    body::{Body, Frame, Incoming, SizeHint},
    header::{self, HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    accounts::Accounts,
    cache::Cache,
    exchange::{self, Request},
    headers,
    limits::ClientLimits,
    metrics::Metrics,
    models,
    quota::Quotas,
    refusal::{Refusal, Voice},
    relay::Out,
    room::{Busy, Room, Seat},
    route::Route,
    tasks::Tasks,
    troubles::Troubles,
    waiting,
};
use crate::{
    app::App,
    domain::Secret,
    error::{Code, Error, Result},
    process,
    services::{clients, lending::KeyRing},
    storage::clients::Client,
};

/// The longest request line with all headers, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;
const HEADERS_LIMIT: usize = 100;
/// The longest body, in bytes: what the providers themselves take at most.
const BODY_LIMIT: usize = 32 << 20;
/// How long a connection may be idle between two requests, and a head may take.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// How long the pieces of a body may be apart.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// How many connections may wait to be accepted.
const WAITING: u32 = 4_096;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-api-keys-request-id");

/// How the gateway is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
    /// Whether it may listen where other machines can reach it.
    pub allow_remote: bool,
    /// How long a provider may take until its answer begins.
    pub patience: Duration,
    /// How long an answer may stand still.
    pub idle: Duration,
}

/// Everything that requests share.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) app: Arc<App>,
    pub(super) options: Options,
    pub(super) accounts: Accounts,
    pub(super) metrics: Arc<Metrics>,
    pub(super) keys: KeyRing,
    pub(super) troubles: Arc<Troubles>,
    pub(super) quotas: Quotas,
    pub(super) client_limits: ClientLimits,
    pub(super) cache: Cache,
    pub(super) tasks: Tasks,
    pub(super) stopping: CancellationToken,
    pub(super) room: Room,
}

/// A gateway that listens: who connects is answered as soon as it serves.
#[derive(Debug)]
pub struct Listening {
    gateway: Arc<Gateway>,
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
    let troubles = Arc::default();
    let accounts = Accounts::open(&app, &troubles)
        .map_err(|why| Error::new(Code::StorageFailed, "the system refused to start a thread").caused_by(why))?;
    let room = Room::of(process::allow_many_files());
    let gateway = Arc::new(Gateway {
        app,
        options,
        accounts,
        metrics: Arc::default(),
        keys: KeyRing::default(),
        troubles,
        quotas: Quotas::default(),
        client_limits: ClientLimits::default(),
        cache: Cache::default(),
        tasks: Tasks::default(),
        room,
        stopping: CancellationToken::new(),
    });
    Ok(Listening {
        gateway,
        listener,
        address,
    })
}

impl Listening {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` ends, and then until every request under way is answered, or `stop` ends again.
    pub async fn serve(self, mut stop: impl AsyncFnMut()) {
        let Self { gateway, listener, .. } = self;
        let stopping = gateway.stopping.clone();
        tokio::select! {
            () = accept(&gateway, &listener, &stopping) => {}
            () = stop() => {}
        }
        drop(listener);
        stopping.cancel();
        gateway.tasks.end(stop()).await;
        gateway.accounts.close();
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
    socket.listen(WAITING)
}

/// Refuses to be reachable from other machines by accident, and where nobody has a key.
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
        return refuse(
            "nobody has a client key yet",
            "make one first: `api-keys client add NAME`",
        );
    }
    Ok(())
}

async fn accept(gateway: &Arc<Gateway>, listener: &TcpListener, stopping: &CancellationToken) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(seat) = gateway.room.seat().await else {
                    return;
                };
                let (gateway, stopping) = (Arc::clone(gateway), stopping.clone());
                let tasks = gateway.tasks.clone();
                tasks.spawn(converse(gateway, stream, peer, stopping, Arc::new(seat)));
            }
            // The system is short of something: let others finish first.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Waits for a connection to say something, and then for all its requests.
async fn converse(
    gateway: Arc<Gateway>,
    stream: TcpStream,
    peer: SocketAddr,
    stopping: CancellationToken,
    seat: Arc<Seat>,
) {
    let mut first = [0];
    tokio::select! {
        spoke = tokio::time::timeout(HEAD_PATIENCE, stream.peek(&mut first)) => if !matches!(spoke, Ok(Ok(1..))) {
            return;
        },
        () = stopping.cancelled() => return,
        () = seat.dismissed() => return,
    }
    // Apart, since it takes kilobytes that a connection without a request does not need.
    Box::pin(speak(gateway, stream, peer, stopping, seat)).await;
}

/// All requests of one connection, until it is closed, or until the present one is answered when the gateway ends.
async fn speak(
    gateway: Arc<Gateway>,
    stream: TcpStream,
    peer: SocketAddr,
    stopping: CancellationToken,
    seat: Arc<Seat>,
) {
    // Small pieces of a stream must not wait for the client's acknowledgement of the piece before.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let (gateway, mut busy) = (Arc::clone(&gateway), seat.begin());
        async move {
            let answer = answer(&gateway, request, peer, &mut busy).await;
            Ok::<_, Infallible>(answer.map(|out| Sending { out, _busy: busy }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_headers(HEADERS_LIMIT)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.cancelled() => {}
        () = seat.dismissed() => if !seat.is_busy() {
            return;
        },
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = gateway.tasks.given_up() => {}
    }
}

/// An answer on its way, with the places that it takes until then.
struct Sending {
    out: Out,
    _busy: Busy,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Pin::new(&mut self.out).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.out.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.out.size_hint()
    }
}

async fn answer(
    gateway: &Arc<Gateway>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    busy: &mut Busy,
) -> Response<Out> {
    let id = match gateway.app.random::<16>() {
        Ok(random) => format!("req_{}", data_encoding::HEXLOWER.encode(&random)),
        Err(why) => return Refusal::from(why).into_response(Voice::OpenAi, ""),
    };
    let voice = Route::voice(request.uri().path());
    let answered = let_in(gateway, request, peer, &id, busy).await;
    let mut response = answered.unwrap_or_else(|refusal| {
        let status = refusal.status();
        tracing::info!(
            code = refusal.error.code().as_str(),
            status = status.as_u16(),
            "a request was refused"
        );
        gateway.metrics.count_refused(status.as_u16());
        refusal.into_response(voice, &id)
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Checks where a request comes from and who sends it, and does what it asks.
async fn let_in(
    gateway: &Arc<Gateway>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    id: &str,
    busy: &mut Busy,
) -> Result<Response<Out>, Refusal> {
    if !gateway.options.allow_remote && !is_own_host(request.headers()) {
        return Err(Error::new(
            Code::ForeignRequest,
            "the request is for another host than this machine",
        )
        .hint("use http://127.0.0.1 or http://localhost, with the gateway's port")
        .into());
    }
    let route = Route::of(request.method(), request.uri())?;
    match &route {
        Route::Health => return Ok(text("ok\n".to_owned(), "text/plain; charset=utf-8")),
        Route::Metrics if peer.ip().is_loopback() => return Ok(metrics(gateway)),
        Route::Metrics | Route::Models(_) | Route::Call(_) => {}
    }
    let client = authenticate(&gateway.app, request.headers())?;
    let call = match route {
        Route::Health | Route::Metrics => return Ok(metrics(gateway)),
        Route::Models(only) => {
            let for_anthropic = request.headers().contains_key("anthropic-version");
            return Ok(models::answer(&gateway.app, &client, only.as_deref(), for_anthropic)?);
        }
        Route::Call(call) => call,
    };
    gateway.client_limits.admit(&client)?;
    let mut place = gateway.room.for_request(busy).await;
    let (head, body) = request.into_parts();
    let config = gateway.app.settings().required().map_err(Error::from)?;
    let mut request = Request {
        id: id.to_owned(),
        client,
        call,
        method: head.method,
        body: read(&head.headers, body).await?,
        arrived: Instant::now(),
        headers: head.headers,
        catalog: gateway.app.catalog()?,
        config,
        attempts: 0,
    };
    loop {
        // A client that hangs up leaves an answer that is paid for, and has to be recorded.
        let shared = Arc::clone(gateway);
        let exchange = AssertUnwindSafe(async move {
            let answer = exchange::exchange(&shared, &mut request).await;
            drop(place);
            (answer, request)
        });
        let (answer, asked) = Outliving::new(gateway.tasks.clone(), exchange.catch_unwind())
            .await
            .map_err(|_| Error::new(Code::Internal, "a mistake in this program stopped the request"))?;
        let wait = answer.as_ref().err().and_then(|refusal| refusal.retry_after);
        let Some(wait) = wait.filter(|wait| waiting::is_wanted(&asked, *wait)) else {
            return answer;
        };
        // Others may be under way meanwhile.
        busy.pause();
        if !waiting::wait(gateway, wait).await {
            return answer;
        }
        request = asked;
        place = gateway.room.for_request(busy).await;
    }
}

/// Work that goes on in a task of its own when nobody waits for it any more.
struct Outliving<T: Send + 'static> {
    /// Until it has ended.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    tasks: Tasks,
}

impl<T: Send> Outliving<T> {
    fn new(tasks: Tasks, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(work)),
            tasks,
        }
    }
}

impl<T: Send> Future for Outliving<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else {
            return Poll::Pending;
        };
        let done = std::task::ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(done)
    }
}

impl<T: Send> Drop for Outliving<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            let tasks = self.tasks.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    // Dropping the answer reads it to its end.
                    answer = work => drop(answer),
                    () = tasks.given_up() => {}
                }
            });
        }
    }
}

fn authenticate(app: &App, headers: &HeaderMap) -> Result<Client> {
    let shown = headers::client_key(headers).ok_or_else(|| {
        Error::new(Code::ClientKeyInvalid, "the request has no client key")
            .hint("make one with `api-keys client add NAME`, and send it as `Authorization: Bearer` or `x-api-key`")
    })?;
    clients::authenticate(app, &Secret::new(shown))
}

/// Whether the request names this machine by an address or name that no other can have (DNS rebinding).
fn is_own_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || name == "[::1]"
        || name
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The body, if it is not too long and does not take too long.
async fn read(headers: &HeaderMap, mut body: Incoming) -> Result<Bytes> {
    let too_large = || {
        let limit = BODY_LIMIT >> 20;
        Error::new(Code::RequestTooLarge, format!("the body is longer than {limit} MiB"))
            .hint("send less at a time, or upload files to the provider itself")
    };
    let told = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if told.is_some_and(|told: usize| told > BODY_LIMIT) {
        return Err(too_large());
    }
    let mut read = BytesMut::with_capacity(told.unwrap_or(0).min(1 << 20));
    loop {
        let next = tokio::time::timeout(BODY_PATIENCE, body.frame()).await;
        let cut = || Error::new(Code::InvalidArgument, "the body did not arrive").hint("send the request again");
        let Some(frame) = next.map_err(|_| cut())? else {
            return Ok(read.freeze());
        };
        if let Ok(piece) = frame.map_err(|_| cut())?.into_data() {
            if read.len() + piece.len() > BODY_LIMIT {
                return Err(too_large());
            }
            read.extend_from_slice(&piece);
        }
    }
}

fn metrics(gateway: &Gateway) -> Response<Out> {
    text(
        gateway.metrics.text(gateway.room.taken()),
        "text/plain; version=0.0.4; charset=utf-8",
    )
}

fn text(text: String, kind: &'static str) -> Response<Out> {
    let mut response = Response::new(Out::whole(text.into()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
