//! Which headers pass, in which direction.

use hyper::{
    HeaderMap,
    header::{self, HeaderName},
};

/// Of one connection, not of the request or response.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The client's credentials, what a provider need not know, and what would make the response unreadable.
const STAYS_HERE: [&str; 16] = [
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "xi-api-key",
    "cookie",
    "host",
    "content-length",
    "accept-encoding",
    "expect",
    "origin",
    "referer",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Of the provider's site, or of a body whose length may change.
const STAYS_BEHIND: [&str; 4] = ["content-length", "set-cookie", "alt-svc", "strict-transport-security"];

/// The beginning of headers that speak with the gateway itself.
const OURS: &str = "x-api-keys-";

/// The headers of a request that go on to a provider.
pub(in crate::gateway) fn for_provider(headers: &HeaderMap) -> HeaderMap {
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let text = name.as_str();
        if !is_of_connection(text, headers) && !STAYS_HERE.contains(&text) && !text.starts_with(OURS) {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// The headers of a response that go on to the client: none of the connection, no cookies, no permission for web pages.
pub(in crate::gateway) fn for_client(mut headers: HeaderMap) -> HeaderMap {
    let is_kept = |name: &str| {
        !is_of_connection(name, &headers)
            && !STAYS_BEHIND.contains(&name)
            && !is_named_like(name, &["access-control-", OURS])
    };
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| !is_kept(name.as_str())).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
    headers
}

/// The key that a client shows, in whichever header its library puts it.
pub(in crate::gateway) fn client_key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer
        .or_else(|| text("x-api-key"))
        .or_else(|| text("x-goog-api-key"))
        .or_else(|| text("api-key"))
        .filter(|key| !key.is_empty())
}

/// Whether the header is of one connection, by its name or because the `Connection` header names it.
fn is_of_connection(name: &str, headers: &HeaderMap) -> bool {
    let named = || {
        let values = headers.get_all(header::CONNECTION).iter();
        let mut names = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        names.any(|named| named.trim().eq_ignore_ascii_case(name))
    };
    HOP_BY_HOP.contains(&name) || named()
}

fn is_named_like(name: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| name.starts_with(start))
}
