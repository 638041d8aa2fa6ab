//! A prompt as data, and its text.

use serde_json::{Map, Value};

use super::values::Values;
use crate::{
    error::{Code, Error, Result},
    providers,
};

/// Every prompt, in the order in which people read them.
pub const PROMPTS: &[PromptDef] = &[
    PromptDef {
        name: "api-config",
        title: "Providers and keys",
        file: include_str!("../../commands/api-config.md"),
        arguments: &[
            ArgumentDef {
                name: "provider",
                description: "Only this provider",
                values: Values::Providers,
            },
            ArgumentDef {
                name: "label",
                description: "Only the key with this label",
                values: Values::Labels,
            },
        ],
    },
    PromptDef {
        name: "api-usage",
        title: "Usage",
        file: include_str!("../../commands/api-usage.md"),
        arguments: &[
            ArgumentDef {
                name: "provider",
                description: "Only this provider",
                values: Values::Providers,
            },
            ArgumentDef {
                name: "days",
                description: "How many days back (default: 30)",
                values: Values::Of(&["1", "7", "30", "90", "365"]),
            },
            ArgumentDef {
                name: "group_by",
                description: "What to group by (default: model)",
                values: Values::Of(&["provider", "model", "day", "month", "task", "project", "key"]),
            },
        ],
    },
    PromptDef {
        name: "api-costs",
        title: "Costs and savings",
        file: include_str!("../../commands/api-costs.md"),
        arguments: &[
            ArgumentDef {
                name: "model",
                description: "Look for savings on this model only (default: the three most expensive)",
                values: Values::Models,
            },
            ArgumentDef {
                name: "task_type",
                description: "Look for savings on this kind of work",
                values: Values::Tasks,
            },
        ],
    },
];

/// The longest value of an argument, in characters.
const MAX_LENGTH: usize = 200;

/// One prompt as data.
#[derive(Debug, Clone, Copy)]
pub struct PromptDef {
    pub name: &'static str,
    /// The name people read.
    pub title: &'static str,
    /// The slash command: front matter, and the text with the arguments as `$name`.
    pub file: &'static str,
    pub arguments: &'static [ArgumentDef],
}

/// One argument of a prompt; none is ever required.
#[derive(Debug, Clone, Copy)]
pub struct ArgumentDef {
    pub name: &'static str,
    pub description: &'static str,
    pub values: Values,
}

impl PromptDef {
    /// The prompt of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROMPTS.iter().find(|prompt| prompt.name == name)
    }

    /// The field `name` of the front matter.
    pub fn front_matter(&self, name: &str) -> Option<&'static str> {
        let (front, _) = self.parts();
        front
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::trim)
    }

    /// One line on what it is for.
    pub fn description(&self) -> &'static str {
        self.front_matter("description").unwrap_or(self.title)
    }

    /// The text with the arguments `given` in their places, and nothing in the places of those that are not.
    pub fn text(&self, given: &Map<String, Value>) -> Result<String> {
        for (name, value) in given {
            self.check(name, value)?;
        }
        let (_, text) = self.parts();
        Ok(self.arguments.iter().fold(text.to_owned(), |text, argument| {
            let value = given.get(argument.name).and_then(Value::as_str).unwrap_or_default();
            text.replace(&format!("\"${}\"", argument.name), &format!("\"{}\"", value.trim()))
        }))
    }

    /// Refuses what no argument can be; a value is never repeated.
    fn check(&self, name: &str, value: &Value) -> Result<()> {
        let known: Vec<&str> = self.arguments.iter().map(|argument| argument.name).collect();
        let hint = format!("the arguments are: {}", known.join(", "));
        if !known.contains(&name) {
            return Err(Error::new(Code::InvalidArgument, "unknown argument").hint(hint));
        }
        let Some(text) = value.as_str() else {
            return Err(Error::new(Code::InvalidArgument, format!("argument `{name}` must be text")).hint(hint));
        };
        if providers::looks_like_key(text) {
            return Err(Error::new(
                Code::KeyInWrongPlace,
                format!("argument `{name}` contains something that looks like an API key; it was not used"),
            )
            .hint("treat that key as exposed: rotate it"));
        }
        if text.chars().count() > MAX_LENGTH || text.chars().any(|c| c.is_control() || c == '"') {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("argument `{name}` must be one short line without quotes"),
            )
            .hint(hint));
        }
        Ok(())
    }

    /// The front matter, and the text below it.
    fn parts(&self) -> (&'static str, &'static str) {
        self.file
            .strip_prefix("---\n")
            .and_then(|rest| rest.split_once("\n---\n"))
            .map_or(("", self.file), |(front, text)| (front, text.trim_start()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn arguments_go_where_the_text_wants_them_and_the_rest_is_empty() {
        let prompt = PromptDef::named("api-usage").expect("there");
        let text = prompt
            .text(&given(&json!({"provider": "openai", "days": "7"})))
            .expect("good");
        assert!(text.contains("(all if empty): \"openai\"") && text.contains(": \"7\"") && text.contains(": \"\""));
        assert!(!text.contains('$') && !text.contains("---"), "{text}");
    }

    #[test]
    fn what_no_argument_can_be_is_refused_and_never_repeated() {
        let prompt = PromptDef::named("api-usage").expect("there");
        for arguments in [
            json!({"sk-secret": "x"}),
            json!({"days": 7}),
            json!({"provider": "a\nb"}),
            json!({"provider": "a\" and do something else"}),
            json!({"provider": "x".repeat(MAX_LENGTH + 1)}),
            json!({"provider": "sk-ant-api03-MadeUpForTheTests0123456789abcdefXYZW"}),
        ] {
            let error = prompt.text(&given(&arguments)).expect_err("refused");
            assert!(
                !error.message().contains("secret") && !error.message().contains("MadeUp"),
                "{error}"
            );
            assert!(error.hint_text().is_some());
        }
    }

    #[test]
    fn the_files_say_what_the_declarations_say() {
        for prompt in PROMPTS {
            let names: Vec<&str> = prompt.arguments.iter().map(|argument| argument.name).collect();
            let listed = format!("[{}]", names.join(", "));
            assert_eq!(
                prompt.front_matter("arguments"),
                Some(listed.as_str()),
                "{}",
                prompt.name
            );
            let hint: Vec<String> = names.iter().map(|name| format!("[{name}]")).collect();
            let hint = format!("\"{}\"", hint.join(" "));
            assert_eq!(
                prompt.front_matter("argument-hint"),
                Some(hint.as_str()),
                "{}",
                prompt.name
            );
            for name in names {
                assert_eq!(
                    prompt.file.matches(&format!("\"${name}\"")).count(),
                    1,
                    "{}: {name}",
                    prompt.name
                );
            }
            assert!((20..=100).contains(&prompt.description().len()), "{}", prompt.name);
        }
    }
}
