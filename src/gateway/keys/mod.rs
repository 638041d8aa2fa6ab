//! Which key a request is sent with: by its health, its quota, and the configured rate limits.

pub(super) mod health;
pub(super) mod missing_models;
pub(super) mod quota;
pub(super) mod rate_limit;
pub(super) mod wait;

use super::http::scrub::KeySpellings;
use crate::services::gateway_keys::Lent;

/// A key for requests, with what is looked for in the responses to them.
pub(super) type LentKey = Lent<KeySpellings>;
