//! claude-code-router: `config.json`, with a list of providers.

use serde_json::Value;

use super::{
    documents::{entries, json, text_at},
    found::{SourceContents, UnreadableSource},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = json(bytes, "claude-code-router")?;
    let mut contents = SourceContents::default();
    for provider in entries(&document, &["Providers"]) {
        if let Some(key) = text_at(provider, &["api_key"]) {
            let name = text_at(provider, &["name"]);
            contents.add(
                &format!("Providers.{}.api_key", name.unwrap_or("provider")),
                key,
                name,
                text_at(provider, &["api_base_url"]),
            );
        }
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    document.get("Providers").is_some_and(Value::is_array)
}
