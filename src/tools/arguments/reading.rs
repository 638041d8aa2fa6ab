//! All arguments of a call: which there are, which are missing, and every mistake in one error.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{
    meaning::meant,
    names::{known, nearest},
    rules::check,
};
use crate::{
    error::{Code, Error, Result},
    providers,
    tools::Tool,
};

/// How many mistakes one message names.
const MAX_MISTAKES: usize = 5;

/// Whether a text, given as the argument of that name, may be a key in the wrong place.
type HoldsKey = fn(&str, &str) -> bool;

/// The arguments as `T`, whose schema is `schema`.
pub(in crate::tools) fn read<T: Tool>(arguments: Map<String, Value>, schema: &Map<String, Value>) -> Result<T> {
    let arguments = checked(arguments, schema, T::holds_key)?;
    serde_json::from_value(Value::Object(arguments)).map_err(|_| {
        // The cause quotes values, so it is dropped on purpose.
        Error::new(
            Code::InvalidArgument,
            "the arguments do not have the form that the tool's schema asks for",
        )
        .hint(known(properties(schema)))
    })
}

/// The arguments in the kinds that `schema` asks for, or one error that names every mistake.
pub(super) fn checked(
    arguments: Map<String, Value>,
    schema: &Map<String, Value>,
    holds_key: HoldsKey,
) -> Result<Map<String, Value>> {
    let properties = properties(schema);
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut taken = Map::new();
    let mut mistakes = Vec::new();
    for (name, value) in arguments {
        let Some(property) = properties.get(&name) else {
            // A model that leaves an argument out sometimes says null, also for one that there is not.
            if !value.is_null() {
                mistakes.push(unknown(&name, properties));
            }
            continue;
        };
        let is_left_out = value.as_str() == Some("") && !required.contains(&name.as_str());
        let Some(value) = meant(property, value).filter(|_| !is_left_out) else {
            continue;
        };
        if is_misplaced_key(&name, property, &value, holds_key) {
            return Err(misplaced_key(&name));
        }
        match check(property, &value) {
            Ok(()) => drop(taken.insert(name, value)),
            Err(rule) => {
                let meaning = property.get("description").and_then(Value::as_str);
                let meaning = meaning.unwrap_or("see the tool's schema");
                mistakes.push(Mistake {
                    message: format!("argument `{name}` {rule}"),
                    hint: format!("`{name}`: {meaning}"),
                });
                // It is there, so it is not missing.
                taken.insert(name, Value::Null);
            }
        }
    }
    let missing = required.iter().filter(|name| !taken.contains_key(**name));
    mistakes.extend(missing.map(|name| Mistake {
        message: format!("argument `{name}` is missing"),
        hint: known(properties),
    }));
    if mistakes.is_empty() {
        return Ok(taken);
    }
    Err(in_one(mistakes))
}

/// One thing that is wrong with the arguments.
struct Mistake {
    message: String,
    hint: String,
}

/// All `mistakes` in one error, each hint once.
fn in_one(mut mistakes: Vec<Mistake>) -> Error {
    let more = mistakes.len().saturating_sub(MAX_MISTAKES);
    mistakes.truncate(MAX_MISTAKES);
    let mut messages: Vec<String> = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    for Mistake { message, hint } in mistakes {
        messages.push(message);
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    if more > 0 {
        messages.push(format!("and {more} more"));
    }
    Error::new(Code::InvalidArgument, messages.join("; ")).hint(hints.join("; "))
}

fn properties(schema: &Map<String, Value>) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    schema.get("properties").and_then(Value::as_object).unwrap_or(&NONE)
}

/// Whether the value, or an item of it, is a key where none belongs.
fn is_misplaced_key(name: &str, property: &Value, value: &Value, holds_key: HoldsKey) -> bool {
    let is_secret = property.get("writeOnly").and_then(Value::as_bool).unwrap_or(false);
    let is_one = |value: &Value| is_misplaced_key(name, property, value, holds_key);
    match value {
        Value::String(text) => !is_secret && holds_key(name, text),
        Value::Array(items) => items.iter().any(is_one),
        Value::Object(fields) => fields.values().any(is_one),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn misplaced_key(name: &str) -> Error {
    Error::new(
        Code::KeyInWrongPlace,
        format!("argument `{name}` holds something that looks like an API key; it was not used"),
    )
    .hint(
        "treat that key as exposed: rotate it; give keys only as `api_key`, or better leave `api_key` out and type the \
         key on the page that opens",
    )
}

fn unknown(name: &str, properties: &Map<String, Value>) -> Mistake {
    let plain = name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !plain || providers::looks_like_key(name) {
        return Mistake {
            message: "there is an argument with an unknown name".to_owned(),
            hint: known(properties),
        };
    }
    Mistake {
        message: format!("there is no argument `{name}`"),
        hint: match nearest(name, properties) {
            Some(near) => format!("did you mean `{near}`? {}", known(properties)),
            None => known(properties),
        },
    }
}
