//! Errors of the command line, in our words.

use std::{error::Error as _, ffi::OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{
    command_line::{command, path_of},
    suggest,
};
use crate::{
    error::{Code, Error},
    providers,
    tools::TOOLS,
};

pub(super) const KEYS_ARE_NEVER_ARGUMENTS: &str = "keys are never arguments: omit it and type it at the prompt, or use --stdin, --env-var NAME, --from-file PATH or --from-env-file PATH";

/// Says in our words what is wrong with `arguments`.
pub(super) fn explain(error: &clap::Error, arguments: &[OsString]) -> Error {
    let command = command();
    let path = path_of(&command, arguments);
    let name = path.first().map(|command| command.get_name());
    let words: Vec<&str> = std::iter::once("api-keys")
        .chain(path.iter().map(|command| command.get_name()))
        .collect();
    let words = words.join(" ");
    let usage = format!("`{words} --help` shows how it is used");
    let ours = |kind| names(error.get(kind)).join(", ");
    let wrong = |message: String| Error::new(Code::InvalidArgument, message);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let typed = names(error.get(ContextKind::InvalidArg)).pop().unwrap_or_default();
            let typed = typed.split('=').next().unwrap_or_default();
            let takes_key = TOOLS.iter().any(|tool| tool.takes_key && Some(tool.command) == name);
            let is_option = is_a_word(typed) && typed.starts_with("--");
            let means_key = ["key", "token", "secret"].iter().any(|word| typed.contains(word));
            let meant = is_option.then(|| suggest::option(typed, &command, &path)).flatten();
            let hint = if takes_key && (means_key || !is_option) {
                KEYS_ARE_NEVER_ARGUMENTS.to_owned()
            } else if let Some(meant) = meant {
                format!("did you mean `--{meant}`? {usage}")
            } else if name == Some("run") && !is_option {
                "put `--` before the command: `api-keys run -- CMD ARG…`".to_owned()
            } else {
                usage
            };
            if is_option {
                wrong(format!("unknown option `{typed}`")).hint(hint)
            } else {
                wrong("unexpected argument".to_owned()).hint(hint)
            }
        }
        ErrorKind::InvalidSubcommand => {
            let typed = ours(ContextKind::InvalidSubcommand);
            let usage = format!("`{words} --help` lists the commands");
            if !is_a_word(&typed) {
                return wrong("unknown command".to_owned()).hint(usage);
            }
            let meant = suggest::command(&typed, path.last().copied().unwrap_or(&command));
            wrong(format!("unknown command `{typed}`")).hint(match meant {
                Some(meant) => format!("did you mean `{meant}`? {usage}"),
                None => usage,
            })
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = names(error.get(ContextKind::InvalidArg));
            let s = if missing.len() == 1 { "" } else { "s" };
            wrong(format!("missing argument{s}: {}", missing.join(", "))).hint(usage)
        }
        ErrorKind::MissingSubcommand => wrong(format!("`{words}` needs a command")).hint(usage),
        ErrorKind::ArgumentConflict => {
            let (one, other) = (ours(ContextKind::InvalidArg), ours(ContextKind::PriorArg));
            if one == other || other.is_empty() {
                wrong(format!("`{one}` is given twice")).hint(usage)
            } else {
                wrong(format!("`{one}` and `{other}` cannot be used together")).hint(usage)
            }
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::NoEquals => {
            invalid_value(error, wrong).hint(usage)
        }
        ErrorKind::InvalidUtf8 => wrong("an argument is not valid UTF-8".to_owned()).hint(usage),
        _ => wrong("could not parse the command line".to_owned()).hint(usage),
    }
}

/// What the standard library says of text that is no number.
const NOT_A_NUMBER: &[&str] = &[
    "invalid digit found in string",
    "cannot parse integer from empty string",
];

/// A value that an argument does not take; the value itself is never repeated.
fn invalid_value(error: &clap::Error, wrong: impl Fn(String) -> Error) -> Error {
    let ours = |kind| names(error.get(kind)).join(", ");
    let argument = ours(ContextKind::InvalidArg);
    let typed = ours(ContextKind::InvalidValue);
    let choices = ours(ContextKind::ValidValue);
    if !choices.is_empty() {
        return wrong(format!("`{argument}` must be one of {choices}"));
    }
    if typed.is_empty() {
        return wrong(format!("`{argument}` needs a value"));
    }
    // A reason that repeats the value is dropped with it, unless it only begins with it.
    let reason = error.source().map(ToString::to_string).unwrap_or_default();
    if NOT_A_NUMBER.contains(&reason.as_str()) {
        return wrong(format!("`{argument}` must be a whole number"));
    }
    match reason.strip_prefix(&typed).filter(|rule| !rule.contains(&typed)) {
        Some(rule) => wrong(format!("`{argument}`{rule}")),
        None if reason.is_empty() || reason.contains(&typed) => wrong(format!("invalid value for `{argument}`")),
        None => wrong(format!("invalid value for `{argument}`: {reason}")),
    }
}

/// The texts of a parser's context.
fn names(value: Option<&ContextValue>) -> Vec<String> {
    match value {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

/// No key has fewer characters.
const MIN_KEY: usize = 16;

/// Whether `text` may be repeated: a short word such as an option or a command, and no key.
fn is_a_word(text: &str) -> bool {
    text.trim_start_matches('-').len() < MIN_KEY
        && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        && !providers::looks_like_key(text)
}
