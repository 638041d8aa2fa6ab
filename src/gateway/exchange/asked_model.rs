//! The model's name in a response: what the request named instead of what the provider calls it.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The longest line of a stream that is held until it is whole; of a longer one nothing is replaced.
const MAX_LINE_BYTES: usize = 4 << 20;

/// Puts the name that was requested into one response, streamed or whole.
pub(super) struct AskedModel {
    /// As a JSON string.
    name: String,
    /// The beginning of a line that is not whole yet.
    line: Vec<u8>,
    /// Whether the line that arrives is too long to be held.
    is_long: bool,
}

/// The places in which the formats name the model.
#[derive(Deserialize)]
struct NamedModel<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    /// In the events of the Responses API.
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    /// In the first event of Anthropic's messages.
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

impl AskedModel {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: serde_json::Value::from(name).to_string(),
            line: Vec::new(),
            is_long: false,
        }
    }

    /// A response that was read whole.
    pub(super) fn whole(&self, body: Bytes) -> Bytes {
        match self.replaced(&body) {
            Cow::Owned(body) => body.into(),
            Cow::Borrowed(_) => body,
        }
    }

    /// What of a stream may go on now that `chunk` has come: whole lines.
    pub(super) fn pass(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(chunk.len() + self.line.len());
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            let is_end = part.ends_with(b"\n");
            if self.is_long {
                out.extend_from_slice(part);
                self.is_long = !is_end;
                continue;
            }
            self.line.extend_from_slice(part);
            if self.line.len() > MAX_LINE_BYTES {
                out.append(&mut self.line);
                self.is_long = !is_end;
            } else if is_end {
                let line = std::mem::take(&mut self.line);
                self.write(&line, &mut out);
            }
        }
        out
    }

    /// What was held back, once the stream has ended.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let line = std::mem::take(&mut self.line);
        self.write(&line, &mut out);
        out
    }

    fn write(&self, line: &[u8], out: &mut Vec<u8>) {
        match line.strip_prefix(b"data:") {
            Some(event) => {
                out.extend_from_slice(b"data:");
                out.extend_from_slice(&self.replaced(event));
            }
            None => out.extend_from_slice(line),
        }
    }

    /// The JSON with the name in it; as it is where it names no model.
    fn replaced<'j>(&self, json: &'j [u8]) -> Cow<'j, [u8]> {
        let Some(old) = place(json) else {
            return Cow::Borrowed(json);
        };
        // The value is a part of the text.
        let start = old.as_ptr().addr() - json.as_ptr().addr();
        let (before, rest) = json.split_at(start);
        let after = rest.get(old.len()..).unwrap_or_default();
        Cow::Owned([before, self.name.as_bytes(), after].concat())
    }
}

/// The model's name in a response or an event, with its quotes.
fn place(json: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(json).ok()?;
    let outer: NamedModel<'_> = serde_json::from_str(text.trim()).ok()?;
    let inner = || {
        let inner = outer.response.or(outer.message)?.get();
        serde_json::from_str::<NamedModel<'_>>(inner).ok()?.model
    };
    let name = outer.model.or_else(inner)?.get();
    name.starts_with('"').then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_replaced_in_every_format_and_nothing_else() {
        let asked = AskedModel::new("claude-\"x\"");
        for (before, after) in [
            (
                r#"{"id": 1, "model" : "gpt-6-2026", "text": "\"model\":\"gpt\""}"#,
                r#"{"id": 1, "model" : "claude-\"x\"", "text": "\"model\":\"gpt\""}"#,
            ),
            (
                r#"{"type":"response.created","response":{"id":"r","model":"m","output":[{"model":"n"}]}}"#,
                r#"{"type":"response.created","response":{"id":"r","model":"claude-\"x\"","output":[{"model":"n"}]}}"#,
            ),
            (
                r#"{"type":"message_start","message":{"model":"m"}}"#,
                r#"{"type":"message_start","message":{"model":"claude-\"x\""}}"#,
            ),
            (r#"{"type":"content_block_delta","delta":{"model":"m"}}"#, ""),
            (r#"{"error":{"model":"m"},"message":"no"}"#, ""),
            (r#"{"model":null}"#, ""),
            (r#"{"model":"#, ""),
            ("[DONE]", ""),
        ] {
            let after = if after.is_empty() { before } else { after };
            assert_eq!(asked.whole(Bytes::from(before)), after, "{before}");
        }
    }

    #[test]
    fn a_stream_in_chunks_of_any_size_is_the_same() {
        let stream = "event: message_start\r\ndata: {\"message\":{\"model\":\"m\"}}\r\n\r\n: ping\n\ndata:{\"model\":\"m\"}\n\n\
                      data: [DONE]\n\ndata: {\"model\":\"m\"}";
        let wanted = stream.replace("\"m\"", "\"asked\"");
        for size in 1..stream.len() {
            let mut asked = AskedModel::new("asked");
            let mut out = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                out.extend(asked.pass(chunk));
            }
            out.extend(asked.finish());
            assert_eq!(String::from_utf8_lossy(&out), wanted, "{size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_passes_as_it_is() {
        let long = format!("data: {{\"model\":\"m\",\"x\":\"{}\"}}\n", "y".repeat(MAX_LINE_BYTES));
        let mut asked = AskedModel::new("asked");
        let mut out = Vec::new();
        for chunk in long.as_bytes().chunks(1 << 16) {
            out.extend(asked.pass(chunk));
        }
        out.extend(asked.pass(b"data: {\"model\":\"m\"}\n"));
        assert!(out == [long.as_bytes(), b"data: {\"model\":\"asked\"}\n"].concat());
    }
}
