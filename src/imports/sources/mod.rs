//! Keys that other programs keep in clear text: one file for each program's form, from bytes to what is in them.
//!
//! No input or output, and nothing is ever written. A value that names a secret elsewhere, the login of a subscription
//! and what a program encrypted are reported and left alone.

mod aichat;
mod aider;
mod bitwarden;
mod claude_code;
mod claude_code_router;
mod codex;
mod compose;
mod continue_dev;
mod crush;
mod documents;
mod dotenv;
mod flat;
mod found;
mod goose;
mod litellm;
mod llm;
mod opencode;
mod table;
#[cfg(test)]
mod tests;

pub use self::{
    found::{FoundSecret, LeftOutReason, NotImported, SourceContents, UnreadableSource},
    table::{ImportSource, SOURCES, guess, source_named},
};
