//! The form that each channel takes.

mod discord;
mod email;
mod form;
mod json;
mod local;
mod ntfy;
mod pagerduty;
mod payload;
mod slack;
mod teams;
mod telegram;
mod webhook;

#[cfg(test)]
mod tests;

pub use self::{
    form::payload,
    payload::{AlertMail, AlertRequest, Payload},
};
