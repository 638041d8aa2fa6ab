//! A request in one format, and its response back.

use serde_json::Value;

use super::{
    chat::{self, ChatReader, ChatWriter},
    event::{AnswerEvent, AnswerFailure, FailureKind},
    event_stream::EventReader,
    loss::{Losses, Untranslatable},
    messages::{self, MessagesReader, MessagesWriter},
    responses::{self, ResponsesReader},
    target::TargetModel,
};

/// A format of requests and responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireFormat {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
}

/// A request in the provider's format.
#[derive(Debug)]
pub struct TranslatedRequest {
    pub body: Vec<u8>,
    /// What was left out.
    pub losses: Losses,
    /// For the response.
    pub answer: AnswerTranslator,
}

/// Translates one response.
#[derive(Debug, Clone)]
pub struct AnswerTranslator {
    events: EventReader,
    reader: AnswerReader,
    writer: AnswerWriter,
    to: WireFormat,
    is_stream: bool,
    now: i64,
    /// A body that is no stream where one was requested, until it has ended.
    whole: Option<Vec<u8>>,
    is_begun: bool,
    has_failed: bool,
}

#[derive(Debug, Clone)]
enum AnswerReader {
    Chat(ChatReader),
    Responses(ResponsesReader),
    Messages(MessagesReader),
}

#[derive(Debug, Clone)]
enum AnswerWriter {
    Chat(ChatWriter),
    Messages(MessagesWriter),
}

/// Translates the request `body` of a client that speaks `from`, for a provider that speaks `to`.
pub fn translate(
    from: WireFormat,
    to: WireFormat,
    body: &[u8],
    target: &TargetModel<'_>,
) -> Result<TranslatedRequest, Untranslatable> {
    let no_such_pair = Untranslatable::NoSuchPair {
        from: from.as_str(),
        to: to.as_str(),
    };
    let body = serde_json::from_slice(body).map_err(|_| Untranslatable::NotJson)?;
    let mut losses = Losses::default();
    let conversation = match from {
        WireFormat::Messages => messages::read_request(body, &mut losses)?,
        WireFormat::Chat => chat::read_request(body, &mut losses)?,
        WireFormat::Responses => return Err(no_such_pair),
    };
    let writer = match from {
        WireFormat::Messages => AnswerWriter::Messages(MessagesWriter::new(target.input_estimate)),
        WireFormat::Chat | WireFormat::Responses => {
            AnswerWriter::Chat(ChatWriter::new(target.now, conversation.wants_usage))
        }
    };
    let is_stream = conversation.is_stream;
    let (body, reader) = match to {
        WireFormat::Chat => (
            chat::write_request(conversation, target, &mut losses)?,
            AnswerReader::Chat(ChatReader::new(target.provider)),
        ),
        WireFormat::Responses => (
            responses::write_request(conversation, target, &mut losses)?,
            AnswerReader::Responses(ResponsesReader::new(target.provider)),
        ),
        WireFormat::Messages => (
            messages::write_request(conversation, target, &mut losses)?,
            AnswerReader::Messages(MessagesReader::default()),
        ),
    };
    Ok(TranslatedRequest {
        body: body.to_string().into_bytes(),
        losses,
        answer: AnswerTranslator {
            events: EventReader::default(),
            reader,
            writer,
            to: from,
            is_stream,
            now: target.now,
            whole: None,
            is_begun: false,
            has_failed: false,
        },
    })
}

impl WireFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "openai-chat",
            Self::Responses => "openai-responses",
            Self::Messages => "anthropic-messages",
        }
    }
}

impl AnswerTranslator {
    /// Translates a piece of a stream.
    pub fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.is_begun && !piece.trim_ascii().is_empty() {
            self.is_begun = true;
            if piece.trim_ascii_start().starts_with(b"{") {
                self.whole = Some(Vec::new());
            }
        }
        if let Some(whole) = &mut self.whole {
            whole.extend_from_slice(piece);
            return out;
        }
        if self.has_failed {
            return out;
        }
        let mut events = Vec::new();
        let reader = &mut self.reader;
        if self
            .events
            .read(piece, |data| reader.read_event(data, &mut events))
            .is_err()
        {
            self.has_failed = true;
            events.push(AnswerEvent::Failure(AnswerFailure {
                kind: FailureKind::Server,
                message: "the provider sent an event that is too long".to_owned(),
            }));
        }
        self.write_all(events, &mut out);
        out
    }

    /// Translates what ended with the stream.
    pub fn finish(&mut self) -> Vec<u8> {
        let (mut events, mut out) = (Vec::new(), Vec::new());
        if let Some(body) = self.whole.take() {
            self.reader.read_whole(&body, &mut events);
        } else {
            let reader = &mut self.reader;
            self.events.finish(|data| reader.read_event(data, &mut events));
        }
        self.reader.finish(&mut events);
        self.write_all(events, &mut out);
        out
    }

    /// Whether the client requested a stream.
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Translates what was read whole and has this status; fails with the body of an error where it is no response.
    pub fn translate_whole(mut self, status: u16, body: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        if !(200..300).contains(&status) {
            return Err(self.error(status, body));
        }
        if self.is_stream {
            return Ok([self.pass(body), self.finish()].concat());
        }
        let mut events = Vec::new();
        if body.trim_ascii_start().starts_with(b"{") {
            self.reader.read_whole(body, &mut events);
        } else {
            let reader = &mut self.reader;
            let read = self.events.read(body, |data| reader.read_event(data, &mut events));
            if read.is_ok() {
                self.events.finish(|data| reader.read_event(data, &mut events));
            }
        }
        self.reader.finish(&mut events);
        let written = match self.to {
            WireFormat::Messages => messages::write_whole(events),
            WireFormat::Chat | WireFormat::Responses => chat::write_whole(events, self.now),
        };
        let bytes = |value: Value| value.to_string().into_bytes();
        written.map(bytes).map_err(|failure| bytes(self.failure(&failure)))
    }

    /// Translates the body of an error with this status.
    fn error(&self, status: u16, body: &[u8]) -> Vec<u8> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let texts = ["/error/message", "/message", "/error", "/detail"].map(|path| body.pointer(path));
        let text = texts.into_iter().flatten().find_map(Value::as_str);
        let failure = AnswerFailure {
            kind: FailureKind::of_status(status),
            message: text.unwrap_or("the provider gave no reason").to_owned(),
        };
        self.failure(&failure).to_string().into_bytes()
    }

    fn failure(&self, failure: &AnswerFailure) -> Value {
        match self.to {
            WireFormat::Messages => messages::write_error(failure),
            WireFormat::Chat | WireFormat::Responses => chat::write_error(failure),
        }
    }

    fn write_all(&mut self, events: Vec<AnswerEvent>, out: &mut Vec<u8>) {
        for event in events {
            match &mut self.writer {
                AnswerWriter::Chat(writer) => writer.write(event, out),
                AnswerWriter::Messages(writer) => writer.write(event, out),
            }
        }
    }
}

impl AnswerReader {
    /// Reads the data of an event.
    fn read_event(&mut self, data: &[u8], out: &mut Vec<AnswerEvent>) {
        if data == b"[DONE]" {
            if let Self::Chat(reader) = self {
                reader.read_done();
            }
            return;
        }
        let Ok(event) = serde_json::from_slice(data) else {
            return;
        };
        match self {
            Self::Chat(reader) => reader.read(event, out),
            Self::Responses(reader) => reader.read_event(event, out),
            Self::Messages(reader) => reader.read_event(event, out),
        }
    }

    fn read_whole(&mut self, body: &[u8], out: &mut Vec<AnswerEvent>) {
        let Ok(response) = serde_json::from_slice(body) else {
            return;
        };
        match self {
            Self::Chat(reader) => reader.read(response, out),
            Self::Responses(reader) => reader.read_whole(response, out),
            Self::Messages(reader) => reader.read_whole(response, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<AnswerEvent>) {
        match self {
            Self::Chat(reader) => reader.finish(out),
            Self::Responses(reader) => reader.finish(out),
            Self::Messages(reader) => reader.finish(out),
        }
    }
}
