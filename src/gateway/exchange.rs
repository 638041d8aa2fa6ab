//! One request: sent with one key after the other until an answer comes, which is passed back.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use tokio::time::Instant;

use super::{
    accounts::{Booking, Ending, Told},
    ask::{self, Ask, Fields, Target},
    headers, quota,
    refusal::{Refusal, in_seconds},
    relay::{End, Flow, Out, Relay},
    route::Call,
    server::Gateway,
    waiting,
};
use crate::{
    catalog::Catalog,
    domain::{ApiKey, Label},
    error::{Code, Error},
    providers::{self, Failure, Framing, UpstreamRequest, UpstreamResponse, UsageReader},
    services::{lending::Lent, routing},
    settings::Config,
    storage::clients::Client,
};

/// The longest answer that is read to its end before it goes on, in bytes; of longer ones the cost is not in the head.
const WHOLE: usize = 16 << 20;
/// How long, and how much of, a stream is held for an error in place of its first words.
const HELD: usize = 16 << 10;
const HOLDING: Duration = Duration::from_secs(2);

const PROVIDER: HeaderName = HeaderName::from_static("x-api-keys-provider");
const MODEL: HeaderName = HeaderName::from_static("x-api-keys-model");
const COST: HeaderName = HeaderName::from_static("x-api-keys-cost-usd");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-api-keys-attempts");
const CACHE: HeaderName = HeaderName::from_static("x-api-keys-cache");

/// A request that was let in, with its body.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) client: Client,
    pub(super) call: Call,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The configuration and the prices that it is answered by.
    pub(super) config: Arc<Config>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) arrived: Instant,
    /// How often a provider was asked.
    pub(super) attempts: usize,
}

/// What one try came to.
enum Tried {
    Answered(Response<Out>),
    /// An error before the first word, with others left to ask.
    Failed(Ending, Box<Booking>),
}

/// Asks one provider after the other, and returns the first answer as it comes.
pub(super) async fn exchange(gateway: &Gateway, request: &mut Request) -> Result<Response<Out>, Refusal> {
    let fields = Fields::read(&request.body, &request.call.endpoint)?;
    let targets = ask::targets(&gateway.app, request, &fields).await?;
    let mut refused: Option<Refusal> = None;
    let mut attempts = request.attempts;
    let last = targets.len();
    for (number, target) in (1..).zip(targets) {
        let tried = try_target(gateway, request, &fields, target, number < last, &mut attempts).await;
        match tried {
            Ok(Some(response)) => return Ok(response),
            Ok(None) => {}
            Err(refusal) => {
                refused = Some(match refused {
                    Some(before) => before.or_sooner(refusal),
                    None => refusal,
                });
            }
        }
    }
    request.attempts = attempts;
    Err(refused.unwrap_or_else(|| Error::new(Code::Internal, "nobody was asked").into()))
}

/// Asks one provider with one key after the other; nothing where that failed and others are left.
async fn try_target(
    gateway: &Gateway,
    request: &Request,
    fields: &Fields<'_>,
    target: Target,
    others_left: bool,
    attempts: &mut usize,
) -> Result<Option<Response<Out>>, Refusal> {
    let app = &gateway.app;
    let mut ask = Ask::of(request, fields, target, app.now())?;
    let allowed = &request.client.providers;
    if !allowed.is_empty() && !allowed.contains(&ask.provider.id) {
        let message = format!("the client {} may not use {}", request.client.name, ask.provider.id);
        return Err(Error::new(Code::ProviderNotAllowed, message)
            .hint("its providers were named when it was added: `api-keys client add`")
            .into());
    }
    ask.cacheable = gateway.cache.cacheable(request, fields, &ask);
    if let Some(answer) = cached(gateway, request, &ask) {
        return Ok(Some(answer));
    }
    let lent = gateway.keys.keys_of(app, &ask.provider).await?;
    let session = request.said("x-api-keys-session");
    let keys = in_order(gateway, &ask, session.as_deref(), lent)?;
    let told = Told {
        request_id: request.id.clone(),
        label: keys.first().and_then(Option::as_ref).map(|lent| lent.label.clone()),
        project: request.said("x-api-keys-project"),
        session,
        task: fields.task(&request.call.endpoint)?,
    };
    let booking = gateway
        .accounts
        .book(
            app,
            &request.config.budget,
            &gateway.metrics,
            &request.client,
            &ask,
            told,
        )
        .await?;
    try_each(gateway, request, &ask, keys, booking, others_left, attempts).await
}

/// The answer that is kept, where there is one.
fn cached(gateway: &Gateway, request: &Request, ask: &Ask) -> Option<Response<Out>> {
    let found = gateway.cache.answer(ask.cacheable?, &request.config.gateway.cache);
    gateway.metrics.count_looked_up(found.is_some());
    let found = found?;
    tracing::info!(client = %request.client.name, model = %ask.model, "a request was answered from the cache");
    let age = found.age().as_secs();
    let mut response = Response::new(Out::whole(found.body));
    *response.headers_mut() = found.headers;
    let head = response.headers_mut();
    introduce(head, ask, request.attempts);
    head.insert(COST, HeaderValue::from_static("0"));
    head.insert(CACHE, HeaderValue::from_static("hit"));
    head.insert(header::AGE, age.into());
    Some(response)
}

/// The keys to try; nothing in place of a key where the provider needs none.
fn in_order(
    gateway: &Gateway,
    ask: &Ask,
    session: Option<&str>,
    mut lent: Vec<Lent>,
) -> Result<Vec<Option<Lent>>, Refusal> {
    let room = |key: Option<&Lent>| gateway.quotas.room(ask, key.map(|lent| &lent.label));
    if lent.is_empty() {
        return match room(None).wait {
            None => Ok(vec![None]),
            Some(wait) => Err(has_to_wait(ask, wait)),
        };
    }
    if let Some(session) = session {
        // The provider has its prompts cached for that key's account.
        lent.sort_by_key(|key| routing::affinity(session, &ask.provider, &key.label));
    }
    let chosen = ask.label.as_ref();
    let ordered = gateway
        .troubles
        .order(&gateway.app, &ask.provider.id, lent, chosen, |key| room(Some(key)));
    let keys = ordered.map_err(|wait| has_to_wait(ask, wait))?;
    Ok(keys.into_iter().map(Some).collect())
}

fn has_to_wait(ask: &Ask, wait: Duration) -> Refusal {
    Refusal {
        error: Error::new(
            Code::RateLimited,
            format!("every key of {} has to wait", ask.provider.id),
        )
        .hint("its quota is used up; another key or provider may be free"),
        retry_after: Some(wait),
    }
}

async fn try_each(
    gateway: &Gateway,
    request: &Request,
    ask: &Ask,
    keys: Vec<Option<Lent>>,
    mut booking: Booking,
    others_left: bool,
    attempts: &mut usize,
) -> Result<Option<Response<Out>>, Refusal> {
    let passing = headers::for_provider(&request.headers);
    let mut left = keys.len();
    let mut waits = Vec::new();
    for lent in keys {
        left -= 1;
        let others_left = left > 0 || others_left;
        let label = lent.as_ref().map(|lent| &lent.label);
        if let Err(wait) = gateway.quotas.take(ask, label) {
            waits.push(wait);
            continue;
        }
        *attempts += 1;
        booking.with_key(label.cloned());
        let question = UpstreamRequest {
            provider: &ask.provider,
            dialect: request.call.endpoint.dialect(),
            key: lent.as_ref().map(|lent| (lent.key.as_ref(), lent.origin.as_str())),
            method: request.method.clone(),
            path: &request.call.path,
            headers: passing.clone(),
            body: ask.body.clone(),
            first_byte_timeout: gateway.options.patience,
            idle_timeout: gateway.options.idle,
        };
        let reply = match gateway.app.upstream().send(question).await {
            Ok(reply) => reply,
            Err(failure) if others_left && failure != Failure::TimedOut => {
                tracing::debug!(provider = %ask.provider.id, why = failure.message(), "trying the next");
                booking.record_try(Ending::failed(None, None), *attempts);
                continue;
            }
            Err(failure) => {
                // What took its time may have been worked on, and paid for.
                booking.settle(if failure == Failure::TimedOut {
                    Ending::unknown(ask.input)
                } else {
                    Ending::failed(None, None)
                });
                return Err(no_answer(ask, failure));
            }
        };
        let status = reply.status;
        let retry_after = learn(gateway, ask, label, &reply);
        let wait = retry_after.filter(|_| status == StatusCode::TOO_MANY_REQUESTS);
        waits.extend(wait);
        let waits_for_it = wait.is_some_and(|wait| waiting::is_wanted(request, wait));
        if waits_for_it || others_left && is_worth_another(status) {
            tracing::debug!(provider = %ask.provider.id, status = status.as_u16(), "trying the next");
            booking.record_try(Ending::failed(Some(status.as_u16()), retry_after), *attempts);
            continue;
        }
        let delivery = Delivery {
            gateway,
            request,
            ask,
            key: lent.as_ref().map(|lent| lent.key.as_ref()),
            attempts: *attempts,
            retry_after,
        };
        match delivery.deliver(reply, booking, others_left).await? {
            Tried::Answered(response) => return Ok(Some(response)),
            Tried::Failed(ending, returned) => {
                booking = *returned;
                booking.record_try(ending, *attempts);
            }
        }
    }
    match waits.into_iter().min() {
        Some(wait) => Err(has_to_wait(ask, wait)),
        None => Ok(None),
    }
}

/// Learns what an answer says of the provider's limits, and returns how long it wants to be left alone.
fn learn(gateway: &Gateway, ask: &Ask, label: Option<&Label>, reply: &UpstreamResponse) -> Option<Duration> {
    let now = gateway.app.now();
    let told = providers::retry_after(&reply.headers, now);
    if reply.status != StatusCode::TOO_MANY_REQUESTS {
        gateway.quotas.learn(ask, label, &reply.headers, now);
        return told;
    }
    let wait = told.or_else(|| quota::until_enough(ask, &reply.headers, now));
    if wait.is_none() {
        gateway.quotas.refuse(ask, label);
    }
    wait.map(|wait| gateway.quotas.wait(ask, label, wait))
}

impl Request {
    /// What the client says in a header of ours, unless it is a key, which no ledger must hold.
    pub(super) fn said(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?.to_str().ok()?;
        (!providers::has_key_form(value)).then(|| value.chars().take(200).collect())
    }
}

/// What a client is told where no answer came.
fn no_answer(ask: &Ask, failure: Failure) -> Refusal {
    let code = if failure == Failure::TimedOut {
        Code::ProviderTooSlow
    } else {
        Code::ProviderUnreachable
    };
    Error::new(code, format!("{} {}", ask.provider.title, failure.message()))
        .hint("`api-keys doctor` shows what can be reached")
        .into()
}

/// Passing one answer back.
struct Delivery<'a> {
    gateway: &'a Gateway,
    request: &'a Request,
    ask: &'a Ask,
    key: Option<&'a ApiKey>,
    attempts: usize,
    retry_after: Option<Duration>,
}

impl Delivery<'_> {
    async fn deliver(&self, reply: UpstreamResponse, booking: Booking, others_left: bool) -> Result<Tried, Refusal> {
        let framing = match framing(&reply.headers) {
            // An answer that costs nothing may be anything, and as long as it likes: a list, a file.
            Framing::Whole if !self.ask.is_metered && reply.status.is_success() => Framing::Unread,
            framing => framing,
        };
        let is_stream = framing != Framing::Whole || self.request.call.path.contains(":streamGenerateContent");
        let head = self.head(&reply);
        let flow = Flow {
            body: reply.body,
            reader: UsageReader::new(framing, self.ask.strips),
            status: reply.status.as_u16(),
            is_answer: reply.status.is_success(),
            retry_after: self.retry_after,
            booking,
        };
        if !reply.status.is_success() || !is_stream {
            self.whole(head, flow, others_left).await
        } else if framing == Framing::Unread {
            Ok(Tried::Answered(self.relay(head, VecDeque::new(), flow)))
        } else {
            self.stream(head, flow, others_left).await
        }
    }

    /// An answer that is read to its end, so that its head can tell what it cost.
    async fn whole(&self, mut head: Response<Out>, mut flow: Flow, others_left: bool) -> Result<Tried, Refusal> {
        let mut read = BytesMut::new();
        let (cost, is_counted) = loop {
            match flow.body.next().await {
                Some(Ok(piece)) => {
                    read.extend_from_slice(&piece);
                    flow.reader.pass(piece);
                    if read.len() > WHOLE {
                        return Ok(Tried::Answered(self.relay(head, VecDeque::from([read.freeze()]), flow)));
                    }
                }
                None => {
                    flow.reader.finish();
                    // Nothing, or a page of something in between.
                    flow.is_answer &= !matches!(read.trim_ascii_start().first(), None | Some(b'<'));
                    if let Some(status) = self.ask.provider.status_of_key(flow.status, &read) {
                        // What other providers have a status for, so that the key is known for what it is.
                        flow.status = status;
                        if others_left {
                            return Ok(Self::failed(flow));
                        }
                    }
                    let meter = flow.reader.meter();
                    let is_counted = meter.tokens().is_some() && !meter.is_error();
                    break (flow.settle(End::Complete), is_counted);
                }
                Some(Err(failure)) => {
                    flow.settle(End::Broken);
                    return Err(no_answer(self.ask, failure));
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
        if let (Some(request), StatusCode::OK, true) = (self.ask.cacheable, head.status(), is_counted) {
            let cache = &self.request.config.gateway.cache;
            self.gateway.cache.keep(request, head.headers(), &body, cache);
        }
        Ok(Tried::Answered(head.map(|_| Out::whole(body))))
    }

    /// An answer that is passed on as it arrives, once it is no error.
    async fn stream(&self, head: Response<Out>, mut flow: Flow, others_left: bool) -> Result<Tried, Refusal> {
        let until = Instant::now() + HOLDING;
        let mut held = VecDeque::new();
        let mut length = 0;
        while length < HELD && !flow.reader.meter().has_content() {
            let Ok(next) = tokio::time::timeout_at(until, flow.body.next()).await else {
                break;
            };
            if held.is_empty() {
                flow.booking.count_first_chunk();
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
                    return Err(no_answer(self.ask, failure));
                }
                Some(Err(_)) => {
                    return Ok(Self::failed(flow));
                }
                None => {
                    let (rest, _) = flow.finish();
                    held.push_back(rest);
                    return Ok(Tried::Answered(head.map(|_| {
                        Out::Stream(Box::new(Relay {
                            held,
                            flow: None,
                            broken: None,
                            tasks: self.gateway.tasks.clone(),
                        }))
                    })));
                }
            }
            if flow.reader.meter().is_error() && others_left {
                return Ok(Self::failed(flow));
            }
        }
        held.retain(|piece| !piece.is_empty());
        Ok(Tried::Answered(self.relay(head, held, flow)))
    }

    /// An error before the first word.
    fn failed(flow: Flow) -> Tried {
        Tried::Failed(flow.ending(End::Broken), Box::new(flow.booking))
    }

    fn relay(&self, head: Response<Out>, held: VecDeque<Bytes>, flow: Flow) -> Response<Out> {
        let relay = Relay {
            held,
            flow: Some(flow),
            broken: None,
            tasks: self.gateway.tasks.clone(),
        };
        head.map(|_| Out::Stream(Box::new(relay)))
    }

    fn head(&self, reply: &UpstreamResponse) -> Response<Out> {
        let mut head = Response::new(Out::whole(Bytes::new()));
        *head.status_mut() = reply.status;
        let mut passed = headers::for_client(&reply.headers, self.key);
        introduce(&mut passed, self.ask, self.attempts);
        if self.ask.cacheable.is_some() {
            passed.insert(CACHE, HeaderValue::from_static("miss"));
        }
        if let (StatusCode::TOO_MANY_REQUESTS, Some(wait)) = (reply.status, self.retry_after) {
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
fn introduce(head: &mut HeaderMap, ask: &Ask, attempts: usize) {
    let model = ask.model.to_string();
    for (name, text) in [
        (PROVIDER, ask.provider.id.as_str()),
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
        // A voice, a picture.
        _ => Framing::Unread,
    }
}

/// Whether another key may do better: this one has no quota, no credit or no right, or the provider is in trouble.
fn is_worth_another(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 402 | 403 | 408 | 429 | 500..)
}
