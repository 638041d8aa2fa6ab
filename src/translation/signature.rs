//! Thinking that goes back to the provider it came from, and to no other.
//!
//! Anthropic's clients return a thinking block with its signature untouched. Where another provider thought, the
//! signature that they get names that provider and carries what it wants back.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

/// What our signatures begin with.
const MARK: &str = "api-keys:";

/// A signature for thinking of `provider`, with what that wants back.
pub(super) fn make_signature(provider: &str, payload: &Value) -> String {
    let payload = BASE64URL_NOPAD.encode(payload.to_string().as_bytes());
    format!("{MARK}{provider}:{payload}")
}

/// What `provider` wants back with thinking of this signature; nothing where another one made it.
pub(super) fn payload_for(provider: &str, signature: &str) -> Option<Value> {
    let (maker, payload) = signature.strip_prefix(MARK)?.rsplit_once(':')?;
    let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
    let payload = serde_json::from_slice(&payload).ok()?;
    (maker == provider).then_some(payload)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_signature_is_read_by_its_own_provider_only() {
        let signature = make_signature("openai", &json!({"id": "rs_1"}));
        assert_eq!(payload_for("openai", &signature), Some(json!({"id": "rs_1"})));
        assert_eq!(payload_for("azure-openai", &signature), None);
        assert_eq!(payload_for("openai", "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"), None);
        assert_eq!(payload_for("openai", "api-keys:openai:!"), None);
    }
}
