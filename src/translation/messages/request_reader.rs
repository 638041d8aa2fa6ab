//! Reads a request in Anthropic's format.

use serde_json::Value;

use crate::{
    domain::Effort,
    translation::{
        conversation::{
            ContentPart, Conversation, MediaSource, Speaker, ToolCall, ToolChoice, ToolResult, ToolSpec,
            effort_of_budget, texts,
        },
        json::{UnreadFields, take, take_text},
        loss::{Losses, Untranslatable},
        tool_id::decode_id,
    },
};

/// UnreadFields without which the request would mean something else.
const REFUSED: [&str; 2] = ["mcp_servers", "container"];

pub(in crate::translation) fn read_request(body: Value, losses: &mut Losses) -> Result<Conversation, Untranslatable> {
    let mut fields = UnreadFields::of(body, "request")?;
    fields.take("model");
    let mut conversation = Conversation {
        max_output: fields.count("max_tokens")?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        is_stream: fields.flag("stream")?.unwrap_or_default(),
        wants_usage: true,
        ..Conversation::default()
    };
    for text in fields.list("stop_sequences")? {
        match text {
            Value::String(text) => conversation.stop.push(text),
            _ => return Err(fields.malformed("stop_sequences")),
        }
    }
    if let Some(system) = fields.take("system") {
        for part in read_content(system, losses)? {
            match part {
                ContentPart::Text(text) => conversation.system.push(text),
                _ => return Err(fields.malformed("system")),
            }
        }
    }
    for message in fields.list("messages")? {
        let mut message = UnreadFields::of(message, "messages")?;
        let speaker = match message.needed_text("role")?.as_str() {
            "user" => Speaker::User,
            "assistant" => Speaker::Assistant,
            "system" => Speaker::System,
            _ => return Err(message.malformed("role")),
        };
        let content = message.take("content").unwrap_or_default();
        conversation.say(speaker, read_content(content, losses)?);
        message.lose_rest(losses);
    }
    for tool in fields.list("tools")? {
        conversation.tools.push(read_tool(tool, losses)?);
    }
    if let Some(mut choice) = fields.object("tool_choice")? {
        conversation.is_parallel = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
        conversation.tool_choice = Some(match choice.kind()?.as_str() {
            "auto" => ToolChoice::Auto,
            "any" => ToolChoice::Any,
            "none" => ToolChoice::None,
            "tool" => ToolChoice::Named(choice.needed_text("name")?),
            _ => return Err(choice.malformed("type")),
        });
    }
    read_thinking(&mut fields, &mut conversation, losses)?;
    fields.refuse(&REFUSED)?;
    fields.lose_rest(losses);
    Ok(conversation)
}

/// How much to think, and the form of the answer.
fn read_thinking(
    fields: &mut UnreadFields,
    conversation: &mut Conversation,
    losses: &mut Losses,
) -> Result<(), Untranslatable> {
    if let Some(mut thinking) = fields.object("thinking")? {
        let budget = thinking.count("budget_tokens")?;
        conversation.effort = match thinking.kind()?.as_str() {
            "disabled" => Some(Effort::None),
            "enabled" => budget.map(effort_of_budget),
            // As much as the model likes.
            _ => None,
        };
    }
    if let Some(mut config) = fields.object("output_config")? {
        if let Some(effort) = config.text("effort")? {
            let effort = if effort == "max" { "xhigh" } else { &effort };
            conversation.effort = Some(effort.parse().map_err(|_| config.malformed("effort"))?);
        }
        if let Some(format) = config.object("format")? {
            read_format(format, conversation)?;
        }
        config.lose_rest(losses);
    }
    if let Some(format) = fields.object("output_format")? {
        read_format(format, conversation)?;
    }
    Ok(())
}

fn read_format(mut format: UnreadFields, conversation: &mut Conversation) -> Result<(), Untranslatable> {
    match format.kind()?.as_str() {
        "json_schema" => conversation.answer_schema = format.take("schema"),
        kind => return Err(format.unsupported(kind)),
    }
    Ok(())
}

fn read_tool(tool: Value, losses: &mut Losses) -> Result<ToolSpec, Untranslatable> {
    let mut tool = UnreadFields::of(tool, "tools")?;
    match tool.kind()?.as_str() {
        "" | "custom" => {}
        // Run by Anthropic, or of a schema that only its models know.
        kind => return Err(tool.unsupported(kind)),
    }
    let spec = ToolSpec {
        name: tool.needed_text("name")?,
        description: tool.text("description")?,
        schema: tool
            .take("input_schema")
            .ok_or_else(|| tool.malformed("input_schema"))?,
        is_strict: tool.flag("strict")?,
    };
    tool.lose_rest(losses);
    Ok(spec)
}

fn read_content(content: Value, losses: &mut Losses) -> Result<Vec<ContentPart>, Untranslatable> {
    match content {
        Value::String(text) => Ok(vec![ContentPart::Text(text)]),
        Value::Array(blocks) => blocks.into_iter().map(|block| read_block(block, losses)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(Untranslatable::malformed("messages.content"))
        }
    }
}

fn read_block(block: Value, losses: &mut Losses) -> Result<ContentPart, Untranslatable> {
    let mut block = UnreadFields::of(block, "content")?;
    let part = match block.kind()?.as_str() {
        "text" => ContentPart::Text(block.needed_text("text")?),
        "image" => ContentPart::Image(read_source(&mut block)?),
        "document" => read_document(&mut block, losses)?,
        "tool_use" => ContentPart::ToolCall(ToolCall {
            id: decode_id(block.needed_text("id")?),
            name: block.needed_text("name")?,
            arguments: block
                .take("input")
                .map_or_else(|| "{}".to_owned(), |input| input.to_string()),
        }),
        "tool_result" => ContentPart::ToolResult(ToolResult {
            id: decode_id(block.needed_text("tool_use_id")?),
            is_error: block.flag("is_error")?.unwrap_or_default(),
            parts: match block.take("content") {
                Some(content) => read_content(content, losses)?,
                None => Vec::new(),
            },
        }),
        "thinking" => ContentPart::Thinking {
            text: block.text("thinking")?.unwrap_or_default(),
            signature: block.text("signature")?,
        },
        "redacted_thinking" => {
            block.take("data");
            ContentPart::Redacted
        }
        kind => return Err(block.unsupported(kind)),
    };
    block.lose_rest(losses);
    Ok(part)
}

fn read_source(block: &mut UnreadFields) -> Result<MediaSource, Untranslatable> {
    let mut source = block.object("source")?.ok_or_else(|| block.malformed("source"))?;
    match source.kind()?.as_str() {
        "base64" => Ok(MediaSource::Inline {
            media_type: source.needed_text("media_type")?,
            data: source.needed_text("data")?,
        }),
        "url" => Ok(MediaSource::Url(source.needed_text("url")?)),
        kind => Err(source.unsupported(kind)),
    }
}

/// A document, or the text that it is.
fn read_document(block: &mut UnreadFields, losses: &mut Losses) -> Result<ContentPart, Untranslatable> {
    let title = block.text("title")?;
    let mut source = block.take("source").ok_or_else(|| block.malformed("source"))?;
    let text = match source.get("type").and_then(Value::as_str) {
        Some("text") => take_text(&mut source, "data"),
        Some("content") => {
            let parts = read_content(take(&mut source, "content"), losses)?;
            let texts: Vec<String> = texts(parts).collect();
            Some(texts.join("\n"))
        }
        _ => {
            let mut whole = UnreadFields::of(serde_json::json!({ "source": source }), "content")?;
            let source = read_source(&mut whole)?;
            return Ok(ContentPart::Document { source, title });
        }
    };
    let text = text.ok_or_else(|| block.malformed("source"))?;
    Ok(ContentPart::Text(match title {
        Some(title) => format!("{title}\n\n{text}"),
        None => text,
    }))
}
