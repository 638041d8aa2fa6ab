//! LiteLLM's proxy: `config.yaml`, with the keys of models, of credentials and of environment variables.
//!
//! Its own master key is no provider's, and is left out.

use serde_json::Value;

use super::{
    documents::{entries, members, text_at, yaml},
    found::{SourceContents, UnreadableSource, names_a_key},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let document = yaml(bytes, "LiteLLM")?;
    let mut contents = SourceContents::default();
    for model in entries(&document, &["model_list"]) {
        if let Some(key) = text_at(model, &["litellm_params", "api_key"]) {
            let provider = text_at(model, &["litellm_params", "model"]).and_then(|model| model.split_once('/'));
            let name = text_at(model, &["model_name"]).unwrap_or("model");
            contents.add(
                &format!("model_list.{name}.api_key"),
                key,
                provider.map(|(provider, _)| provider),
                text_at(model, &["litellm_params", "api_base"]),
            );
        }
    }
    for credential in entries(&document, &["credential_list"]) {
        if let Some(key) = text_at(credential, &["credential_values", "api_key"]) {
            let name = text_at(credential, &["credential_name"]).unwrap_or("credential");
            let provider = text_at(credential, &["credential_info", "custom_llm_provider"]);
            contents.add(
                &format!("credential_list.{name}.api_key"),
                key,
                provider,
                text_at(credential, &["credential_values", "api_base"]),
            );
        }
    }
    for (name, value) in members(&document, &["environment_variables"]) {
        if let Some(value) = value.as_str().filter(|_| names_a_key(name)) {
            contents.add(name, value, Some(name), None);
        }
    }
    Ok(contents)
}

pub(super) fn fits(document: &Value) -> bool {
    document.get("model_list").is_some_and(Value::is_array)
}
