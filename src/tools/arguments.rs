//! Schemas of arguments and results, and arguments checked against them.
//!
//! serde's own error texts quote the offending value, which may be a key in the wrong place, so
//! arguments are checked against the schema first and only the name of the field is told.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

use super::Tool;
use crate::{
    error::{Code, Error, Result},
    providers,
};

/// The schema of a struct of arguments: inline, closed, without `null`s and integer formats.
pub(super) fn input_schema<T: JsonSchema>() -> Map<String, Value> {
    let mut schema = schema::<T>(SchemaSettings::draft2020_12());
    schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    schema
}

/// The schema of a result: inline and open, so that fields can be added.
pub(super) fn output_schema<T: JsonSchema>() -> Map<String, Value> {
    schema::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn schema<T: JsonSchema>(mut settings: SchemaSettings) -> Map<String, Value> {
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    simplify(&mut schema);
    match schema {
        Value::Object(mut map) => {
            map.remove("title");
            map
        }
        _ => Map::new(),
    }
}

/// Says the same in words that every client understands.
///
/// Integer formats go, since some clients warn about them; a list of constants becomes an `enum`;
/// `null` goes where the field may be left out as well.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|format| format.contains("int"))
            {
                map.remove("format");
            }
            if let Some(names) = map
                .get("oneOf")
                .and_then(Value::as_array)
                .and_then(|choices| constants(choices))
            {
                map.remove("oneOf");
                map.insert("type".to_owned(), "string".into());
                map.insert("enum".to_owned(), Value::Array(names));
            }
            let required = map.get("required").cloned().unwrap_or_default();
            if let Some(Value::Object(properties)) = map.get_mut("properties") {
                for (name, property) in properties {
                    let is_required = required
                        .as_array()
                        .is_some_and(|names| names.iter().any(|required| required == name));
                    if !is_required {
                        leave_null_out(property);
                    }
                }
            }
            map.values_mut().for_each(simplify);
        }
        Value::Array(items) => items.iter_mut().for_each(simplify),
        _ => {}
    }
}

/// The constants that `choices` consists of, if it consists of nothing else.
fn constants(choices: &[Value]) -> Option<Vec<Value>> {
    choices
        .iter()
        .map(|choice| choice.get("const").filter(|name| name.is_string()).cloned())
        .collect()
}

fn leave_null_out(property: &mut Value) {
    let Value::Object(map) = property else { return };
    if let Some(Value::Array(kinds)) = map.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            map.insert("type".to_owned(), kind);
        }
    }
    if let Some(Value::Array(names)) = map.get_mut("enum") {
        names.retain(|name| !name.is_null());
    }
    if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            map.remove("anyOf");
            for (name, value) in only {
                map.entry(name).or_insert(value);
            }
        }
    }
}

/// The arguments as `T`, whose schema is `schema`, or an error that names the field and never quotes its value.
pub(super) fn read<T: Tool>(mut arguments: Map<String, Value>, schema: &Map<String, Value>) -> Result<T> {
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    // A model that leaves an optional argument out sometimes says null.
    arguments.retain(|_, value| !value.is_null());
    for (name, value) in &arguments {
        let Some(property) = properties.get(name) else {
            return Err(unknown(name, properties));
        };
        check::<T>(name, property, value)?;
    }
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    for name in required {
        if !arguments.contains_key(name) {
            return Err(
                Error::new(Code::InvalidArgument, format!("argument `{name}` is missing")).hint(known(properties)),
            );
        }
    }
    serde_json::from_value(Value::Object(arguments)).map_err(|_| {
        // The cause quotes values, so it is dropped on purpose.
        Error::new(Code::InvalidArgument, "the arguments do not match the tool's schema").hint(known(properties))
    })
}

fn unknown(name: &str, properties: &Map<String, Value>) -> Error {
    let plain = name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let message = if plain && !providers::looks_like_key(name) {
        format!("unknown argument `{name}`")
    } else {
        "unknown argument".to_owned()
    };
    Error::new(Code::InvalidArgument, message).hint(known(properties))
}

fn known(properties: &Map<String, Value>) -> String {
    if properties.is_empty() {
        return "this tool takes no arguments".to_owned();
    }
    let names: Vec<&str> = properties.keys().map(String::as_str).collect();
    format!("the arguments are: {}", names.join(", "))
}

/// Checks one value against its property: type, permitted values, bounds, and that it holds no key where none belongs.
fn check<T: Tool>(name: &str, property: &Value, value: &Value) -> Result<()> {
    let wrong = |rule: String| {
        let meaning = property
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or("see the tool's schema");
        Error::new(Code::InvalidArgument, format!("argument `{name}` {rule}")).hint(format!("`{name}`: {meaning}"))
    };
    let fits = match property.get("type").and_then(Value::as_str) {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    if !fits {
        let kind = property.get("type").and_then(Value::as_str).unwrap_or_default();
        let article = if kind.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
        return Err(wrong(format!("must be {article} {kind}")));
    }
    if let Some(allowed) = property.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        return Err(wrong(format!("must be one of {}", names.join(", "))));
    }
    for (bound, too_far) in [
        ("minimum", std::cmp::Ordering::Less),
        ("maximum", std::cmp::Ordering::Greater),
    ] {
        if let (Some(limit), Some(number)) = (property.get(bound), value.as_number())
            && number
                .as_f64()
                .zip(limit.as_f64())
                .and_then(|(number, limit)| number.partial_cmp(&limit))
                == Some(too_far)
        {
            return Err(wrong(format!("is out of range: the {bound} is {limit}")));
        }
    }
    if let (Some(limit), Some(text)) = (property.get("maxLength").and_then(Value::as_u64), value.as_str())
        && text.chars().count() as u64 > limit
    {
        return Err(wrong(format!("is longer than {limit} characters")));
    }
    let secret = property.get("writeOnly").and_then(Value::as_bool).unwrap_or(false);
    if let (false, Some(text)) = (secret, value.as_str())
        && T::holds_key(name, text)
    {
        return Err(Error::new(Code::KeyInWrongPlace, format!("argument `{name}` contains something that looks like an API key; it was not used"))
            .hint("treat that key as exposed and rotate it; pass keys only as `api_key`, or better, omit `api_key` and type the key on the page that opens"));
    }
    if let (Some(items), Some(values)) = (property.get("items"), value.as_array()) {
        values.iter().try_for_each(|value| check::<T>(name, items, value))?;
    }
    Ok(())
}
