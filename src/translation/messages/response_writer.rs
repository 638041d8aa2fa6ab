//! Writes a response in Anthropic's format.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::request_writer::read_arguments;
use crate::translation::{
    event::{AnswerCounts, AnswerEvent, AnswerFailure, StopReason},
    event_stream::write_event,
    tool_id::encode_id,
};

/// Writes a response event by event: one block after another, with indexes from 0.
#[derive(Debug, Clone)]
pub(in crate::translation) struct MessagesWriter {
    is_started: bool,
    is_ended: bool,
    open: Option<OpenBlock>,
    next_index: usize,
    /// Calls that began while another was still open, by their numbers.
    waiting: BTreeMap<usize, WaitingCall>,
    counts: AnswerCounts,
    stop: Option<StopReason>,
}

#[derive(Debug, Clone)]
struct OpenBlock {
    index: usize,
    content: OpenContent,
}

#[derive(Debug, Clone)]
enum OpenContent {
    Text,
    Thinking,
    /// With its arguments so far.
    Call {
        number: usize,
        arguments: String,
    },
}

#[derive(Debug, Clone, Default)]
struct WaitingCall {
    id: String,
    name: String,
    arguments: String,
}

/// A block of a response that is written whole.
#[derive(Debug)]
enum WholeBlock {
    Text(String),
    Thinking {
        text: String,
        signature: String,
    },
    Redacted(String),
    Call {
        number: usize,
        id: String,
        name: String,
        arguments: String,
    },
}

impl MessagesWriter {
    /// A writer of the response to a prompt of about `input` tokens.
    pub(in crate::translation) fn new(input: u64) -> Self {
        Self {
            is_started: false,
            is_ended: false,
            open: None,
            next_index: 0,
            waiting: BTreeMap::new(),
            counts: AnswerCounts {
                input,
                ..AnswerCounts::default()
            },
            stop: None,
        }
    }

    pub(in crate::translation) fn write(&mut self, event: AnswerEvent, out: &mut Vec<u8>) {
        if self.is_ended {
            return;
        }
        match event {
            AnswerEvent::Start { id, model } => self.start(id, model, out),
            AnswerEvent::Text(text) => {
                if !matches!(self.content(), Some(OpenContent::Text)) {
                    self.open(OpenContent::Text, &json!({"type": "text", "text": ""}), out);
                }
                self.delta(&json!({"type": "text_delta", "text": text}), out);
            }
            AnswerEvent::Thinking(text) => {
                self.open_thinking(out);
                self.delta(&json!({"type": "thinking_delta", "thinking": text}), out);
            }
            AnswerEvent::Signature(signature) => {
                self.open_thinking(out);
                self.delta(&json!({"type": "signature_delta", "signature": signature}), out);
                // What is thought afterwards has a signature of its own.
                self.close(out);
            }
            AnswerEvent::Redacted(data) => {
                self.open(
                    OpenContent::Thinking,
                    &json!({"type": "redacted_thinking", "data": data}),
                    out,
                );
                self.close(out);
            }
            AnswerEvent::ToolStart { number, id, name } => {
                let is_unfinished = matches!(self.content(), Some(OpenContent::Call { arguments, .. })
                    if serde_json::from_str::<IgnoredAny>(arguments).is_err());
                let arguments = String::new();
                if is_unfinished {
                    self.waiting.insert(number, WaitingCall { id, name, arguments });
                } else {
                    self.open_call(number, id, &name, out);
                }
            }
            AnswerEvent::ToolArguments { number, text } => self.arguments(number, &text, out),
            AnswerEvent::Usage(counts) => self.counts = counts,
            AnswerEvent::Stop(stop) => self.stop = Some(stop),
            AnswerEvent::Failure(failure) => {
                self.is_ended = true;
                write_event(out, Some("error"), &write_error(&failure).to_string());
            }
            AnswerEvent::End => self.end(out),
        }
    }

    fn content(&self) -> Option<&OpenContent> {
        self.open.as_ref().map(|open| &open.content)
    }

    fn start(&mut self, id: Option<String>, model: Option<String>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        let mut message = message_head(id, model);
        message["content"] = json!([]);
        message["stop_reason"] = Value::Null;
        message["stop_sequence"] = Value::Null;
        message["usage"] = usage(self.counts);
        let event = json!({"type": "message_start", "message": message});
        write_event(out, Some("message_start"), &event.to_string());
    }

    /// Closes the open block and begins the next.
    fn open(&mut self, content: OpenContent, block: &Value, out: &mut Vec<u8>) {
        self.start(None, None, out);
        self.close(out);
        let index = self.next_index;
        self.next_index += 1;
        self.open = Some(OpenBlock { index, content });
        let event = json!({"type": "content_block_start", "index": index, "content_block": block});
        write_event(out, Some("content_block_start"), &event.to_string());
    }

    fn open_thinking(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.content(), Some(OpenContent::Thinking)) {
            let block = json!({"type": "thinking", "thinking": "", "signature": ""});
            self.open(OpenContent::Thinking, &block, out);
        }
    }

    fn open_call(&mut self, number: usize, id: String, name: &str, out: &mut Vec<u8>) {
        let block = json!({"type": "tool_use", "id": encode_id(id), "name": name, "input": {}});
        let arguments = String::new();
        self.open(OpenContent::Call { number, arguments }, &block, out);
    }

    fn arguments(&mut self, number: usize, text: &str, out: &mut Vec<u8>) {
        if let Some(call) = self.waiting.get_mut(&number) {
            call.arguments.push_str(text);
            return;
        }
        match self.open.as_mut().map(|open| &mut open.content) {
            Some(OpenContent::Call {
                number: open,
                arguments,
            }) if *open == number && !text.is_empty() => {
                arguments.push_str(text);
                self.delta(&json!({"type": "input_json_delta", "partial_json": text}), out);
            }
            // Of a call whose arguments were complete.
            Some(OpenContent::Call { .. } | OpenContent::Text | OpenContent::Thinking) | None => {}
        }
    }

    fn delta(&self, delta: &Value, out: &mut Vec<u8>) {
        let index = self.open.as_ref().map_or(0, |open| open.index);
        let event = json!({"type": "content_block_delta", "index": index, "delta": delta});
        write_event(out, Some("content_block_delta"), &event.to_string());
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some(open) = self.open.take() {
            let event = json!({"type": "content_block_stop", "index": open.index});
            write_event(out, Some("content_block_stop"), &event.to_string());
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start(None, None, out);
        for (number, call) in std::mem::take(&mut self.waiting) {
            self.open_call(number, call.id, &call.name, out);
            self.arguments(number, &call.arguments, out);
        }
        self.close(out);
        self.is_ended = true;
        let (reason, sequence) = stop_reason(self.stop.take().unwrap_or(StopReason::EndTurn));
        let event = json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": usage(self.counts),
        });
        write_event(out, Some("message_delta"), &event.to_string());
        write_event(out, Some("message_stop"), &json!({"type": "message_stop"}).to_string());
    }
}

/// A response that is written whole.
pub(in crate::translation) fn write_whole(events: Vec<AnswerEvent>) -> Result<Value, AnswerFailure> {
    let mut message = message_head(None, None);
    let mut blocks: Vec<WholeBlock> = Vec::new();
    let (mut counts, mut stop) = (AnswerCounts::default(), StopReason::EndTurn);
    for event in events {
        match (event, blocks.last_mut()) {
            (AnswerEvent::Start { id, model }, _) => message = message_head(id, model),
            (AnswerEvent::Text(more), Some(WholeBlock::Text(text))) => text.push_str(&more),
            (AnswerEvent::Text(text), _) => blocks.push(WholeBlock::Text(text)),
            (AnswerEvent::Thinking(more), Some(WholeBlock::Thinking { text, signature })) if signature.is_empty() => {
                text.push_str(&more);
            }
            (AnswerEvent::Thinking(text), _) => blocks.push(WholeBlock::Thinking {
                text,
                signature: String::new(),
            }),
            (AnswerEvent::Signature(more), Some(WholeBlock::Thinking { signature, .. })) => signature.push_str(&more),
            (AnswerEvent::Signature(signature), _) => blocks.push(WholeBlock::Thinking {
                text: String::new(),
                signature,
            }),
            (AnswerEvent::Redacted(data), _) => blocks.push(WholeBlock::Redacted(data)),
            (AnswerEvent::ToolStart { number, id, name }, _) => blocks.push(WholeBlock::Call {
                number,
                id,
                name,
                arguments: String::new(),
            }),
            (AnswerEvent::ToolArguments { number, text }, _) => {
                for block in &mut blocks {
                    if let WholeBlock::Call {
                        number: of, arguments, ..
                    } = block
                        && *of == number
                    {
                        arguments.push_str(&text);
                    }
                }
            }
            (AnswerEvent::Usage(later), _) => counts = later,
            (AnswerEvent::Stop(reason), _) => stop = reason,
            (AnswerEvent::Failure(failure), _) => return Err(failure),
            (AnswerEvent::End, _) => {}
        }
    }
    let (reason, sequence) = stop_reason(stop);
    message["content"] = blocks.into_iter().map(Value::from).collect();
    message["stop_reason"] = reason.into();
    message["stop_sequence"] = sequence.into();
    message["usage"] = usage(counts);
    Ok(message)
}

/// An error in place of a response.
pub(in crate::translation) fn write_error(failure: &AnswerFailure) -> Value {
    json!({"type": "error", "error": {"type": failure.kind.anthropic(), "message": failure.message}})
}

impl From<WholeBlock> for Value {
    fn from(block: WholeBlock) -> Self {
        match block {
            WholeBlock::Text(text) => json!({"type": "text", "text": text}),
            WholeBlock::Thinking { text, signature } => {
                json!({"type": "thinking", "thinking": text, "signature": signature})
            }
            WholeBlock::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
            WholeBlock::Call {
                id, name, arguments, ..
            } => {
                json!({"type": "tool_use", "id": encode_id(id), "name": name, "input": read_arguments(&arguments)})
            }
        }
    }
}

fn message_head(id: Option<String>, model: Option<String>) -> Value {
    let id = match id {
        Some(id) if id.starts_with("msg_") => id,
        Some(id) => format!("msg_{id}"),
        None => "msg_unknown".to_owned(),
    };
    json!({"id": id, "type": "message", "role": "assistant", "model": model.unwrap_or_default()})
}

fn usage(counts: AnswerCounts) -> Value {
    let AnswerCounts {
        input,
        cache_read,
        cache_write,
        output,
        reasoning: _,
    } = counts;
    json!({
        "input_tokens": input.saturating_sub(cache_read).saturating_sub(cache_write),
        "cache_creation_input_tokens": cache_write,
        "cache_read_input_tokens": cache_read,
        "output_tokens": output,
    })
}

fn stop_reason(stop: StopReason) -> (&'static str, Option<String>) {
    match stop {
        StopReason::EndTurn => ("end_turn", None),
        StopReason::MaxTokens => ("max_tokens", None),
        StopReason::ToolUse => ("tool_use", None),
        StopReason::StopSequence(text) => ("stop_sequence", text),
        StopReason::Refusal => ("refusal", None),
    }
}
