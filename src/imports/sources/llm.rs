//! Simon Willison's `llm`: `keys.json`, one key for each alias.

use serde_json::Value;

use super::{
    documents::{json, members},
    found::{SourceContents, UnreadableSource},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = json(bytes, "llm")?;
    if !document.is_object() {
        return Err(UnreadableSource("llm"));
    }
    let mut contents = SourceContents::default();
    for (alias, value) in members(&document, &[]) {
        // The file begins with a note to people.
        if let Some(value) = value.as_str().filter(|_| !alias.starts_with("//")) {
            contents.add(alias, value, Some(alias), None);
        }
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    document.get("// Note").is_some()
}
