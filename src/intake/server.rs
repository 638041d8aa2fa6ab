//! The loopback server behind the page: it listens only while a page is open.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    form,
    gate::{self, GONE, PageRequest, SEND_TIMEOUT, UNREADABLE},
    page::{self, CANCEL, FIELD, FIELD_AGAIN},
    ticket::{Request, Shared, Ticket, TicketProgress},
    ticket_store::{PageListener, TicketStore},
};
use crate::{
    domain::Secret,
    error::{Code, Error, Result},
    loopback,
    services::caller::Question,
};

/// How long a page can be answered.
pub const LIFETIME: Duration = Duration::from_mins(5);

/// The longest request line with all headers, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// How long a connection may last, whatever happens on it.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(1);
const MAX_CONNECTIONS: usize = 16;
/// How long a page waits for the caller to fetch what was typed.
const FETCH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a page waits for the caller to be done; a new key is checked at its provider meanwhile.
const WORK_TIMEOUT: Duration = Duration::from_secs(20);

/// Asks people for secrets on pages of their own: no socket is open until [`Intake::open`] is called.
#[derive(Debug)]
pub struct Intake {
    tickets: Arc<TicketStore>,
    lifetime: Duration,
}

impl Default for Intake {
    fn default() -> Self {
        Self::with_lifetime(LIFETIME)
    }
}

impl Intake {
    /// An intake whose pages can be answered for `lifetime`.
    pub fn with_lifetime(lifetime: Duration) -> Self {
        Self {
            tickets: Arc::default(),
            lifetime,
        }
    }

    /// The page for `request`: the one that is open for the same question, or a new one.
    pub fn open(&self, request: Request) -> Result<Arc<Ticket>> {
        let mut state = self.tickets.state();
        if let Some(ticket) = state.find(&request.question) {
            return Ok(ticket);
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
                Arc::downgrade(&self.tickets),
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
        let (tickets, expired, lifetime) = (Arc::downgrade(&self.tickets), ticket.clone(), self.lifetime);
        tokio::spawn(async move {
            tokio::time::sleep(lifetime).await;
            if let Some(tickets) = tickets.upgrade() {
                tickets.close(&expired);
            }
        });
        Ok(ticket)
    }

    /// The page that is open for `question`, or holds its answer.
    pub fn find(&self, question: &Question) -> Option<Arc<Ticket>> {
        self.tickets.state().find(question)
    }

    /// Takes the page down, and wipes what was typed if it was not fetched.
    pub fn close(&self, ticket: &Arc<Ticket>) {
        self.tickets.close(ticket);
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.tickets.close_all();
    }
}

/// A socket on a free port of the loopback address, and the name browsers know it by.
fn listen() -> std::io::Result<(TcpListener, String)> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let authority = listener.local_addr()?.to_string();
    Ok((TcpListener::from_std(listener)?, authority))
}

async fn accept(listener: TcpListener, tickets: Weak<TicketStore>, authority: String, stop: CancellationToken) {
    let authority: Arc<str> = authority.into();
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            // The system is short of something: let others do their work first.
            tokio::task::yield_now().await;
            continue;
        };
        connections.retain(|connection| !connection.task.is_finished());
        if connections.len() >= MAX_CONNECTIONS {
            // Browsers, and attackers, open connections and send nothing: the oldest of those is closed.
            let is_silent = |connection: &Connection| !connection.has_asked.load(Ordering::Relaxed);
            match connections.iter().position(is_silent) {
                Some(silent) => connections.remove(silent).task.abort(),
                None => continue,
            }
        }
        let (tickets, authority, has_asked) = (tickets.clone(), authority.clone(), Arc::<AtomicBool>::default());
        let asks = Arc::clone(&has_asked);
        let task = tokio::spawn(async move {
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, converse(stream, tickets, &authority, &asks)).await;
        });
        connections.push(Connection { task, has_asked });
    }
}

/// A connection that was accepted.
#[derive(Debug)]
struct Connection {
    task: JoinHandle<()>,
    /// Whether the head of its request is here.
    has_asked: Arc<AtomicBool>,
}

/// One request and its answer.
async fn converse(stream: TcpStream, tickets: Weak<TicketStore>, authority: &str, has_asked: &AtomicBool) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        has_asked.store(true, Ordering::Relaxed);
        let tickets = tickets.upgrade();
        async move {
            let (status, html) = match tickets {
                Some(tickets) => answer(&tickets, authority, request).await,
                None => GONE.into_page(),
            };
            Ok::<_, Infallible>(respond(status, html))
        }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SEND_TIMEOUT)
        .keep_alive(false)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(tickets: &TicketStore, authority: &str, request: hyper::Request<Incoming>) -> (StatusCode, String) {
    match gate::read(tickets, authority, request).await {
        Ok(PageRequest::Page(ticket)) => (StatusCode::OK, page::ask(&ticket, None)),
        Ok(PageRequest::Typed(ticket, body)) => typed(tickets, &ticket, &body).await,
        Err(refusal) => refusal.into_page(),
    }
}

/// Checks what was typed, hands it over, and waits for the outcome.
async fn typed(tickets: &TicketStore, ticket: &Shared, body: &[u8]) -> (StatusCode, String) {
    if form::field(body, CANCEL).is_some() {
        if !ticket.decline() {
            return GONE.into_page();
        }
        tickets.stop_unless_open();
        return (StatusCode::OK, page::cancelled());
    }
    let secret = match secret(ticket, body) {
        Ok(secret) => secret,
        Err(Some(problem)) => return (StatusCode::UNPROCESSABLE_ENTITY, page::ask(ticket, Some(&problem))),
        Err(None) => return UNREADABLE.into_page(),
    };
    if !ticket.accept(secret) {
        return GONE.into_page();
    }
    let progress = ticket.progress(FETCH_TIMEOUT, WORK_TIMEOUT).await;
    // Not before: a second tab with the page is answered meanwhile.
    tickets.stop_unless_open();
    let html = match progress {
        TicketProgress::Finished(outcome) => page::outcome(ticket, &outcome),
        TicketProgress::Working => page::received(true),
        TicketProgress::Waiting => page::received(false),
        TicketProgress::Closed => return GONE.into_page(),
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
                    Error::new(Code::InvalidArgument, "the two passphrases differ").hint("type both again"),
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
    loopback::protect(headers);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
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
