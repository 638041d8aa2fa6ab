//! Continue: `config.yaml`, and the older `config.json`, with a list of models.

use serde_json::Value;

use super::{
    documents::{entries, json, text_at, yaml},
    found::{SourceContents, UnreadableSource},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = json(bytes, "Continue").or_else(|_| yaml(bytes, "Continue"))?;
    let mut contents = SourceContents::default();
    for model in entries(&document, &["models"]) {
        if let Some(key) = text_at(model, &["apiKey"]) {
            let provider = text_at(model, &["provider"]);
            let name = text_at(model, &["name"]).or_else(|| text_at(model, &["title"]));
            contents.add(
                &format!("models.{}.apiKey", name.or(provider).unwrap_or("model")),
                key,
                provider,
                text_at(model, &["apiBase"]),
            );
        }
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    let mut models = entries(document, &["models"]);
    models.any(|model| model.get("provider").is_some() && model.get("model").is_some())
}
