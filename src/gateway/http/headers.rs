//! Which headers pass, in which direction.

use hyper::{
    HeaderMap,
    header::{self, HeaderName},
};

use crate::domain::ApiKey;

/// Of one connection, not of the request or answer.
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

/// A client's credentials and whatever else is nobody's business but ours; also what would make the answer unreadable.
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

/// The beginning of headers that speak with the gateway itself.
const OURS: &str = "x-api-keys-";

/// The headers of a request that go on to a provider.
pub(in crate::gateway) fn for_provider(headers: &HeaderMap) -> HeaderMap {
    passing(headers, |name| STAYS_HERE.contains(&name) || name.starts_with(OURS))
}

/// The headers of an answer that go on to the client: none of the connection, no cookies, no leave for web pages, and
/// none with the key in it.
pub(in crate::gateway) fn for_client(headers: &HeaderMap, key: Option<&ApiKey>) -> HeaderMap {
    let mut passed = passing(headers, |name| {
        matches!(
            name,
            "content-length" | "set-cookie" | "alt-svc" | "strict-transport-security"
        ) || name.starts_with("access-control-")
            || name.starts_with(OURS)
    });
    if let Some(key) = key {
        // EXPOSE: looked for in what a provider sent, to keep it back
        let secret = key.expose().as_bytes();
        let named: Vec<HeaderName> = passed
            .iter()
            .filter(|(_, value)| holds(value.as_bytes(), secret))
            .map(|(name, _)| name.clone())
            .collect();
        for name in named {
            passed.remove(name);
        }
    }
    passed
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

/// Whether `bytes` have `part` somewhere.
pub(in crate::gateway) fn holds(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}

fn passing(headers: &HeaderMap, stays: impl Fn(&str) -> bool) -> HeaderMap {
    let connection: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    headers
        .iter()
        .filter(|(name, _)| {
            let name = name.as_str();
            !HOP_BY_HOP.contains(&name) && !connection.iter().any(|named| named == name) && !stays(name)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .fold(HeaderMap::new(), |mut passed, (name, value)| {
            passed.append(name, value);
            passed
        })
}
