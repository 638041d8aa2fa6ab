//! Options of `alerts add` that are fields of a destination.

/// The fields of a destination that are text, with the options that set them.
pub(super) const TEXTS: &[(&str, &str, &str, &str)] = &[
    ("chat", "chat", "ID", "Telegram: the chat"),
    ("url", "url", "URL", "Telegram and PagerDuty: another server"),
    ("host", "host", "HOST", "E-mail: the SMTP server"),
    (
        "tls",
        "tls",
        "WHEN",
        "E-mail: implicit (port 465) or starttls (port 587)",
    ),
    (
        "user",
        "user",
        "NAME",
        "E-mail: the login; its password is prompted for",
    ),
    ("from", "from", "ADDRESS", "E-mail: the sender"),
    (
        "quiet",
        "quiet",
        "HOURS",
        "Hours in which only critical alerts are sent, such as 22:00-07:00",
    ),
];
