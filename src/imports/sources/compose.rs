//! Docker Compose files: `environment` of each service, as a map or a list.
//!
//! The form is that of the Compose Specification; `env_file` names files that are imported by themselves.

use serde_json::Value;

use super::{
    documents::{entries, members, yaml},
    found::{SourceContents, UnreadableSource, names_a_key},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = yaml(bytes, "Docker Compose")?;
    let mut contents = SourceContents::default();
    for (service, settings) in members(&document, &["services"]) {
        let mut add = |name: &str, value: &str| {
            if names_a_key(name) {
                contents.add(&format!("{service}.{name}"), value, Some(name), None);
            }
        };
        for (name, value) in members(settings, &["environment"]) {
            add(name, value.as_str().unwrap_or_default());
        }
        for entry in entries(settings, &["environment"]).filter_map(Value::as_str) {
            if let Some((name, value)) = entry.split_once('=') {
                add(name, value);
            }
        }
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    document.get("services").is_some_and(Value::is_object)
}
