//! A model that was found, and by which of its names.

use crate::catalog::Model;

/// A model that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundModel<'c> {
    pub model: &'c Model,
    pub matched: Matched,
}

/// By which name a model was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matched {
    Exact,
    /// By another name that the provider takes it by.
    Alias,
    /// By the name without the date at its end.
    WithoutDate,
}
