//! Arguments over MCP: read as they are meant, and checked against the schema that the client was shown.
//!
//! Models leave an optional argument out by sending `""` or `null`, and send numbers, booleans and lists as text.
//! What can only mean one thing is taken for it; the rest is refused in one message. serde's own error texts quote
//! the offending value, which may be a key in the wrong place, so they are dropped and no message quotes a value.

mod meaning;
mod names;
mod reading;
mod rules;

pub(super) use self::reading::read;

#[cfg(test)]
mod tests;
