//! The files of that program: JSON objects, written in place and without a lock.

use serde::Deserialize;

/// A file is damaged, or of another form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not JSON of the form that Command Center writes")]
pub struct UnreadableStore;

/// The object in `file`; nothing where it is empty, as it is before anything is stored.
pub(super) fn read_object<'a, T: Deserialize<'a>>(file: &'a [u8]) -> Result<Option<T>, UnreadableStore> {
    match file.trim_ascii().first() {
        None => Ok(None),
        Some(b'{') => serde_json::from_slice(file).map(Some).map_err(|_| UnreadableStore),
        Some(_) => Err(UnreadableStore),
    }
}
