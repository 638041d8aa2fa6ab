//! Reads a request in OpenAI's chat format.

use serde_json::{Value, json};

use crate::translation::{
    conversation::{
        ContentPart, Conversation, MediaSource, Speaker, ToolCall, ToolChoice, ToolResult, ToolSpec, texts,
    },
    json::UnreadFields,
    loss::{Losses, Untranslatable},
};

/// UnreadFields without which the request would mean something else.
const REFUSED: [&str; 6] = [
    "logprobs",
    "top_logprobs",
    "audio",
    "functions",
    "function_call",
    "web_search_options",
];

pub(in crate::translation) fn read_request(body: Value, losses: &mut Losses) -> Result<Conversation, Untranslatable> {
    let mut fields = UnreadFields::of(body, "request")?;
    fields.take("model");
    let mut conversation = Conversation {
        max_output: fields.count("max_completion_tokens")?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        is_stream: fields.flag("stream")?.unwrap_or_default(),
        is_parallel: fields.flag("parallel_tool_calls")?,
        ..Conversation::default()
    };
    let older_limit = fields.count("max_tokens")?;
    conversation.max_output = conversation.max_output.or(older_limit);
    if let Some(mut options) = fields.object("stream_options")? {
        conversation.wants_usage = options.flag("include_usage")?.unwrap_or_default();
        options.lose_rest(losses);
    }
    conversation.stop = match fields.take("stop") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text],
        Some(list) => serde_json::from_value(list).map_err(|_| fields.malformed("stop"))?,
    };
    if fields.count("n")?.is_some_and(|n| n > 1) {
        return Err(fields.unsupported("n"));
    }
    if fields.list("modalities")?.iter().any(|modality| modality != "text") {
        return Err(fields.unsupported("modalities"));
    }
    if let Some(effort) = fields.text("reasoning_effort")? {
        conversation.effort = Some(effort.parse().map_err(|_| fields.malformed("reasoning_effort"))?);
    }
    if let Some(format) = fields.object("response_format")? {
        read_format(format, &mut conversation, losses)?;
    }
    for tool in fields.list("tools")? {
        conversation.tools.push(read_tool(tool, losses)?);
    }
    conversation.tool_choice = match fields.take("tool_choice") {
        None => None,
        Some(Value::String(choice)) => Some(match choice.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Any,
            _ => return Err(fields.malformed("tool_choice")),
        }),
        Some(choice) => {
            let name = choice.pointer("/function/name").and_then(Value::as_str);
            Some(ToolChoice::Named(
                name.ok_or_else(|| fields.malformed("tool_choice"))?.to_owned(),
            ))
        }
    };
    for message in fields.list("messages")? {
        read_message(message, &mut conversation, losses)?;
    }
    fields.refuse(&REFUSED)?;
    fields.lose_rest(losses);
    Ok(conversation)
}

fn read_format(
    mut format: UnreadFields,
    conversation: &mut Conversation,
    losses: &mut Losses,
) -> Result<(), Untranslatable> {
    match format.kind()?.as_str() {
        "text" => {}
        "json_schema" => {
            let schema = format
                .object("json_schema")?
                .and_then(|mut schema| schema.take("schema"));
            conversation.answer_schema = Some(schema.ok_or_else(|| format.malformed("json_schema"))?);
        }
        // Asked for in the prompt, too, as OpenAI demands.
        "json_object" => losses.add("response_format"),
        kind => return Err(format.unsupported(kind)),
    }
    Ok(())
}

fn read_tool(tool: Value, losses: &mut Losses) -> Result<ToolSpec, Untranslatable> {
    let mut tool = UnreadFields::of(tool, "tools")?;
    match tool.kind()?.as_str() {
        "function" => {}
        kind => return Err(tool.unsupported(kind)),
    }
    let mut function = tool.object("function")?.ok_or_else(|| tool.malformed("function"))?;
    let spec = ToolSpec {
        name: function.needed_text("name")?,
        description: function.text("description")?,
        schema: function
            .take("parameters")
            .unwrap_or_else(|| json!({"type": "object", "properties": {}})),
        is_strict: function.flag("strict")?,
    };
    function.lose_rest(losses);
    tool.lose_rest(losses);
    Ok(spec)
}

fn read_message(message: Value, conversation: &mut Conversation, losses: &mut Losses) -> Result<(), Untranslatable> {
    let mut message = UnreadFields::of(message, "messages")?;
    let role = message.needed_text("role")?;
    let mut parts = match message.take("content") {
        None => Vec::new(),
        Some(content) => read_content(content, losses)?,
    };
    match role.as_str() {
        "system" | "developer" if conversation.turns.is_empty() => conversation.system.extend(texts(parts)),
        "system" | "developer" => conversation.say(Speaker::System, parts),
        "user" => conversation.say(Speaker::User, parts),
        "assistant" => {
            parts.extend(message.text("refusal")?.map(ContentPart::Text));
            for call in message.list("tool_calls")? {
                parts.push(ContentPart::ToolCall(read_call(call)?));
            }
            message.refuse(&["function_call", "audio"])?;
            conversation.say(Speaker::Assistant, parts);
        }
        "tool" => {
            let result = ToolResult {
                id: message.needed_text("tool_call_id")?,
                parts,
                is_error: false,
            };
            conversation.say(Speaker::User, vec![ContentPart::ToolResult(result)]);
        }
        _ => return Err(message.unsupported(&role)),
    }
    message.lose_rest(losses);
    Ok(())
}

fn read_call(call: Value) -> Result<ToolCall, Untranslatable> {
    let mut call = UnreadFields::of(call, "tool_calls")?;
    let mut function = call.object("function")?.ok_or_else(|| call.malformed("function"))?;
    Ok(ToolCall {
        id: call.needed_text("id")?,
        name: function.needed_text("name")?,
        arguments: function.text("arguments")?.unwrap_or_default(),
    })
}

fn read_content(content: Value, losses: &mut Losses) -> Result<Vec<ContentPart>, Untranslatable> {
    match content {
        Value::String(text) => Ok(vec![ContentPart::Text(text)]),
        Value::Array(parts) => parts.into_iter().map(|part| read_part(part, losses)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(Untranslatable::malformed("messages.content"))
        }
    }
}

fn read_part(part: Value, losses: &mut Losses) -> Result<ContentPart, Untranslatable> {
    let mut part = UnreadFields::of(part, "content")?;
    let read = match part.kind()?.as_str() {
        "text" => ContentPart::Text(part.needed_text("text")?),
        "refusal" => ContentPart::Text(part.needed_text("refusal")?),
        "image_url" => {
            let mut image = part.object("image_url")?.ok_or_else(|| part.malformed("image_url"))?;
            let url = image.needed_text("url")?;
            image.lose_rest(losses);
            ContentPart::Image(MediaSource::from_url(url))
        }
        "file" => {
            let mut file = part.object("file")?.ok_or_else(|| part.malformed("file"))?;
            // A file that lies at OpenAI is nowhere else.
            let data = file.text("file_data")?.ok_or_else(|| file.unsupported("file_id"))?;
            ContentPart::Document {
                source: MediaSource::from_url(data),
                title: file.text("filename")?,
            }
        }
        kind => return Err(part.unsupported(kind)),
    };
    part.lose_rest(losses);
    Ok(read)
}
