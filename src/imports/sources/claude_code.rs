//! Claude Code: variables in `settings.json`, and the key that it asked for in `~/.claude.json`.
//!
//! Its `.credentials.json` holds the login of a plan and is not read.

use serde_json::Value;

use super::{
    documents::{json, members, text_at},
    found::{LeftOutReason, SourceContents, UnreadableSource, names_a_key},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = json(bytes, "Claude Code")?;
    let mut contents = SourceContents::default();
    let base_url = text_at(&document, &["env", "ANTHROPIC_BASE_URL"]);
    for (name, value) in members(&document, &["env"]) {
        if let Some(value) = value.as_str().filter(|_| names_a_key(name)) {
            let of_anthropic = name.starts_with("ANTHROPIC_");
            contents.add(
                &format!("env.{name}"),
                value,
                Some(name),
                base_url.filter(|_| of_anthropic),
            );
        }
    }
    if let Some(key) = text_at(&document, &["primaryApiKey"]) {
        contents.add("primaryApiKey", key, Some("anthropic"), None);
    }
    if document.get("claudeAiOauth").is_some() {
        contents.leave("claudeAiOauth", LeftOutReason::Login);
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    ["primaryApiKey", "claudeAiOauth", "apiKeyHelper"]
        .iter()
        .any(|name| document.get(name).is_some())
        || members(document, &["env"]).any(|(name, _)| name.starts_with("ANTHROPIC_"))
}
