//! The provider's own id of a request: logs of the program that made it name the request by that.

use hyper::{HeaderMap, header::HeaderName};

use crate::{gateway::keys::LentKey, providers};

/// The headers that providers put it in: Anthropic, OpenAI and most others, Amazon.
static NAMES: [HeaderName; 3] = [
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-amzn-requestid"),
];
/// The longest id that is kept, in bytes.
const LONGEST: usize = 100;

/// The id in the head of a response; nothing where it may be the key that was sent.
pub(super) fn upstream_id(headers: &HeaderMap, key: Option<&LentKey>) -> Option<String> {
    let (name, value) = NAMES.iter().find_map(|name| Some((name, headers.get(name)?)))?;
    let mut alone = HeaderMap::new();
    alone.insert(name, value.clone());
    if key.is_some_and(|key| key.derived.scrub_headers(&mut alone)) {
        return None;
    }
    let id = value.to_str().ok()?;
    let is_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_plain = (1..=LONGEST).contains(&id.len()) && id.chars().all(is_id);
    (is_plain && !providers::has_key_form(id)).then(|| id.to_owned())
}
