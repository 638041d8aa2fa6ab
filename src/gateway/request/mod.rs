//! A request: as the client sent it, and as it goes to a provider.

pub(super) mod client_request;
pub(super) mod prepared_request;
