//! Writes a response in OpenAI's chat format.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::translation::{
    event::{AnswerCounts, AnswerEvent, AnswerFailure, StopReason},
    event_stream::write_event,
};

/// Writes a response chunk by chunk.
#[derive(Debug, Clone)]
pub(in crate::translation) struct ChatWriter {
    /// Seconds since 1970.
    created: i64,
    wants_usage: bool,
    id: String,
    model: String,
    is_started: bool,
    is_ended: bool,
    counts: Option<AnswerCounts>,
    stop: Option<StopReason>,
}

impl ChatWriter {
    pub(in crate::translation) fn new(created: i64, wants_usage: bool) -> Self {
        Self {
            created,
            wants_usage,
            id: "chatcmpl-unknown".to_owned(),
            model: String::new(),
            is_started: false,
            is_ended: false,
            counts: None,
            stop: None,
        }
    }

    pub(in crate::translation) fn write(&mut self, event: AnswerEvent, out: &mut Vec<u8>) {
        if self.is_ended {
            return;
        }
        match event {
            AnswerEvent::Start { id, model } => {
                self.id = completion_id(id);
                self.model = model.unwrap_or_default();
                self.start(out);
            }
            AnswerEvent::Text(text) => self.delta(&json!({ "content": text }), out),
            AnswerEvent::Thinking(text) => self.delta(&json!({ "reasoning_content": text }), out),
            // There is no place for them.
            AnswerEvent::Signature(_) | AnswerEvent::Redacted(_) => {}
            AnswerEvent::ToolStart { number, id, name } => {
                let mut call = tool_call(id, &name, "");
                call.insert("index".to_owned(), number.into());
                self.delta(&json!({ "tool_calls": [call] }), out);
            }
            AnswerEvent::ToolArguments { number, text } => {
                let call = json!({"index": number, "function": {"arguments": text}});
                self.delta(&json!({ "tool_calls": [call] }), out);
            }
            AnswerEvent::Usage(counts) => self.counts = Some(counts),
            AnswerEvent::Stop(stop) => self.stop = Some(stop),
            AnswerEvent::Failure(failure) => {
                self.is_ended = true;
                write_event(out, None, &write_error(&failure).to_string());
            }
            AnswerEvent::End => self.end(out),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_started, true) {
            self.chunk(
                json!([choice(&json!({"role": "assistant", "content": ""}), None)]),
                None,
                out,
            );
        }
    }

    fn delta(&mut self, delta: &Value, out: &mut Vec<u8>) {
        self.start(out);
        self.chunk(json!([choice(delta, None)]), None, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        self.is_ended = true;
        let reason = finish_reason(self.stop.as_ref());
        self.chunk(json!([choice(&json!({}), Some(reason))]), None, out);
        if self.wants_usage {
            self.chunk(json!([]), Some(usage(self.counts.unwrap_or_default())), out);
        }
        write_event(out, None, "[DONE]");
    }

    fn chunk(&self, choices: Value, usage: Option<Value>, out: &mut Vec<u8>) {
        let mut chunk = head(&self.id, &self.model, self.created, "chat.completion.chunk");
        chunk["choices"] = choices;
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        write_event(out, None, &chunk.to_string());
    }
}

/// A response that is written whole.
pub(in crate::translation) fn write_whole(events: Vec<AnswerEvent>, created: i64) -> Result<Value, AnswerFailure> {
    let (mut id, mut model) = (completion_id(None), String::new());
    let (mut text, mut thinking) = (String::new(), String::new());
    let mut calls: BTreeMap<usize, (String, String, String)> = BTreeMap::new();
    let (mut counts, mut stop) = (None, None);
    for event in events {
        match event {
            AnswerEvent::Start {
                id: given,
                model: named,
            } => {
                id = completion_id(given);
                model = named.unwrap_or_default();
            }
            AnswerEvent::Text(more) => text.push_str(&more),
            AnswerEvent::Thinking(more) => thinking.push_str(&more),
            AnswerEvent::ToolStart { number, id, name } => drop(calls.insert(number, (id, name, String::new()))),
            AnswerEvent::ToolArguments { number, text } => {
                if let Some((_, _, arguments)) = calls.get_mut(&number) {
                    arguments.push_str(&text);
                }
            }
            AnswerEvent::Usage(later) => counts = Some(later),
            AnswerEvent::Stop(reason) => stop = Some(reason),
            AnswerEvent::Failure(failure) => return Err(failure),
            AnswerEvent::Signature(_) | AnswerEvent::Redacted(_) | AnswerEvent::End => {}
        }
    }
    let content = if text.is_empty() && !calls.is_empty() {
        Value::Null
    } else {
        text.into()
    };
    let mut message = json!({"role": "assistant", "content": content, "refusal": null});
    if !thinking.is_empty() {
        message["reasoning_content"] = thinking.into();
    }
    if !calls.is_empty() {
        let calls = calls
            .into_values()
            .map(|(id, name, arguments)| tool_call(id, &name, &arguments).into());
        message["tool_calls"] = calls.collect::<Vec<Value>>().into();
    }
    let mut response = head(&id, &model, created, "chat.completion");
    let reason = finish_reason(stop.as_ref());
    response["choices"] = json!([{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}]);
    response["usage"] = usage(counts.unwrap_or_default());
    Ok(response)
}

/// An error in place of a response.
pub(in crate::translation) fn write_error(failure: &AnswerFailure) -> Value {
    json!({"error": {
        "message": failure.message,
        "type": failure.kind.openai(),
        "param": null,
        "code": failure.kind.anthropic(),
    }})
}

fn completion_id(id: Option<String>) -> String {
    match id {
        Some(id) if id.starts_with("chatcmpl-") => id,
        Some(id) => format!("chatcmpl-{id}"),
        None => "chatcmpl-unknown".to_owned(),
    }
}

fn head(id: &str, model: &str, created: i64, kind: &str) -> Value {
    json!({"id": id, "object": kind, "created": created, "model": model})
}

fn choice(delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason})
}

fn tool_call(id: String, name: &str, arguments: &str) -> Map<String, Value> {
    let function = json!({"name": name, "arguments": arguments});
    let fields = [("id", id.into()), ("type", "function".into()), ("function", function)];
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn finish_reason(stop: Option<&StopReason>) -> &'static str {
    match stop {
        Some(StopReason::MaxTokens) => "length",
        Some(StopReason::ToolUse) => "tool_calls",
        Some(StopReason::Refusal) => "content_filter",
        Some(StopReason::EndTurn | StopReason::StopSequence(_)) | None => "stop",
    }
}

fn usage(counts: AnswerCounts) -> Value {
    json!({
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input.saturating_add(counts.output),
        "prompt_tokens_details": {"cached_tokens": counts.cache_read, "cache_write_tokens": counts.cache_write},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    })
}
