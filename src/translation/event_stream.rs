//! Server-sent events, read from and written to bytes.

use memchr::memchr2;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The longest event that is read, in bytes.
const MAX_EVENT: usize = 32 << 20;

/// Finds the data of events in pieces of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct EventReader {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data of the event that has not ended yet.
    data: Vec<u8>,
    has_data: bool,
    /// Whether a line feed that comes next belongs to the line end before it.
    is_after_return: bool,
    is_begun: bool,
}

/// An event is longer than any that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventTooLong;

impl EventReader {
    /// Reads `piece`, and gives the data of each event that ends in it to `each`.
    pub(super) fn read(&mut self, piece: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), EventTooLong> {
        let mut rest = piece;
        while !rest.is_empty() {
            if self.is_after_return {
                self.is_after_return = false;
                if let Some(after) = rest.strip_prefix(b"\n") {
                    rest = after;
                    continue;
                }
            }
            let end = memchr2(b'\n', b'\r', rest);
            let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
            if self.line.len() + self.data.len() + part.len() > MAX_EVENT {
                return Err(EventTooLong);
            }
            self.line.extend_from_slice(part);
            rest = after;
            if let [byte, after @ ..] = after {
                self.is_after_return = *byte == b'\r';
                rest = after;
                self.end_line(&mut each);
            }
        }
        Ok(())
    }

    /// Reads what the end of the stream ends.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        if !self.line.is_empty() {
            self.end_line(&mut each);
        }
        self.end_line(&mut each);
    }

    fn end_line(&mut self, each: &mut impl FnMut(&[u8])) {
        let mut line = self.line.as_slice();
        if !self.is_begun {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            self.is_begun = true;
        }
        if line.is_empty() {
            if self.has_data {
                each(&self.data);
            }
            self.data.clear();
            self.has_data = false;
        } else if let Some(data) = line.strip_prefix(b"data:") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            self.has_data = true;
        }
        self.line.clear();
    }
}

/// Writes an event whose `data` has no line end.
pub(super) fn write_event(out: &mut Vec<u8>, name: Option<&str>, data: &str) {
    let lines = [
        name.map_or("", |_| "event: "),
        name.unwrap_or_default(),
        name.map_or("", |_| "\n"),
        "data: ",
        data,
        "\n\n",
    ];
    for line in lines {
        out.extend_from_slice(line.as_bytes());
    }
}
