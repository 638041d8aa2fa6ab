//! Keeps the key that was sent with a request out of the response to it.

use bytes::Bytes;
use hyper::HeaderMap;

use crate::{
    domain::{Label, ProviderId},
    gateway::{http::scrub::Scrubber, keys::LentKey},
};

/// Masks a key in the headers and the body of one response, and logs once that it was there.
pub(super) struct KeyFilter {
    provider: ProviderId,
    /// Nothing where the request was sent without a key.
    key: Option<(LentKey, Scrubber)>,
    is_logged: bool,
}

impl KeyFilter {
    pub(super) fn new(provider: ProviderId, key: Option<LentKey>) -> Self {
        Self {
            provider,
            key: key.map(|key| {
                let scrubber = Scrubber::new(key.derived.clone());
                (key, scrubber)
            }),
            is_logged: false,
        }
    }

    pub(super) fn label(&self) -> Option<&Label> {
        self.key.as_ref().map(|(key, _)| &key.label)
    }

    pub(super) fn mask_headers(&mut self, headers: &mut HeaderMap) {
        if let Some((key, _)) = &self.key
            && key.derived.scrub_headers(headers)
        {
            self.log();
        }
    }

    /// What of the body may go on now that `chunk` has come; the end of it may have to wait for the next chunk.
    pub(super) fn pass(&mut self, chunk: Bytes) -> Bytes {
        let Some((_, scrubber)) = &mut self.key else {
            return chunk;
        };
        let passed = scrubber.pass(chunk);
        if scrubber.has_found() {
            self.log();
        }
        passed
    }

    /// What was held back, once the body has ended.
    pub(super) fn finish(&mut self) -> Bytes {
        self.key
            .as_mut()
            .map_or_else(Bytes::new, |(_, scrubber)| scrubber.finish())
    }

    fn log(&mut self) {
        if !std::mem::replace(&mut self.is_logged, true) {
            tracing::warn!(
                provider = %self.provider,
                label = self.label().map(tracing::field::display),
                "a response contained the key; it was masked"
            );
        }
    }
}
