//! What requests cost: reserved before they are sent, settled when they have ended.

pub(super) mod booking;
mod writer;
