//! One request: sent with one key after the other until a response comes.

use std::time::Duration;

use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};

use super::delivery::{CACHE, COST, Delivered, Delivery, introduce, no_answer};
use crate::{
    domain::Label,
    error::{Code, Error},
    gateway::{
        accounting::booking::{Booking, Ending, Noted},
        cache::Cacheable,
        http::{
            body::{self, ResponseBody},
            error_response::ErrorResponse,
            headers,
        },
        keys::{quota, wait},
        request::{
            client_request::ClientRequest,
            fields::Fields,
            prepared_request::PreparedRequest,
            target::{self, Target},
        },
        state::GatewayState,
    },
    providers::{self, Failure, Question, Reply},
    services::{lending::Lent, routing},
};

/// The attempts to have one request answered.
struct Attempts<'a> {
    state: &'a GatewayState,
    request: &'a ClientRequest,
    fields: &'a Fields<'a>,
    /// Where the present target's response may be cached.
    cacheable: Option<Cacheable>,
    /// How often it was sent to a provider.
    made: usize,
}

/// Sends the request to one provider after the other, and returns the first response as it comes.
pub(in crate::gateway) async fn exchange(
    state: &GatewayState,
    request: &mut ClientRequest,
) -> Result<Response<ResponseBody>, ErrorResponse> {
    let fields = Fields::read(&request.body, &request.call)?;
    let targets = target::targets(&state.app, request, &fields).await?;
    let mut attempts = Attempts {
        state,
        request,
        fields: &fields,
        cacheable: None,
        made: request.attempts,
    };
    let mut failed: Option<ErrorResponse> = None;
    let last = targets.len();
    for (number, target) in (1..).zip(targets) {
        match attempts.at_target(target, number < last).await {
            Ok(Some(response)) => return Ok(response),
            Ok(None) => {}
            Err(error) => {
                failed = Some(match failed {
                    Some(before) => before.or_sooner(error),
                    None => error,
                });
            }
        }
    }
    request.attempts = attempts.made;
    Err(failed.unwrap_or_else(|| Error::new(Code::Internal, "no provider was asked").into()))
}

impl Attempts<'_> {
    /// Asks one provider with one key after the other; nothing where that failed and others are left.
    async fn at_target(
        &mut self,
        target: Target,
        others_left: bool,
    ) -> Result<Option<Response<ResponseBody>>, ErrorResponse> {
        let (state, request) = (self.state, self.request);
        let app = &state.app;
        let prepared = PreparedRequest::new(request, self.fields, target, app.now())?;
        let allowed = &request.client.providers;
        if !allowed.is_empty() && !allowed.contains(&prepared.provider.id) {
            let message = format!(
                "the client {} may not use {}",
                request.client.name, prepared.provider.id
            );
            return Err(Error::new(Code::ProviderNotAllowed, message)
                .hint("its providers were named when it was added: `api-keys client add`")
                .into());
        }
        self.cacheable = state.cache.cacheable(request, self.fields, &prepared);
        if let Some(response) = self.cached(&prepared) {
            return Ok(Some(response));
        }
        let lent = state.key_ring.keys_of(app, &prepared.provider).await?;
        let session = request.note("x-api-keys-session");
        let keys = in_order(state, &prepared, session.as_deref(), lent)?;
        let noted = Noted {
            request_id: request.id.clone(),
            label: keys.first().and_then(Option::as_ref).map(|lent| lent.label.clone()),
            project: request.note("x-api-keys-project"),
            session,
            task: self.fields.task(&request.call.endpoint)?,
        };
        let booking = state
            .accounts
            .book(
                app,
                &request.config.budget,
                &state.metrics,
                &request.client,
                &prepared,
                noted,
            )
            .await?;
        self.with_each(&prepared, keys, booking, others_left).await
    }

    /// The response that is cached, if there is one.
    fn cached(&self, prepared: &PreparedRequest) -> Option<Response<ResponseBody>> {
        let request = self.request;
        let found = self
            .state
            .cache
            .response(self.cacheable?, &request.config.gateway.cache);
        self.state.metrics.count_looked_up(found.is_some());
        let found = found?;
        tracing::info!(client = %request.client.name, model = %prepared.model, "a request was answered from the cache");
        let age = found.age().as_secs();
        let mut response = Response::new(body::full(found.body));
        *response.headers_mut() = found.headers;
        let head = response.headers_mut();
        introduce(head, prepared, request.attempts);
        head.insert(COST, HeaderValue::from_static("0"));
        head.insert(CACHE, HeaderValue::from_static("hit"));
        head.insert(header::AGE, age.into());
        Some(response)
    }

    async fn with_each(
        &mut self,
        prepared: &PreparedRequest,
        keys: Vec<Option<Lent>>,
        mut booking: Booking,
        others_left: bool,
    ) -> Result<Option<Response<ResponseBody>>, ErrorResponse> {
        let (state, request) = (self.state, self.request);
        let passing = headers::for_provider(&request.headers);
        let mut left = keys.len();
        let mut waits = Vec::new();
        for lent in keys {
            left -= 1;
            let others_left = left > 0 || others_left;
            let label = lent.as_ref().map(|lent| &lent.label);
            if let Err(wait) = state.quotas.take(prepared, label) {
                waits.push(wait);
                continue;
            }
            self.made += 1;
            booking.with_key(label.cloned());
            let question = Question {
                provider: &prepared.provider,
                dialect: request.call.endpoint.dialect(),
                key: lent.as_ref().map(|lent| (lent.key.as_ref(), lent.origin.as_str())),
                method: request.method.clone(),
                path: &request.call.path,
                headers: passing.clone(),
                body: prepared.body.clone(),
                patience: state.options.first_byte_timeout,
                idle: state.options.idle_timeout,
            };
            let reply = match state.app.upstream().send(question).await {
                Ok(reply) => reply,
                Err(failure) if others_left && failure != Failure::TimedOut => {
                    tracing::debug!(provider = %prepared.provider.id, why = failure.message(), "trying the next");
                    booking.record_attempt(Ending::failed(None, None), self.made);
                    continue;
                }
                Err(failure) => {
                    // What took its time may have been worked on, and paid for.
                    booking.settle(if failure == Failure::TimedOut {
                        Ending::unknown(prepared.input)
                    } else {
                        Ending::failed(None, None)
                    });
                    return Err(no_answer(prepared, failure));
                }
            };
            let status = reply.status;
            let retry_after = learn(state, prepared, label, &reply);
            let wait = retry_after.filter(|_| status == StatusCode::TOO_MANY_REQUESTS);
            waits.extend(wait);
            let waits_for_it = wait.is_some_and(|wait| wait::is_wanted(request, wait));
            if waits_for_it || others_left && is_worth_another(status) {
                tracing::debug!(provider = %prepared.provider.id, status = status.as_u16(), "trying the next");
                booking.record_attempt(Ending::failed(Some(status.as_u16()), retry_after), self.made);
                continue;
            }
            let delivery = Delivery {
                state,
                request,
                prepared,
                cacheable: self.cacheable,
                key: lent.as_ref().map(|lent| lent.key.as_ref()),
                attempts: self.made,
                retry_after,
            };
            match delivery.deliver(reply, booking, others_left).await? {
                Delivered::Response(response) => return Ok(Some(response)),
                Delivered::Failed(ending, returned) => {
                    booking = *returned;
                    booking.record_attempt(ending, self.made);
                }
            }
        }
        match waits.into_iter().min() {
            Some(wait) => Err(has_to_wait(prepared, wait)),
            None => Ok(None),
        }
    }
}

/// The keys to try; nothing in place of a key where the provider needs none.
fn in_order(
    state: &GatewayState,
    prepared: &PreparedRequest,
    session: Option<&str>,
    mut lent: Vec<Lent>,
) -> Result<Vec<Option<Lent>>, ErrorResponse> {
    let headroom = |key: Option<&Lent>| state.quotas.headroom(prepared, key.map(|lent| &lent.label));
    if lent.is_empty() {
        return match headroom(None).wait {
            None => Ok(vec![None]),
            Some(wait) => Err(has_to_wait(prepared, wait)),
        };
    }
    if let Some(session) = session {
        // The provider has its prompts cached for that key's account.
        lent.sort_by_key(|key| routing::affinity(session, &prepared.provider, &key.label));
    }
    let keys = state
        .key_health
        .order(&state.app, prepared, lent, |key| headroom(Some(key)))
        .map_err(|wait| has_to_wait(prepared, wait))?;
    Ok(keys.into_iter().map(Some).collect())
}

fn has_to_wait(prepared: &PreparedRequest, wait: Duration) -> ErrorResponse {
    ErrorResponse {
        error: Error::new(
            Code::RateLimited,
            format!("every key of {} has to wait", prepared.provider.id),
        )
        .hint("its quota is used up; another key or provider may be free"),
        retry_after: Some(wait),
    }
}

/// Learns what a response says of the provider's limits, and returns how long it wants to be left alone.
fn learn(state: &GatewayState, prepared: &PreparedRequest, label: Option<&Label>, reply: &Reply) -> Option<Duration> {
    let now = state.app.now();
    let stated = providers::retry_after(&reply.headers, now);
    if reply.status != StatusCode::TOO_MANY_REQUESTS {
        state.quotas.learn(prepared, label, &reply.headers, now);
        return stated;
    }
    let wait = stated.or_else(|| quota::until_enough(prepared, &reply.headers, now));
    if wait.is_none() {
        state.quotas.refuse(prepared, label);
    }
    wait.map(|wait| state.quotas.wait(prepared, label, wait))
}

/// Whether another key may do better: this one has no quota, no credit or no right, or the provider is failing.
fn is_worth_another(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 402 | 403 | 408 | 429 | 500..)
}
