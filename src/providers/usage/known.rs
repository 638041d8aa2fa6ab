//! The counts that were merged, looked up by path.

use serde_json::{Map, Value};

/// The counts that were merged.
#[derive(Clone, Copy)]
pub(super) struct Known<'u>(pub(super) &'u Map<String, Value>);

impl Known<'_> {
    /// The count at `path`, such as `prompt_tokens_details.cached_tokens`.
    pub(super) fn number(self, path: &str) -> Option<u64> {
        let mut names = path.split('.');
        let first = names.next().and_then(|name| self.0.get(name));
        names.fold(first, |value, name| value?.get(name))?.as_u64()
    }

    pub(super) fn at(self, path: &str) -> u64 {
        self.number(path).unwrap_or(0)
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn has_any(self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// The first count that is not zero: providers spell one count in several ways.
    pub(super) fn first_of(self, paths: &[&str]) -> u64 {
        let mut counts = paths.iter().map(|path| self.at(path));
        counts.find(|count| *count > 0).unwrap_or(0)
    }

    /// The sum of counts that stand beside each other.
    pub(super) fn sum_of(self, paths: &[&str]) -> u64 {
        paths.iter().map(|path| self.at(path)).sum()
    }

    /// Whether the count is named, and has no value.
    pub(super) fn is_null(self, name: &str) -> bool {
        self.0.get(name).is_some_and(Value::is_null)
    }
}
