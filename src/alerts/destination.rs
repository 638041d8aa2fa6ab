//! Where messages go.

use super::QuietHours;
use crate::domain::{AlertKind, AlertSeverity, Label, Notice};

/// A destination of alerts, as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub name: Label,
    pub channel: Channel,
    /// The secret in the vault that belongs to it.
    pub secret: Label,
    pub min_severity: AlertSeverity,
    /// Only these kinds; nothing is all but digests.
    pub kinds: Option<Vec<AlertKind>>,
    pub quiet: Option<QuietHours>,
    /// Whether critical alerts are sent in quiet hours as well.
    pub critical_always: bool,
    /// The digest that it gets, if any.
    pub digest: Option<AlertKind>,
    /// Whether its address may be link-local.
    pub allow_private: bool,
}

/// How messages are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    Slack,
    Discord,
    Teams,
    Ntfy,
    Telegram {
        chat: String,
        /// Another server's address.
        url: Option<String>,
    },
    PagerDuty {
        url: Option<String>,
    },
    Webhook,
    Email(MailSettings),
    Desktop,
    /// A program that reads the message as JSON.
    Command {
        program: Vec<String>,
    },
}

/// How mail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    /// Nothing where the server needs no login.
    pub user: Option<String>,
    pub from: String,
    pub to: Vec<String>,
}

/// When TLS begins; without it nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    Implicit,
    Starttls,
}

impl Channel {
    /// The names of all kinds of channels.
    pub const NAMES: [&'static str; 10] = [
        "slack",
        "discord",
        "teams",
        "ntfy",
        "telegram",
        "pagerduty",
        "webhook",
        "email",
        "desktop",
        "command",
    ];

    /// Its name in settings and results.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Teams => "teams",
            Self::Ntfy => "ntfy",
            Self::Telegram { .. } => "telegram",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Webhook => "webhook",
            Self::Email(_) => "email",
            Self::Desktop => "desktop",
            Self::Command { .. } => "command",
        }
    }

    /// What its secret is, as a prompt says it; nothing where it needs none.
    pub fn secret(&self) -> Option<&'static str> {
        match self {
            Self::Slack => Some("Slack webhook URL"),
            Self::Discord => Some("Discord webhook URL"),
            Self::Teams => Some("Teams workflow URL"),
            Self::Ntfy => Some("ntfy topic URL"),
            Self::Telegram { .. } => Some("Telegram bot token"),
            Self::PagerDuty { .. } => Some("PagerDuty integration key"),
            Self::Webhook => Some("webhook URL"),
            Self::Email(mail) => mail.user.as_ref().map(|_| "SMTP password"),
            Self::Desktop | Self::Command { .. } => None,
        }
    }
}

impl Destination {
    /// A destination for everything.
    pub fn new(name: Label, channel: Channel) -> Self {
        Self {
            secret: name.clone(),
            name,
            channel,
            min_severity: AlertSeverity::Info,
            kinds: None,
            quiet: None,
            critical_always: true,
            digest: None,
            allow_private: false,
        }
    }

    /// Whether it gets messages about `notice`.
    pub fn accepts(&self, notice: &Notice) -> bool {
        match notice.kind {
            AlertKind::Test => false,
            AlertKind::DailyDigest | AlertKind::WeeklyDigest => self.digest == Some(notice.kind),
            // Whatever it is for: it may be the only one that still works.
            AlertKind::DestinationDead => notice.subject != self.name.as_str(),
            kind => {
                notice.severity >= self.min_severity && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
            }
        }
    }
}
