//! Writes a request in OpenAI's chat format.

use serde_json::{Map, Value, json};

use crate::translation::{
    conversation::{ContentPart, Conversation, Speaker, ToolChoice, ToolResult, Turn},
    loss::{Losses, Untranslatable},
    signature::payload_for,
    target::TargetModel,
};

/// How many texts may end a response.
const MAX_STOPS: usize = 4;

pub(in crate::translation) fn write_request(
    mut conversation: Conversation,
    target: &TargetModel<'_>,
    losses: &mut Losses,
) -> Result<Value, Untranslatable> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", target.model.into());
    if let Some(limit) = target.output_limit(conversation.max_output, losses) {
        set(target.limit_field(), limit.into());
    }
    for (name, value) in conversation.sampling() {
        set(name, value);
    }
    if conversation.stop.len() > MAX_STOPS {
        losses.add("stop_sequences");
        conversation.stop.truncate(MAX_STOPS);
    }
    if !conversation.stop.is_empty() {
        set("stop", conversation.stop.clone().into());
    }
    if conversation.is_stream {
        set("stream", true.into());
        set("stream_options", json!({"include_usage": true}));
    }
    if let Some(effort) = target.effort(conversation.effort, losses) {
        set("reasoning_effort", effort.into());
    }
    if let Some(schema) = &conversation.answer_schema {
        let format = answer_format(schema);
        set("response_format", json!({"type": "json_schema", "json_schema": format}));
    }
    if !conversation.tools.is_empty() {
        let tools = conversation.tools.iter().map(|tool| {
            let function = tool.to_json("parameters");
            json!({"type": "function", "function": function})
        });
        set("tools", tools.collect());
        let named = |name: &str| json!({"type": "function", "function": {"name": name}});
        if let Some(choice) = &conversation.tool_choice {
            set("tool_choice", tool_choice(choice, named));
        }
        if let Some(is_parallel) = conversation.is_parallel {
            set("parallel_tool_calls", is_parallel.into());
        }
    }
    let mut messages = Vec::new();
    let system = std::mem::take(&mut conversation.system);
    if !system.is_empty() {
        messages.push(json!({"role": "system", "content": system.join("\n\n")}));
    }
    for (turn, is_recent) in conversation.turns_with_recency() {
        let mut writer = TurnWriter {
            target,
            is_recent,
            messages: &mut messages,
            losses,
        };
        writer.write(turn)?;
    }
    set("messages", messages.into());
    Ok(body.into())
}

/// The choice of a tool in the words of OpenAI's formats, which differ in how they name one.
pub(in crate::translation) fn tool_choice(choice: &ToolChoice, named: impl Fn(&str) -> Value) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Any => "required".into(),
        ToolChoice::Named(name) => named(name),
    }
}

/// The schema of an answer as OpenAI's formats name it.
pub(in crate::translation) fn answer_format(schema: &Value) -> Value {
    json!({"name": "answer", "schema": schema, "strict": true})
}

struct TurnWriter<'a> {
    target: &'a TargetModel<'a>,
    is_recent: bool,
    messages: &'a mut Vec<Value>,
    losses: &'a mut Losses,
}

impl TurnWriter<'_> {
    fn write(&mut self, turn: Turn) -> Result<(), Untranslatable> {
        match turn.speaker {
            Speaker::System => {
                let content = parts_of(turn.parts)?;
                self.messages.push(json!({"role": "system", "content": content}));
            }
            Speaker::User => self.write_user(turn.parts)?,
            Speaker::Assistant => self.write_assistant(turn.parts)?,
        }
        Ok(())
    }

    /// Results of tools each as a message of its own, right after the calls, and what else is said after them.
    fn write_user(&mut self, parts: Vec<ContentPart>) -> Result<(), Untranslatable> {
        let mut said = Vec::new();
        for part in parts {
            if let ContentPart::ToolResult(result) = part {
                self.write_result(result, &mut said);
            } else {
                said.push(part);
            }
        }
        if !said.is_empty() {
            let content = parts_of(said)?;
            self.messages.push(json!({"role": "user", "content": content}));
        }
        Ok(())
    }

    /// The text of a result; images in it cannot stand there, and are said by the user instead.
    fn write_result(&mut self, result: ToolResult, said: &mut Vec<ContentPart>) {
        let ToolResult { id, parts, is_error } = result;
        let mut texts = Vec::new();
        for part in parts {
            if let ContentPart::Text(text) = part {
                texts.push(text);
            } else {
                said.push(ContentPart::Text(format!("Part of the result of the tool call {id}:")));
                said.push(part);
            }
        }
        let mut text = texts.join("\n");
        if is_error {
            text.insert_str(0, "Error: ");
        }
        self.messages
            .push(json!({"role": "tool", "tool_call_id": id, "content": text}));
    }

    fn write_assistant(&mut self, parts: Vec<ContentPart>) -> Result<(), Untranslatable> {
        let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
        for part in parts {
            match part {
                ContentPart::Text(more) => text.push_str(&more),
                ContentPart::Thinking { text, signature } => {
                    let is_own = signature.is_some_and(|text| payload_for(self.target.provider, &text).is_some());
                    // Wanted back while tools are called for the same question, and not afterwards.
                    if is_own && self.is_recent {
                        thinking.push_str(&text);
                    } else if !is_own {
                        self.losses.add("thinking");
                    }
                }
                ContentPart::Redacted => self.losses.add("redacted_thinking"),
                ContentPart::ToolCall(call) => calls.push(json!({
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                })),
                ContentPart::Image(_) | ContentPart::Document { .. } | ContentPart::ToolResult(_) => {
                    return Err(Untranslatable::unsupported(
                        "messages: an image or document of the assistant",
                    ));
                }
            }
        }
        let has_text = !text.is_empty();
        let content = if has_text { text.into() } else { Value::Null };
        let mut message = json!({"role": "assistant", "content": content});
        if !thinking.is_empty() {
            message["reasoning_content"] = thinking.into();
        }
        let says_something = has_text || !calls.is_empty();
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        if says_something {
            self.messages.push(message);
        }
        Ok(())
    }
}

/// A single text by itself, which every server takes, or else a list.
fn parts_of(mut parts: Vec<ContentPart>) -> Result<Value, Untranslatable> {
    if let [ContentPart::Text(text)] = parts.as_mut_slice() {
        return Ok(std::mem::take(text).into());
    }
    let written = parts.into_iter().map(|part| match part {
        ContentPart::Text(text) => Ok(json!({"type": "text", "text": text})),
        ContentPart::Image(source) => Ok(json!({"type": "image_url", "image_url": {"url": source.into_url()}})),
        ContentPart::Document { source, title } => {
            let name = title.unwrap_or_else(|| "document.pdf".to_owned());
            Ok(json!({"type": "file", "file": {"filename": name, "file_data": source.into_url()}}))
        }
        ContentPart::ToolCall(_)
        | ContentPart::ToolResult(_)
        | ContentPart::Thinking { .. }
        | ContentPart::Redacted => Err(Untranslatable::unsupported(
            "messages: a tool call or thinking of the user",
        )),
    });
    written.collect::<Result<Vec<_>, _>>().map(Value::from)
}
