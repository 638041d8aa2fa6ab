//! The resources: each declared once, in a file of its own.
//!
//! From the entry in [`RESOURCES`] come the listing, the reading and the news that it has changed.

mod providers;
mod routing;
mod usage;

use std::{future::Future, pin::Pin};

use serde_json::Value;

use crate::{
    app::App,
    error::{Code, Error, Result},
};

/// Every resource, in the order in which people read them.
pub const RESOURCES: &[ResourceDef] = &[providers::PROVIDERS, usage::USAGE, routing::ROUTING];

/// What every resource is written in.
pub const MIME_TYPE: &str = "application/json";

type ReadFn = for<'a> fn(&'a App) -> Pin<Box<dyn Future<Output = Result<Value>> + Send + 'a>>;

/// One resource as data.
#[derive(Debug, Clone, Copy)]
pub struct ResourceDef {
    pub uri: &'static str,
    /// The name programs know it by.
    pub name: &'static str,
    /// The name people read.
    pub title: &'static str,
    pub description: &'static str,
    /// Its contents now.
    pub read: ReadFn,
    /// A text that changes when the contents may have; cheap, and without opening the vault.
    pub stamp: fn(&App) -> String,
}

/// A result as JSON.
fn written(result: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(result)
        .map_err(|why| Error::new(Code::Internal, "the resource could not be written").caused_by(why))
}
