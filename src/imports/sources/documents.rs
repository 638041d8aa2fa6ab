//! The forms that programs keep their settings in, read as one: JSON with and without comments, YAML.

use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

use super::found::UnreadableSource;

/// JSON, also with comments and trailing commas.
pub(super) fn json(bytes: &[u8], whose: &'static str) -> Result<Value, UnreadableSource> {
    let text = text(bytes, whose)?;
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&without_comments(text)))
        .map_err(|_| UnreadableSource(whose))
}

pub(super) fn yaml(bytes: &[u8], whose: &'static str) -> Result<Value, UnreadableSource> {
    let documents = YamlLoader::load_from_str(text(bytes, whose)?).map_err(|_| UnreadableSource(whose))?;
    Ok(documents.first().map_or(Value::Null, value_of))
}

pub(super) fn text<'a>(bytes: &'a [u8], whose: &'static str) -> Result<&'a str, UnreadableSource> {
    let text = std::str::from_utf8(bytes).map_err(|_| UnreadableSource(whose))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The text in `value` under the names of `path`.
pub(super) fn text_at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    let found = path.iter().try_fold(value, |value, name| value.get(name));
    found?.as_str().filter(|text| !text.is_empty())
}

/// The members of the object in `value` under the names of `path`.
pub(super) fn members<'a>(value: &'a Value, path: &[&str]) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    let found = path.iter().try_fold(value, |value, name| value.get(name));
    found.and_then(Value::as_object).into_iter().flatten()
}

/// The entries of the list in `value` under the names of `path`.
pub(super) fn entries<'a>(value: &'a Value, path: &[&str]) -> impl Iterator<Item = &'a Value> + use<'a> {
    let found = path.iter().try_fold(value, |value, name| value.get(name));
    found.and_then(Value::as_array).into_iter().flatten()
}

fn value_of(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => Value::String(text.clone()),
        Yaml::Integer(number) => Value::from(*number),
        Yaml::Boolean(is_so) => Value::Bool(*is_so),
        Yaml::Array(entries) => entries.iter().map(value_of).collect(),
        Yaml::Hash(members) => {
            let members = members
                .iter()
                .filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value_of(value))));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => Value::Null,
    }
}

/// `text` without comments and without commas before a closing bracket; what stands in strings stays.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let (mut in_string, mut is_escaped) = (false, false);
    while let Some(letter) = letters.next() {
        if in_string {
            plain.push(letter);
            in_string = is_escaped || letter != '"';
            is_escaped = letter == '\\' && !is_escaped;
            continue;
        }
        match (letter, letters.peek()) {
            ('/', Some('/')) => {
                for skipped in letters.by_ref() {
                    if skipped == '\n' {
                        plain.push('\n');
                        break;
                    }
                }
            }
            ('/', Some('*')) => {
                letters.next();
                let mut before = ' ';
                for skipped in letters.by_ref() {
                    if (before, skipped) == ('*', '/') {
                        break;
                    }
                    before = skipped;
                }
            }
            ('}' | ']', _) => {
                let end = plain.trim_end().len();
                if plain.get(..end).is_some_and(|before| before.ends_with(',')) {
                    plain.truncate(end - 1);
                }
                plain.push(letter);
            }
            _ => {
                in_string = letter == '"';
                plain.push(letter);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_with_comments_is_read_and_strings_stay() {
        let text = r#"{ // a remark
            "a": "http://x/*y*/ \" // z", /* more
            */ "b": [1, 2, ], }"#;
        let read = json(text.as_bytes(), "a test").expect("readable");
        assert_eq!(read["a"], "http://x/*y*/ \" // z");
        assert_eq!(read["b"], serde_json::json!([1, 2]));
    }
}
