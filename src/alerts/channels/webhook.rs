//! Webhooks of one's own, signed as Standard Webhooks says.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{json::json, payload::AlertRequest};
use crate::{
    alerts::{AlertMessage, WrongSecret, secret_form::address},
    domain::Secret,
};

/// How a signing key begins.
const PREFIX: &str = "whsec_";

/// JSON, signed where the address ends in a signing key: `https://host/path#whsec_…`. What follows the `#` is not sent.
pub(super) fn request(url: &Secret, message: &AlertMessage, now: Timestamp) -> Result<AlertRequest, WrongSecret> {
    let mut url = address(url)?;
    let body = json(message).to_string();
    let (id, time) = (&message.id, now.as_second().to_string());
    let key = url
        .fragment()
        .and_then(|key| key.strip_prefix(PREFIX))
        .map(str::to_owned);
    url.set_fragment(None);
    let mut headers = vec![
        ("webhook-id", Secret::new(id)),
        ("webhook-timestamp", Secret::new(&time)),
    ];
    if let Some(key) = key.map(Zeroizing::new) {
        let key = BASE64.decode(key.as_bytes()).map(Zeroizing::new);
        let key = key.unwrap_or_default();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{time}.{body}").as_bytes());
        let signature = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
        headers.push(("webhook-signature", Secret::new(&signature)));
    }
    Ok(AlertRequest {
        url: Secret::new(url.as_str()),
        headers,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let message = AlertMessage::new("msg_1".to_owned(), Timestamp::UNIX_EPOCH, &[]);
        let key = BASE64.encode(b"0123456789abcdef01234567");
        let url = Secret::new(&format!("https://host.example/hook?x=y#whsec_{key}"));
        let request = request(&url, &message, Timestamp::UNIX_EPOCH).expect("a request");
        // EXPOSE: made-up values in a test
        assert_eq!(request.url.expose(), "https://host.example/hook?x=y");
        let mut mac = Hmac::<Sha256>::new_from_slice(b"0123456789abcdef01234567").expect("a key");
        mac.update(format!("msg_1.0.{}", request.body).as_bytes());
        let expected = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
        // EXPOSE: made-up values in a test
        assert_eq!(request.headers[2].1.expose(), expected);
    }
}
