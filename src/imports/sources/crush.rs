//! Crush: `crush.json`, with a table of providers.

use serde_json::Value;

use super::{
    documents::{json, members, text_at},
    found::{LeftOutReason, SourceContents, UnreadableSource},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = json(bytes, "Crush")?;
    let mut contents = SourceContents::default();
    for (id, provider) in members(&document, &["providers"]) {
        if provider.get("oauth").is_some() {
            contents.leave(&format!("providers.{id}.oauth"), LeftOutReason::Login);
        } else if let Some(key) = text_at(provider, &["api_key"]) {
            contents.add(
                &format!("providers.{id}.api_key"),
                key,
                Some(id),
                text_at(provider, &["base_url"]),
            );
        }
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    members(document, &["providers"]).any(|(_, provider)| provider.get("api_key").is_some())
}
