//! The body of a response.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};

/// What a downstream client gets: whole, or a stream.
pub(in crate::gateway) type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

/// A body that is there already.
pub(in crate::gateway) fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
