//! Every argument of every tool, in the forms in which models send it; made from the schemas.

use serde_json::{Map, Value, json};

use super::reading::checked;
use crate::{
    error::{Code, Error},
    tools::{TOOLS, ToolDef},
};

const KEY: &str = "sk-proj-0123456789abcdefghijklmnopqrstuv";

/// An argument of a tool: its name, its property, and whether it must be given.
struct Argument {
    def: &'static ToolDef,
    name: String,
    property: Value,
    is_required: bool,
}

impl Argument {
    fn all() -> Vec<Self> {
        let of = |def: &'static ToolDef| {
            let schema = (def.input_schema)();
            let required = schema.get("required").cloned().unwrap_or_default();
            let is_required = move |name: &str| required.as_array().is_some_and(|all| all.contains(&json!(name)));
            let properties = schema["properties"].as_object().expect("an object").clone();
            properties.into_iter().map(move |(name, property)| Self {
                def,
                is_required: is_required(&name),
                name,
                property,
            })
        };
        TOOLS.iter().flat_map(of).collect()
    }

    fn kind(&self) -> &str {
        self.property["type"].as_str().expect("every argument has a kind")
    }

    /// A value as the schema asks for it.
    fn value(&self) -> Value {
        valid(&self.property)
    }

    /// What is read of a call with `value` for this argument, and valid values for all that must be there.
    fn read(&self, value: Value) -> Result<Option<Value>, Error> {
        let schema = (self.def.input_schema)();
        let required = Self::all();
        let required = required
            .iter()
            .filter(|other| other.def.name == self.def.name && other.is_required);
        let mut arguments: Map<String, Value> = required.map(|other| (other.name.clone(), other.value())).collect();
        arguments.insert(self.name.clone(), value);
        checked(arguments, &schema, self.def.holds_key).map(|mut read| read.remove(&self.name))
    }

    fn refusal(&self, value: Value) -> Error {
        let what = format!("{} {} {value}", self.def.name, self.name);
        self.read(value).expect_err(&what)
    }
}

fn valid(property: &Value) -> Value {
    if let Some(name) = property.pointer("/enum/0") {
        return name.clone();
    }
    match property["type"].as_str() {
        Some("integer") => json!(property["minimum"].as_u64().unwrap_or(0) + 1),
        Some("number") => json!(1.5),
        Some("boolean") => json!(true),
        Some("string") => json!("something"),
        Some("array") => json!([valid(&property["items"])]),
        other => panic!("an argument of a new kind: {other:?}"),
    }
}

/// Other spellings of `value`, each of which can only mean it.
fn spellings(argument: &Argument, value: &Value) -> Vec<Value> {
    match argument.kind() {
        "integer" => vec![
            json!(value.to_string()),
            json!(format!(" {value} ")),
            json!(format!("{value}.0")),
            serde_json::from_str(&format!("{value}.0")).expect("a number"),
            serde_json::from_str(&format!("{value}e0")).expect("a number"),
        ],
        "number" => vec![json!(value.to_string()), json!(format!(" {value}\n"))],
        "boolean" => vec![json!("true"), json!("True"), json!(" TRUE\n")],
        "array" => {
            let item = value[0].as_str().expect("a name");
            vec![
                json!(item),
                json!(value.to_string()),
                json!(format!("['{item}']")),
                json!(format!("{item}, ")),
                json!([item.to_uppercase(), "", null]),
            ]
        }
        "string" if argument.property.get("enum").is_some() => {
            let name = value.as_str().expect("a name");
            vec![
                json!(name.to_uppercase()),
                json!(format!(" {name} ")),
                json!(name.replace('_', "-")),
                json!(name.replace('_', " ")),
            ]
        }
        _ => Vec::new(),
    }
}

/// What no spelling of a value of that kind is, and how the refusal calls it.
fn strangers(kind: &str) -> Vec<(Value, &'static str)> {
    let all = [
        (json!([1, 2]), "an array"),
        (json!({"a": 1}), "an object"),
        (json!("some words"), "a string"),
        (json!("7 or so"), "a string"),
        (json!("yes"), "a string"),
        (json!("[1]"), "a string"),
        (json!(true), "a boolean"),
        (json!("true"), "a boolean"),
        (json!(150.5), "a fraction"),
        (json!("150.5"), "a fraction"),
        (json!(1), "a number"),
    ];
    let of_kind = |(value, given): &(Value, &'static str)| match kind {
        "integer" => *given != "a number",
        "number" => !matches!(*given, "a number" | "a fraction"),
        "boolean" => *given != "a boolean",
        "string" => !value.is_string(),
        "array" => !value.is_string() && *given != "an array",
        _ => false,
    };
    all.into_iter().filter(of_kind).collect()
}

#[test]
fn nothing_in_place_of_an_optional_argument_leaves_it_out() {
    for argument in Argument::all() {
        for nothing in [json!(null), json!("")] {
            let what = format!("{} {} {nothing}", argument.def.name, argument.name);
            match argument.read(nothing.clone()) {
                Ok(read) if argument.is_required => assert_eq!((read, nothing), (Some(json!("")), json!("")), "{what}"),
                Ok(read) => assert_eq!(read, None, "{what}"),
                Err(error) => {
                    assert!(argument.is_required, "{what}: {}", error.message());
                    assert!(error.message().contains(&argument.name), "{what}: {}", error.message());
                }
            }
        }
    }
}

#[test]
fn a_value_in_another_spelling_is_taken_for_what_it_means() {
    for argument in Argument::all() {
        let value = argument.value();
        assert_eq!(argument.read(value.clone()).expect("it is valid"), Some(value.clone()));
        for spelling in spellings(&argument, &value) {
            let what = format!("{} {} {spelling}", argument.def.name, argument.name);
            let read = argument
                .read(spelling)
                .unwrap_or_else(|error| panic!("{what}: {}", error.message()));
            assert_eq!(read, Some(value.clone()), "{what}");
        }
    }
}

#[test]
fn what_means_nothing_is_refused_by_field_given_kind_and_expected_kind() {
    for argument in Argument::all() {
        for (value, given) in strangers(argument.kind()) {
            let what = format!("{} {} {value}", argument.def.name, argument.name);
            let error = argument.refusal(value);
            let said = format!("argument `{}` must be a", argument.name);
            assert_eq!(error.code(), Code::InvalidArgument, "{what}");
            assert!(error.message().starts_with(&said), "{what}: {}", error.message());
            assert!(error.message().contains(argument.kind()), "{what}: {}", error.message());
            assert!(
                error.message().ends_with(&format!("not {given}")),
                "{what}: {}",
                error.message()
            );
            assert!(!error.to_json().to_string().contains(KEY), "{what}");
        }
    }
}

#[test]
fn a_key_is_not_taken_for_any_other_argument_and_never_repeated() {
    for argument in Argument::all() {
        let is_secret = argument.property["writeOnly"] == true;
        let holds_anything = argument.kind() == "string" && !(argument.def.holds_key)(&argument.name, KEY);
        if is_secret || holds_anything {
            assert_eq!(argument.read(json!(KEY)).expect("taken"), Some(json!(KEY)));
            continue;
        }
        for key in [
            json!(KEY),
            json!(format!(" {KEY}\n")),
            json!([KEY]),
            json!({"a": [KEY]}),
        ] {
            let what = format!("{} {} {key}", argument.def.name, argument.name);
            let error = argument.refusal(key);
            assert_eq!(error.code(), Code::KeyInWrongPlace, "{what}: {}", error.message());
            assert!(!error.to_json().to_string().contains("sk-proj"), "{what}");
        }
    }
}

#[test]
fn numbers_beyond_every_bound_are_out_of_range_however_they_are_spelled() {
    for argument in Argument::all().into_iter().filter(|it| it.kind() == "integer") {
        for beyond in [
            json!(-1),
            json!("-1"),
            json!(-1.0),
            json!(1e30),
            json!("1e30"),
            json!(u64::MAX),
            json!("99999999999999999999"),
        ] {
            let error = argument.refusal(beyond.clone());
            let says = error.message();
            assert!(
                says.contains("out of range"),
                "{} {} {beyond}: {says}",
                argument.def.name,
                argument.name
            );
        }
    }
}

#[test]
fn an_argument_by_nearly_its_name_is_told_which_one_is_meant() {
    for argument in Argument::all() {
        let camel: String = {
            let mut words = argument.name.split('_');
            let first = words.next().unwrap_or_default().to_owned();
            words.fold(first, |name, word| {
                let (head, tail) = word.split_at(1);
                name + &head.to_uppercase() + tail
            })
        };
        let shorter: String = argument.name.chars().skip(1).collect();
        for name in [
            camel,
            shorter,
            argument.name.to_uppercase(),
            argument.name.replace('_', "-"),
            format!("{}s", argument.name),
        ] {
            let schema = (argument.def.input_schema)();
            if schema["properties"].get(&name).is_some() || name.len() < 3 {
                continue;
            }
            let error = checked(
                Map::from_iter([(name.clone(), json!("x"))]),
                &schema,
                argument.def.holds_key,
            );
            let error = error.expect_err(&name);
            assert!(
                error.message().contains(&format!("unknown argument `{name}`")),
                "{}",
                error.message()
            );
            let hint = error.hint_text().unwrap_or_default();
            assert!(
                hint.starts_with(&format!("did you mean `{}`?", argument.name)),
                "{name}: {hint}"
            );
        }
    }
}

#[test]
fn every_mistake_of_a_call_is_in_one_message() {
    let def = TOOLS.iter().find(|def| def.name == "track_request").expect("a tool");
    let arguments =
        json!({"provider": "openai", "modell": "x", "input_tokens": "many", "success": 2, "output_tokens": "12"});
    let arguments = arguments.as_object().expect("an object").clone();
    let error = checked(arguments, &(def.input_schema)(), def.holds_key).expect_err("three mistakes and one missing");
    assert_eq!(
        error.message(),
        "unknown argument `modell`; argument `input_tokens` must be an integer, not a string; argument `success` must \
         be a boolean, not a number; argument `model` is missing"
    );
    let hint = error.hint_text().unwrap_or_default();
    assert!(hint.starts_with("did you mean `model`?"), "{hint}");

    let many: Map<String, Value> = (0..1000).map(|number| (format!("x{number}"), json!(1))).collect();
    let error = checked(many, &(def.input_schema)(), def.holds_key).expect_err("many");
    assert!(error.message().len() < 300, "{}", error.message());
    assert!(error.message().ends_with("and 999 more"), "{}", error.message());
}

#[test]
fn a_name_that_nothing_is_near_gets_no_suggestion() {
    let def = TOOLS.iter().find(|def| def.name == "remove_api_key").expect("a tool");
    for name in ["colour", "x", "", "id", "reason"] {
        let error = checked(
            Map::from_iter([(name.to_owned(), json!(1))]),
            &(def.input_schema)(),
            def.holds_key,
        );
        let error = error.expect_err(name);
        assert!(
            !error.hint_text().unwrap_or_default().contains("did you mean"),
            "{name}"
        );
    }
}
