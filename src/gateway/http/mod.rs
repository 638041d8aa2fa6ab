//! HTTP as the gateway speaks it: routes, headers, bodies, and errors in each client's format.

pub(super) mod body;
pub(super) mod decoding;
pub(super) mod error_response;
pub(super) mod headers;
pub(super) mod route;
pub(super) mod scrub;
