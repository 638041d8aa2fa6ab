//! The rules of a property's schema, one value at a time.

use std::cmp::Ordering;

use serde_json::Value;

/// The kind of value that `property` asks for; empty where it takes any.
pub(super) fn kind_of(property: &Value) -> &str {
    property.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// Checks one value against its property: kind, permitted values and bounds. The error says which rule it breaks.
pub(super) fn check(property: &Value, value: &Value) -> Result<(), String> {
    for (bound, too_far) in [("minimum", Ordering::Less), ("maximum", Ordering::Greater)] {
        if let (Some(limit), Some(number)) = (property.get(bound), value.as_number())
            && number
                .as_f64()
                .zip(limit.as_f64())
                .and_then(|(number, limit)| number.partial_cmp(&limit))
                == Some(too_far)
        {
            return Err(format!("is out of range: the {bound} is {limit}"));
        }
    }
    let kind = kind_of(property);
    let fits = match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    if !fits {
        let article = if kind.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
        return Err(format!("must be {article} {kind}, not {}", given(value)));
    }
    if let Some(allowed) = property.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        return Err(format!("must be one of {}", names.join(", ")));
    }
    if let (Some(limit), Some(text)) = (property.get("maxLength").and_then(Value::as_u64), value.as_str())
        && text.chars().count() as u64 > limit
    {
        return Err(format!("is longer than {limit} characters"));
    }
    match (property.get("items"), value.as_array()) {
        (Some(item), Some(values)) => values.iter().try_for_each(|value| check(item, value)),
        _ => Ok(()),
    }
}

/// The kind of `value`, in words.
fn given(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(text) if text.trim().is_empty() => "an empty string",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
