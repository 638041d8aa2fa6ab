//! Writes a request in the format of OpenAI's responses.

use serde_json::{Map, Value, json};

use crate::translation::{
    chat,
    conversation::{ContentPart, Conversation, Speaker, ToolCall, ToolResult, Turn},
    loss::{Losses, Untranslatable},
    signature::payload_for,
    target::TargetModel,
};

pub(in crate::translation) fn write_request(
    mut conversation: Conversation,
    target: &TargetModel<'_>,
    losses: &mut Losses,
) -> Result<Value, Untranslatable> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", target.model.into());
    // Nothing is kept there, and what it thought comes back with the conversation.
    set("store", false.into());
    set("include", json!(["reasoning.encrypted_content"]));
    if let Some(limit) = target.output_limit(conversation.max_output, losses) {
        set("max_output_tokens", limit.into());
    }
    for (name, value) in conversation.sampling() {
        set(name, value);
    }
    if !conversation.stop.is_empty() {
        losses.add("stop_sequences");
    }
    if conversation.is_stream {
        set("stream", true.into());
    }
    if let Some(effort) = target.effort(conversation.effort, losses) {
        set("reasoning", json!({"effort": effort, "summary": "auto"}));
    }
    if let Some(schema) = &conversation.answer_schema {
        let mut format = chat::answer_format(schema);
        format["type"] = "json_schema".into();
        set("text", json!({ "format": format }));
    }
    if !conversation.tools.is_empty() {
        let tools = conversation.tools.iter().map(|tool| {
            let mut spec = tool.to_json("parameters");
            spec["type"] = "function".into();
            // Its own default is to refuse schemas that leave something open.
            if tool.is_strict.is_none() {
                spec["strict"] = false.into();
            }
            spec
        });
        set("tools", tools.collect());
        if let Some(choice) = &conversation.tool_choice {
            let named = |name: &str| json!({"type": "function", "name": name});
            set("tool_choice", chat::tool_choice(choice, named));
        }
        if let Some(is_parallel) = conversation.is_parallel {
            set("parallel_tool_calls", is_parallel.into());
        }
    }
    let system = std::mem::take(&mut conversation.system);
    if !system.is_empty() {
        set("instructions", system.join("\n\n").into());
    }
    let mut items = Vec::new();
    for turn in conversation.turns {
        write_turn(turn, target.provider, &mut items, losses)?;
    }
    set("input", items.into());
    Ok(body.into())
}

fn write_turn(turn: Turn, provider: &str, items: &mut Vec<Value>, losses: &mut Losses) -> Result<(), Untranslatable> {
    let (role, text_kind) = match turn.speaker {
        Speaker::System => ("developer", "input_text"),
        Speaker::User => ("user", "input_text"),
        Speaker::Assistant => ("assistant", "output_text"),
    };
    // Neighboring texts and images are one message.
    let mut said: Vec<Value> = Vec::new();
    let flush = |said: &mut Vec<Value>, items: &mut Vec<Value>| {
        if !said.is_empty() {
            let content = std::mem::take(said);
            items.push(json!({"type": "message", "role": role, "content": content}));
        }
    };
    for part in turn.parts {
        let item = match part {
            ContentPart::Text(text) => {
                if !text.is_empty() {
                    said.push(json!({"type": text_kind, "text": text}));
                }
                continue;
            }
            part @ (ContentPart::Image(_) | ContentPart::Document { .. }) => {
                said.push(input_part(part)?);
                continue;
            }
            ContentPart::ToolCall(ToolCall { id, name, arguments }) => {
                json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
            }
            ContentPart::ToolResult(result) => write_result(result)?,
            ContentPart::Thinking { signature, .. } => {
                let payload = signature.and_then(|signature| payload_for(provider, &signature));
                let Some(payload) = payload.filter(Value::is_object) else {
                    losses.add("thinking");
                    continue;
                };
                json!({
                    "type": "reasoning",
                    "id": payload["id"],
                    "summary": [],
                    "encrypted_content": payload["encrypted_content"],
                })
            }
            ContentPart::Redacted => {
                losses.add("redacted_thinking");
                continue;
            }
        };
        flush(&mut said, items);
        items.push(item);
    }
    flush(&mut said, items);
    Ok(())
}

fn write_result(result: ToolResult) -> Result<Value, Untranslatable> {
    let ToolResult {
        id,
        mut parts,
        is_error,
    } = result;
    if is_error {
        parts.insert(0, ContentPart::Text("Error:".to_owned()));
    }
    let output = match parts.as_mut_slice() {
        [] => Value::from(""),
        [ContentPart::Text(text)] => std::mem::take(text).into(),
        _ => parts.into_iter().map(input_part).collect::<Result<Vec<_>, _>>()?.into(),
    };
    Ok(json!({"type": "function_call_output", "call_id": id, "output": output}))
}

fn input_part(part: ContentPart) -> Result<Value, Untranslatable> {
    match part {
        ContentPart::Text(text) => Ok(json!({"type": "input_text", "text": text})),
        ContentPart::Image(source) => {
            Ok(json!({"type": "input_image", "image_url": source.into_url(), "detail": "auto"}))
        }
        ContentPart::Document { source, title } => {
            let name = title.unwrap_or_else(|| "document.pdf".to_owned());
            Ok(json!({"type": "input_file", "filename": name, "file_data": source.into_url()}))
        }
        ContentPart::ToolCall(_)
        | ContentPart::ToolResult(_)
        | ContentPart::Thinking { .. }
        | ContentPart::Redacted => Err(Untranslatable::unsupported(
            "messages: a tool call inside a tool result",
        )),
    }
}
