//! The gateway: a server on loopback that puts the keys in, so that no client ever holds one.
//!
//! A request finds a place (`room`), is let in by its host and its client key (`server`), understood as far as model and
//! price need it (`ask`), paid for in advance (`accounts`, `books`), sent with one key after the other until an answer comes
//! (`exchange`), and passed back byte for byte while its use is read (`relay`), also when the client has gone (`tasks`).
//! Nothing is translated: a request goes only to a provider that speaks its format.
//!
//! Which key comes first depends on how it fared (`troubles`) and on what is left of its quota (`quota`, `limits`); a
//! request may wait for one (`waiting`), or need none (`cache`).

mod accounts;
mod ask;
mod books;
mod cache;
mod exchange;
mod headers;
mod http;
mod limits;
mod metrics;
mod models;
mod quota;
mod refusal;
mod relay;
mod room;
mod route;
mod server;
mod tasks;
mod troubles;
mod waiting;

pub use self::server::{Listening, Options, listen};
