//! What requests cost: reserved before they are sent, settled when they have ended.
//!
//! Money is leased from the ledger for many requests at a time and reserved from memory (`leases`). What begins and ends
//! is appended to this process's journal before it is acknowledged; the `writer` takes it over into the ledger, many
//! requests in one transaction. A `booking` is one request's part in that.

pub(super) mod accounts;
pub(super) mod booking;
mod leases;
mod writer;
