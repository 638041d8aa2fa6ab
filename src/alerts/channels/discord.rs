//! Discord's webhooks.

use serde_json::json;

use super::payload::AlertRequest;
use crate::{
    alerts::{AlertMessage, WrongSecret, secret_form::address},
    domain::Secret,
};

/// The longest text, in characters.
const MAX_CONTENT: usize = 2_000;

/// A text that mentions no one.
pub(super) fn request(url: &Secret, message: &AlertMessage) -> Result<AlertRequest, WrongSecret> {
    let url = address(url)?;
    let content: String = escaped(&message.text()).chars().take(MAX_CONTENT).collect();
    let body = json!({"content": content, "allowed_mentions": {"parse": []}});
    Ok(AlertRequest {
        url: Secret::new(url.as_str()),
        headers: Vec::new(),
        body: body.to_string(),
    })
}

/// `text` without Markdown; the dash that begins a line is ours.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '*' | '_' | '~' | '`' | '|' | '[' | ']' | '(' | ')' | '<' | '>' | '#'
        ) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
