//! The form of a message by the kind of its destination.

use jiff::Timestamp;

use super::{
    discord, email, local, ntfy, pagerduty,
    payload::{AlertRequest, Payload},
    slack, teams, telegram, webhook,
};
use crate::{
    alerts::{AlertMessage, Channel, Destination, WrongSecret},
    domain::Secret,
};

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
        Channel::Email(settings) => Payload::Mail(Box::new(email::mail(settings, message))),
        Channel::Desktop => local::desktop(message),
        Channel::Command { program } => local::command(program, message),
    })
}
