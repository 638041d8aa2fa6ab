//! A body that is one value, kept in the pieces that came until it has ended.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;

/// The longest event, or body, that is read, in bytes; longer events pass unread.
pub(super) const MAX_EVENT_BYTES: usize = 16 << 20;
/// How much of a longer body's end is searched for its usage.
pub(super) const TAIL_BYTES: usize = 64 << 10;
/// The longest first line of a body that is tried as the first of many values.
const MAX_FIRST_LINE: usize = 64 << 10;

/// A body, or the end of it, in the pieces that came.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    all: VecDeque<Bytes>,
    length: usize,
    pub(super) is_cut: bool,
    /// Whether the first line is known to be no value by itself.
    is_one_value: bool,
}

impl Chunks {
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.length += chunk.len();
        self.all.push_back(chunk);
        self.is_cut |= self.length > MAX_EVENT_BYTES;
        while self.is_cut
            && let Some(first) = self.all.front().map(Bytes::len)
            && self.length - first >= TAIL_BYTES
        {
            self.length -= first;
            self.all.pop_front();
        }
    }

    /// All of it, which is copied only where it came in pieces.
    pub(super) fn take(&mut self) -> Bytes {
        self.length = 0;
        let mut all = std::mem::take(&mut self.all);
        if all.len() == 1 {
            return all.pop_front().unwrap_or_default();
        }
        let mut joined = BytesMut::with_capacity(all.iter().map(Bytes::len).sum());
        for chunk in all {
            joined.extend_from_slice(&chunk);
        }
        joined.freeze()
    }

    /// All of it, where it turns out to have a value on each line.
    pub(super) fn take_lines(&mut self) -> Option<Bytes> {
        if self.is_one_value || self.is_cut {
            return None;
        }
        // What comes in one piece is not streamed.
        let has_end = self.all.back()?.contains(&b'\n') || self.all.len() > 1;
        if !has_end {
            return None;
        }
        let all = self.take();
        self.length = all.len();
        self.all.push_back(all.clone());
        let Some(end) = memchr::memchr(b'\n', &all) else {
            self.is_one_value = all.len() > MAX_FIRST_LINE;
            return None;
        };
        if all[end..].trim_ascii().is_empty() {
            return None;
        }
        let first = &all[..end];
        self.is_one_value = first.len() > MAX_FIRST_LINE || serde_json::from_slice::<IgnoredAny>(first).is_err();
        if self.is_one_value {
            return None;
        }
        Some(self.take())
    }
}
