//! How long a prompt the models of a server on this machine take: by its list, else by what it says of each model.

use serde_json::Value;

/// Where lists have it, as JSON pointers into an item: LM Studio, vLLM, and others that follow them.
const LISTED: &[&str] = &[
    "/loaded_context_length",
    "/max_model_len",
    "/context_length",
    "/max_context_length",
    "/context_window",
    "/meta/n_ctx",
];

/// What a server says of its models beyond their list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Ollama's `/api/show`, model by model.
    Show,
    /// llama.cpp's `/props`, for the model that it runs.
    Props,
}

/// What the item of a list says.
pub(super) fn listed(item: &Value) -> Option<u64> {
    LISTED.iter().find_map(|pointer| size(item.pointer(pointer)?))
}

impl Detail {
    /// The path of the request and its body, for the model of that name.
    pub(super) fn request(self, model: &str) -> (&'static str, Option<String>) {
        match self {
            Self::Show => ("/api/show", Some(serde_json::json!({"model": model}).to_string())),
            Self::Props => ("/props", None),
        }
    }

    /// The size that the answer says.
    pub(super) fn read(self, body: &[u8]) -> Option<u64> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        match self {
            Self::Show => shown(&answer),
            Self::Props => size(answer.pointer("/default_generation_settings/n_ctx")?),
        }
    }
}

/// The window that is set for an Ollama model, else the one that it was trained for.
fn shown(answer: &Value) -> Option<u64> {
    let set = answer.get("parameters").and_then(Value::as_str).and_then(|parameters| {
        let mut lines = parameters
            .lines()
            .filter_map(|line| line.split_once(char::is_whitespace));
        lines.find(|(name, _)| *name == "num_ctx")?.1.trim().parse().ok()
    });
    let trained = || {
        let facts = answer.get("model_info")?.as_object()?;
        facts
            .iter()
            .find(|(name, _)| name.ends_with(".context_length"))
            .and_then(|(_, value)| size(value))
    };
    set.or_else(trained)
}

fn size(value: &Value) -> Option<u64> {
    value.as_u64().filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_from_lists_and_from_what_servers_say_of_a_model() {
        for (item, window) in [
            (r#"{"id": "a", "max_model_len": 32768}"#, Some(32_768)),
            (
                r#"{"id": "a", "max_context_length": 131072, "loaded_context_length": 4096}"#,
                Some(4_096),
            ),
            (r#"{"id": "a", "meta": {"n_ctx_train": 8192}}"#, None),
            (r#"{"id": "a", "max_model_len": 0}"#, None),
            (r#"{"id": "a", "max_model_len": "long"}"#, None),
        ] {
            assert_eq!(listed(&serde_json::from_str(item).expect("JSON")), window, "{item}");
        }
        for (answer, window) in [
            (
                r#"{"model_info": {"general.architecture": "llama", "llama.context_length": 131072}}"#,
                Some(131_072),
            ),
            (
                r#"{"parameters": "stop \"x\"\nnum_ctx                        16384", "model_info": {"llama.context_length": 131072}}"#,
                Some(16_384),
            ),
            (r#"{"error": "no such model"}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(Detail::Show.read(answer.as_bytes()), window, "{answer}");
        }
        let props = br#"{"default_generation_settings": {"n_ctx": 8192}, "total_slots": 1}"#;
        assert_eq!(Detail::Props.read(props), Some(8_192));
    }
}
