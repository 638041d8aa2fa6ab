//! What is sent to a channel.

use jiff::Timestamp;

use super::{discord, email, local, ntfy, pagerduty, slack, teams, telegram, webhook};
use crate::{
    alerts::{AlertMessage, Channel, Destination, MailSettings, WrongSecret},
    domain::Secret,
};

/// What is sent to a channel.
#[derive(Debug)]
pub enum Payload {
    /// Requests, in this order; each may come twice.
    Http(Vec<AlertRequest>),
    Mail(AlertMail),
    /// A program with its arguments, what it reads, and variables for it.
    Program {
        arguments: Vec<String>,
        input: String,
        variables: Vec<(&'static str, String)>,
    },
}

/// A POST of JSON.
#[derive(Debug)]
pub struct AlertRequest {
    pub url: Secret,
    pub headers: Vec<(&'static str, Secret)>,
    pub body: String,
}

/// A mail in plain text.
#[derive(Debug)]
pub struct AlertMail {
    pub settings: MailSettings,
    /// Without angle brackets; the same over all attempts.
    pub message_id: String,
    pub date: Timestamp,
    pub subject: String,
    pub body: String,
}

/// What is sent of `message` to `destination` at `now`, with the secret that it has.
pub fn payload(
    destination: &Destination,
    secret: &Secret,
    message: &AlertMessage,
    now: Timestamp,
) -> Result<Payload, WrongSecret> {
    let one = |request: AlertRequest| Payload::Http(vec![request]);
    Ok(match &destination.channel {
        Channel::Slack => one(slack::request(secret, message)?),
        Channel::Discord => one(discord::request(secret, message)?),
        Channel::Teams => one(teams::request(secret, message)?),
        Channel::Ntfy => one(ntfy::request(secret, message)?),
        Channel::Telegram { chat, url } => one(telegram::request((secret, url.as_deref(), chat), message)),
        Channel::PagerDuty { url } => Payload::Http(pagerduty::requests(secret, url.as_deref(), message)),
        Channel::Webhook => one(webhook::request(secret, message, now)?),
        Channel::Email(settings) => Payload::Mail(email::mail(settings, message)),
        Channel::Desktop => local::desktop(message),
        Channel::Command { program } => local::command(program, message),
    })
}
