//! One request: sent to a provider with one key after the other, and its response passed back.

mod asked_model;
pub(super) mod attempts;
mod delivery;
mod key_filter;
mod relay;
mod upstream_id;
