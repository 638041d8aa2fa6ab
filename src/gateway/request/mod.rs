//! A request: as the client sent it, and as it goes to a provider.
//!
//! `prepared_request` → `target` → `resolver`, `translated`, `rewrite`, `estimate` → `fields` → `prompt` → `multipart`,
//! `text_tokens`.

pub(in crate::gateway) mod attribution;
mod body_format;
pub(super) mod client_request;
mod estimate;
pub(super) mod fields;
mod multipart;
pub(super) mod prepared_request;
pub(super) mod probe;
mod prompt;
mod resolver;
mod rewrite;
pub(super) mod target;
mod text_tokens;
pub(super) mod translated;
