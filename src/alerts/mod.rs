//! Messages of alerts: when one is due, what it says, and the form that each channel takes.
//!
//! Pure: nothing here sends. [`Destination`] is where messages go, as the configuration has it; [`due`] decides which
//! notices form a message now, [`AlertMessage`] what it says, `channels` has a file for each form, and [`SendVerdict`] is
//! what a channel's answer means.

mod channels;
mod destination;
mod message;
mod quiet_hours;
mod schedule;
mod secret_form;
mod verdict;

pub use self::{
    channels::{AlertMail, AlertRequest, Payload, payload},
    destination::{Channel, Destination, MailSettings, MailTls},
    message::AlertMessage,
    quiet_hours::QuietHours,
    schedule::{GROUPING_TIME, MAX_PER_HOUR, due, next_attempt},
    secret_form::{WrongSecret, check_secret, masked},
    verdict::SendVerdict,
};
