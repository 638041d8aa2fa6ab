//! Which provider, with which key, has made what clients refer to later: stored responses, files, batches.

use std::sync::{Mutex, PoisonError};

use hashlink::LruCache;
use memchr::memmem;

use crate::domain::{Label, ProviderId};

/// How many are remembered; those that were not used for longest are forgotten first.
const MAX_IDS: usize = 10_000;
/// How much of a response is looked through for its id, in bytes.
const START: usize = 16 << 10;
/// The longest id.
const MAX_LENGTH: usize = 200;

/// Who has made something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdMaker {
    pub(super) provider: ProviderId,
    pub(super) label: Option<Label>,
}

/// Who has made what, as far as this process has seen it.
#[derive(Debug)]
pub(super) struct KnownIds(Mutex<LruCache<String, IdMaker>>);

impl Default for KnownIds {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MAX_IDS)))
    }
}

impl From<ProviderId> for IdMaker {
    fn from(provider: ProviderId) -> Self {
        Self { provider, label: None }
    }
}

impl KnownIds {
    pub(super) fn maker(&self, id: &str) -> Option<IdMaker> {
        if id.len() > MAX_LENGTH {
            return None;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).cloned()
    }

    /// Notes the id that a response begins with, if it has one.
    pub(super) fn note(&self, response: &[u8], maker: IdMaker) {
        if let Some(id) = first_id(response) {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(id.to_owned(), maker);
        }
    }
}

/// The first `"id"` of a response, whole or as a stream.
fn first_id(response: &[u8]) -> Option<&str> {
    let start = response.get(..START).unwrap_or(response);
    let after = start.get(memmem::find(start, b"\"id\"")? + 4..)?.trim_ascii_start();
    let value = after.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let length = value.iter().position(|byte| *byte == b'"')?;
    let id = std::str::from_utf8(&value[..length]).ok()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    (!id.is_empty() && length <= MAX_LENGTH && id.chars().all(is_plain)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_response_is_called_is_found_whole_and_in_a_stream() {
        for (response, id) in [
            (r#"{"id":"resp_1","object":"response"}"#, Some("resp_1")),
            ("{ \"object\": \"file\",\n \"id\" : \"file-9\" }", Some("file-9")),
            (
                "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_2\"}}\n\n",
                Some("resp_2"),
            ),
            (r#"{"id":7}"#, None),
            (r#"{"id":"a b"}"#, None),
            (r#"{"id":"#, None),
            ("", None),
        ] {
            assert_eq!(first_id(response.as_bytes()), id, "{response}");
        }
    }

    #[test]
    fn who_made_something_is_known_by_its_id() {
        let known = KnownIds::default();
        let maker = IdMaker {
            provider: "openai".parse().expect("a provider"),
            label: Some(Label::default()),
        };
        known.note(br#"{"id":"resp_1"}"#, maker.clone());
        assert_eq!((known.maker("resp_1"), known.maker("resp_2")), (Some(maker), None));
    }
}
