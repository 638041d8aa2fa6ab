//! Codex: `auth.json`, with an API key, the login of a plan, or both.

use serde_json::Value;

use super::{
    documents::{json, text_at},
    found::{LeftOutReason, SourceContents, UnreadableSource},
};

const NAME: &str = "OPENAI_API_KEY";

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = json(bytes, "Codex")?;
    if !fits(&document) {
        return Err(UnreadableSource("Codex"));
    }
    let mut contents = SourceContents::default();
    if let Some(key) = text_at(&document, &[NAME]) {
        contents.add(NAME, key, Some("openai"), None);
    }
    if document.get("tokens").is_some_and(Value::is_object) {
        contents.leave("tokens", LeftOutReason::Login);
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    document.get(NAME).is_some()
        && ["auth_mode", "tokens", "last_refresh"]
            .iter()
            .any(|name| document.get(name).is_some())
}
