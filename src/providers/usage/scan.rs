//! Reads of a JSON value what says how much was used or what went wrong, and counts its text; all else is skipped.
//!
//! Responses are mostly text and numbers that do not matter here: nothing of them is allocated.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What was read of a value.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ScannedUsage {
    /// The fields of [`KNOWN`] and [`WHOLE`].
    pub(super) value: Value,
    /// Characters of text, under any provider's names for it.
    pub(super) chars: u64,
}

/// Fields that hold text of a response.
const TEXTS: &[&str] = &[
    "content",
    "text",
    "delta",
    "partial_json",
    "arguments",
    "thinking",
    "reasoning",
    "reasoning_content",
    "refusal",
    "response",
];
/// Fields that are kept with all that is in them.
const WHOLE: &[&str] = &[
    "usage",
    "usageMetadata",
    "error",
    "errors",
    "detail",
    "details",
    "base_resp",
    "x_groq",
    "meta",
    "metadata",
    "provider_metadata",
    "providerMetadata",
    "amazon-bedrock-invocationMetrics",
    // Of Replicate's predictions.
    "metrics",
];
/// Fields that are kept, with such fields in them.
const KNOWN: &[&str] = &[
    "type",
    "event_type",
    "message",
    "delta",
    "response",
    "interaction",
    "choices",
    "output",
    "item",
    "candidates",
    "groundingMetadata",
    "service_tier",
    "serviceTier",
    "prompt_eval_count",
    "eval_count",
    "done",
    "finish_reason",
    "stop_reason",
    "success",
    "code",
    "status",
    "status_code",
    "http_code",
    "reason",
    "__type",
    "msg",
    "status_msg",
    // Of Bedrock's event frames.
    "bytes",
];

/// Reads one value, with nothing but white space behind it.
pub(super) fn scan(json: &[u8]) -> Option<ScannedUsage> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let scanned = next(&mut reader)?;
    reader.end().ok().map(|()| scanned)
}

/// Gives each of the values that follow one another in `json` to `each`; false where one cannot be read.
pub(super) fn scan_all(json: &[u8], mut each: impl FnMut(ScannedUsage)) -> bool {
    let mut reader = serde_json::Deserializer::from_slice(json);
    while reader.end().is_err() {
        let Some(scanned) = next(&mut reader) else { return false };
        each(scanned);
    }
    true
}

fn next(reader: &mut serde_json::Deserializer<serde_json::de::SliceRead<'_>>) -> Option<ScannedUsage> {
    let chars = Cell::new(0);
    let seed = Scan {
        keeps: Keeps::Known,
        is_text: false,
        chars: &chars,
    };
    let value = seed.deserialize(reader).ok()?;
    let chars = chars.get();
    Some(ScannedUsage { value, chars })
}

/// What is kept of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    All,
    Known,
    /// As `Known`, and the names of all other fields.
    Names,
    Nothing,
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Scan<'c> {
    keeps: Keeps,
    is_text: bool,
    chars: &'c Cell<u64>,
}

impl Scan<'_> {
    fn scalar(self, value: impl Into<Value>) -> Value {
        if self.keeps == Keeps::Nothing {
            Value::Null
        } else {
            value.into()
        }
    }
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        if self.is_text && self.keeps != Keeps::All {
            self.chars.set(self.chars.get() + text.chars().count() as u64);
            return Ok(Value::Null);
        }
        Ok(if self.keeps == Keeps::Nothing {
            Value::Null
        } else {
            text.into()
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        // A text in a list is no text of a field.
        let each = Scan { is_text: false, ..self };
        let mut kept = Vec::new();
        while let Some(value) = values.next_element_seed(each)? {
            match self.keeps {
                Keeps::All => kept.push(value),
                Keeps::Known | Keeps::Names if value.is_object() || value.is_array() => kept.push(value),
                Keeps::Known | Keeps::Names | Keeps::Nothing => {}
            }
        }
        Ok(self.scalar(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(name) = fields.next_key_seed(Name(self.keeps))? {
            let value = fields.next_value_seed(Scan {
                keeps: name.keeps,
                is_text: name.is_text,
                chars: self.chars,
            })?;
            if let Some(name) = name.kept {
                kept.insert(name, value);
            }
        }
        Ok(self.scalar(kept))
    }
}

/// Reads the name of a field, of an object of which that much is kept.
struct Name(Keeps);

struct Named {
    /// The name, where it is kept.
    kept: Option<String>,
    keeps: Keeps,
    is_text: bool,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Named;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Named, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Named, E> {
        let keeps = match self.0 {
            Keeps::All => Keeps::All,
            Keeps::Known | Keeps::Names if WHOLE.contains(&name) => Keeps::All,
            Keeps::Known | Keeps::Names if name == "delta" => Keeps::Names,
            Keeps::Known | Keeps::Names if KNOWN.contains(&name) => Keeps::Known,
            Keeps::Known | Keeps::Names | Keeps::Nothing => Keeps::Nothing,
        };
        let is_kept = keeps != Keeps::Nothing || self.0 == Keeps::Names;
        Ok(Named {
            kept: is_kept.then(|| name.to_owned()),
            keeps,
            is_text: TEXTS.contains(&name),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_counted_and_only_what_matters_is_kept() {
        let event = json!({
            "id": "x", "model": "m", "choices": [{"index": 0, "delta": {"role": "a", "content": "h\u{e9}llo"},
                "finish_reason": null, "logprobs": {"content": [{"token": "h", "bytes": [1, 2]}]}}],
            "data": [{"embedding": [0.1, 0.2]}], "usage": {"prompt_tokens": 7, "details": ["kept", 1]},
            "error": {"message": "no", "text": "kept"},
        });
        let scanned = scan(event.to_string().as_bytes()).expect("JSON");
        assert_eq!(scanned.chars, 5);
        assert_eq!(
            scanned.value,
            json!({
                "choices": [{"delta": {"role": null, "content": null}, "finish_reason": null}],
                "usage": {"prompt_tokens": 7, "details": ["kept", 1]}, "error": {"message": "no", "text": "kept"},
            })
        );
        assert_eq!(scan(b"{\"a\":1} x"), None);
    }

    #[test]
    fn values_that_follow_one_another_are_all_read() {
        let mut kinds = Vec::new();
        let read = scan_all(b" {\"type\":\"a\"}{\"type\":\"b\"}\n [] 7 ", |it| kinds.push(it.value));
        assert!(read);
        assert_eq!(kinds, [json!({"type": "a"}), json!({"type": "b"}), json!([]), json!(7)]);
        assert!(!scan_all(b"{\"type\":\"a\"}{\"type\"", |_| {}));
        assert!(scan_all(b"", |_| {}));
    }
}
