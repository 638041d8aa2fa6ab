//! The loopback server behind the page: it listens only while somebody is being asked.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderMap, HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use subtle::ConstantTimeEq;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    form,
    page::{self, FIELD, FIELD_AGAIN, Request},
    ticket::{Progress, Shared, Ticket},
};
use crate::{
    domain::Secret,
    error::{Code, Error, Result},
    services::caller::Question,
};

/// How long a page can be answered.
pub const LIFETIME: Duration = Duration::from_mins(5);

/// The longest form: a key of 4,096 characters, each written as `%xx`, with room for names.
const BODY_LIMIT: usize = 16 * 1024;
/// The longest request line with all headers, in bytes.
const HEAD_LIMIT: usize = 16 * 1024;
const HEADERS_LIMIT: usize = 64;
/// How long a browser may take to send its headers, and then its form.
const SENDING_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection may last, whatever happens on it.
const CONNECTION_LIMIT: Duration = Duration::from_mins(1);
const CONNECTIONS: usize = 16;
/// How long a page waits for the caller to fetch what was typed.
const FETCH: Duration = Duration::from_secs(2);
/// How long a page waits for the caller to be done; a new key is checked at its provider meanwhile.
const WORK: Duration = Duration::from_secs(20);

/// The desk where secrets are handed in: no socket is open until [`Intake::open`] is called.
#[derive(Debug)]
pub struct Intake {
    desk: Arc<Desk>,
    lifetime: Duration,
}

#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tickets: Vec<Shared>,
    listening: Option<Listening>,
}

#[derive(Debug)]
struct Listening {
    authority: String,
    stop: CancellationToken,
}

impl Default for Intake {
    fn default() -> Self {
        Self::with_lifetime(LIFETIME)
    }
}

impl Intake {
    /// A desk whose pages can be answered for `lifetime`.
    pub fn with_lifetime(lifetime: Duration) -> Self {
        Self {
            desk: Arc::default(),
            lifetime,
        }
    }

    /// The page for `request`: the one that is open for the same question, or a new one.
    pub fn open(&self, request: Request) -> Result<Arc<Ticket>> {
        let mut state = self.desk.state();
        if let Some(ticket) = state
            .tickets
            .iter()
            .find(|ticket| *ticket.question() == request.question && ticket.is_live())
        {
            return Ok(ticket.clone());
        }
        let mut random = [0; _];
        getrandom::fill(&mut random).map_err(|why| trouble("random numbers").caused_by(why))?;
        let authority = if let Some(listening) = &state.listening {
            listening.authority.clone()
        } else {
            let (listener, authority) = listen().map_err(|why| trouble("a loopback port").caused_by(why))?;
            let stop = CancellationToken::new();
            tokio::spawn(accept(
                listener,
                Arc::downgrade(&self.desk),
                authority.clone(),
                stop.clone(),
            ));
            state.listening = Some(Listening {
                authority: authority.clone(),
                stop,
            });
            authority
        };
        let ticket = Arc::new(Ticket::new(request, &authority, random));
        state.tickets.push(ticket.clone());
        let (desk, expired, lifetime) = (Arc::downgrade(&self.desk), ticket.clone(), self.lifetime);
        tokio::spawn(async move {
            tokio::time::sleep(lifetime).await;
            if let Some(desk) = desk.upgrade() {
                desk.close(&expired);
            }
        });
        Ok(ticket)
    }

    /// The page that is open for `question`, or holds its answer.
    pub fn find(&self, question: &Question) -> Option<Arc<Ticket>> {
        self.desk
            .state()
            .tickets
            .iter()
            .find(|ticket| ticket.question() == question && ticket.is_live())
            .cloned()
    }

    /// Takes the page down, and wipes what was typed if nobody has fetched it.
    pub fn close(&self, ticket: &Arc<Ticket>) {
        self.desk.close(ticket);
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        let mut state = self.desk.state();
        state.tickets.drain(..).for_each(|ticket| ticket.close());
        if let Some(listening) = state.listening.take() {
            listening.stop.cancel();
        }
    }
}

impl Desk {
    fn close(&self, ticket: &Shared) {
        ticket.close();
        let mut state = self.state();
        state.tickets.retain(|other| !Arc::ptr_eq(other, ticket));
        state.rest();
    }

    /// Stops listening once nothing can be typed any more; a secret that waits to be fetched needs no socket.
    fn rest(&self) {
        self.state().rest();
    }

    /// The ticket that the path of a request names.
    fn ticket(&self, path: &str) -> Option<Shared> {
        let token = path.strip_prefix('/')?;
        let token = data_encoding::HEXLOWER.decode(token.as_bytes()).ok()?;
        self.state()
            .tickets
            .iter()
            .find(|ticket| bool::from(ticket.token.as_slice().ct_eq(&token)))
            .cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rest(&mut self) {
        self.tickets.retain(|ticket| ticket.is_live());
        if !self.tickets.iter().any(|ticket| ticket.is_open())
            && let Some(listening) = self.listening.take()
        {
            listening.stop.cancel();
        }
    }
}

/// A socket on a free port of the loopback address, and the name browsers know it by.
fn listen() -> std::io::Result<(TcpListener, String)> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let authority = listener.local_addr()?.to_string();
    Ok((TcpListener::from_std(listener)?, authority))
}

async fn accept(listener: TcpListener, desk: Weak<Desk>, authority: String, stop: CancellationToken) {
    let authority: Arc<str> = authority.into();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let connection = tokio::select! {
            connection = listener.accept() => connection,
            () = stop.cancelled() => return,
        };
        let (Ok((stream, _)), Ok(place)) = (connection, places.clone().try_acquire_owned()) else {
            // Too many at once, or the system is short of something: let others do their work first.
            tokio::task::yield_now().await;
            continue;
        };
        let (desk, authority) = (desk.clone(), authority.clone());
        tokio::spawn(async move {
            let _ = tokio::time::timeout(CONNECTION_LIMIT, converse(stream, desk, &authority)).await;
            drop(place);
        });
    }
}

/// One request and its answer.
async fn converse(stream: TcpStream, desk: Weak<Desk>, authority: &str) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let desk = desk.upgrade();
        async move {
            let (status, html) = match desk {
                Some(desk) => answer(&desk, authority, request).await,
                None => GONE.into_page(),
            };
            Ok::<_, Infallible>(respond(status, html))
        }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SENDING_LIMIT)
        .keep_alive(false)
        .max_headers(HEADERS_LIMIT)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// What refuses a request: a status, a heading and a sentence.
struct Refusal(StatusCode, &'static str, &'static str);

const GONE: Refusal = Refusal(
    StatusCode::NOT_FOUND,
    "This page is closed",
    "It was used already, or it is older than five minutes. Ask your assistant again for a new one.",
);
const FOREIGN: Refusal = Refusal(
    StatusCode::FORBIDDEN,
    "This request comes from elsewhere",
    "Open the page by the link that your assistant shows, and type the key there.",
);
const UNREADABLE: Refusal = Refusal(
    StatusCode::BAD_REQUEST,
    "That could not be read",
    "Go back, and type or paste the text again.",
);
const TOO_LARGE: Refusal = Refusal(
    StatusCode::PAYLOAD_TOO_LARGE,
    "That is too long",
    "No key is as long as that. Go back, and paste the key alone.",
);
const TOO_SLOW: Refusal = Refusal(
    StatusCode::REQUEST_TIMEOUT,
    "That took too long",
    "Go back, and send the form again.",
);
const WRONG_METHOD: Refusal = Refusal(
    StatusCode::METHOD_NOT_ALLOWED,
    "This page can only be read and answered",
    "Open it in a browser.",
);
const WRONG_FORM: Refusal = Refusal(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "That is not the form of this page",
    "Open the page in a browser, and type the key there.",
);

impl Refusal {
    fn into_page(self) -> (StatusCode, String) {
        (self.0, page::refusal(self.1, self.2))
    }
}

async fn answer(desk: &Desk, authority: &str, request: hyper::Request<Incoming>) -> (StatusCode, String) {
    match read(desk, authority, request).await {
        Ok(Read::Page(ticket)) => (StatusCode::OK, page::ask(&ticket, None)),
        Ok(Read::Typed(ticket, body)) => typed(desk, &ticket, &body).await,
        Err(refusal) => refusal.into_page(),
    }
}

/// What a request that was let in is about.
enum Read {
    Page(Shared),
    Typed(Shared, Zeroizing<Vec<u8>>),
}

/// Lets in what comes from our own page by way of a browser, and nothing else.
async fn read(desk: &Desk, authority: &str, request: hyper::Request<Incoming>) -> Result<Read, Refusal> {
    let headers = request.headers();
    // A name that resolves to this machine is not this machine's name (DNS rebinding).
    if the_only(headers, &header::HOST) != Some(authority) {
        return Err(FOREIGN);
    }
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return Err(WRONG_METHOD);
    }
    // No part of a secret may ever stand in an address.
    if request.uri().query().is_some() {
        return Err(UNREADABLE);
    }
    let ticket = desk
        .ticket(request.uri().path())
        .filter(|ticket| ticket.is_open())
        .ok_or(GONE)?;
    if request.method() == Method::GET {
        return if is_visit(headers) {
            Ok(Read::Page(ticket))
        } else {
            Err(FOREIGN)
        };
    }
    if !is_own_form(headers, authority) {
        return Err(FOREIGN);
    }
    if the_only(headers, &header::CONTENT_TYPE) != Some("application/x-www-form-urlencoded") {
        return Err(WRONG_FORM);
    }
    let body = Limited::new(request.into_body(), BODY_LIMIT);
    match tokio::time::timeout(SENDING_LIMIT, collect(body)).await {
        Ok(body) => Ok(Read::Typed(ticket, body?)),
        Err(_) => Err(TOO_SLOW),
    }
}

/// The body in one buffer that is wiped.
async fn collect(mut body: Limited<Incoming>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_LIMIT));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|why| {
            if why.is::<http_body_util::LengthLimitError>() {
                TOO_LARGE
            } else {
                UNREADABLE
            }
        })?;
        if let Some(chunk) = frame.data_ref() {
            bytes.extend_from_slice(chunk);
        }
    }
    Ok(bytes)
}

/// Judges what was typed, hands it over, and waits to tell what became of it.
async fn typed(desk: &Desk, ticket: &Shared, body: &[u8]) -> (StatusCode, String) {
    let secret = match secret(ticket, body) {
        Ok(secret) => secret,
        Err(Some(problem)) => return (StatusCode::UNPROCESSABLE_ENTITY, page::ask(ticket, Some(&problem))),
        Err(None) => return UNREADABLE.into_page(),
    };
    if !ticket.accept(secret) {
        return GONE.into_page();
    }
    desk.rest();
    let html = match ticket.progress(FETCH, WORK).await {
        Progress::Finished(outcome) => page::outcome(ticket, &outcome),
        Progress::Working => page::received(true),
        Progress::Waiting => page::received(false),
        Progress::Closed => return GONE.into_page(),
    };
    (StatusCode::OK, html)
}

/// The secret in the form, or what is wrong with it: nothing if it is not a form of ours.
fn secret(ticket: &Ticket, body: &[u8]) -> Result<Secret, Option<Error>> {
    let secret = form::field(body, FIELD).ok_or(None)?;
    let secret = match ticket.question() {
        Question::NewKey { .. } => secret.trimmed(),
        Question::Passphrase => secret,
        Question::NewPassphrase => {
            let again = form::field(body, FIELD_AGAIN).ok_or(None)?;
            // EXPOSE: two things typed by the same person are compared and dropped
            if secret.expose() != again.expose() {
                return Err(Some(
                    Error::new(Code::InvalidArgument, "the two passphrases are not the same").hint("type both again"),
                ));
            }
            secret
        }
    };
    (ticket.request.judge)(&secret).map_err(Some)?;
    Ok(secret)
}

/// Whether a person opened the page: by its link, or by typing the address.
fn is_visit(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::ORIGIN) {
        return false;
    }
    match the_only(headers, &SITE) {
        None => !headers.contains_key(&SITE),
        Some("none" | "same-origin") => true,
        // A link on a page of the client's; not a picture, a frame or a script.
        Some(_) => the_only(headers, &MODE) == Some("navigate") && the_only(headers, &DEST) == Some("document"),
    }
}

/// Whether our own page sent the form.
///
/// Its `no-referrer` policy makes browsers write `null` for the origin; then they must vouch for it otherwise.
fn is_own_form(headers: &HeaderMap, authority: &str) -> bool {
    let same_origin = the_only(headers, &SITE) == Some("same-origin");
    match the_only(headers, &header::ORIGIN) {
        Some("null") => same_origin,
        Some(origin) => {
            origin.strip_prefix("http://") == Some(authority) && (same_origin || !headers.contains_key(&SITE))
        }
        None => false,
    }
}

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The header's value, if it is there exactly once.
fn the_only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn respond(status: StatusCode, html: String) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(Bytes::from(html)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&page::policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

fn trouble(what: &str) -> Error {
    Error::new(
        Code::Internal,
        format!("the page for typing a secret could not get {what}"),
    )
    .hint("use the command line instead: `api-keys add`, `api-keys rotate`")
}
