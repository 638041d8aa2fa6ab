//! Reads a response in Anthropic's format.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::translation::{
    event::{AnswerCounts, AnswerEvent, AnswerFailure, FailureKind, StopReason},
    json::{take, take_list, take_text, whole_number},
    tool_id::decode_id,
};

/// Reads a response, whole or event by event.
#[derive(Debug, Clone, Default)]
pub(in crate::translation) struct MessagesReader {
    /// The numbers of the tools' calls by the indexes of their blocks.
    calls: BTreeMap<u64, usize>,
    counts: AnswerCounts,
    stop: Option<StopReason>,
    has_ended: bool,
}

impl MessagesReader {
    /// Reads a response that came whole.
    pub(in crate::translation) fn read_whole(&mut self, mut message: Value, out: &mut Vec<AnswerEvent>) {
        if message["type"] == "error" {
            out.push(AnswerEvent::Failure(read_failure(take(&mut message, "error"))));
            return;
        }
        self.read_start(&mut message, out);
        for (index, mut block) in (0..).zip(take_list(&mut message, "content")) {
            let input = take(&mut block, "input");
            self.read_block_start(index, block, out);
            if let Some(number) = self.calls.get(&index) {
                let (number, text) = (*number, input.to_string());
                out.push(AnswerEvent::ToolArguments { number, text });
            }
        }
        self.read_stop(&mut message);
        self.has_ended = true;
    }

    /// Reads an event of a stream.
    pub(in crate::translation) fn read_event(&mut self, mut event: Value, out: &mut Vec<AnswerEvent>) {
        match event["type"].as_str() {
            Some("message_start") => self.read_start(&mut take(&mut event, "message"), out),
            Some("content_block_start") => {
                let index = event["index"].as_u64().unwrap_or_default();
                self.read_block_start(index, take(&mut event, "content_block"), out);
            }
            Some("content_block_delta") => {
                let index = event["index"].as_u64().unwrap_or_default();
                self.read_delta(index, take(&mut event, "delta"), out);
            }
            Some("message_delta") => {
                self.read_counts(&event["usage"], out);
                self.read_stop(&mut take(&mut event, "delta"));
            }
            Some("message_stop") => self.has_ended = true,
            Some("error") => {
                self.has_ended = true;
                out.push(AnswerEvent::Failure(read_failure(take(&mut event, "error"))));
            }
            // Pings, ends of blocks, and what is not known yet.
            _ => {}
        }
    }

    /// Reads the end.
    pub(in crate::translation) fn finish(&mut self, out: &mut Vec<AnswerEvent>) {
        match self.stop.take() {
            Some(stop) if self.has_ended => out.push(AnswerEvent::Stop(stop)),
            _ => out.push(AnswerEvent::Failure(AnswerFailure::ended_early())),
        }
        out.push(AnswerEvent::End);
    }

    fn read_start(&mut self, message: &mut Value, out: &mut Vec<AnswerEvent>) {
        out.push(AnswerEvent::Start {
            id: take_text(message, "id"),
            model: take_text(message, "model"),
        });
        self.read_counts(&message["usage"], out);
    }

    fn read_block_start(&mut self, index: u64, mut block: Value, out: &mut Vec<AnswerEvent>) {
        let kind = take_text(&mut block, "type");
        let mut text = |name: &str| take_text(&mut block, name);
        match kind.as_deref() {
            Some("text") => out.extend(text("text").map(AnswerEvent::Text)),
            Some("thinking") => {
                out.extend(text("thinking").map(AnswerEvent::Thinking));
                out.extend(text("signature").map(AnswerEvent::Signature));
            }
            Some("redacted_thinking") => out.extend(text("data").map(AnswerEvent::Redacted)),
            Some("tool_use") => {
                let number = self.calls.len();
                self.calls.insert(index, number);
                out.push(AnswerEvent::ToolStart {
                    number,
                    id: decode_id(text("id").unwrap_or_default()),
                    name: text("name").unwrap_or_default(),
                });
            }
            _ => {}
        }
    }

    fn read_delta(&self, index: u64, mut delta: Value, out: &mut Vec<AnswerEvent>) {
        let mut text = |name: &str| take_text(&mut delta, name);
        out.extend(text("text").map(AnswerEvent::Text));
        out.extend(text("thinking").map(AnswerEvent::Thinking));
        out.extend(text("signature").map(AnswerEvent::Signature));
        if let (Some(text), Some(number)) = (text("partial_json"), self.calls.get(&index)) {
            out.push(AnswerEvent::ToolArguments { number: *number, text });
        }
    }

    fn read_stop(&mut self, delta: &mut Value) {
        let sequence = take_text(delta, "stop_sequence");
        self.stop = match delta["stop_reason"].as_str() {
            None => return,
            Some("max_tokens" | "model_context_window_exceeded") => Some(StopReason::MaxTokens),
            Some("tool_use") => Some(StopReason::ToolUse),
            Some("stop_sequence") => Some(StopReason::StopSequence(sequence)),
            Some("refusal") => Some(StopReason::Refusal),
            Some(_) => Some(StopReason::EndTurn),
        };
    }

    /// Counts that come later replace those before, but for zeros and nulls.
    fn read_counts(&mut self, usage: &Value, out: &mut Vec<AnswerEvent>) {
        let count = |name: &str| usage.get(name).and_then(whole_number).filter(|count| *count > 0);
        let counts = &mut self.counts;
        let plain = counts
            .input
            .saturating_sub(counts.cache_read)
            .saturating_sub(counts.cache_write);
        let plain = count("input_tokens").unwrap_or(plain);
        counts.cache_read = count("cache_read_input_tokens").unwrap_or(counts.cache_read);
        counts.cache_write = count("cache_creation_input_tokens").unwrap_or(counts.cache_write);
        counts.input = plain
            .saturating_add(counts.cache_read)
            .saturating_add(counts.cache_write);
        counts.output = count("output_tokens").unwrap_or(counts.output);
        let thinking = usage
            .pointer("/output_tokens_details/thinking_tokens")
            .and_then(whole_number);
        counts.reasoning = thinking.unwrap_or(counts.reasoning);
        out.push(AnswerEvent::Usage(*counts));
    }
}

/// The error in an `error` object.
fn read_failure(mut error: Value) -> AnswerFailure {
    AnswerFailure {
        kind: FailureKind::of_name(error["type"].as_str().unwrap_or_default()),
        message: take_text(&mut error, "message").unwrap_or_default(),
    }
}
