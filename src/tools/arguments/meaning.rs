//! What a model meant by a value of another type than the schema's.

use serde_json::{Number, Value};

use super::rules::kind_of;

/// `value` in the kind that `property` asks for where it can only mean one thing, as it is where it cannot, and nothing
/// where it says that there is none.
pub(super) fn meant(property: &Value, value: Value) -> Option<Value> {
    match (kind_of(property), value) {
        (_, Value::Null) => None,
        ("string", Value::String(text)) => Some(named(property, text)),
        ("array", Value::String(text)) => list(property, text),
        ("array", Value::Array(items)) => Some(Value::Array(items_meant(property, items))),
        ("integer" | "number" | "boolean", Value::String(text)) => {
            if text.trim().is_empty() {
                return None;
            }
            // Python spells them `True` and `False`.
            let read = serde_json::from_str(&text.trim().to_ascii_lowercase());
            match read.unwrap_or_default() {
                Value::Null if text.trim() == "null" => None,
                Value::Number(number) => Some(whole(number)),
                read @ Value::Bool(_) => Some(read),
                Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => Some(Value::String(text)),
            }
        }
        ("integer", Value::Number(number)) => Some(whole(number)),
        (_, value) => Some(value),
    }
}

/// The permitted value that `text` names in another spelling, or `text`.
fn named(property: &Value, text: String) -> Value {
    let plain = |text: &str| text.trim().to_ascii_lowercase().replace(['-', ' '], "_");
    let allowed = property.get("enum").and_then(Value::as_array);
    let meant = allowed.and_then(|allowed| {
        let plain_text = plain(&text);
        let is_meant = |name: &&Value| name.as_str().is_some_and(|name| plain(name) == plain_text);
        allowed.iter().find(is_meant).cloned()
    });
    meant.unwrap_or(Value::String(text))
}

/// The list that `text` holds as JSON, or of names of which one or several were given.
fn list(property: &Value, text: String) -> Option<Value> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed == "null" {
        return None;
    }
    if let Ok(Value::Array(items)) = serde_json::from_str(trimmed) {
        return Some(Value::Array(items_meant(property, items)));
    }
    if property.pointer("/items/enum").is_none() {
        // Of free text, only one item is certain.
        let is_json = trimmed.starts_with(['[', '{', '"']);
        let item = Value::String(text);
        return Some(if is_json { item } else { Value::Array(vec![item]) });
    }
    let names: Vec<Value> = trimmed
        .split(',')
        .map(|name| name.trim_matches(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '"' | '\'')))
        .filter(|name| !name.is_empty())
        .map(Value::from)
        .collect();
    Some(Value::Array(items_meant(property, names)))
}

/// The items of a list in the kind that it asks for, without those that say that there is none.
fn items_meant(property: &Value, items: Vec<Value>) -> Vec<Value> {
    let items = items.into_iter().filter(|item| item.as_str() != Some(""));
    match property.get("items") {
        Some(item) => items.filter_map(|value| meant(item, value)).collect(),
        None => items.collect(),
    }
}

/// `1000.0` as 1000; other numbers as they are.
fn whole(number: Number) -> Value {
    let Some(float) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0) else {
        return Value::Number(number);
    };
    let digits = format!("{float:.0}");
    let unsigned = digits.parse::<u64>().map(Number::from);
    let read = unsigned.or_else(|_| digits.parse::<i64>().map(Number::from));
    Value::Number(read.unwrap_or(number))
}
