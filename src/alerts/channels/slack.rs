//! Slack's incoming webhooks.

use serde_json::{Value, json};

use super::payload::AlertRequest;
use crate::{
    alerts::{AlertMessage, WrongSecret, secret_form::address},
    domain::Secret,
};

/// A message with a section for each alert.
pub(super) fn request(url: &Secret, message: &AlertMessage) -> Result<AlertRequest, WrongSecret> {
    let url = address(url)?;
    let section = |text: String| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
    let mut blocks: Vec<Value> = Vec::new();
    for (fact, command) in message.described() {
        let command = if command.is_empty() {
            String::new()
        } else {
            format!("\n`{}`", escaped(&command).replace('`', "'"))
        };
        blocks.push(section(format!("{}{command}", escaped(&fact))));
    }
    if message.more() > 0 {
        blocks.push(section(format!(
            "and {} more\n`api-keys alerts history`",
            message.more()
        )));
    }
    let body = json!({"text": escaped(&message.title()), "blocks": blocks});
    Ok(AlertRequest {
        url: Secret::new(url.as_str()),
        headers: Vec::new(),
        body: body.to_string(),
    })
}

/// `text` without marks: neither mention nor link nor emphasis.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '*' => escaped.push('∗'),
            '~' => escaped.push('∼'),
            c => escaped.push(c),
        }
    }
    escaped
}
