//! Admits a request by its host, client key and route, and passes it on to the exchange with a provider.

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    capacity::RequestPermit,
    exchange::attempts,
    http::{
        body::{self, ResponseBody},
        decoding,
        error_response::{ErrorFormat, ErrorResponse},
        headers,
        route::{self, Endpoint, GatewayRoute, ProviderCall},
    },
    keys::wait,
    models,
    request::{attribution::Attribution, client_request::ClientRequest},
    state::GatewayState,
    tasks::Outliving,
};
use crate::{
    app::App,
    domain::Secret,
    error::{Code, Error, Result},
    providers::Dialect,
    services::gateway_clients,
    storage::gateway_clients::GatewayClient,
};

/// The longest body, in bytes: what the providers themselves take at most.
const MAX_BODY_BYTES: usize = 32 << 20;
/// How long a body may take, beside a second for each [`MIN_BODY_RATE`] bytes of it.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The slowest body, in bytes a second.
const MIN_BODY_RATE: u64 = 16 << 10;

/// The header that every request in Anthropic's format has.
const ANTHROPIC_VERSION: &str = "anthropic-version";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-api-keys-request-id");

/// The response to a request, whatever becomes of it.
pub(super) async fn handle(
    state: &Arc<GatewayState>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    permit: &mut RequestPermit,
) -> Response<ResponseBody> {
    let id = match state.app.random::<16>() {
        Ok(random) => request_id(random, state.app.now()),
        Err(why) => return ErrorResponse::from(why).into_response(ErrorFormat::OpenAi, ""),
    };
    let format = GatewayRoute::error_format(request.uri().path());
    let allowed = GatewayRoute::allowed(request.uri().path());
    let answered = admit(state, request, peer, &id, permit).await;
    let mut response = answered.unwrap_or_else(|error| {
        let status = error.status();
        tracing::info!(
            code = error.error.code().as_str(),
            status = status.as_u16(),
            "a request was refused"
        );
        state.metrics.count_refused(status.as_u16());
        let mut response = error.into_response(format, &id);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = HeaderValue::from_static(allowed.unwrap_or(route::PASSING));
            response.headers_mut().insert(header::ALLOW, allowed);
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            let http = HeaderValue::from_static("HTTP/1.1");
            response.headers_mut().insert(header::UPGRADE, http);
        }
        response
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// A name for a request: later ones sort behind earlier ones, as they then do in the ledger's index.
fn request_id(mut random: [u8; 16], now: Timestamp) -> String {
    let milliseconds = now.as_millisecond().to_be_bytes();
    random[..6].copy_from_slice(&milliseconds[2..]);
    format!("req_{}", data_encoding::HEXLOWER.encode(&random))
}

/// Checks where a request comes from and who sends it, and does what it asks.
async fn admit(
    state: &Arc<GatewayState>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    id: &str,
    permit: &mut RequestPermit,
) -> Result<Response<ResponseBody>, ErrorResponse> {
    if !state.options.allow_remote && !is_own_host(request.headers()) {
        return Err(Error::new(
            Code::ForeignRequest,
            "the request is for another host than this machine",
        )
        .hint("use http://127.0.0.1 or http://localhost, with the gateway's port")
        .into());
    }
    // Agents try a WebSocket first, and use HTTP at once where there is none.
    if request.headers().contains_key(header::UPGRADE) {
        return Err(
            Error::new(Code::UpgradeRefused, "the gateway speaks HTTP alone, and no WebSocket")
                .hint("send the request over HTTP")
                .into(),
        );
    }
    let route = GatewayRoute::of(request.method(), request.uri())?;
    match &route {
        GatewayRoute::Health => return Ok(text("ok\n".to_owned(), "text/plain; charset=utf-8")),
        GatewayRoute::Metrics if peer.ip().is_loopback() => return Ok(metrics(state)),
        GatewayRoute::Metrics | GatewayRoute::Models(_) | GatewayRoute::Call(_) => {}
    }
    let client = authenticate(&state.app, request.headers())?;
    let call = match route {
        GatewayRoute::Health | GatewayRoute::Metrics => return Ok(metrics(state)),
        GatewayRoute::Models(only) => {
            let format = models_format(request.uri().path(), request.headers());
            return Ok(models::answer(&state.app, &client, only.as_deref(), format)?);
        }
        GatewayRoute::Call(call) => call,
    };
    // Anthropic has files of its own, at the same path.
    let call = match call.endpoint {
        Endpoint::Further(Dialect::OpenAi) if request.headers().contains_key(ANTHROPIC_VERSION) => ProviderCall {
            endpoint: Endpoint::Further(Dialect::Anthropic),
            ..call
        },
        _ => call,
    };
    let attribution = Attribution::of(request.headers(), &client)?;
    state.client_limits.admit(&client)?;
    let (mut head, body) = request.into_parts();
    let body = read(&head.headers, body).await?;
    let body = decoding::decoded(&mut head.headers, body, MAX_BODY_BYTES)?;
    let (config, catalog) = state.app.in_force()?;
    let request = ClientRequest {
        id: id.to_owned(),
        client,
        call,
        method: head.method,
        body,
        arrived: Instant::now(),
        headers: head.headers,
        catalog,
        config,
        attempts: 0,
        attribution,
    };
    exchange(state, request, permit).await
}

/// Whose list of models the client reads, by its path, or by the headers that only its library sends.
fn models_format(path: &str, headers: &HeaderMap) -> ErrorFormat {
    if path.starts_with("/v1beta/") || headers.contains_key("x-goog-api-key") {
        ErrorFormat::Google
    } else if headers.contains_key(ANTHROPIC_VERSION) {
        ErrorFormat::Anthropic
    } else {
        ErrorFormat::OpenAi
    }
}

/// Has the request answered by a provider, and waits for a free key as long as its caller would.
async fn exchange(
    state: &Arc<GatewayState>,
    mut request: ClientRequest,
    permit: &mut RequestPermit,
) -> Result<Response<ResponseBody>, ErrorResponse> {
    loop {
        let place = state.capacity.request(permit).await;
        // A client that hangs up leaves a response that is paid for, and has to be recorded.
        let shared = Arc::clone(state);
        let exchange = AssertUnwindSafe(async move {
            let response = attempts::exchange(&shared, &mut request).await;
            drop(place);
            (response, request)
        });
        let (response, asked) = Outliving::new(state.tasks.clone(), exchange.catch_unwind())
            .await
            .map_err(|_| Error::new(Code::Internal, "a bug in this program stopped the request"))?;
        let retry_after = response.as_ref().err().and_then(|error| error.retry_after);
        let Some(how_long) = retry_after.filter(|how_long| wait::is_wanted(&asked, *how_long)) else {
            return response;
        };
        // Others may be under way meanwhile.
        permit.pause();
        let Some(_waiting) = state.capacity.waiting() else {
            return response;
        };
        tracing::debug!(?how_long, "waiting for a key to be free");
        tokio::select! {
            () = tokio::time::sleep(how_long) => {}
            () = state.stopping.cancelled() => return response,
        }
        request = asked;
    }
}

fn authenticate(app: &App, headers: &HeaderMap) -> Result<GatewayClient> {
    let shown = headers::client_key(headers).ok_or_else(|| {
        Error::new(Code::ClientKeyInvalid, "the request has no client key")
            .hint("create one with `api-keys client add NAME`, and send it as `Authorization: Bearer` or `x-api-key`")
    })?;
    gateway_clients::authenticate(app, &Secret::new(shown))
}

/// Whether the request names this machine by an address or name that no other can have (DNS rebinding).
fn is_own_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || name == "[::1]"
        || name
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The body, if it is not too long and does not take too long.
async fn read(headers: &HeaderMap, mut body: Incoming) -> Result<Bytes> {
    let too_large = || {
        let limit = MAX_BODY_BYTES >> 20;
        Error::new(Code::RequestTooLarge, format!("the body is longer than {limit} MiB"))
            .hint("send less at a time, or upload files to the provider itself")
    };
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|declared: usize| declared > MAX_BODY_BYTES) {
        return Err(too_large());
    }
    let mut read = BytesMut::with_capacity(declared.unwrap_or(0).min(1 << 20));
    let began = Instant::now();
    loop {
        let deadline = began + BODY_TIMEOUT + Duration::from_secs(read.len() as u64 / MIN_BODY_RATE);
        let next = tokio::time::timeout_at(deadline, body.frame()).await;
        let cut = |problem: &str| Error::new(Code::InvalidArgument, problem).hint("send the request again");
        let Some(frame) = next.map_err(|_| cut("the body took too long to arrive"))? else {
            return Ok(read.freeze());
        };
        if let Ok(chunk) = frame.map_err(|_| cut("the body was cut off"))?.into_data() {
            if read.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(too_large());
            }
            read.extend_from_slice(&chunk);
        }
    }
}

fn metrics(state: &GatewayState) -> Response<ResponseBody> {
    text(
        state.metrics.text(state.capacity.in_use()),
        "text/plain; version=0.0.4; charset=utf-8",
    )
}

fn text(text: String, kind: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(body::full(text));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
