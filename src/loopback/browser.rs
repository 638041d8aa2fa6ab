//! Where a browser says that a request comes from, and what it may do with the response.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

pub(crate) const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The header's value, if it is there exactly once.
pub(crate) fn the_only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether a person opened the page: by its link, or by typing the address.
pub(crate) fn is_visit(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::ORIGIN) {
        return false;
    }
    match the_only(headers, &SITE) {
        None => !headers.contains_key(&SITE),
        Some("none" | "same-origin") => true,
        // A link on another page; not a picture, a frame or a script.
        Some(_) => the_only(headers, &MODE) == Some("navigate") && the_only(headers, &DEST) == Some("document"),
    }
}

/// Whether a script or a style sheet of the page at `authority` sent it, as far as the browser says where from.
pub(crate) fn is_from_page(headers: &HeaderMap, authority: &str) -> bool {
    let is_same_site = match the_only(headers, &SITE) {
        Some(site) => site == "same-origin",
        None => !headers.contains_key(&SITE),
    };
    let is_same_origin = match the_only(headers, &header::ORIGIN) {
        Some(origin) => origin.strip_prefix("http://") == Some(authority),
        None => !headers.contains_key(header::ORIGIN),
    };
    is_same_site && is_same_origin
}

/// Keeps the response out of other pages, frames, caches and guesses.
pub(crate) fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
