//! The one-time page on which a person types a secret, so that it never passes through a model.
//!
//! A server on the loopback address listens only while a page is open. A page is found
//! by a random ticket in its address, lives five minutes and takes one secret, by POST only.
//! It shows what is requested and what will happen, and never a secret that is stored.

mod form;
mod gate;
mod page;
mod server;
mod ticket;
mod ticket_store;

pub use self::{
    server::{Intake, LIFETIME},
    ticket::{AskPermit, Judge, Request, SecretOutcome, Ticket},
};
