//! The dashboard: pages on the loopback address that show usage, keys and health, and change nothing.
//!
//! The `server` serves what is in the table of `routes`. A page is a shell without data, which anyone may load, and a
//! fragment that the script fetches with the session's token in a header; there is no cookie. A `session` begins with a
//! one-time ticket in the link that the command line opens. `pages/` make the fragments: HTML by maud, which escapes
//! every text, with charts as SVG. Names and labels are other people's text throughout.
//!
//! Data comes from the services and tools that the command line uses; what only the command line knows comes as
//! [`Panels`].

mod caller;
mod events;
mod export;
mod pages;
mod parts;
mod query;
mod report;
mod response;
mod routes;
mod server;
mod session;
mod shell;
mod snapshot;
mod state;
mod tools;

pub use self::{
    report::report,
    routes::{RouteAccess, routes},
    server::{DashboardListener, listen},
    state::{DashboardOptions, LiveRequests, Panels},
};
