//! Tests at the border, in one binary: it builds once.

mod cli;
mod concurrency;
mod keychain;
mod support;
