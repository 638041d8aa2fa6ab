//! ntfy, at ntfy.sh or a server of one's own.

use data_encoding::BASE64;
use serde_json::json;
use zeroize::Zeroizing;

use super::payload::AlertRequest;
use crate::{
    alerts::{AlertMessage, WrongSecret, secret_form::address},
    domain::{AlertSeverity, Secret},
};

/// JSON to the server's root: headers hold ASCII only. A token or login stands in the address: `https://:tk_…@host/topic`.
pub(super) fn request(url: &Secret, message: &AlertMessage) -> Result<AlertRequest, WrongSecret> {
    let mut url = address(url)?;
    let mut headers = Vec::new();
    let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    if !password.is_empty() {
        let text = Zeroizing::new(if user.is_empty() {
            format!("Bearer {}", *password)
        } else {
            let login = Zeroizing::new(format!("{}:{}", *user, *password));
            format!("Basic {}", BASE64.encode(login.as_bytes()))
        });
        headers.push(("authorization", Secret::new(&text)));
    }
    // Fails only where an address has no host.
    let _ = (url.set_username(""), url.set_password(None));
    let topic = url
        .path_segments()
        .and_then(|mut path| path.next_back())
        .unwrap_or_default();
    let topic = decoded(topic);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop();
    }
    url.set_query(None);
    url.set_fragment(None);
    let (priority, tag) = match message.severity() {
        AlertSeverity::Info => (3, "information_source"),
        AlertSeverity::Warning => (4, "warning"),
        AlertSeverity::Critical => (5, "rotating_light"),
    };
    let text = message.text();
    let (_, rest) = text.split_once('\n').unwrap_or_default();
    let body = json!({
        "topic": *topic,
        "title": message.title(),
        "message": if rest.is_empty() { &text } else { rest },
        "priority": priority,
        "tags": [tag],
    });
    Ok(AlertRequest {
        url: Secret::new(url.as_str()),
        headers,
        body: body.to_string(),
    })
}

fn decoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned(),
    )
}
