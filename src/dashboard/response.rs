//! What requests are answered with.

use std::{convert::Infallible, pin::Pin};

use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    StatusCode,
    body::{Bytes, Frame},
    header::{self, HeaderValue},
};
use serde_json::Value;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A response that has no end.
pub(super) type Endless = Pin<Box<dyn futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;

pub(super) fn json_response(status: StatusCode, value: &Value) -> hyper::Response<Body> {
    text(status, "application/json", value.to_string())
}

pub(super) fn text(status: StatusCode, content_type: &'static str, text: String) -> hyper::Response<Body> {
    with_body(status, content_type, Full::new(Bytes::from(text)).boxed_unsync())
}

/// A file of ours: its address changes with its contents.
pub(super) fn lasting(content_type: &'static str, text: &'static str) -> hyper::Response<Body> {
    let body = Full::new(Bytes::from_static(text.as_bytes())).boxed_unsync();
    let mut response = with_body(StatusCode::OK, content_type, body);
    let cache = HeaderValue::from_static("private, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, cache);
    response
}

pub(super) fn with_body(status: StatusCode, content_type: &'static str, body: Body) -> hyper::Response<Body> {
    let mut response = hyper::Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
