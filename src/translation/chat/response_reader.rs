//! Reads a response in OpenAI's chat format.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::translation::{
    event::{AnswerCounts, AnswerEvent, AnswerFailure, FailureKind, StopReason},
    json::{take, take_list, take_text, whole_number},
    signature::make_signature,
};

/// Reads a response, whole or chunk by chunk.
#[derive(Debug, Clone, Default)]
pub(in crate::translation) struct ChatReader {
    provider: String,
    is_started: bool,
    /// Whether thinking came that has no signature yet.
    is_thinking: bool,
    /// By their indexes.
    calls: BTreeMap<u64, PartialCall>,
    started_calls: usize,
    stop: Option<StopReason>,
    is_done: bool,
}

/// A call whose parts may come in any order.
#[derive(Debug, Clone, Default)]
struct PartialCall {
    id: String,
    /// Its number, once its name is known.
    number: Option<usize>,
    /// Arguments that came before the name.
    early: String,
}

impl ChatReader {
    pub(in crate::translation) fn new(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            ..Self::default()
        }
    }

    /// Reads a chunk of a stream, or a response that came whole.
    pub(in crate::translation) fn read(&mut self, mut chunk: Value, out: &mut Vec<AnswerEvent>) {
        let error = take(&mut chunk, "error");
        if !error.is_null() {
            out.push(AnswerEvent::Failure(read_failure(error)));
            self.is_done = true;
            return;
        }
        if !self.is_started && chunk.get("choices").is_some() {
            self.is_started = true;
            out.push(AnswerEvent::Start {
                id: take_text(&mut chunk, "id"),
                model: take_text(&mut chunk, "model"),
            });
        }
        if let Some(counts) = read_counts(&chunk["usage"]) {
            out.push(AnswerEvent::Usage(counts));
        }
        let Some(choice) = chunk.pointer_mut("/choices/0") else {
            return;
        };
        for name in ["delta", "message"] {
            let message = take(choice, name);
            if message.is_object() {
                self.is_done |= name == "message";
                self.read_message(message, out);
            }
        }
        match choice["finish_reason"].as_str() {
            None => {}
            Some("length") => self.stop = Some(StopReason::MaxTokens),
            Some("tool_calls" | "function_call") => self.stop = Some(StopReason::ToolUse),
            Some("content_filter") => self.stop = Some(StopReason::Refusal),
            // A refusal ends like any other text.
            Some(_) => drop(self.stop.get_or_insert(StopReason::EndTurn)),
        }
    }

    /// Reads `[DONE]`.
    pub(in crate::translation) fn read_done(&mut self) {
        self.is_done = true;
    }

    /// Reads the end.
    pub(in crate::translation) fn finish(&mut self, out: &mut Vec<AnswerEvent>) {
        self.sign(out);
        match self.stop.take() {
            // Some servers say `stop` after calls.
            Some(StopReason::EndTurn) if self.started_calls > 0 => out.push(AnswerEvent::Stop(StopReason::ToolUse)),
            Some(stop) => out.push(AnswerEvent::Stop(stop)),
            None if self.is_done && self.is_started => out.push(AnswerEvent::Stop(StopReason::EndTurn)),
            None => out.push(AnswerEvent::Failure(AnswerFailure::ended_early())),
        }
        out.push(AnswerEvent::End);
    }

    fn read_message(&mut self, mut message: Value, out: &mut Vec<AnswerEvent>) {
        let mut thoughts =
            vec![take_text(&mut message, "reasoning_content").or_else(|| take_text(&mut message, "reasoning"))];
        let mut texts = vec![take_text(&mut message, "content")];
        // Mistral's models that think.
        for mut part in take_list(&mut message, "content") {
            let parts = take_list(&mut part, "thinking");
            thoughts.extend(parts.into_iter().map(|mut thought| take_text(&mut thought, "text")));
            texts.push(take_text(&mut part, "text"));
        }
        for thought in thoughts.into_iter().flatten() {
            self.is_thinking = true;
            out.push(AnswerEvent::Thinking(thought));
        }
        let refusal = take_text(&mut message, "refusal");
        if refusal.is_some() {
            self.stop = Some(StopReason::Refusal);
        }
        for text in texts.into_iter().chain([refusal]).flatten() {
            self.sign(out);
            out.push(AnswerEvent::Text(text));
        }
        for (place, call) in (0..).zip(take_list(&mut message, "tool_calls")) {
            self.read_call(place, call, out);
        }
    }

    fn read_call(&mut self, place: u64, mut call: Value, out: &mut Vec<AnswerEvent>) {
        self.sign(out);
        let index = call["index"].as_u64().unwrap_or(place);
        let known = self.calls.entry(index).or_default();
        if let Some(id) = take_text(&mut call, "id") {
            known.id = id;
        }
        let mut function = take(&mut call, "function");
        let name = take_text(&mut function, "name");
        let arguments = match take(&mut function, "arguments") {
            Value::String(text) => text,
            // Some servers send the arguments themselves.
            object @ Value::Object(_) => object.to_string(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => String::new(),
        };
        let text = match (known.number, name) {
            (Some(_), _) => arguments,
            (None, None) => {
                known.early.push_str(&arguments);
                return;
            }
            (None, Some(name)) => {
                let number = self.started_calls;
                self.started_calls += 1;
                known.number = Some(number);
                let id = match std::mem::take(&mut known.id) {
                    id if id.is_empty() => format!("call_{number}"),
                    id => id,
                };
                out.push(AnswerEvent::ToolStart { number, id, name });
                std::mem::take(&mut known.early) + &arguments
            }
        };
        if let (Some(number), false) = (known.number, text.is_empty()) {
            out.push(AnswerEvent::ToolArguments { number, text });
        }
    }

    /// Ends thinking with a signature, so that it comes back.
    fn sign(&mut self, out: &mut Vec<AnswerEvent>) {
        if std::mem::take(&mut self.is_thinking) {
            out.push(AnswerEvent::Signature(make_signature(&self.provider, &Value::Null)));
        }
    }
}

fn read_counts(usage: &Value) -> Option<AnswerCounts> {
    let count = |path: &str| usage.pointer(path).and_then(whole_number);
    let input = count("/prompt_tokens")?;
    let cached = count("/prompt_tokens_details/cached_tokens").or_else(|| count("/prompt_cache_hit_tokens"));
    Some(AnswerCounts {
        input,
        cache_read: cached.unwrap_or_default().min(input),
        cache_write: count("/prompt_tokens_details/cache_write_tokens").unwrap_or_default(),
        output: count("/completion_tokens").unwrap_or_default(),
        reasoning: count("/completion_tokens_details/reasoning_tokens").unwrap_or_default(),
    })
}

/// The error in an `error` object, or the text that stands in its place.
pub(in crate::translation) fn read_failure(mut error: Value) -> AnswerFailure {
    let name = |field: &str| error[field].as_str().map(FailureKind::of_name);
    let kinds = [name("code"), name("type")];
    let known = kinds.into_iter().flatten().find(|kind| *kind != FailureKind::Server);
    let message = match &mut error {
        Value::String(text) => Some(std::mem::take(text)),
        error => take_text(error, "message"),
    };
    AnswerFailure {
        kind: known.unwrap_or(FailureKind::Server),
        message: message.unwrap_or_default(),
    }
}
