//! Bitwarden: the unencrypted JSON that `bw export --format json` writes.

use serde_json::Value;

use super::{
    documents::{entries, json, text_at},
    found::{LeftOutReason, SourceContents, UnreadableSource, names_a_key},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = json(bytes, "Bitwarden")?;
    let mut contents = SourceContents::default();
    if document.get("encrypted") == Some(&Value::Bool(true)) {
        contents.leave("data", LeftOutReason::Encrypted);
        return Ok(contents);
    }
    for item in entries(&document, &["items"]) {
        let name = text_at(item, &["name"]).unwrap_or("item");
        let mut uris = entries(item, &["login", "uris"]);
        let uri = uris.find_map(|uri| text_at(uri, &["uri"]));
        // A password is a key only where the item says so: others are of accounts.
        if let Some(password) = text_at(item, &["login", "password"]).filter(|_| says_key(name)) {
            contents.add(&format!("{name}.password"), password, Some(name), uri);
        }
        for field in entries(item, &["fields"]) {
            let field_name = text_at(field, &["name"]).unwrap_or_default();
            if let Some(value) = text_at(field, &["value"]).filter(|_| says_key(field_name)) {
                let provider = if names_a_key(field_name) && field_name.contains('_') {
                    field_name
                } else {
                    name
                };
                contents.add(&format!("{name}.{field_name}"), value, Some(provider), uri);
            }
        }
    }
    Ok(contents)
}

/// Whether a name that people gave is of an API key.
fn says_key(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["api key", "apikey", "api-key", "api_key", "api token"]
        .iter()
        .any(|word| name.contains(word))
        || names_a_key(&name)
}

pub(super) fn fits(document: &Value) -> bool {
    document.get("encrypted").is_some() && (document.get("items").is_some() || document.get("data").is_some())
}
