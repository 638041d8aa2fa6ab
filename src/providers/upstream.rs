//! Requests of others, sent to a provider with the key put in, and the answer as it comes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, StatusCode,
    body::{Body, Incoming},
    header::{self, HeaderMap, HeaderValue},
};
use tokio::time::{Instant, Sleep};

use super::{
    ExtraCertificates, Provider, Wire,
    by_route::ByRoute,
    connector::PooledClient,
    decoding::{ContentEncoding, Decoded, Gunzip},
    http::{Failure, USER_AGENT, credential},
};
use crate::domain::ApiKey;

/// What gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Which API a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// OpenAI's, with chat completions and embeddings.
    OpenAi,
    /// OpenAI's Responses.
    Responses,
    Anthropic,
    /// The provider's own.
    Native,
}

/// Sends requests to providers over connections that it keeps.
#[derive(Debug, Default)]
pub struct Upstream {
    pools: ByRoute<PooledClient>,
}

/// A request for a provider.
#[derive(Debug)]
pub struct UpstreamRequest<'a> {
    pub provider: &'a Provider,
    pub dialect: Dialect,
    /// The key, and the origin that it was added for.
    pub key: Option<(&'a ApiKey, &'a str)>,
    pub method: Method,
    /// Path and query below where the provider speaks the dialect.
    pub path: &'a str,
    /// Without credentials.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// How long the head of the response may take.
    pub first_byte_timeout: Duration,
    /// How long the next chunk of the response may take.
    pub idle_timeout: Duration,
}

/// What a provider answers.
#[derive(Debug)]
pub struct UpstreamResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: UpstreamBody,
}

/// The rest of a response: chunks as they arrive, decoded, until it ends or nothing comes for too long.
#[derive(Debug)]
pub struct UpstreamBody {
    incoming: Incoming,
    gunzip: Option<Box<Gunzip>>,
    /// Whether it may be gzip all the same: nothing has come yet of what is declared as text.
    may_be_gzip: bool,
    idle_timeout: Duration,
    /// Since when the next chunk is waited for.
    waiting_since: Option<Instant>,
    /// Set when something has to be waited for, and moved on only when it goes off.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Provider {
    /// Where requests of that dialect go, and how they carry the key; nothing where the provider does not speak it.
    pub fn speaks(&self, dialect: Dialect) -> Option<Wire> {
        match dialect {
            Dialect::OpenAi => self.def.openai,
            Dialect::Responses => self.def.responses,
            Dialect::Anthropic => self.def.anthropic,
            Dialect::Native => Some(Wire {
                path: "",
                instead_of: "",
                auth: self.def.auth,
            }),
        }
    }
}

impl Upstream {
    /// The way to the providers, trusting these certificates besides the system's; makes no connection yet.
    pub fn trusting(extra: ExtraCertificates) -> Self {
        Self {
            pools: ByRoute::trusting(extra),
        }
    }

    /// Sends the request once and returns when the head of the response is there.
    ///
    /// Goes nowhere but to the provider's origin, and with a key only where that is the origin it was added for.
    pub async fn send(&self, request: UpstreamRequest<'_>) -> Result<UpstreamResponse, Failure> {
        let wire = request.provider.speaks(request.dialect).ok_or(Failure::NoClient)?;
        let address = request.provider.address.as_ref().ok_or(Failure::NoClient)?;
        if request.key.is_some_and(|(_, added_for)| added_for != address.origin()) {
            return Err(Failure::NoClient);
        }
        let uri = address
            .beside(wire.instead_of, wire.path, request.path)
            .ok_or(Failure::BadPath)?;
        let client = self.pools.client(address).await.ok_or(Failure::NoClient)?;
        let mut sent = Request::new(Full::new(request.body));
        *sent.method_mut() = request.method;
        *sent.uri_mut() = uri;
        *sent.headers_mut() = with_defaults(request.headers);
        if let Some((key, _)) = request.key {
            let (name, value) = credential(wire.auth, key).ok_or(Failure::NoClient)?;
            sent.headers_mut().insert(name, value);
        }
        let response = tokio::time::timeout(request.first_byte_timeout, client.request(sent))
            .await
            .map_err(|_| Failure::TimedOut)?
            .map_err(|why| Failure::of_request(&why))?;
        let (mut head, incoming) = response.into_parts();
        let gunzip = match ContentEncoding::of(&head.headers) {
            // Such as the answer to HEAD, which says how the body would be encoded.
            _ if incoming.is_end_stream() => None,
            ContentEncoding::Identity => None,
            ContentEncoding::Gzip => {
                head.headers.remove(header::CONTENT_ENCODING);
                head.headers.remove(header::CONTENT_LENGTH);
                Some(Box::new(Gunzip::new()))
            }
            ContentEncoding::Unknown => return Err(Failure::Compressed),
        };
        let may_be_gzip = gunzip.is_none() && is_text(&head.headers);
        Ok(UpstreamResponse {
            status: head.status,
            headers: head.headers,
            body: UpstreamBody {
                incoming,
                gunzip,
                may_be_gzip,
                idle_timeout: request.idle_timeout,
                waiting_since: None,
                alarm: None,
            },
        })
    }
}

/// Whether a body is declared as text, with which no gzip begins.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| {
        let kind = kind.to_ascii_lowercase();
        kind.starts_with("text/") || kind.contains("json")
    })
}

/// What every request says unless it says something else; and that the response is to be readable, whatever it says.
fn with_defaults(mut headers: HeaderMap) -> HeaderMap {
    headers
        .entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(USER_AGENT));
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
}

impl UpstreamBody {
    /// The next chunk; none at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Asks for the next chunk, as a stream does.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            let Some(gunzip) = &mut self.gunzip else {
                let chunk = ready!(self.poll_chunk(context));
                if let Some(Ok(bytes)) = &chunk
                    && self.may_be_gzip
                    && !bytes.is_empty()
                {
                    self.may_be_gzip = false;
                    if bytes.starts_with(&GZIP) {
                        let mut gunzip = Box::new(Gunzip::new());
                        gunzip.receive(bytes.clone());
                        self.gunzip = Some(gunzip);
                        continue;
                    }
                }
                return Poll::Ready(chunk);
            };
            match gunzip.decode() {
                Ok(Decoded::Chunk(chunk)) => return Poll::Ready(Some(Ok(chunk))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::NeedsMore) => {}
                Err(_) => return Poll::Ready(Some(Err(Failure::BrokenOff))),
            }
            match ready!(self.poll_chunk(context)) {
                Some(Ok(chunk)) => self.gunzip.iter_mut().for_each(|gunzip| gunzip.receive(chunk.clone())),
                Some(Err(why)) => return Poll::Ready(Some(Err(why))),
                None => self.gunzip.iter_mut().for_each(|gunzip| gunzip.complete()),
            }
        }
    }

    /// The next chunk as it was sent.
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are of this connection, and dropped.
                    if let Ok(chunk) = frame.into_data() {
                        self.waiting_since = None;
                        return Poll::Ready(Some(Ok(chunk)));
                    }
                }
                Poll::Ready(Some(Err(why))) => return Poll::Ready(Some(Err(Failure::of_body(&why)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return self.poll_idle(context).map(|()| Some(Err(Failure::TimedOut))),
            }
        }
    }

    /// Ready when the next chunk has been waited for too long.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let until = since + self.idle_timeout;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        loop {
            ready!(alarm.as_mut().poll(context));
            if alarm.deadline() >= until {
                return Poll::Ready(());
            }
            // It was set for an earlier chunk.
            alarm.as_mut().reset(until);
        }
    }
}
