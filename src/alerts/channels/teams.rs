//! Microsoft Teams: workflows that take an adaptive card.

use serde_json::{Value, json};

use super::{discord::escaped, payload::AlertRequest};
use crate::{
    alerts::{AlertMessage, WrongSecret, secret_form::address},
    domain::{AlertSeverity, Secret},
};

/// A card with the title, and a block for each alert.
pub(super) fn request(url: &Secret, message: &AlertMessage) -> Result<AlertRequest, WrongSecret> {
    let url = address(url)?;
    let block = |text: &str| json!({"type": "TextBlock", "text": escaped(text), "wrap": true});
    let color = match message.severity() {
        AlertSeverity::Info => "Default",
        AlertSeverity::Warning => "Warning",
        AlertSeverity::Critical => "Attention",
    };
    let mut title = block(&message.title());
    title["weight"] = "Bolder".into();
    title["color"] = color.into();
    let mut body: Vec<Value> = vec![title];
    let is_single = message.notices.len() == 1;
    for (fact, command) in message.described() {
        if !is_single {
            body.push(block(&fact));
        }
        if !command.is_empty() {
            body.push(json!({"type": "TextBlock", "text": escaped(&command), "fontType": "Monospace", "wrap": true}));
        }
    }
    if message.more() > 0 {
        body.push(block(&format!("and {} more: api-keys alerts history", message.more())));
    }
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    });
    let body = json!({
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    });
    Ok(AlertRequest {
        url: Secret::new(url.as_str()),
        headers: Vec::new(),
        body: body.to_string(),
    })
}
