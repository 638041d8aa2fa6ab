//! Reads a response in the format of OpenAI's responses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::translation::{
    chat::read_failure,
    event::{AnswerCounts, AnswerEvent, AnswerFailure, StopReason},
    json::{take, take_list, take_text, whole_number},
    signature::make_signature,
};

/// Reads a response, whole or event by event.
#[derive(Debug, Clone, Default)]
pub(in crate::translation) struct ResponsesReader {
    provider: String,
    /// The calls by the place of their items, with whether arguments came in pieces.
    calls: BTreeMap<u64, (usize, bool)>,
    has_refused: bool,
    /// Whether a part of a summary of thinking has begun.
    has_summary: bool,
    stop: Option<StopReason>,
}

impl ResponsesReader {
    pub(in crate::translation) fn new(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            ..Self::default()
        }
    }

    /// Reads a response that came whole.
    pub(in crate::translation) fn read_whole(&mut self, mut response: Value, out: &mut Vec<AnswerEvent>) {
        start(&mut response, out);
        for (place, mut item) in (0..).zip(take_list(&mut response, "output")) {
            for mut part in take_list(&mut item, "summary") {
                out.extend(take_text(&mut part, "text").map(AnswerEvent::Thinking));
            }
            for mut part in take_list(&mut item, "content") {
                self.has_refused |= part["type"] == "refusal";
                let text = take_text(&mut part, "text").or_else(|| take_text(&mut part, "refusal"));
                out.extend(text.map(AnswerEvent::Text));
            }
            self.begin_item(place, &mut item, out);
            self.end_item(place, item, out);
        }
        self.read_end(response, out);
    }

    /// Reads an event of a stream.
    pub(in crate::translation) fn read_event(&mut self, mut event: Value, out: &mut Vec<AnswerEvent>) {
        let place = event["output_index"].as_u64().unwrap_or_default();
        let kind = take_text(&mut event, "type");
        let mut delta = || take_text(&mut event, "delta");
        match kind.as_deref() {
            Some("response.created") => start(&mut take(&mut event, "response"), out),
            Some("response.output_item.added") => self.begin_item(place, &mut take(&mut event, "item"), out),
            Some("response.output_item.done") => self.end_item(place, take(&mut event, "item"), out),
            Some("response.output_text.delta") => out.extend(delta().map(AnswerEvent::Text)),
            Some("response.refusal.delta") => {
                self.has_refused = true;
                out.extend(delta().map(AnswerEvent::Text));
            }
            Some("response.reasoning_summary_part.added") => {
                let is_further = std::mem::replace(&mut self.has_summary, true);
                out.extend(is_further.then(|| AnswerEvent::Thinking("\n\n".to_owned())));
            }
            Some("response.reasoning_summary_text.delta" | "response.reasoning_text.delta") => {
                out.extend(delta().map(AnswerEvent::Thinking));
            }
            Some("response.function_call_arguments.delta") => {
                if let (Some((number, in_pieces)), Some(text)) = (self.calls.get_mut(&place), delta()) {
                    *in_pieces = true;
                    out.push(AnswerEvent::ToolArguments { number: *number, text });
                }
            }
            Some("response.completed" | "response.incomplete" | "response.failed") => {
                self.read_end(take(&mut event, "response"), out);
            }
            Some("error") => {
                let nested = take(&mut event, "error");
                let error = if nested.is_object() { nested } else { event };
                out.push(AnswerEvent::Failure(read_failure(error)));
            }
            _ => {}
        }
    }

    /// Reads the end.
    pub(in crate::translation) fn finish(&mut self, out: &mut Vec<AnswerEvent>) {
        out.push(match self.stop.take() {
            Some(stop) => AnswerEvent::Stop(stop),
            None => AnswerEvent::Failure(AnswerFailure::ended_early()),
        });
        out.push(AnswerEvent::End);
    }

    fn begin_item(&mut self, place: u64, item: &mut Value, out: &mut Vec<AnswerEvent>) {
        match item["type"].as_str() {
            Some("function_call") => {
                let number = self.calls.len();
                self.calls.insert(place, (number, false));
                out.push(AnswerEvent::ToolStart {
                    number,
                    id: take_text(item, "call_id").unwrap_or_default(),
                    name: take_text(item, "name").unwrap_or_default(),
                });
            }
            Some("reasoning") => self.has_summary = false,
            _ => {}
        }
    }

    fn end_item(&mut self, place: u64, mut item: Value, out: &mut Vec<AnswerEvent>) {
        match item["type"].as_str() {
            Some("function_call") => {
                if let (Some((number, false)), Some(text)) = (self.calls.get(&place), take_text(&mut item, "arguments"))
                {
                    out.push(AnswerEvent::ToolArguments { number: *number, text });
                }
            }
            Some("reasoning") if item["encrypted_content"].is_string() => {
                let payload = json!({"id": item["id"], "encrypted_content": item["encrypted_content"]});
                out.push(AnswerEvent::Signature(make_signature(&self.provider, &payload)));
            }
            _ => {}
        }
    }

    fn read_end(&mut self, mut response: Value, out: &mut Vec<AnswerEvent>) {
        out.extend(read_counts(&response["usage"]).map(AnswerEvent::Usage));
        let reason = response.pointer("/incomplete_details/reason").and_then(Value::as_str);
        self.stop = match (response["status"].as_str(), reason) {
            (Some("failed" | "cancelled"), _) => {
                out.push(AnswerEvent::Failure(read_failure(take(&mut response, "error"))));
                return;
            }
            (Some("incomplete"), Some("content_filter")) => Some(StopReason::Refusal),
            (Some("incomplete"), _) => Some(StopReason::MaxTokens),
            (_, _) if self.has_refused => Some(StopReason::Refusal),
            (_, _) if self.calls.is_empty() => Some(StopReason::EndTurn),
            (_, _) => Some(StopReason::ToolUse),
        };
    }
}

fn start(response: &mut Value, out: &mut Vec<AnswerEvent>) {
    out.push(AnswerEvent::Start {
        id: take_text(response, "id"),
        model: take_text(response, "model"),
    });
}

fn read_counts(usage: &Value) -> Option<AnswerCounts> {
    let count = |path: &str| usage.pointer(path).and_then(whole_number);
    let input = count("/input_tokens")?;
    Some(AnswerCounts {
        input,
        cache_read: count("/input_tokens_details/cached_tokens")
            .unwrap_or_default()
            .min(input),
        cache_write: count("/input_tokens_details/cache_write_tokens").unwrap_or_default(),
        output: count("/output_tokens").unwrap_or_default(),
        reasoning: count("/output_tokens_details/reasoning_tokens").unwrap_or_default(),
    })
}
