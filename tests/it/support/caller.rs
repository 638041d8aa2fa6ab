//! Callers of services.

use std::pin::Pin;

use api_keys::{
    domain::Secret,
    error::{Code, Error, Result},
    services::caller::{Caller, CallerKind, Question},
};

/// A caller that cannot be asked for anything.
pub(crate) struct Silent;

impl Caller for Silent {
    fn kind(&self) -> CallerKind {
        CallerKind::Cli
    }

    fn ask<'a>(&'a self, _: Question) -> Pin<Box<dyn Future<Output = Result<Secret>> + Send + 'a>> {
        Box::pin(async { Err(Error::new(Code::KeyRequired, "not interactive")) })
    }

    fn progress(&self, _: usize, _: usize, _: &str) {}
}
