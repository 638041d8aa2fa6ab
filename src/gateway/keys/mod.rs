//! Which key a request is sent with: by its health, its quota, and the configured rate limits.

pub(super) mod health;
pub(super) mod quota;
pub(super) mod rate_limit;
pub(super) mod wait;
