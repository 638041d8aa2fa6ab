//! PagerDuty's Events API v2.

use serde_json::{Value, json};

use super::payload::AlertRequest;
use crate::{
    alerts::{AlertMessage, message::MAX_DESCRIBED},
    domain::{AlertChange, AlertSeverity, Notice, Secret},
};

const SERVER: &str = "https://events.pagerduty.com/v2/enqueue";

/// An event for each alert, which begins or resolves an incident of its own; one for all where there are many.
pub(super) fn requests(key: &Secret, server: Option<&str>, message: &AlertMessage) -> Vec<AlertRequest> {
    let request = |event: &Value| {
        let mut event = event.clone();
        // EXPOSE: the integration's own key, in the body that goes to it
        event["routing_key"] = key.expose().into();
        AlertRequest {
            url: Secret::new(server.unwrap_or(SERVER)),
            headers: Vec::new(),
            body: event.to_string(),
        }
    };
    if message.notices.len() > MAX_DESCRIBED {
        let event = event("trigger", &message.id, (&message.title(), message.severity()));
        return vec![request(&event)];
    }
    message
        .notices
        .iter()
        .map(|notice| request(&of_notice(notice)))
        .collect()
}

fn of_notice(notice: &Notice) -> Value {
    let action = match notice.change {
        AlertChange::Resolved => "resolve",
        AlertChange::Firing | AlertChange::Escalated | AlertChange::Reminder => "trigger",
    };
    let incident = format!("api-keys:{}:{}:{}", notice.kind.as_str(), notice.subject, notice.alert);
    let mut event = event(action, &incident, (&notice.text, notice.severity));
    event["payload"]["component"] = notice.subject.as_str().into();
    event["payload"]["class"] = notice.kind.as_str().into();
    event["payload"]["custom_details"] = json!({ "command": notice.command });
    event
}

fn event(action: &str, incident: &str, (summary, severity): (&str, AlertSeverity)) -> Value {
    json!({
        "event_action": action,
        "dedup_key": incident,
        "payload": {"summary": summary, "source": "api-keys", "severity": severity.as_str()},
    })
}
