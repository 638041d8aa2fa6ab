//! The MCP server over standard input and output: the only user of the MCP library.
//!
//! One handler serves every revision of the protocol, those with a handshake and those without.
//! Nothing on the way to the first answer opens the vault, the keychain or a connection.

mod batches;
mod caller;
mod describe;
mod guard;
mod inbox;
mod lines;
mod message;
mod outbox;
mod rounds;
mod server;
mod session;
mod stdio;
mod subscriptions;

pub use self::session::{LOG_DIRECTIVE, serve};
