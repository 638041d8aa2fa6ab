//! Fields of a posted form, decoded in buffers that are wiped.

use zeroize::Zeroizing;

use crate::domain::Secret;

/// The value of the field `name` in a url-encoded `body`, if it is there exactly once and is well formed.
pub(super) fn field(body: &[u8], name: &str) -> Option<Secret> {
    let mut values = body.split(|byte| *byte == b'&').filter_map(|pair| {
        let (field, value) = split(pair)?;
        (field == name.as_bytes()).then_some(value)
    });
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let decoded = decode(value)?;
    std::str::from_utf8(&decoded).ok().map(Secret::new)
}

fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    Some((pair.get(..at)?, pair.get(at + 1..)?))
}

/// The bytes that `value` stands for; the buffer never grows, so no copy is left behind.
fn decode(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(value.len()));
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => digit(*bytes.next()?)? << 4 | digit(*bytes.next()?)?,
            plain => *plain,
        });
    }
    Some(decoded)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<String> {
        // EXPOSE: a made-up value in a test
        field(body.as_bytes(), "secret").map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn what_a_browser_encodes_is_decoded() {
        for (body, value) in [
            ("secret=sk-abc", "sk-abc"),
            ("other=1&secret=a%2Bb+c%3D%26", "a+b c=&"),
            ("secret=p%C3%A4ss", "päss"),
            ("secret=", ""),
            ("secret=a=b", "a=b"),
        ] {
            assert_eq!(read(body).as_deref(), Some(value), "{body}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_no_value() {
        for body in [
            "",
            "secret",
            "Secret=x",
            "secret=%4",
            "secret=%zz",
            "secret=%ff",
            "secret=a&secret=b",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
