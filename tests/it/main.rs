//! Tests at the border, in one binary: it builds once.

mod cli;
mod concurrency;
mod intake;
mod keychain;
mod support;
mod vault;
