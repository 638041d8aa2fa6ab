//! aichat: `config.yaml`, with a list of clients.

use serde_json::Value;

use super::{
    documents::{entries, text_at, yaml},
    found::{SourceContents, UnreadableSource},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = yaml(bytes, "aichat")?;
    let mut contents = SourceContents::default();
    for client in entries(&document, &["clients"]) {
        if let Some(key) = text_at(client, &["api_key"]) {
            // Clients of type openai-compatible have a name of their own.
            let provider = text_at(client, &["name"]).or_else(|| text_at(client, &["type"]));
            contents.add(
                &format!("clients.{}.api_key", provider.unwrap_or("client")),
                key,
                provider,
                text_at(client, &["api_base"]),
            );
        }
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    document.get("clients").is_some_and(Value::is_array)
}
