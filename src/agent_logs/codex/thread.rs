//! What a thread is, by the beginnings of its files.

use std::path::PathBuf;

/// A thread, by the beginnings of its files.
#[derive(Debug, Default)]
pub(super) struct Thread {
    /// In the order in which they were written.
    pub(super) pages: Vec<PathBuf>,
    /// Whether the first of them continues one that is gone.
    pub(super) is_continued: bool,
    pub(super) parent: Option<String>,
    /// Up to where it shares its parent's history.
    pub(super) base: Option<Base>,
    pub(super) folder: Option<String>,
    pub(super) provider: Option<String>,
}

/// Up to where a thread shares its parent's history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base {
    pub(super) ordinal: Option<u64>,
    pub(super) offset: Option<u64>,
}
