//! The resources: each declared once, in a file of its own.
//!
//! From the entry in [`RESOURCES`] come the listing, the reading and the news that it has changed.

mod providers;
mod resource;
mod routing;
mod usage;

pub use self::resource::{MIME_TYPE, ResourceDef};

/// Every resource, in the order in which people read them.
pub const RESOURCES: &[ResourceDef] = &[providers::PROVIDERS, usage::USAGE, routing::ROUTING];
