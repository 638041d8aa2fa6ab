//! One request: sent to one provider after the other, with one key after the other, until one responds.

use std::time::Duration;

use hyper::{
    Response,
    header::{self, HeaderValue},
};
use tokio::time::Instant;

use super::delivery::{Alternatives, CACHE, COST, Delivered, Delivery, FailedAttempt, Retry, introduce, no_response};
use crate::{
    error::{Code, Error},
    gateway::{
        accounting::{
            accounts::ToBook,
            booking::{Booking, Ending, Noted},
        },
        cache::Cacheable,
        http::{
            body::{self, ResponseBody},
            error_response::ErrorResponse,
            headers,
            route::Endpoint,
        },
        keys::LentKey,
        models,
        request::{
            client_request::ClientRequest,
            fields::BodyFields,
            prepared_request::PreparedRequest,
            target::{self, Target},
        },
        state::GatewayState,
    },
    providers::{Failure, UpstreamRequest},
    services::routing,
};

/// The attempts to have one request answered.
struct Attempts<'a> {
    state: &'a GatewayState,
    request: &'a ClientRequest,
    fields: &'a BodyFields<'a>,
    /// Where the present target's response may be cached.
    cacheable: Option<Cacheable>,
    /// How often the request was sent.
    made: usize,
}

/// Sends the request to one provider after the other, and returns the first response as it comes.
pub(in crate::gateway) async fn exchange(
    state: &GatewayState,
    request: &mut ClientRequest,
) -> Result<Response<ResponseBody>, ErrorResponse> {
    let fields = BodyFields::read(&request.body, &request.call)?;
    let mut targets = target::targets(&state.app, request, &fields, &state.known_ids).await?;
    // Stable: the others keep their order.
    let now = Instant::now();
    targets.sort_by_cached_key(|target| state.missing_models.contains(&target.provider.id, &target.model, now));
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
        match attempts.with_target(target, number < last).await {
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
    Err(failed.unwrap_or_else(|| Error::new(Code::Internal, "no provider was tried").into()))
}

impl Attempts<'_> {
    /// Sends the request to one provider; nothing where that failed and others are left.
    async fn with_target(
        &mut self,
        target: Target,
        has_more: bool,
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
        if !models::may_use(&request.client, &prepared.model) {
            let message = format!("the client {} may not use {}", request.client.name, prepared.model);
            return Err(Error::new(Code::ProviderNotAllowed, message)
                .hint("its models were named when it was added: `api-keys client add --model`")
                .into());
        }
        if let (Endpoint::CountTokens, Some(translated)) = (&request.call.endpoint, &prepared.translated) {
            return Ok(Some(translated.count()));
        }
        self.cacheable = state.cache.cacheable(request, self.fields, &prepared);
        if let Some(response) = self.cached(&prepared) {
            return Ok(Some(response));
        }
        let label = request.client.key_label.as_ref();
        let lent = state.key_ring.keys_of(app, &prepared.provider, label).await?;
        state.key_health.refresh(app).await;
        let keys = in_order(state, &prepared, request.attribution.session.as_deref(), lent)?;
        let noted = Noted {
            request_id: request.id.clone(),
            label: keys.first().and_then(Option::as_ref).map(|lent| lent.label.clone()),
            attribution: request.attribution.clone(),
            task: self.fields.task(&request.call.endpoint)?,
        };
        let to_book = ToBook {
            budget: &request.config.budget,
            client: &request.client,
            prepared: &prepared,
            noted,
        };
        let booking = state.accounts.book(app, to_book).await?;
        self.with_each_key(&prepared, keys, booking, has_more).await
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

    /// Sends the request with one key after the other.
    async fn with_each_key(
        &mut self,
        prepared: &PreparedRequest,
        keys: Vec<Option<LentKey>>,
        mut booking: Booking,
        has_more_providers: bool,
    ) -> Result<Option<Response<ResponseBody>>, ErrorResponse> {
        let mut waits = Vec::new();
        let mut keys = keys.into_iter();
        while let Some(key) = keys.next() {
            let label = key.as_ref().map(|key| &key.label);
            if let Err(wait) = self.state.quotas.take(prepared, label) {
                waits.push(wait);
                continue;
            }
            let (accounts, app) = (&self.state.accounts, &self.state.app);
            accounts
                .reserve_again(app, self.request, prepared, &mut booking)
                .await?;
            let alternatives = Alternatives {
                keys: keys.len() > 0,
                providers: has_more_providers,
            };
            let failed = match self.attempt(prepared, key, booking, alternatives).await? {
                Delivered::Response(response) => return Ok(Some(response)),
                Delivered::Failed(failed) => *failed,
            };
            tracing::debug!(provider = %prepared.provider.id, status = failed.ending.status, "trying the next");
            booking = failed.booking;
            booking.record_attempt(&failed.ending, self.made);
            waits.extend(failed.wait);
            if failed.retry == Retry::AnotherProvider {
                return Ok(None);
            }
        }
        match waits.into_iter().min() {
            Some(wait) => Err(has_to_wait(prepared, wait)),
            None => Ok(None),
        }
    }

    /// Sends the request once.
    async fn attempt(
        &mut self,
        prepared: &PreparedRequest,
        key: Option<LentKey>,
        mut booking: Booking,
        alternatives: Alternatives,
    ) -> Result<Delivered, ErrorResponse> {
        let (state, request) = (self.state, self.request);
        self.made += 1;
        booking.with_key(key.as_ref().map(|key| key.label.clone()));
        let (dialect, path, body) = prepared.sent(&request.call);
        let mut headers = headers::for_provider(&request.headers);
        if let Some(translated) = &prepared.translated {
            translated.set_headers(&mut headers);
        }
        let upstream_request = UpstreamRequest {
            provider: &prepared.provider,
            dialect,
            key: key.as_ref().map(|key| (key.key.as_ref(), key.origin.as_str())),
            method: request.method.clone(),
            path,
            headers,
            body: body.clone(),
            first_byte_timeout: state.options.first_byte_timeout,
            idle_timeout: state.options.idle_timeout,
        };
        match state.upstream.send(upstream_request).await {
            Ok(response) => {
                let delivery = Delivery {
                    state,
                    request,
                    prepared,
                    cacheable: self.cacheable,
                    attempts: self.made,
                    alternatives,
                };
                // In memory of its own, which a request needs only once its response begins.
                Box::pin(delivery.deliver(response, key, booking)).await
            }
            Err(failure) if failure == Failure::TimedOut => {
                // It may have been worked on, and paid for.
                booking.settle(&Ending::unknown(prepared.input));
                Err(no_response(prepared, failure))
            }
            Err(_) if alternatives.any() => Ok(Delivered::Failed(Box::new(FailedAttempt {
                ending: Ending::failed(None, None),
                booking,
                retry: Retry::AnotherKey,
                wait: None,
            }))),
            Err(failure) => {
                booking.settle(&Ending::failed(None, None));
                Err(no_response(prepared, failure))
            }
        }
    }
}

/// The keys to try; nothing in place of a key where the provider needs none.
fn in_order(
    state: &GatewayState,
    prepared: &PreparedRequest,
    session: Option<&str>,
    mut lent: Vec<LentKey>,
) -> Result<Vec<Option<LentKey>>, ErrorResponse> {
    let headroom = |key: Option<&LentKey>| state.quotas.headroom(prepared, key.map(|lent| &lent.label));
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
        .order(state.app.now(), prepared, lent, |key| headroom(Some(key)))
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
