//! Alerts: what is looked at, where messages go, and sending them, never on the path of a request.
//!
//! Budget thresholds are raised by the ledger in the transaction that crosses them; everything else is raised here, by
//! [`look`], which all processes do together at most once a minute. One process at a time sends (`sending`): at least
//! once, by ids that stay the same over attempts.

mod conditions;
mod destinations;
mod digest;
mod recording;
mod sender_thread;
mod sending;

pub use self::{
    conditions::look,
    destinations::{add, expect, remove, stored_secrets},
    sender_thread::start,
    sending::{AlertSender, Attempt, flush, needs_sender, test},
};
