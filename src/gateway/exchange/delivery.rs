//! Passes one response back, whole or as a stream, or decides that another key or provider is to be tried.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use tokio::time::Instant;

use super::{
    asked_model::AskedModel,
    key_filter::KeyFilter,
    relay::{BodyStart, Extent, Flow, ReadUntil, Relay, Stopped, StreamEnd},
    upstream_id::upstream_id,
};
use crate::{
    error::{Code, Error},
    gateway::{
        accounting::booking::{Booking, Ending},
        cache::Cacheable,
        http::{
            body::{self, ResponseBody},
            error_response::{ErrorResponse, in_seconds},
            headers,
            route::Endpoint,
        },
        keys::{LentKey, quota, wait},
        known_ids::IdMaker,
        request::{client_request::ClientRequest, prepared_request::PreparedRequest},
        state::GatewayState,
    },
    providers::{self, Failure, Framing, RefusalKind, Refused, RetryWith, UpstreamResponse, UsageReader},
};

/// The longest response that is read to its end before it goes on, in bytes; the head of longer ones has no cost.
const MAX_WHOLE_BYTES: usize = 16 << 20;
/// How much of an error response is read before it is decided what it means, and for how long.
const MAX_ERROR_BYTES: usize = 64 << 10;
const ERROR_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of a stream is held, and for how long, while it may be an error and not a response.
const MAX_STREAM_START_BYTES: usize = 16 << 10;
const STREAM_START_TIMEOUT: Duration = Duration::from_secs(2);

const PROVIDER: HeaderName = HeaderName::from_static("x-api-keys-provider");
const MODEL: HeaderName = HeaderName::from_static("x-api-keys-model");
pub(super) const COST: HeaderName = HeaderName::from_static("x-api-keys-cost-usd");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-api-keys-attempts");
pub(super) const CACHE: HeaderName = HeaderName::from_static("x-api-keys-cache");

/// The result of one attempt.
pub(super) enum Delivered {
    Response(Response<ResponseBody>),
    /// Nothing was passed on, and another attempt may succeed.
    Failed(Box<FailedAttempt>),
}

pub(super) struct FailedAttempt {
    pub(super) ending: Ending,
    pub(super) booking: Booking,
    pub(super) retry: Retry,
    /// How long the key has to wait, where its quota is used up.
    pub(super) wait: Option<Duration>,
}

/// What is tried after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    AnotherKey,
    AnotherProvider,
}

/// What is left to try after an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alternatives {
    pub(super) keys: bool,
    pub(super) providers: bool,
}

/// How one response is passed back.
pub(super) struct Delivery<'a> {
    pub(super) state: &'a GatewayState,
    pub(super) request: &'a ClientRequest,
    pub(super) prepared: &'a PreparedRequest,
    pub(super) cacheable: Option<Cacheable>,
    pub(super) attempts: usize,
    pub(super) alternatives: Alternatives,
}

/// A response that has begun.
struct Begun {
    status: StatusCode,
    headers: HeaderMap,
    flow: Flow,
}

impl Alternatives {
    pub(super) fn any(self) -> bool {
        self.keys || self.providers
    }
}

impl Delivery<'_> {
    pub(super) async fn deliver(
        &self,
        response: UpstreamResponse,
        key: Option<LentKey>,
        mut booking: Booking,
    ) -> Result<Delivered, ErrorResponse> {
        booking.answered_as(upstream_id(&response.headers, key.as_ref()));
        let is_success = response.status.is_success();
        let declared = if is_success {
            framing(&response.headers)
        } else {
            Framing::Whole
        };
        // A response that costs nothing may be of any kind and length: a list, a file.
        let is_free = is_success && !self.prepared.is_metered;
        let declared = if is_free && matches!(declared, Framing::Whole | Framing::Unknown) {
            Framing::Unread
        } else {
            declared
        };
        let mut reader = UsageReader::new(declared, self.prepared.strips);
        reader.read_head(&response.headers);
        let flow = Flow {
            body: response.body,
            reader,
            key_filter: KeyFilter::new(self.prepared.provider.id.clone(), key),
            answer: self
                .prepared
                .translated
                .as_ref()
                .map(|translated| translated.answer.clone()),
            asked: self.prepared.asked.as_deref().map(AskedModel::new),
            def: self.prepared.provider.def,
            began_at: self.state.app.now(),
            status: response.status.as_u16(),
            refused: None,
            is_usable: is_success,
            retry_after: None,
            booking: Some(booking),
        };
        let mut begun = Begun {
            status: response.status,
            headers: response.headers,
            flow,
        };
        if !is_success {
            return self.error(begun).await;
        }
        begun.flow.retry_after = self.learn(&begun, None);
        if declared == Framing::Unread {
            return Ok(self.relay(begun, VecDeque::new()));
        }
        // What is declared as a stream is not held for long before its head goes on.
        let is_list = self.request.call.path.contains(":streamGenerateContent");
        let is_stream = declared.is_stream() || is_list;
        let deadline = Instant::now() + STREAM_START_TIMEOUT;
        let until = ReadUntil {
            limit: MAX_STREAM_START_BYTES,
            deadline: is_stream.then_some(deadline),
            what: Extent::Framing,
        };
        let start = begun.flow.read(Bytes::new(), until).await;
        match begun.flow.reader.framing() {
            Framing::Unread if start.stopped != Stopped::AtEnd => Ok(self.relay(begun, VecDeque::from([start.bytes]))),
            Framing::Whole if is_list => self.stream(begun, start, deadline).await,
            // No stream, or a whole response in place of one: an error, perhaps.
            Framing::Whole | Framing::Unknown | Framing::Unread => self.whole(begun, start).await,
            Framing::Events | Framing::Lines | Framing::Frames => self.stream(begun, start, deadline).await,
        }
    }

    /// An error response, whose body says whether another key or provider may succeed.
    async fn error(&self, mut begun: Begun) -> Result<Delivered, ErrorResponse> {
        let deadline = Instant::now() + ERROR_TIMEOUT;
        let until = ReadUntil {
            limit: MAX_ERROR_BYTES,
            deadline: Some(deadline),
            what: Extent::All,
        };
        let BodyStart { bytes, stopped } = begun.flow.read(Bytes::new(), until).await;
        let refused = self.read_refusal(&begun, &bytes);
        begun.flow.refused = refused;
        begun.flow.retry_after = self.learn(&begun, refused);
        if let Some(retry) = self.retry(refused, begun.flow.retry_after) {
            return failed(begun.flow, retry);
        }
        match stopped {
            Stopped::AtEnd => Ok(self.respond(begun, bytes)),
            Stopped::AtLimit | Stopped::AtExtent => Ok(self.relay(begun, VecDeque::from([bytes]))),
            Stopped::Failed(failure) => {
                begun.flow.settle(StreamEnd::Broken);
                Err(no_response(self.prepared, failure))
            }
        }
    }

    /// A response that is read to its end, so that its head can say what it cost.
    async fn whole(&self, mut begun: Begun, start: BodyStart) -> Result<Delivered, ErrorResponse> {
        let BodyStart { bytes, stopped } = match start.stopped {
            Stopped::AtEnd | Stopped::Failed(_) => start,
            Stopped::AtExtent | Stopped::AtLimit => {
                let until = ReadUntil {
                    limit: MAX_WHOLE_BYTES,
                    deadline: None,
                    what: Extent::Value,
                };
                begun.flow.read(start.bytes, until).await
            }
        };
        match stopped {
            Stopped::AtEnd => {}
            Stopped::AtLimit | Stopped::AtExtent => return Ok(self.relay(begun, VecDeque::from([bytes]))),
            Stopped::Failed(failure) => {
                begun.flow.settle(StreamEnd::Broken);
                return Err(no_response(self.prepared, failure));
            }
        }
        // Nothing, or a page of a proxy.
        begun.flow.is_usable = !matches!(bytes.trim_ascii_start().first(), None | Some(b'<'));
        if let Some(refused) = begun.flow.refused() {
            begun.flow.refused = Some(refused);
            begun.flow.is_usable = false;
            begun.flow.retry_after = self.learn(&begun, Some(refused));
            if let Some(retry) = self.retry(Some(refused), begun.flow.retry_after) {
                return failed(begun.flow, retry);
            }
        }
        Ok(self.respond(begun, bytes))
    }

    /// A response that is passed on as it arrives, once it is known to be no error.
    async fn stream(&self, mut begun: Begun, start: BodyStart, deadline: Instant) -> Result<Delivered, ErrorResponse> {
        let mut length = start.bytes.len();
        let mut held = VecDeque::from([start.bytes]);
        if let Some(booking) = begun.flow.booking.as_ref().filter(|_| length > 0) {
            booking.count_first_chunk();
        }
        // The last chunk is read before the next one is waited for.
        let mut stopped = Some(start.stopped).filter(|it| !matches!(it, Stopped::AtExtent | Stopped::AtLimit));
        loop {
            if let Some(refused) = begun.flow.refused() {
                begun.flow.retry_after = self.learn(&begun, Some(refused));
                if let Some(retry) = self.retry(Some(refused), begun.flow.retry_after) {
                    return failed(begun.flow, retry);
                }
                break;
            }
            match stopped {
                // An empty stream is an early end as well.
                Some(Stopped::AtEnd) if length > 0 => return Ok(self.ended(begun, held)),
                Some(_) if self.alternatives.any() => return failed(begun.flow, Retry::AnotherKey),
                Some(stopped) => {
                    begun.flow.settle(StreamEnd::Broken);
                    let failure = match stopped {
                        Stopped::Failed(failure) => failure,
                        Stopped::AtEnd | Stopped::AtExtent | Stopped::AtLimit => Failure::BrokenOff,
                    };
                    return Err(no_response(self.prepared, failure));
                }
                None => {}
            }
            if length >= MAX_STREAM_START_BYTES || begun.flow.reader.meter().has_content() {
                break;
            }
            let Ok(next) = tokio::time::timeout_at(deadline, begun.flow.body.next()).await else {
                break;
            };
            match next {
                Some(Ok(chunk)) => {
                    length += chunk.len();
                    held.push_back(begun.flow.reader.pass(chunk));
                }
                Some(Err(failure)) => stopped = Some(Stopped::Failed(failure)),
                None => {
                    held.push_back(begun.flow.reader.finish());
                    stopped = Some(Stopped::AtEnd);
                }
            }
        }
        begun.flow.account();
        Ok(self.relay(begun, held))
    }

    /// A stream that has ended before anything of it was passed on.
    fn ended(&self, mut begun: Begun, held: VecDeque<Bytes>) -> Delivered {
        let head = self.head(&mut begun);
        self.note_id(&begun.flow, held.front().map_or(&[], |chunk| chunk));
        let mut ready = filtered(&mut begun.flow, held);
        begun.flow.finish(&mut ready);
        Delivered::Response(self.relayed(head, ready, None))
    }

    /// A response that was read whole.
    fn respond(&self, mut begun: Begun, bytes: Bytes) -> Delivered {
        let mut head = self.head(&mut begun);
        let flow = &mut begun.flow;
        let meter = flow.reader.meter();
        let is_counted = flow.is_usable && meter.tokens().is_some();
        let cost = flow.settle(StreamEnd::Complete);
        if let Some(cost) = cost.and_then(|cost| HeaderValue::try_from(cost.digits()).ok()) {
            head.headers_mut().insert(COST, cost);
        }
        self.note_id(flow, &bytes);
        let flow = &mut begun.flow;
        let mut body = flow.key_filter.pass(bytes);
        let rest = flow.key_filter.finish();
        if !rest.is_empty() {
            body = [body, rest].concat().into();
        }
        if let (Some(answer), Some(translated)) = (flow.answer.take(), &self.prepared.translated) {
            let is_stream = answer.is_stream() && begun.status.is_success();
            translated.introduce(head.headers_mut(), is_stream);
            body = match answer.translate_whole(begun.status.as_u16(), &body) {
                Ok(translated) => translated.into(),
                Err(error) => {
                    // A response in which nothing of what was requested is found.
                    if begun.status.is_success() {
                        *head.status_mut() = StatusCode::BAD_GATEWAY;
                    }
                    error.into()
                }
            };
        }
        if let Some(asked) = flow.asked.take() {
            body = asked.whole(body);
        }
        // A response without usage is not from a model.
        if let (Some(request), StatusCode::OK, true) = (self.cacheable, begun.status, is_counted) {
            let cache = &self.request.config.gateway.cache;
            self.state.cache.keep(request, head.headers(), &body, cache);
        }
        Delivered::Response(head.map(|_| body::full(body)))
    }

    /// A response that is passed on as it arrives, after the chunks that are read already.
    fn relay(&self, mut begun: Begun, read: VecDeque<Bytes>) -> Delivered {
        let head = self.head(&mut begun);
        self.note_id(&begun.flow, read.front().map_or(&[], |chunk| chunk));
        let ready = filtered(&mut begun.flow, read);
        Delivered::Response(self.relayed(head, ready, Some(begun.flow)))
    }

    /// Remembers who made what a later request may refer to.
    fn note_id(&self, flow: &Flow, start: &[u8]) {
        if matches!(self.request.call.endpoint, Endpoint::Responses | Endpoint::Further(_)) && flow.status < 300 {
            let maker = IdMaker {
                provider: self.prepared.provider.id.clone(),
                label: flow.key_filter.label().cloned(),
            };
            self.state.known_ids.note(start, maker);
        }
    }

    fn relayed(
        &self,
        head: Response<ResponseBody>,
        ready: VecDeque<Bytes>,
        flow: Option<Flow>,
    ) -> Response<ResponseBody> {
        let mut head = head;
        if let Some(translated) = &self.prepared.translated {
            translated.introduce(head.headers_mut(), true);
        }
        let relay = Relay {
            ready,
            flow,
            failed: None,
            tasks: self.state.tasks.clone(),
        };
        head.map(|_| relay.boxed_unsync())
    }

    fn head(&self, begun: &mut Begun) -> Response<ResponseBody> {
        let mut headers = headers::for_client(std::mem::take(&mut begun.headers));
        begun.flow.key_filter.mask_headers(&mut headers);
        introduce(&mut headers, self.prepared, self.attempts);
        if self.cacheable.is_some() {
            headers.insert(CACHE, HeaderValue::from_static("miss"));
        }
        if let (StatusCode::TOO_MANY_REQUESTS, Some(wait)) = (begun.status, begun.flow.retry_after) {
            // Not every library understands what a provider says in headers or bodies of its own.
            headers
                .entry(header::RETRY_AFTER)
                .or_insert_with(|| in_seconds(wait).into());
        }
        let mut head = Response::new(body::full(Bytes::new()));
        *head.status_mut() = begun.status;
        *head.headers_mut() = headers;
        head
    }

    fn read_refusal(&self, begun: &Begun, body: &[u8]) -> Option<Refused> {
        let flow = &begun.flow;
        providers::read_refusal(&self.prepared.provider, flow.status, body, flow.began_at)
    }

    /// Learns what a response says of the provider's limits and models, and returns how long it asks to wait.
    fn learn(&self, begun: &Begun, refused: Option<Refused>) -> Option<Duration> {
        let (quotas, prepared) = (&self.state.quotas, self.prepared);
        let (headers, label, now) = (&begun.headers, begun.flow.key_filter.label(), begun.flow.began_at);
        let stated = providers::retry_after(headers, now).or(refused.and_then(|refused| refused.retry_after));
        match refused.map(|refused| refused.kind) {
            Some(RefusalKind::RateLimited) => {
                let wait = stated.or_else(|| quota::until_enough(prepared, headers, now));
                if wait.is_none() {
                    quotas.refuse(prepared, label);
                }
                return wait.map(|wait| quotas.wait(prepared, label, wait));
            }
            Some(RefusalKind::ModelMissing) => {
                let model = &prepared.model;
                self.state
                    .missing_models
                    .add(&model.provider, &model.model, Instant::now());
            }
            Some(
                RefusalKind::NoCredit
                | RefusalKind::KeyRefused
                | RefusalKind::NotAllowed
                | RefusalKind::RegionBlocked
                | RefusalKind::ServerFailed
                | RefusalKind::RequestFault,
            )
            | None => {}
        }
        quotas.learn(prepared, label, headers, now);
        stated
    }

    /// What to try after a response that says so; nothing where it is to be passed on.
    fn retry(&self, refused: Option<Refused>, retry_after: Option<Duration>) -> Option<Retry> {
        let kind = refused?.kind;
        match kind.retry() {
            RetryWith::AnotherKey if self.alternatives.any() => Some(Retry::AnotherKey),
            RetryWith::AnotherProvider if self.alternatives.providers => Some(Retry::AnotherProvider),
            // The same key may succeed later, if the client waits for that.
            RetryWith::AnotherKey if kind == RefusalKind::RateLimited => retry_after
                .filter(|wait| wait::is_wanted(self.request, *wait))
                .map(|_| Retry::AnotherKey),
            RetryWith::AnotherKey | RetryWith::AnotherProvider | RetryWith::Nothing => None,
        }
    }
}

/// An attempt of which nothing is passed on.
fn failed(mut flow: Flow, retry: Retry) -> Result<Delivered, ErrorResponse> {
    let booking = flow.booking.take();
    let booking = booking.ok_or_else(|| Error::new(Code::Internal, "the request was settled before it failed"))?;
    let is_rate_limited = flow.refused().is_some_and(|it| it.kind == RefusalKind::RateLimited);
    Ok(Delivered::Failed(Box::new(FailedAttempt {
        ending: flow.ending(StreamEnd::Broken, booking.input()),
        booking,
        retry,
        wait: flow.retry_after.filter(|_| is_rate_limited),
    })))
}

/// The chunks without the key.
fn filtered(flow: &mut Flow, mut chunks: VecDeque<Bytes>) -> VecDeque<Bytes> {
    for chunk in &mut chunks {
        *chunk = flow.for_client(std::mem::take(chunk));
    }
    chunks.retain(|chunk| !chunk.is_empty());
    chunks
}

/// Says in the head of a response which provider and model it is from, and after how many attempts.
pub(super) fn introduce(headers: &mut HeaderMap, prepared: &PreparedRequest, attempts: usize) {
    if let Ok(provider) = HeaderValue::from_str(prepared.provider.id.as_str()) {
        headers.insert(PROVIDER, provider);
    }
    if let Ok(model) = HeaderValue::try_from(prepared.model.to_string()) {
        headers.insert(MODEL, model);
    }
    headers.insert(ATTEMPTS, attempts.into());
}

/// How a response with those headers is framed.
fn framing(headers: &HeaderMap) -> Framing {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let is = |known: &str| kind.eq_ignore_ascii_case(known);
    let begins = |start: &str| kind.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start));
    let ends = |end: &str| {
        let rest = kind.len().checked_sub(end.len()).and_then(|at| kind.get(at..));
        rest.is_some_and(|it| it.eq_ignore_ascii_case(end))
    };
    if is("text/event-stream") {
        Framing::Events
    } else if is("application/x-ndjson") || is("application/jsonl") {
        Framing::Lines
    } else if is("application/vnd.amazon.eventstream") {
        Framing::Frames
    } else if begins("text/") || ends("json") {
        Framing::Whole
    } else if begins("audio/") || begins("image/") || begins("video/") {
        Framing::Unread
    } else {
        Framing::Unknown
    }
}

/// The error response where a provider sent none.
pub(super) fn no_response(prepared: &PreparedRequest, failure: Failure) -> ErrorResponse {
    let code = if failure == Failure::TimedOut {
        Code::ProviderTooSlow
    } else {
        Code::ProviderUnreachable
    };
    Error::new(code, format!("{} {}", prepared.provider.title, failure.message()))
        .hint("`api-keys doctor` shows what can be reached")
        .into()
}
