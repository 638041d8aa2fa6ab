//! Reads a response while it passes through, by what it is and not only by what it is declared as.

use bytes::{Bytes, BytesMut};
use hyper::HeaderMap;
use memchr::memchr2;
use serde_json::Value;

use super::{
    chunks::{Chunks, MAX_EVENT_BYTES, TAIL_BYTES},
    frames::{self, FrameStart},
    meter::{Meter, is_last},
    scan::{self, ScannedUsage},
};

/// How much of a body may come before it is known what it is.
const MAX_START: usize = 64 << 10;
/// What stands before the text in some files.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The fields that an event stream may begin with; a colon begins a comment.
const FIELDS: &[&[u8]] = &[b"data:", b"event:", b"id:", b"retry:", b":"];

/// How a response is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON value.
    Whole,
    /// Server-sent events.
    Events,
    /// A JSON value on each line.
    Lines,
    /// Amazon's binary event frames.
    Frames,
    /// Not declared.
    Unknown,
    /// Something else, without usage.
    Unread,
}

/// Reads a response while it passes through.
#[derive(Debug)]
pub struct UsageReader {
    framing: Framing,
    /// What has come, until it is known how it is framed.
    start: Option<BytesMut>,
    /// Whether the event with nothing but counts is held back, which the client did not ask for.
    strips: bool,
    /// The event that has not ended yet.
    event: PartialEvent,
    /// The body so far, or the end of it where it is too long.
    chunks: Chunks,
    /// The frame that is not whole yet.
    frame: BytesMut,
    meter: Meter,
}

/// An event, or a line, that has not ended yet.
#[derive(Debug, Default)]
struct PartialEvent {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data of the event.
    data: Vec<u8>,
    /// The event's bytes as they came, where it may have to be held back.
    raw: BytesMut,
    /// Whether a line feed that comes next belongs to the line end before it.
    is_after_return: bool,
    /// Whether the event before was held back.
    is_held_back: bool,
    is_too_long: bool,
}

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// The last one of a stream in OpenAI's format, with counts and nothing else.
    CountsOnly,
    Other,
}

impl Framing {
    /// Whether parts of it mean something by themselves.
    pub fn is_stream(self) -> bool {
        match self {
            Self::Events | Self::Lines | Self::Frames => true,
            Self::Whole | Self::Unknown | Self::Unread => false,
        }
    }
}

impl UsageReader {
    /// A reader of a response that is declared as `framing`.
    pub fn new(framing: Framing, strips: bool) -> Self {
        Self {
            framing,
            start: (framing != Framing::Unread).then(BytesMut::new),
            strips,
            event: PartialEvent::default(),
            chunks: Chunks::default(),
            frame: BytesMut::new(),
            meter: Meter::default(),
        }
    }

    /// How the response is framed, as far as that is known.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether enough has come to know how the response is framed.
    pub fn is_decided(&self) -> bool {
        self.start.is_none()
    }

    /// Reads what the head of the response says of its usage.
    pub fn read_head(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            if let Ok(value) = value.to_str() {
                self.meter.read_header(name.as_str(), value);
            }
        }
    }

    /// Reads `piece`, and returns what goes on to the client, with what was held back before.
    pub fn pass(&mut self, piece: Bytes) -> Bytes {
        let passed = match &mut self.start {
            None => self.read_piece(piece),
            Some(start) => {
                // What came at once is not copied.
                let all = if start.is_empty() {
                    piece
                } else {
                    start.extend_from_slice(&piece);
                    start.split().freeze()
                };
                if let Some(framing) = decided(self.framing, &all) {
                    self.begin(framing, all)
                } else {
                    start.extend_from_slice(&all);
                    Bytes::new()
                }
            }
        };
        self.look_ahead();
        passed
    }

    /// Reads what ended with the body, and returns what was held back.
    pub fn finish(&mut self) -> Bytes {
        let mut passed = Bytes::new();
        if let Some(start) = self.start.take() {
            let is_unknown = self.framing == Framing::Unknown;
            let framing = if is_unknown { Framing::Unread } else { self.framing };
            passed = self.begin(framing, start.freeze());
        }
        if self.framing == Framing::Whole {
            self.end_body();
            return passed;
        }
        if !self.event.line.is_empty() {
            self.end_line();
        }
        if !self.event.data.is_empty() && self.end_event() == Event::CountsOnly {
            self.event.raw.clear();
        }
        let held_back = std::mem::take(&mut self.event.raw).freeze();
        if passed.is_empty() {
            held_back
        } else {
            [passed, held_back].concat().into()
        }
    }

    /// The usage known so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Whether the event that ends a stream has been read: `[DONE]`, `message_stop`, `response.completed`, `"done": true`.
    ///
    /// Gemini has none: its streams end with the body.
    pub fn is_complete(&self) -> bool {
        self.meter.is_complete()
    }

    /// Reads the first piece of a response that is framed so.
    fn begin(&mut self, framing: Framing, mut piece: Bytes) -> Bytes {
        self.framing = framing;
        self.start = None;
        if !piece.starts_with(BYTE_ORDER_MARK) || framing == Framing::Frames {
            return self.read_piece(piece);
        }
        let mark = piece.split_to(BYTE_ORDER_MARK.len());
        let passed = self.read_piece(piece);
        [mark, passed].concat().into()
    }

    fn read_piece(&mut self, piece: Bytes) -> Bytes {
        match self.framing {
            Framing::Unknown | Framing::Unread => piece,
            Framing::Whole => {
                self.chunks.push(piece.clone());
                if let Some(lines) = self.chunks.take_lines() {
                    self.framing = Framing::Lines;
                    self.read_lines(&lines);
                }
                piece
            }
            Framing::Frames => {
                self.frame.extend_from_slice(&piece);
                self.read_frames();
                piece
            }
            Framing::Events if self.strips => self.read_lines(&piece),
            Framing::Events | Framing::Lines => {
                self.read_lines(&piece);
                piece
            }
        }
    }

    /// Reads line after line, and returns what may go on to a client that is not to get counts.
    fn read_lines(&mut self, piece: &[u8]) -> Bytes {
        let strips = self.strips && self.framing == Framing::Events;
        let mut out = BytesMut::with_capacity(if strips { piece.len() } else { 0 });
        let mut rest = piece;
        if self.event.is_after_return
            && let Some(after) = rest.strip_prefix(b"\n")
        {
            rest = after;
            if strips && !self.event.raw.is_empty() {
                self.event.raw.extend_from_slice(b"\n");
            } else if strips && !self.event.is_held_back {
                out.extend_from_slice(b"\n");
            }
        }
        self.event.is_after_return &= piece.is_empty();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(line_length(rest));
            rest = after;
            self.event.is_after_return = part.ends_with(b"\r");
            if strips {
                self.event.raw.extend_from_slice(part);
            }
            let ended = self.read_part(part);
            if !strips {
                continue;
            }
            match ended {
                Some(Event::CountsOnly) => self.event.raw.clear(),
                Some(Event::Other) => out.extend_from_slice(&self.event.raw.split()),
                None if self.event.is_too_long => out.extend_from_slice(&self.event.raw.split()),
                None => {}
            }
            self.event.is_held_back = ended == Some(Event::CountsOnly);
        }
        out.freeze()
    }

    fn read_frames(&mut self) {
        loop {
            match frames::read(&self.frame, MAX_EVENT_BYTES) {
                FrameStart::Partial => return,
                FrameStart::Unreadable => {
                    self.framing = Framing::Unread;
                    self.frame.clear();
                    return;
                }
                FrameStart::Frame(frame) => {
                    let (length, event) = (frame.length, frame.event());
                    if let Some(event) = event {
                        self.meter.read(&event);
                    }
                    let _ = self.frame.split_to(length);
                }
            }
        }
    }

    /// Reads the last event of a stream before its line, or the empty line after it, has ended: clients may not wait for
    /// that.
    fn look_ahead(&mut self) {
        if self.event.is_too_long || self.meter.is_complete() {
            return;
        }
        match self.framing {
            Framing::Events => {
                let line = self.event.line.strip_prefix(b"data:").unwrap_or_default();
                if is_done(line) || is_done(&self.event.data) {
                    self.meter.complete();
                }
                if self.event.line.is_empty()
                    && !self.event.data.is_empty()
                    && let Some(event) = scan::scan(&self.event.data)
                    && is_last(&event.value)
                {
                    // It is read again at its end: its counts are the same then, and text is not counted before.
                    self.meter.read(&ScannedUsage { chars: 0, ..event });
                }
            }
            Framing::Lines if self.event.line.ends_with(b"}") => {
                let event = scan::scan(&self.event.line);
                if event.is_some_and(|event| event.value["done"] == true) {
                    self.end_line();
                    self.end_event();
                }
            }
            Framing::Lines | Framing::Whole | Framing::Frames | Framing::Unknown | Framing::Unread => {}
        }
    }

    /// Reads up to a line's end, and returns what kind of event ended there.
    fn read_part(&mut self, part: &[u8]) -> Option<Event> {
        if self.event.line.len() + self.event.data.len() + part.len() > MAX_EVENT_BYTES {
            self.event.is_too_long = true;
        }
        if !self.event.is_too_long {
            self.event.line.extend_from_slice(part);
        }
        if !part.ends_with(b"\n") && !part.ends_with(b"\r") {
            return None;
        }
        // What is too long is skipped to the end of its event.
        let is_blank = matches!(part, b"\n" | b"\r\n" | b"\r");
        if self.event.is_too_long && (is_blank || self.framing == Framing::Lines) {
            self.event.is_too_long = false;
            self.event.line.clear();
            self.event.data.clear();
            return Some(Event::Other);
        }
        if self.end_line() { Some(self.end_event()) } else { None }
    }

    /// Reads a line, and returns whether an event ended with it.
    fn end_line(&mut self) -> bool {
        let text = self.event.line.trim_ascii_end();
        let is_lines = self.framing == Framing::Lines;
        if is_lines {
            self.event.data.extend_from_slice(text);
        } else if let Some(data) = text.strip_prefix(b"data:") {
            self.event.data.extend_from_slice(data);
            self.event.data.push(b'\n');
        }
        let has_ended = is_lines || text.is_empty();
        self.event.line.clear();
        has_ended
    }

    fn end_event(&mut self) -> Event {
        if is_done(&self.event.data) {
            if self.framing == Framing::Events {
                self.meter.complete();
            }
            self.event.data.clear();
            return Event::Other;
        }
        let scanned = scan::scan(&self.event.data);
        self.event.data.clear();
        let Some(scanned) = scanned else { return Event::Other };
        self.meter.read(&scanned);
        // Ollama's last line.
        if self.framing == Framing::Lines && scanned.value["done"] == true {
            self.meter.complete();
        }
        if has_counts_only(&scanned.value) {
            Event::CountsOnly
        } else {
            Event::Other
        }
    }

    /// Reads a body that has ended.
    fn end_body(&mut self) {
        let is_cut = self.chunks.is_cut;
        let body = self.chunks.take();
        let meter = &mut self.meter;
        let is_read = !is_cut && scan::scan_all(&body, |scanned| meter.read(&scanned));
        if !is_read {
            self.meter.read_tail(&body[body.len().saturating_sub(TAIL_BYTES)..]);
        }
    }
}

/// How a response is framed, by what it begins with; nothing while that may still be one thing or another.
fn decided(declared: Framing, start: &[u8]) -> Option<Framing> {
    if declared == Framing::Frames {
        // An error may be in plain JSON.
        let first = start.first()?;
        return Some(if *first == b'{' {
            Framing::Whole
        } else {
            Framing::Frames
        });
    }
    let text = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start).trim_ascii_start();
    if text.is_empty() || BYTE_ORDER_MARK.starts_with(text) {
        return (start.len() > MAX_START).then_some(declared);
    }
    if matches!(text.first(), Some(b'{' | b'[')) {
        let is_lines = declared == Framing::Lines;
        return Some(if is_lines { Framing::Lines } else { Framing::Whole });
    }
    if FIELDS.iter().any(|field| text.starts_with(field)) {
        return Some(Framing::Events);
    }
    let may_be_field = FIELDS.iter().any(|field| field.starts_with(text));
    match declared {
        Framing::Whole | Framing::Lines | Framing::Unknown if may_be_field => None,
        Framing::Unknown => Some(Framing::Unread),
        Framing::Whole | Framing::Events | Framing::Lines | Framing::Frames | Framing::Unread => Some(declared),
    }
}

/// The length of the first line with its end, or of all of it where it has none.
fn line_length(bytes: &[u8]) -> usize {
    match memchr2(b'\n', b'\r', bytes) {
        Some(at) if bytes[at..].starts_with(b"\r\n") => at + 2,
        Some(at) => at + 1,
        None => bytes.len(),
    }
}

/// Whether an event's data ends a stream in OpenAI's format.
fn is_done(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

/// Whether an event has nothing but counts: OpenAI sends no choices with them, LiteLLM an empty one.
fn has_counts_only(event: &Value) -> bool {
    let is_empty = |choice: &Value| {
        choice["finish_reason"].is_null() && choice["delta"].as_object().is_some_and(serde_json::Map::is_empty)
    };
    let choices = event["choices"].as_array();
    choices.is_some_and(|choices| choices.iter().all(is_empty)) && event["usage"].is_object()
}
