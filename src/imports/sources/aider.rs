//! Aider: `.aider.conf.yml`, with `openai-api-key`, `anthropic-api-key`, and `api-key` as `provider=key`.

use serde_json::Value;

use super::{
    documents::{members, yaml},
    found::{SourceContents, UnreadableSource},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = yaml(bytes, "Aider")?;
    let mut contents = SourceContents::default();
    for (name, value) in members(&document, &[]) {
        if let Some(provider) = name.strip_suffix("-api-key") {
            contents.add(name, value.as_str().unwrap_or_default(), Some(provider), None);
        }
        if name == "api-key" {
            let entries = value.as_array().into_iter().flatten().chain(Some(value));
            for (provider, key) in entries
                .filter_map(Value::as_str)
                .filter_map(|entry| entry.split_once('='))
            {
                contents.add(&format!("api-key.{provider}"), key, Some(provider), None);
            }
        }
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    members(document, &[]).any(|(name, _)| name == "api-key" || name.ends_with("-api-key"))
}
