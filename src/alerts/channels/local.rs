//! Programs on this machine: the desktop's notifications, and one of the user's own.

use super::{json::json, payload::Payload};
use crate::{alerts::AlertMessage, domain::AlertSeverity};

/// A notification of the desktop, by the program that every desktop on Linux has, or by the system's script on macOS.
pub(super) fn desktop(message: &AlertMessage) -> Payload {
    let text = message.text();
    let (title, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let arguments = if cfg!(target_os = "macos") {
        let script = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run";
        ["osascript", "-e", script, title, rest].map(str::to_owned).to_vec()
    } else {
        let urgency = match message.severity() {
            AlertSeverity::Info => "low",
            AlertSeverity::Warning => "normal",
            AlertSeverity::Critical => "critical",
        };
        // The body is marked-up text.
        let body = rest.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let urgency = format!("--urgency={urgency}");
        let arguments = [
            "notify-send",
            "--app-name=API Key Manager",
            &urgency,
            "--",
            title,
            &body,
        ];
        arguments.map(str::to_owned).to_vec()
    };
    Payload::Program {
        arguments,
        input: String::new(),
        variables: Vec::new(),
    }
}

/// The user's own program, which reads the message as JSON.
pub(super) fn command(program: &[String], message: &AlertMessage) -> Payload {
    let kind = message
        .notices
        .first()
        .map(|notice| notice.kind.as_str())
        .unwrap_or_default();
    Payload::Program {
        arguments: program.to_vec(),
        input: json(message).to_string(),
        variables: vec![
            ("API_KEYS_ALERT_ID", message.id.clone()),
            ("API_KEYS_ALERT_KIND", kind.to_owned()),
            ("API_KEYS_ALERT_SEVERITY", message.severity().as_str().to_owned()),
            ("API_KEYS_ALERT_TITLE", message.title()),
        ],
    }
}
