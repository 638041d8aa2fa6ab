//! The loopback server behind the page: it listens only while somebody is being asked.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderName, HeaderValue},
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

use super::{
    form,
    gate::{self, GONE, PageRequest, UNREADABLE},
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

/// The longest request line with all headers, in bytes.
const HEAD_LIMIT: usize = 16 * 1024;
const HEADERS_LIMIT: usize = 64;
/// How long a browser may take to send its headers, and then its form.
pub(super) const SENDING_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection may last, whatever happens on it.
const CONNECTION_LIMIT: Duration = Duration::from_mins(1);
const CONNECTIONS: usize = 16;
/// How long a page waits for the caller to fetch what was typed.
const FETCH: Duration = Duration::from_secs(1);
/// How long a page waits for the caller to be done; a new key is checked at its provider meanwhile.
const WORK: Duration = Duration::from_secs(20);

/// The desk where secrets are handed in: no socket is open until [`Intake::open`] is called.
#[derive(Debug)]
pub struct Intake {
    desk: Arc<TicketStore>,
    lifetime: Duration,
}

#[derive(Debug, Default)]
pub(super) struct TicketStore {
    state: Mutex<TicketState>,
}

#[derive(Debug, Default)]
struct TicketState {
    tickets: Vec<Shared>,
    listening: Option<PageListener>,
}

#[derive(Debug)]
struct PageListener {
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
            state.listening = Some(PageListener {
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

impl TicketStore {
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
    pub(super) fn ticket(&self, path: &str) -> Option<Shared> {
        let token = path.strip_prefix('/')?;
        let token = data_encoding::HEXLOWER.decode(token.as_bytes()).ok()?;
        self.state()
            .tickets
            .iter()
            .find(|ticket| bool::from(ticket.token.as_slice().ct_eq(&token)))
            .cloned()
    }

    fn state(&self) -> MutexGuard<'_, TicketState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TicketState {
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

async fn accept(listener: TcpListener, desk: Weak<TicketStore>, authority: String, stop: CancellationToken) {
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
async fn converse(stream: TcpStream, desk: Weak<TicketStore>, authority: &str) {
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

async fn answer(desk: &TicketStore, authority: &str, request: hyper::Request<Incoming>) -> (StatusCode, String) {
    match gate::read(desk, authority, request).await {
        Ok(PageRequest::Page(ticket)) => (StatusCode::OK, page::ask(&ticket, None)),
        Ok(PageRequest::Typed(ticket, body)) => typed(desk, &ticket, &body).await,
        Err(refusal) => refusal.into_page(),
    }
}

/// Judges what was typed, hands it over, and waits to tell what became of it.
async fn typed(desk: &TicketStore, ticket: &Shared, body: &[u8]) -> (StatusCode, String) {
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
    .hint("use the command line instead: `api-keys add PROVIDER`, `api-keys rotate PROVIDER`")
}
