//! Requests and responses between the formats of OpenAI's and Anthropic's APIs.
//!
//! A request is read into a `Conversation`, a response into
//! `AnswerEvent`s, and both are written from there: one reader and one writer for each format,
//! none for a pair. What has no counterpart is refused by its name where the meaning would change
//! ([`Untranslatable`]), and left out and listed elsewhere ([`Losses`]).
//!
//! Pure: no input or output, no clock. Usage is never read from what is written here, but from the upstream's own bytes.

mod chat;
mod conversation;
mod event;
mod event_stream;
mod json;
mod loss;
mod messages;
mod responses;
mod signature;
mod target;
#[cfg(test)]
mod tests;
mod tool_id;
mod translator;

pub use loss::{Losses, Untranslatable};
pub use target::TargetModel;
pub use translator::{AnswerTranslator, TranslatedRequest, WireFormat, translate};
