//! A message as JSON, as webhooks and commands get it.

use serde_json::{Value, json};

use crate::{alerts::AlertMessage, domain::utc_text};

/// The version of the form.
const VERSION: u32 = 1;
/// How many alerts are listed.
const MAX_LISTED: usize = 100;

/// The message with its alerts, at most 100 of them.
pub(super) fn json(message: &AlertMessage) -> Value {
    let alerts: Vec<Value> = message
        .notices
        .iter()
        .take(MAX_LISTED)
        .map(|notice| {
            json!({
                "alert": notice.alert,
                "kind": notice.kind.as_str(),
                "subject": notice.subject,
                "change": notice.change.as_str(),
                "severity": notice.severity.as_str(),
                "at": utc_text(notice.at),
                "text": notice.text,
                "command": notice.command,
            })
        })
        .collect();
    json!({
        "version": VERSION,
        "type": "alerts",
        "id": message.id,
        "made_at": utc_text(message.made_at),
        "severity": message.severity().as_str(),
        "title": message.title(),
        "count": message.notices.len(),
        "alerts": alerts,
    })
}
