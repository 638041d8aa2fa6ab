//! Writes a request in Anthropic's format.

use serde_json::{Map, Value, json};

use crate::translation::{
    conversation::{ContentPart, Conversation, MediaSource, Speaker, ToolCall, ToolChoice, ToolResult},
    loss::{Losses, Untranslatable},
    target::TargetModel,
    tool_id::encode_id,
};

/// What a response may have, in tokens, where neither the client nor the catalog says.
const DEFAULT_MAX_TOKENS: u64 = 8_192;

pub(in crate::translation) fn write_request(
    conversation: Conversation,
    target: &TargetModel<'_>,
    losses: &mut Losses,
) -> Result<Value, Untranslatable> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", target.model.into());
    let max_tokens = target
        .output_limit(conversation.max_output, losses)
        .or(target.max_output);
    set("max_tokens", max_tokens.unwrap_or(DEFAULT_MAX_TOKENS).into());
    if !conversation.system.is_empty() {
        set("system", conversation.system.join("\n\n").into());
    }
    for (name, value) in conversation.sampling() {
        set(name, value);
    }
    if !conversation.stop.is_empty() {
        set("stop_sequences", conversation.stop.clone().into());
    }
    if conversation.is_stream {
        set("stream", true.into());
    }
    let tools = conversation.tools.iter().map(|tool| tool.to_json("input_schema"));
    let tools: Vec<Value> = tools.collect();
    if !tools.is_empty() {
        set("tools", tools.into());
        if let Some(choice) = tool_choice(&conversation) {
            set("tool_choice", choice);
        }
    }
    let mut output = Map::new();
    if let Some(effort) = target.effort(conversation.effort, losses) {
        let effort = if effort == "xhigh" { "max" } else { effort };
        output.insert("effort".to_owned(), effort.into());
    }
    if let Some(schema) = &conversation.answer_schema {
        output.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
    }
    if !output.is_empty() {
        set("output_config", output.into());
    }
    set("messages", messages(conversation, losses)?.into());
    Ok(body.into())
}

fn tool_choice(conversation: &Conversation) -> Option<Value> {
    let one_at_a_time = conversation.is_parallel == Some(false);
    let mut choice = match &conversation.tool_choice {
        None if one_at_a_time => json!({"type": "auto"}),
        None => return None,
        Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::Any) => json!({"type": "any"}),
        Some(ToolChoice::None) => return Some(json!({"type": "none"})),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if one_at_a_time {
        choice["disable_parallel_tool_use"] = true.into();
    }
    Some(choice)
}

fn messages(conversation: Conversation, losses: &mut Losses) -> Result<Vec<Value>, Untranslatable> {
    let mut messages: Vec<(&str, Vec<Value>)> = Vec::new();
    for turn in conversation.turns {
        let role = match turn.speaker {
            Speaker::Assistant => "assistant",
            Speaker::User | Speaker::System => "user",
        };
        let mut blocks = Vec::new();
        for part in turn.parts {
            blocks.extend(match (turn.speaker, part) {
                (Speaker::System, ContentPart::Text(text)) => Some(text_block(&format!("System: {text}"))),
                (_, part) => block(part, losses)?,
            });
        }
        match messages.last_mut() {
            Some((last, before)) if *last == role => before.append(&mut blocks),
            _ if blocks.is_empty() => {}
            _ => messages.push((role, blocks)),
        }
    }
    let written = messages.into_iter().map(|(role, mut blocks)| {
        // The results of tools come first.
        blocks.sort_by_key(|block| block["type"] != "tool_result");
        json!({"role": role, "content": blocks})
    });
    Ok(written.collect())
}

fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// The block of a part; nothing for one that says nothing.
fn block(part: ContentPart, losses: &mut Losses) -> Result<Option<Value>, Untranslatable> {
    Ok(match part {
        ContentPart::Text(text) => (!text.trim().is_empty()).then(|| text_block(&text)),
        ContentPart::Image(source) => Some(json!({"type": "image", "source": source_of(source)})),
        ContentPart::Document { source, title } => {
            let mut block = json!({"type": "document", "source": source_of(source)});
            if let Some(title) = title {
                block["title"] = title.into();
            }
            Some(block)
        }
        ContentPart::ToolCall(ToolCall { id, name, arguments }) => {
            let input = read_arguments(&arguments);
            Some(json!({"type": "tool_use", "id": encode_id(id), "name": name, "input": input}))
        }
        ContentPart::ToolResult(ToolResult { id, parts, is_error }) => {
            let mut content = Vec::new();
            for part in parts {
                content.extend(block(part, losses)?);
            }
            let mut result = json!({"type": "tool_result", "tool_use_id": encode_id(id), "content": content});
            if is_error {
                result["is_error"] = true.into();
            }
            Some(result)
        }
        // Without a signature of its own Anthropic refuses it.
        ContentPart::Thinking { .. } | ContentPart::Redacted => {
            losses.add("thinking");
            None
        }
    })
}

fn source_of(source: MediaSource) -> Value {
    match source {
        MediaSource::Inline { media_type, data } => json!({"type": "base64", "media_type": media_type, "data": data}),
        MediaSource::Url(url) => json!({"type": "url", "url": url}),
    }
}

/// A call's arguments as an object, which models do not always write.
pub(super) fn read_arguments(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(input)) => input.into(),
        _ if arguments.trim().is_empty() => json!({}),
        _ => json!({ "invalid_json": arguments }),
    }
}
