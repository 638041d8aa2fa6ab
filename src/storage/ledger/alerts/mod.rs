//! Alerts: raised in the transaction of what they are about, and sent from an outbox by one process.

mod outbox;
mod raising;
mod reading;
mod sender;

pub use self::{
    outbox::{DestinationQueue, OutboundMessage},
    reading::{AlertState, MessageState},
};
