//! The gateway: a server on loopback that puts the keys in, so that no client ever holds one.
//!
//! A [`connection`](self) is accepted by the `server` while `capacity` allows it. Its `handler` admits each request by host,
//! client key and route. The `exchange` reserves what the request may cost (`accounting/`), sends it with one key after
//! the other (`keys/`), and relays the response while its usage is read. `request/` knows what a client asks for and what
//! that may cost, `http/` how it is spoken. Nothing is translated: a request goes only to a provider that speaks its
//! format. Each folder imports only from those after it.

mod accounting;
mod cache;
mod capacity;
mod connection;
mod exchange;
mod handler;
mod http;
mod keys;
mod known_ids;
mod metrics;
mod models;
mod request;
mod server;
mod state;
mod tasks;

#[doc(hidden)]
pub use self::request::probe::{Probe, probe};
pub use self::{
    server::{GatewayListener, listen},
    state::Options,
};
