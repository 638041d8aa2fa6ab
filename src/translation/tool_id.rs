//! Ids of tool calls, which Anthropic's API wants of letters, digits, `_` and `-` only.

use data_encoding::BASE64URL_NOPAD;

/// What an id begins with that was encoded.
const MARK: &str = "akid_";

/// The id in the form that Anthropic's clients and servers take.
pub(super) fn encode_id(id: String) -> String {
    let is_plain = !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_plain && !id.starts_with(MARK) {
        return id;
    }
    format!("{MARK}{}", BASE64URL_NOPAD.encode(id.as_bytes()))
}

/// The id that [`encode_id`] was given.
pub(super) fn decode_id(id: String) -> String {
    let decoded = id
        .strip_prefix(MARK)
        .and_then(|rest| BASE64URL_NOPAD.decode(rest.as_bytes()).ok());
    decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_comes_back_as_it_was() {
        for id in ["call_abc-1", "functions.read:0", "", "akid_", "é", "toolu_01"] {
            let encoded = encode_id(id.to_owned());
            assert!(
                encoded
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            );
            assert!(!encoded.is_empty());
            assert_eq!(decode_id(encoded), id);
        }
    }
}
