//! Flat lists of names and values, as secret managers print them: an object, or a list of objects with `key` and `value`.
//!
//! Doppler: `secrets download --format json`; Infisical: `export --format json`; Vault and OpenBao: `kv get -format=json`.

use serde_json::Value;

use super::{
    documents::{entries, json, members, text_at},
    found::{SourceContents, UnreadableSource},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = json(bytes, "a secret manager")?;
    let mut contents = SourceContents::default();
    // Vault's second version of key-value stores puts the values two levels down.
    let values = document
        .pointer("/data/data")
        .or_else(|| document.get("data"))
        .unwrap_or(&document);
    for (name, value) in members(values, &[]) {
        if let Some(value) = value.as_str().or_else(|| text_at(value, &["computed"])) {
            contents.add(name, value, Some(name), None);
        }
    }
    for entry in entries(&document, &[]) {
        let name = text_at(entry, &["key"])
            .or_else(|| text_at(entry, &["name"]))
            .or_else(|| text_at(entry, &["label"]));
        if let (Some(name), Some(value)) = (name, text_at(entry, &["value"])) {
            contents.add(name, value, Some(name), None);
        }
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    document.is_object() || document.is_array()
}
