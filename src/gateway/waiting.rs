//! Requests that wait for a key to be free, for as long as their caller would.
//!
//! They wait before anything is set aside for them, and in the connection's own task: a caller that hangs up waits no
//! longer.

use std::time::Duration;

use super::{exchange::Request, server::Gateway};
use crate::domain::Billionths;

/// For how many seconds a caller would wait for a key.
const WAIT: &str = "x-api-keys-wait";
/// After how many seconds the official libraries give up, as they say with each request.
const TIMEOUTS: [&str; 2] = ["x-stainless-timeout", "x-stainless-read-timeout"];

/// Whether the caller of `request`, and the configuration, would let it wait for so long from now on.
pub(super) fn is_wanted(request: &Request, how_long: Duration) -> bool {
    let seconds = |name: &str| {
        let text = request.headers.get(name)?.to_str().ok()?;
        Billionths::parse_rounded(text.trim(), 0).map(|seconds| Duration::from_nanos(seconds.0))
    };
    let told = seconds(WAIT).or_else(|| {
        // Half of its time, so that as much is left for the answer.
        TIMEOUTS
            .iter()
            .filter_map(|name| seconds(name))
            .min()
            .map(|told| told / 2)
    });
    let most = told.map_or(Duration::ZERO, |told| told.min(request.config.gateway.max_wait));
    request.arrived.elapsed() + how_long <= most
}

/// Waits; says whether it was to the end, for which the gateway has to go on, and others must not wait in crowds.
pub(super) async fn wait(gateway: &Gateway, how_long: Duration) -> bool {
    let Some(_place) = gateway.room.to_wait() else {
        return false;
    };
    tracing::debug!(?how_long, "waiting for a key to be free");
    tokio::select! {
        () = tokio::time::sleep(how_long) => true,
        () = gateway.stopping.cancelled() => false,
    }
}
