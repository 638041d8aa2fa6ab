//! OpenCode: `auth.json` with a credential for each provider, and `opencode.json` with options of providers.

use serde_json::Value;

use super::{
    documents::{json, members, text_at},
    found::{LeftOutReason, SourceContents, UnreadableSource},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = json(bytes, "OpenCode")?;
    let mut contents = SourceContents::default();
    for (id, credential) in members(&document, &[]) {
        match text_at(credential, &["type"]) {
            Some("api") => {
                contents.add(id, text_at(credential, &["key"]).unwrap_or_default(), Some(id), None);
            }
            Some("oauth" | "wellknown") => contents.leave(id, LeftOutReason::Login),
            Some(_) | None => {}
        }
    }
    for (id, provider) in members(&document, &["provider"]) {
        if let Some(key) = text_at(provider, &["options", "apiKey"]) {
            contents.add(
                &format!("provider.{id}.options.apiKey"),
                key,
                Some(id),
                text_at(provider, &["options", "baseURL"]),
            );
        }
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    let is_credential = |value: &Value| matches!(text_at(value, &["type"]), Some("api" | "oauth" | "wellknown"));
    members(document, &[]).any(|(_, value)| is_credential(value))
        || members(document, &["provider"]).any(|(_, value)| value.get("options").is_some())
}
