//! Who is let in: requests of a browser that shows our own page, and nothing else.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, StatusCode,
    body::Incoming,
    header::{self, HeaderMap},
};
use zeroize::Zeroizing;

use super::{page, ticket::Shared, ticket_store::TicketStore};
use crate::loopback::{SITE, is_visit, the_only};

/// How long a browser may take to send its headers, and then its form.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest form: a key of 4,096 characters, each written as `%xx`, with room for names.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// What a request that was let in is about.
pub(super) enum PageRequest {
    Page(Shared),
    Typed(Shared, Zeroizing<Vec<u8>>),
}

/// Lets in what comes from our own page by way of a browser, and nothing else.
pub(super) async fn read(
    tickets: &TicketStore,
    authority: &str,
    request: hyper::Request<Incoming>,
) -> Result<PageRequest, Refusal> {
    let headers = request.headers();
    // A name that resolves to this machine is not this machine's name (DNS rebinding).
    if the_only(headers, &header::HOST) != Some(authority) {
        return Err(FOREIGN);
    }
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return Err(WRONG_METHOD);
    }
    // No part of a secret may ever stand in an address.
    if request.uri().query().is_some() {
        return Err(UNREADABLE);
    }
    let ticket = tickets
        .ticket(request.uri().path())
        .filter(|ticket| ticket.is_open())
        .ok_or(GONE)?;
    if request.method() == Method::GET {
        return if is_visit(headers) {
            Ok(PageRequest::Page(ticket))
        } else {
            Err(FOREIGN)
        };
    }
    if !is_own_form(headers, authority) {
        return Err(FOREIGN);
    }
    if the_only(headers, &header::CONTENT_TYPE) != Some("application/x-www-form-urlencoded") {
        return Err(WRONG_FORM);
    }
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES);
    match tokio::time::timeout(SEND_TIMEOUT, collect(body)).await {
        Ok(body) => Ok(PageRequest::Typed(ticket, body?)),
        Err(_) => Err(TOO_SLOW),
    }
}

/// The body in one buffer that is wiped.
async fn collect(mut body: Limited<Incoming>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BODY_BYTES));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|why| {
            if why.is::<http_body_util::LengthLimitError>() {
                TOO_LARGE
            } else {
                UNREADABLE
            }
        })?;
        if let Some(chunk) = frame.data_ref() {
            bytes.extend_from_slice(chunk);
        }
    }
    Ok(bytes)
}

/// What refuses a request: a status, a heading and a sentence.
pub(super) struct Refusal(StatusCode, &'static str, &'static str);

pub(super) const GONE: Refusal = Refusal(
    StatusCode::NOT_FOUND,
    "This page is closed",
    "It was used already, or it is older than five minutes. Ask your assistant again for a new one.",
);
const FOREIGN: Refusal = Refusal(
    StatusCode::FORBIDDEN,
    "This request comes from elsewhere",
    "Open the page by the link that your assistant shows, and type the key there.",
);
pub(super) const UNREADABLE: Refusal = Refusal(
    StatusCode::BAD_REQUEST,
    "That could not be read",
    "Go back, and type or paste the text again.",
);
const TOO_LARGE: Refusal = Refusal(
    StatusCode::PAYLOAD_TOO_LARGE,
    "That is too long",
    "No key is as long as that. Go back, and paste the key alone.",
);
const TOO_SLOW: Refusal = Refusal(
    StatusCode::REQUEST_TIMEOUT,
    "That took too long",
    "Go back, and send the form again.",
);
const WRONG_METHOD: Refusal = Refusal(
    StatusCode::METHOD_NOT_ALLOWED,
    "This page can only be read and answered",
    "Open it in a browser.",
);
const WRONG_FORM: Refusal = Refusal(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "That is not the form of this page",
    "Open the page in a browser, and type the key there.",
);

impl Refusal {
    pub(super) fn into_page(self) -> (StatusCode, String) {
        (self.0, page::refusal(self.1, self.2))
    }
}

/// Whether our own page sent the form.
///
/// Its `no-referrer` policy makes browsers write `null` for the origin; then they must vouch for it otherwise.
fn is_own_form(headers: &HeaderMap, authority: &str) -> bool {
    let same_origin = the_only(headers, &SITE) == Some("same-origin");
    match the_only(headers, &header::ORIGIN) {
        Some("null") => same_origin,
        Some(origin) => {
            origin.strip_prefix("http://") == Some(authority) && (same_origin || !headers.contains_key(&SITE))
        }
        None => false,
    }
}
