//! Passing one response back: whole, or as a stream, and whether the next key or provider is to be tried instead.

use std::{collections::VecDeque, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use tokio::time::Instant;

use super::relay::{End, Flow, Relay};
use crate::{
    domain::ApiKey,
    error::{Code, Error},
    gateway::{
        accounting::booking::{Booking, Ending},
        cache::Cacheable,
        http::{
            body::{self, ResponseBody},
            error_response::{ErrorResponse, in_seconds},
            headers,
        },
        request::{client_request::ClientRequest, prepared_request::PreparedRequest},
        state::GatewayState,
    },
    providers::{self, Failure, Framing, RetryWith, UpstreamResponse, UsageReader},
};

/// The longest response that is read to its end before it goes on, in bytes; the cost of longer ones is not in the head.
const WHOLE: usize = 16 << 20;
/// How long, and how much of, a stream is held for an error in place of its first words.
const HELD: usize = 16 << 10;
const HOLDING: Duration = Duration::from_secs(2);

const PROVIDER: HeaderName = HeaderName::from_static("x-api-keys-provider");
const MODEL: HeaderName = HeaderName::from_static("x-api-keys-model");
pub(super) const COST: HeaderName = HeaderName::from_static("x-api-keys-cost-usd");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-api-keys-attempts");
pub(super) const CACHE: HeaderName = HeaderName::from_static("x-api-keys-cache");

/// What one attempt came to.
pub(super) enum Delivered {
    Response(Response<ResponseBody>),
    /// An error before the first word, with others left to ask.
    Failed(Ending, Box<Booking>),
}

/// A response on its way back.
pub(super) struct Delivery<'a> {
    pub(super) state: &'a GatewayState,
    pub(super) request: &'a ClientRequest,
    pub(super) prepared: &'a PreparedRequest,
    pub(super) cacheable: Option<Cacheable>,
    pub(super) key: Option<&'a ApiKey>,
    pub(super) attempts: usize,
    pub(super) retry_after: Option<Duration>,
}

impl Delivery<'_> {
    pub(super) async fn deliver(
        &self,
        response: UpstreamResponse,
        booking: Booking,
        others_left: bool,
    ) -> Result<Delivered, ErrorResponse> {
        let framing = match framing(&response.headers) {
            // An answer that costs nothing may be anything, and as long as it likes: a list, a file.
            Framing::Whole if !self.prepared.is_metered && response.status.is_success() => Framing::Unread,
            framing => framing,
        };
        let is_stream = framing != Framing::Whole || self.request.call.path.contains(":streamGenerateContent");
        let head = self.head(&response);
        let flow = Flow {
            body: response.body,
            reader: UsageReader::new(framing, self.prepared.strips),
            status: response.status.as_u16(),
            is_answer: response.status.is_success(),
            retry_after: self.retry_after,
            booking: Some(booking),
        };
        if !response.status.is_success() || !is_stream {
            self.whole(head, flow, others_left).await
        } else if framing == Framing::Unread {
            Ok(Delivered::Response(self.relay(head, VecDeque::new(), Some(flow))))
        } else {
            self.stream(head, flow, others_left).await
        }
    }

    /// An answer that is read to its end, so that its head can tell what it cost.
    async fn whole(
        &self,
        mut head: Response<ResponseBody>,
        mut flow: Flow,
        others_left: bool,
    ) -> Result<Delivered, ErrorResponse> {
        let mut read = BytesMut::new();
        let (cost, is_counted) = loop {
            match flow.body.next().await {
                Some(Ok(piece)) => {
                    read.extend_from_slice(&piece);
                    flow.reader.pass(piece);
                    if read.len() > WHOLE {
                        return Ok(Delivered::Response(self.relay(
                            head,
                            VecDeque::from([read.freeze()]),
                            Some(flow),
                        )));
                    }
                }
                None => {
                    flow.reader.finish();
                    // Nothing, or a page of something in between.
                    flow.is_answer &= !matches!(read.trim_ascii_start().first(), None | Some(b'<'));
                    let now = self.state.app.now();
                    if let Some(refused) = providers::read_refusal(&self.prepared.provider, flow.status, &read, now) {
                        // What other providers have a status for, so that the key is known for what it is.
                        flow.status = refused.status();
                        flow.is_answer = false;
                        if others_left && refused.kind.retry() != RetryWith::Nothing {
                            return Self::failed(flow);
                        }
                    }
                    let meter = flow.reader.meter();
                    let is_counted = meter.tokens().is_some() && !meter.is_error();
                    break (flow.settle(End::Complete), is_counted);
                }
                Some(Err(failure)) => {
                    flow.settle(End::Broken);
                    return Err(no_answer(self.prepared, failure));
                }
            }
        };
        if let Some(cost) = cost.and_then(|cost| HeaderValue::from_str(&cost.digits()).ok()) {
            head.headers_mut().insert(COST, cost);
        }
        let mut body = read.freeze();
        if !head.status().is_success() {
            body = self.without_key(body);
        }
        // Something that tells no use is no answer of a model's.
        if let (Some(request), StatusCode::OK, true) = (self.cacheable, head.status(), is_counted) {
            let cache = &self.request.config.gateway.cache;
            self.state.cache.keep(request, head.headers(), &body, cache);
        }
        Ok(Delivered::Response(head.map(|_| body::full(body))))
    }

    /// An answer that is passed on as it arrives, once it is no error.
    async fn stream(
        &self,
        head: Response<ResponseBody>,
        mut flow: Flow,
        others_left: bool,
    ) -> Result<Delivered, ErrorResponse> {
        let until = Instant::now() + HOLDING;
        let mut held = VecDeque::new();
        let mut length = 0;
        while length < HELD && !flow.reader.meter().has_content() {
            let Ok(next) = tokio::time::timeout_at(until, flow.body.next()).await else {
                break;
            };
            if held.is_empty() {
                if let Some(booking) = &flow.booking {
                    booking.count_first_chunk();
                }
            }
            // A stream without a word is none.
            let next = match next {
                None if length == 0 => Some(Err(Failure::BrokenOff)),
                next => next,
            };
            match next {
                Some(Ok(piece)) => {
                    length += piece.len();
                    held.push_back(flow.reader.pass(piece));
                }
                Some(Err(failure)) if !others_left => {
                    flow.settle(End::Broken);
                    return Err(no_answer(self.prepared, failure));
                }
                Some(Err(_)) => {
                    return Self::failed(flow);
                }
                None => {
                    let (rest, _) = flow.finish();
                    held.push_back(rest);
                    return Ok(Delivered::Response(self.relay(head, held, None)));
                }
            }
            if flow.reader.meter().is_error() && others_left {
                return Self::failed(flow);
            }
        }
        flow.account();
        held.retain(|piece| !piece.is_empty());
        Ok(Delivered::Response(self.relay(head, held, Some(flow))))
    }

    /// An error before the first word, for which another key or provider is tried.
    fn failed(mut flow: Flow) -> Result<Delivered, ErrorResponse> {
        let booking = flow.booking.take();
        let booking = booking.ok_or_else(|| Error::new(Code::Internal, "the request was settled before it failed"))?;
        Ok(Delivered::Failed(
            flow.ending(End::Broken, booking.input()),
            Box::new(booking),
        ))
    }

    fn relay(&self, head: Response<ResponseBody>, held: VecDeque<Bytes>, flow: Option<Flow>) -> Response<ResponseBody> {
        let relay = Relay {
            held,
            flow,
            broken: None,
            tasks: self.state.tasks.clone(),
        };
        head.map(|_| relay.boxed_unsync())
    }

    fn head(&self, response: &UpstreamResponse) -> Response<ResponseBody> {
        let mut head = Response::new(body::full(Bytes::new()));
        *head.status_mut() = response.status;
        let mut passed = headers::for_client(&response.headers, self.key);
        introduce(&mut passed, self.prepared, self.attempts);
        if self.cacheable.is_some() {
            passed.insert(CACHE, HeaderValue::from_static("miss"));
        }
        if let (StatusCode::TOO_MANY_REQUESTS, Some(wait)) = (response.status, self.retry_after) {
            // What a provider says in headers of its own is not understood by every library.
            passed
                .entry(header::RETRY_AFTER)
                .or_insert_with(|| in_seconds(wait).into());
        }
        *head.headers_mut() = passed;
        head
    }

    /// The body of an error with the key taken out, should a provider repeat it.
    fn without_key(&self, body: Bytes) -> Bytes {
        let Some(key) = self.key else { return body };
        // EXPOSE: looked for in what a provider sent, to keep it back
        let secret = key.expose().as_bytes();
        if !headers::holds(&body, secret) {
            return body;
        }
        let mut clean = Vec::with_capacity(body.len());
        let mut at = 0;
        while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with(secret) {
                clean.extend_from_slice(b"[redacted]");
                at += secret.len();
            } else {
                clean.push(rest[0]);
                at += 1;
            }
        }
        clean.into()
    }
}

/// Says in the head of an answer who gave it, and after how many tries.
pub(super) fn introduce(head: &mut HeaderMap, prepared: &PreparedRequest, attempts: usize) {
    let model = prepared.model.to_string();
    for (name, text) in [
        (PROVIDER, prepared.provider.id.as_str()),
        (MODEL, model.as_str()),
        (ATTEMPTS, attempts.to_string().as_str()),
    ] {
        if let Ok(value) = HeaderValue::from_str(text) {
            head.insert(name, value);
        }
    }
}

/// How the answer with those headers is put together.
fn framing(headers: &HeaderMap) -> Framing {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    match kind.trim().to_ascii_lowercase().as_str() {
        "text/event-stream" => Framing::Events,
        "application/x-ndjson" | "application/jsonl" => Framing::Lines,
        kind if kind.is_empty() || kind.starts_with("text/") || kind.ends_with("json") => Framing::Whole,
        // A format, a picture.
        _ => Framing::Unread,
    }
}

/// What a client is told where no answer came.
pub(super) fn no_answer(prepared: &PreparedRequest, failure: Failure) -> ErrorResponse {
    let code = if failure == Failure::TimedOut {
        Code::ProviderTooSlow
    } else {
        Code::ProviderUnreachable
    };
    Error::new(code, format!("{} {}", prepared.provider.title, failure.message()))
        .hint("`api-keys doctor` shows what can be reached")
        .into()
}
