//! Requests of others, sent to a provider with the key put in, and the answer as it comes.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::BodyStream;
use reqwest::{Body, Method, StatusCode, header::HeaderMap};
use tokio::time::{Instant, Sleep};

use super::{
    Address, Auth, Provider,
    http::{Clients, Failure, credential},
};
use crate::domain::ApiKey;

/// How many idle connections to a provider are kept.
const IDLE_CONNECTIONS: usize = 256;

/// Which API a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    OpenAi,
    Anthropic,
    /// The provider's own.
    Native,
}

/// Sends requests to providers over connections that it keeps.
#[derive(Debug)]
pub struct Upstream {
    clients: Clients,
}

/// A request for a provider.
#[derive(Debug)]
pub struct Question<'a> {
    pub provider: &'a Provider,
    pub dialect: Dialect,
    /// The key, and the origin that it was added for.
    pub key: Option<(&'a ApiKey, &'a str)>,
    pub method: Method,
    /// Path and query below where the provider speaks the dialect.
    pub path: &'a str,
    /// Without anybody's credentials.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// How long the head of the answer may take.
    pub patience: Duration,
    /// How long the answer may stand still.
    pub idle: Duration,
}

/// What a provider answers.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: ReplyBody,
}

/// The rest of an answer: pieces as they arrive, until it ends or stands still for too long.
#[derive(Debug)]
pub struct ReplyBody {
    pieces: BodyStream<Body>,
    idle: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl Provider {
    /// Where requests of that dialect go, and how they carry the key; nothing where the provider does not speak it.
    pub fn speaks(&self, dialect: Dialect) -> Option<(&'static str, Auth)> {
        let wire = match dialect {
            Dialect::OpenAi => self.def.openai?,
            Dialect::Anthropic => self.def.anthropic?,
            Dialect::Native => return Some(("", self.def.auth)),
        };
        Some((wire.path, wire.auth))
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            clients: Clients::new(IDLE_CONNECTIONS),
        }
    }
}

impl Upstream {
    /// Sends the request once and returns when the head of the answer is there.
    ///
    /// Goes nowhere but to the provider's origin, and with a key only where that is the origin it was added for.
    pub async fn send(&self, question: Question<'_>) -> Result<Reply, Failure> {
        let (wire, auth) = question.provider.speaks(question.dialect).ok_or(Failure::NoClient)?;
        let address = question.provider.address.as_ref().ok_or(Failure::NoClient)?;
        let url = format!("{}{wire}{}", address.as_str(), question.path);
        let url = url::Url::parse(&url).map_err(|_| Failure::NoClient)?;
        let origin = url.origin().ascii_serialization();
        if origin != address.origin() || question.key.is_some_and(|(_, added_for)| added_for != origin) {
            return Err(Failure::NoClient);
        }
        let client = self.client(address).await?;
        let mut request = reqwest::Request::new(question.method, url);
        *request.headers_mut() = question.headers;
        if let Some((key, _)) = question.key {
            let (name, value) = credential(auth, key).ok_or(Failure::NoClient)?;
            request.headers_mut().insert(name, value);
        }
        if !question.body.is_empty() {
            *request.body_mut() = Some(Body::from(question.body));
        }
        let response = tokio::time::timeout(question.patience, client.execute(request))
            .await
            .map_err(|_| Failure::TimedOut)?
            .map_err(|why| Failure::of(&why))?;
        Ok(Reply {
            status: response.status(),
            headers: response.headers().clone(),
            body: ReplyBody {
                pieces: BodyStream::new(Body::from(response)),
                idle: question.idle,
                alarm: Box::pin(tokio::time::sleep(question.idle)),
            },
        })
    }

    async fn client(&self, address: &Address) -> Result<&reqwest::Client, Failure> {
        self.clients.client(address).await.ok_or(Failure::NoClient)
    }
}

impl ReplyBody {
    /// The next piece; nothing at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Asks for the next piece, as a stream does.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            match self.pieces.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are of this connection, and dropped.
                    if let Ok(piece) = frame.into_data() {
                        let until = Instant::now() + self.idle;
                        self.alarm.as_mut().reset(until);
                        return Poll::Ready(Some(Ok(piece)));
                    }
                }
                Poll::Ready(Some(Err(why))) => return Poll::Ready(Some(Err(Failure::of(&why)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    return self.alarm.as_mut().poll(context).map(|()| Some(Err(Failure::TimedOut)));
                }
            }
        }
    }
}
