//! Requests that wait for a key to be free, for as long as their caller would.
//!
//! They wait before anything is reserved for them, and in the connection's own task: a caller that hangs up waits no
//! longer.

use std::time::Duration;

use crate::{domain::Billionths, gateway::request::client_request::ClientRequest};

/// For how many seconds a caller would wait for a key.
const WAIT: &str = "x-api-keys-wait";
/// After how many seconds the official libraries time out, as they say with each request.
const TIMEOUTS: [&str; 2] = ["x-stainless-timeout", "x-stainless-read-timeout"];

/// Whether the caller of `request`, and the configuration, would let it wait for so long from now on.
pub(in crate::gateway) fn is_wanted(request: &ClientRequest, how_long: Duration) -> bool {
    let seconds = |name: &str| {
        let text = request.headers.get(name)?.to_str().ok()?;
        Billionths::parse_rounded(text.trim(), 0).map(|seconds| Duration::from_nanos(seconds.0))
    };
    let stated = seconds(WAIT).or_else(|| {
        // Half of its time, so that as much is left for the response.
        TIMEOUTS
            .iter()
            .filter_map(|name| seconds(name))
            .min()
            .map(|timeout| timeout / 2)
    });
    let most = stated.map_or(Duration::ZERO, |stated| stated.min(request.config.gateway.max_wait));
    request.arrived.elapsed() + how_long <= most
}
