//! Tools and resources as clients and models see them.

use std::sync::Arc;

use rmcp::model::{
    Implementation, MetaObject, Prompt, PromptArgument, Resource, ServerCapabilities, ServerConfig, Tool,
    ToolAnnotations,
};
use serde_json::{Map, Value, json};

use crate::{
    prompts::{PROMPTS, PromptDef},
    resources::{MIME_TYPE, RESOURCES, ResourceDef},
    tools::{Area, ToolDef},
};

/// The most characters that instructions may have: clients cut at 4,096, and every session pays for them.
const MAX_INSTRUCTIONS: usize = 1500;

/// What the server says of itself.
pub(super) fn server(tools: &[ToolDef]) -> ServerConfig {
    let capabilities = ServerCapabilities::builder()
        .enable_tools()
        .enable_resources()
        .enable_resources_subscribe()
        .enable_prompts()
        .enable_completions()
        .build();
    let implementation = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
        .with_title("API Key Manager")
        .with_description("Keeps the API keys of language-model providers encrypted on this machine");
    ServerConfig::new(capabilities)
        .with_server_info(implementation)
        .with_instructions(instructions(tools))
}

/// What a model reads before it looks at any tool: what this is for, and a map of what there is.
pub(super) fn instructions(tools: &[ToolDef]) -> String {
    let mut text = String::from(
        "Keeps API keys of language-model providers (anthropic, openai, google, local and many more) in an \
         encrypted vault on the user's machine, counts what is used and what it costs, and chooses where a request \
         should go. No tool ever returns a key.\n\
         Never ask for a key in the chat: call the tool without it, and the user types it on a local page that \
         opens. If a result says `input_pending`, the page is still open: call the same tool again once the user \
         is done. A program gets keys through the shell: `api-keys run --provider openai -- COMMAND`.\n",
    );
    let mut line = |what: &str, names: Vec<&str>| {
        if !names.is_empty() {
            text.push_str("\n- ");
            text.push_str(what);
            text.push_str(": ");
            text.push_str(&names.join(", "));
        }
    };
    for area in Area::ALL {
        let tools = tools.iter().filter(|tool| tool.area == area);
        line(area.purpose(), tools.map(|tool| tool.name).collect());
    }
    line(
        "Resources to read",
        RESOURCES.iter().map(|resource| resource.uri).collect(),
    );
    line(
        "Prompts for the user",
        PROMPTS.iter().map(|prompt| prompt.name).collect(),
    );
    debug_assert!(text.chars().count() < MAX_INSTRUCTIONS, "instructions are too long");
    text
}

/// A tool as `tools/list` shows it.
pub(super) fn tool(def: &ToolDef) -> Tool {
    let mut input = (def.input_schema)();
    let description = match input.remove("description") {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let mut output = with_failures((def.output_schema)());
    output.values_mut().for_each(split_nullable);
    let annotations = ToolAnnotations::from_raw(
        Some(def.title.to_owned()),
        Some(def.hints.read_only),
        Some(def.hints.destructive),
        Some(def.hints.idempotent),
        Some(def.hints.open_world),
    );
    let mut meta = MetaObject::new();
    meta.0.insert("anthropic/searchHint".to_owned(), def.search_hint.into());
    if def.hints.requires_user {
        meta.0
            .insert("anthropic/requiresUserInteraction".to_owned(), true.into());
    }
    Tool::new(def.name, description, Arc::new(input))
        .with_title(def.title)
        .with_raw_output_schema(Arc::new(output))
        .with_annotations(annotations)
        .with_meta(meta)
}

/// The schema of a result, which a failure satisfies too: the TypeScript SDK 1 holds failures against it as well.
fn with_failures(mut schema: Map<String, Value>) -> Map<String, Value> {
    schema.remove("description");
    let failure = json!({
        "type": "object",
        "description": "Why the call failed; no other field is present then",
        "properties": {
            "code": {"type": "string"},
            "message": {"type": "string"},
            "hint": {"type": "string", "description": "What to do about it"},
        },
        "required": ["code", "message", "hint"],
    });
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Value::Object(properties) = properties {
        properties.insert("error".to_owned(), failure);
    }
    if let Some(required) = schema.remove("required") {
        schema.insert("if".to_owned(), json!({"required": ["error"]}));
        schema.insert("else".to_owned(), json!({"required": required}));
    }
    schema
}

/// Says "this or null" by `anyOf`: more clients understand that than a list of types.
fn split_nullable(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(split_nullable);
            let Some(Value::Array(kinds)) = map.get("type") else {
                return;
            };
            let branches = kinds.iter().map(|kind| json!({"type": kind})).collect();
            map.remove("type");
            map.insert("anyOf".to_owned(), Value::Array(branches));
        }
        Value::Array(items) => items.iter_mut().for_each(split_nullable),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A resource as `resources/list` shows it.
pub(super) fn resource(def: &ResourceDef) -> Resource {
    Resource::new(def.uri, def.name)
        .with_title(def.title)
        .with_description(def.description)
        .with_mime_type(MIME_TYPE)
}

/// A prompt as `prompts/list` shows it.
pub(super) fn prompt(def: &PromptDef) -> Prompt {
    let arguments = def
        .arguments
        .iter()
        .map(|argument| {
            PromptArgument::new(argument.name)
                .with_description(argument.description)
                .with_required(false)
        })
        .collect();
    Prompt::new(def.name, Some(def.description()), Some(arguments)).with_title(def.title)
}
