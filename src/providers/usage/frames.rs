//! The event frames in which Amazon Bedrock streams (`application/vnd.amazon.eventstream`).
//!
//! A frame is its length (u32), the length of its headers (u32), a CRC of both, the headers, a payload, and a CRC of all
//! that; numbers are big-endian. A header is a name behind its length (u8), a type (u8), and a value, which for texts is
//! behind its length (u16). The sums are for the client to check: the bytes pass as they are.

use serde_json::{Value, json};

use super::scan::{self, ScannedUsage};

/// Length, length of the headers, and their CRC.
const PRELUDE: usize = 12;
const CRC: usize = 4;
/// The type of headers that are texts.
const TEXT: u8 = 7;

/// A whole frame.
#[derive(Debug, Default)]
pub(super) struct EventFrame<'f> {
    /// With all that belongs to it.
    pub(super) length: usize,
    event_type: &'f str,
    /// What went wrong, where something did.
    exception: Option<&'f str>,
    payload: &'f [u8],
}

/// What the bytes begin with.
#[derive(Debug)]
pub(super) enum FrameStart<'f> {
    Frame(EventFrame<'f>),
    /// More has to come.
    Partial,
    /// No frame, or one longer than is read.
    Unreadable,
}

/// The frame that `bytes` begin with, if it is no longer than `limit`.
pub(super) fn read(bytes: &[u8], limit: usize) -> FrameStart<'_> {
    let number = |at: usize| {
        let four = bytes.get(at..at + 4)?.first_chunk()?;
        usize::try_from(u32::from_be_bytes(*four)).ok()
    };
    let (Some(length), Some(headers)) = (number(0), number(4)) else {
        return FrameStart::Partial;
    };
    if length > limit || length < PRELUDE + CRC || headers > length - PRELUDE - CRC {
        return FrameStart::Unreadable;
    }
    let Some(frame) = bytes.get(..length) else {
        return FrameStart::Partial;
    };
    let (headers, payload) = frame[PRELUDE..length - CRC].split_at(headers);
    let mut found = EventFrame {
        length,
        payload,
        ..EventFrame::default()
    };
    let mut rest = headers;
    while let Some((name, value, after)) = header(rest) {
        match name {
            b":event-type" => found.event_type = value,
            b":exception-type" | b":error-code" => found.exception = Some(value),
            _ => {}
        }
        rest = after;
    }
    FrameStart::Frame(found)
}

/// Name, value and what follows of a header that is a text; others are not used in these streams.
fn header(bytes: &[u8]) -> Option<(&[u8], &str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (kind, rest) = rest.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    (*kind == TEXT).then_some((name, std::str::from_utf8(value).ok()?, rest))
}

impl EventFrame<'_> {
    /// The event: of `InvokeModelWithResponseStream` the model's own, of `ConverseStream` Bedrock's, with its type.
    pub(super) fn event(&self) -> Option<ScannedUsage> {
        if let Some(exception) = self.exception {
            let said: Value = serde_json::from_slice(self.payload).unwrap_or_default();
            let value = json!({"error": {"type": exception, "message": said["message"]}});
            return Some(ScannedUsage { value, chars: 0 });
        }
        let mut scanned = scan::scan(self.payload)?;
        if let Some(encoded) = scanned.value.get("bytes").and_then(Value::as_str) {
            let decoded = data_encoding::BASE64.decode(encoded.as_bytes()).ok()?;
            return scan::scan(&decoded);
        }
        if let Value::Object(fields) = &mut scanned.value {
            fields.entry("type").or_insert_with(|| self.event_type.into());
        }
        Some(scanned)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A frame as Bedrock makes it.
    pub(in super::super) fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(u8::try_from(name.len()).expect("short"));
            head.extend_from_slice(name.as_bytes());
            head.push(TEXT);
            head.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
            head.extend_from_slice(value.as_bytes());
        }
        let be = |number: usize| u32::try_from(number).expect("short").to_be_bytes();
        let mut frame = [be(PRELUDE + head.len() + payload.len() + CRC), be(head.len())].concat();
        frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
        frame.extend_from_slice(&head);
        frame.extend_from_slice(payload.as_bytes());
        let sum = crc32fast::hash(&frame).to_be_bytes();
        frame.extend_from_slice(&sum);
        frame
    }

    #[test]
    fn a_frame_is_read_once_it_is_whole_and_nothing_else_is_taken_for_one() {
        let whole = frame(
            &[(":event-type", "metadata"), (":message-type", "event")],
            "{\"usage\":{}}",
        );
        for cut in 0..whole.len() {
            assert!(matches!(read(&whole[..cut], 1 << 20), FrameStart::Partial), "{cut}");
        }
        let bytes = [whole.as_slice(), b"more"].concat();
        let FrameStart::Frame(read_back) = read(&bytes, 1 << 20) else {
            panic!("a frame")
        };
        assert_eq!(read_back.length, whole.len());
        let event = read_back.event().expect("an event");
        assert_eq!(event.value, json!({"usage": {}, "type": "metadata"}));
        assert!(matches!(read(&whole, 20), FrameStart::Unreadable));
        assert!(matches!(read(b"{\"message\":\"no\"}", 1 << 20), FrameStart::Unreadable));
        assert!(matches!(read(&[0; 40], 1 << 20), FrameStart::Unreadable));
    }

    #[test]
    fn an_exception_is_an_error_and_encoded_events_are_decoded() {
        let broken = frame(
            &[(":exception-type", "throttlingException")],
            "{\"message\":\"slow down\"}",
        );
        let FrameStart::Frame(read_back) = read(&broken, 1 << 20) else {
            panic!("a frame")
        };
        assert_eq!(
            read_back.event().expect("an event").value,
            json!({"error": {"type": "throttlingException", "message": "slow down"}})
        );
        let inner = data_encoding::BASE64.encode(b"{\"type\":\"message_stop\"}");
        let chunk = frame(&[(":event-type", "chunk")], &json!({ "bytes": inner }).to_string());
        let FrameStart::Frame(read_back) = read(&chunk, 1 << 20) else {
            panic!("a frame")
        };
        assert_eq!(
            read_back.event().expect("an event").value,
            json!({"type": "message_stop"})
        );
    }
}
