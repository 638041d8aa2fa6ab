//! A resource as data, and how its contents are written.

use std::{future::Future, pin::Pin};

use serde_json::Value;

use crate::{
    app::App,
    error::{Code, Error, Result},
};

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
pub(super) fn written(result: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(result)
        .map_err(|why| Error::new(Code::Internal, "the resource could not be written").caused_by(why))
}
