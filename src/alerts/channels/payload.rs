//! What is sent to a channel.

use jiff::Timestamp;

use crate::{alerts::MailSettings, domain::Secret};

/// What is sent to a channel.
#[derive(Debug)]
pub enum Payload {
    /// Requests, in this order; each may come twice.
    Http(Vec<AlertRequest>),
    Mail(Box<AlertMail>),
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
