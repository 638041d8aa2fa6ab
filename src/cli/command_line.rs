//! The command line as data: made from the declarations, parsed without ever quoting what was typed.
//!
//! The parser's own messages quote arguments, and an argument may be a key that somebody put in the
//! wrong place. So its errors are told again in our words, from the names that are ours.

use std::{error::Error as _, ffi::OsString};

use clap::{
    Arg, ArgAction, ArgMatches, ColorChoice, Command,
    error::{ContextKind, ContextValue, ErrorKind},
    value_parser,
};

use super::{COMMANDS, console::YES, secret_source::SecretSource, tool};
use crate::{
    error::{Code, Error, Result},
    providers,
    tools::{TOOLS, ToolDef},
};

/// What came of the arguments.
pub(super) struct Parsed {
    /// Known even where the rest is nonsense, so that errors have the right form.
    pub(super) look: Look,
    pub(super) outcome: Result<ParsedLine>,
}

pub(super) enum ParsedLine {
    Command(ArgMatches),
    /// Help or the version, with colours as escape codes.
    Help(String),
}

/// How answers look, as far as the options say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) json: bool,
    pub(super) color: ColorChoice,
}

/// Where options stand that every command has.
const LAST: usize = 900;

/// The whole command line.
pub fn command() -> Command {
    let mut command = Command::new("api-keys")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keep the API keys of language-model providers encrypted, check and rotate them, and use them unseen")
        .after_help("Without a command: the state of things on a terminal, an MCP server otherwise.\nKeys are never arguments: they are typed at a hidden prompt, or come from --stdin, --env-var or --from-file.")
        .max_term_width(100)
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .global(true)
                .display_order(LAST)
                .help("Print the structured result as JSON"),
        )
        .arg(
            Arg::new("color")
                .long("color")
                .value_name("WHEN")
                .value_parser(value_parser!(ColorChoice))
                .default_value("auto")
                .hide_default_value(true)
                .global(true)
                .display_order(LAST)
                .help("Use colours"),
        );
    for tool in TOOLS {
        command = match tool.command.split_once(" --") {
            None => command.subcommand(with_tool(Command::new(tool.command), tool)),
            Some((name, flag)) => command.mut_subcommand(name, |subcommand| with_variant(subcommand, flag, tool)),
        };
    }
    for own in COMMANDS {
        command = command.subcommand((own.define)(Command::new(own.name)));
    }
    command
}

/// The subcommand that is `tool`.
fn with_tool(subcommand: Command, tool: &ToolDef) -> Command {
    let mut subcommand = (tool.augment)(subcommand);
    // What follows the first sentence of a description is for models.
    let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
    let first = about.split(". ").next().unwrap_or_default().to_owned();
    subcommand = subcommand.about(first).long_about(None::<&str>);
    if is_confirmed(tool) {
        subcommand = subcommand.arg(yes());
    }
    if takes(&subcommand, "provider") && takes(&subcommand, "label") {
        // In its place: `mut_arg` would make it the last of the positional ones.
        subcommand = subcommand.mut_args(|argument| {
            if argument.get_id() == "provider" {
                argument.value_name("PROVIDER[:LABEL]")
            } else {
                argument
            }
        });
    }
    if tool.takes_key {
        subcommand = SecretSource::options(subcommand);
    }
    tool::options(tool, subcommand)
}

/// Whether a person is asked before the tool does its work; who types a key has thought about it already.
pub(super) fn is_confirmed(tool: &ToolDef) -> bool {
    tool.hints.destructive && !tool.takes_key
}

fn takes(subcommand: &Command, id: &str) -> bool {
    subcommand.get_arguments().any(|argument| argument.get_id() == id)
}

/// The option not to be asked.
pub(super) fn yes() -> Arg {
    Arg::new(YES)
        .long(YES)
        .short('y')
        .action(ArgAction::SetTrue)
        .help("Don't ask for confirmation")
}

/// The subcommand with a flag that makes it another tool, which takes none of its arguments.
fn with_variant(subcommand: Command, flag: &'static str, tool: &ToolDef) -> Command {
    let about = (tool.augment)(Command::new(flag))
        .get_about()
        .cloned()
        .unwrap_or_default();
    subcommand
        .mut_args(|argument| {
            let required = argument.is_required_set();
            let argument = argument.conflicts_with(flag);
            if required {
                argument.required(false).required_unless_present(flag)
            } else {
                argument
            }
        })
        .arg(Arg::new(flag).long(flag).action(ArgAction::SetTrue).help(about))
}

/// The tool that the command `name` with `matches` means.
pub(super) fn tool_of(name: &str, matches: &ArgMatches) -> Option<&'static ToolDef> {
    let variant = TOOLS.iter().find(|tool| {
        tool.command
            .split_once(" --")
            .is_some_and(|(command, flag)| command == name && matches.get_flag(flag))
    });
    variant.or_else(|| TOOLS.iter().find(|tool| tool.command == name))
}

/// Reads `arguments`, the program's own name first.
pub(super) fn parse(arguments: Vec<OsString>) -> Parsed {
    let look = Look::of(&arguments);
    Parsed {
        look,
        outcome: read(arguments, look),
    }
}

impl Look {
    fn of(arguments: &[OsString]) -> Self {
        let mut look = Self {
            json: false,
            color: ColorChoice::Auto,
        };
        let mut before = None;
        for argument in ours(arguments).filter_map(|argument| argument.to_str()) {
            look.json |= argument == "--json";
            let color = argument
                .strip_prefix("--color=")
                .or((before == Some("--color")).then_some(argument));
            look.color = color.and_then(|when| when.parse().ok()).unwrap_or(look.color);
            before = Some(argument);
        }
        look
    }
}

/// The arguments that are for us: those before `--`.
fn ours(arguments: &[OsString]) -> impl Iterator<Item = &OsString> {
    arguments.iter().skip(1).take_while(|argument| *argument != "--")
}

fn read(arguments: Vec<OsString>, look: Look) -> Result<ParsedLine> {
    let command = command();
    refuse_keys(&command, &arguments)?;
    let arguments = split_labels(&command, arguments);
    match command.color(look.color).try_get_matches_from(&arguments) {
        Ok(matches) => Ok(ParsedLine::Command(matches)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Ok(ParsedLine::Help(error.render().ansi().to_string()))
            }
            _ => Err(explain(&error, &arguments)),
        },
    }
}

/// Options whose value may look like a key and is none.
const PATHS: &[&str] = &["--from-file", "--from-env-file"];

/// Refuses a key as an argument: every program on the machine can read those, and the shell keeps them.
fn refuse_keys(command: &Command, arguments: &[OsString]) -> Result<()> {
    let name = subcommand_of(command, arguments).map(Command::get_name);
    let tool = TOOLS.iter().find(|tool| Some(tool.command) == name);
    let mut before = String::new();
    for argument in ours(arguments) {
        let text = argument.to_string_lossy();
        let option = text
            .split_once('=')
            .map(|(option, _)| option)
            .filter(|option| option.starts_with("--"))
            .unwrap_or(&before);
        let holds_key = match (PATHS.contains(&option), option.strip_prefix("--"), tool) {
            (true, _, _) => false,
            (false, Some(option), Some(tool)) => (tool.holds_key)(&option.replace('-', "_"), &text),
            (false, _, _) => providers::looks_like_key(&text),
        };
        if holds_key {
            return Err(Error::new(
                Code::KeyInWrongPlace,
                "an argument looks like an API key; it was not used",
            )
            .hint(format!(
                "rotate that key, since the shell's history has it now; {KEYS_ARE_NEVER_ARGUMENTS}"
            )));
        }
        before = text.into_owned();
    }
    Ok(())
}

const KEYS_ARE_NEVER_ARGUMENTS: &str = "keys are never arguments: leave it out and type it at the prompt, or use --stdin, --env-var NAME, --from-file PATH or --from-env-file PATH";

/// Takes `PROVIDER:LABEL` apart where a tool has both as arguments.
fn split_labels(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let Some(subcommand) = subcommand_of(command, &arguments) else {
        return arguments;
    };
    if !(takes(subcommand, "provider") && takes(subcommand, "label")) {
        return arguments;
    }
    let mut split = Vec::with_capacity(arguments.len() + 1);
    let mut is_value = false;
    for argument in arguments {
        let parts = argument.to_str().and_then(|text| text.split_once(':'));
        if let (false, Some((provider, label))) = (is_value || argument.to_string_lossy().starts_with('-'), parts) {
            split.push(OsString::from(provider));
            split.push(OsString::from(format!("--label={label}")));
        } else {
            is_value = command.get_arguments().chain(subcommand.get_arguments()).any(|known| {
                known.get_action().takes_values()
                    && known
                        .get_long()
                        .is_some_and(|long| argument.to_str().and_then(|text| text.strip_prefix("--")) == Some(long))
            });
            split.push(argument);
        }
    }
    split
}

/// The subcommand that `arguments` name.
fn subcommand_of<'a>(command: &'a Command, arguments: &[OsString]) -> Option<&'a Command> {
    ours(arguments).find_map(|argument| command.find_subcommand(argument))
}

/// Says in our words what is wrong with `arguments`.
fn explain(error: &clap::Error, arguments: &[OsString]) -> Error {
    let command = command();
    let subcommand = subcommand_of(&command, arguments);
    let name = subcommand.map(Command::get_name);
    let usage = format!(
        "`api-keys {}--help` shows how it is used",
        name.map(|name| format!("{name} ")).unwrap_or_default()
    );
    let ours = |kind| names(error.get(kind)).join(", ");
    let wrong = |message: String| Error::new(Code::InvalidArgument, message);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let typed = names(error.get(ContextKind::InvalidArg)).pop().unwrap_or_default();
            let typed = typed.split('=').next().unwrap_or_default();
            let takes_key = TOOLS.iter().any(|tool| tool.takes_key && Some(tool.command) == name);
            let is_option = is_a_word(typed) && typed.starts_with("--");
            let means_key = ["key", "token", "secret"].iter().any(|word| typed.contains(word));
            let meant = ours(ContextKind::SuggestedArg);
            let hint = if takes_key && (means_key || !is_option) {
                KEYS_ARE_NEVER_ARGUMENTS.to_owned()
            } else if is_option && !meant.is_empty() {
                format!("did you mean `{meant}`? {usage}")
            } else if name == Some("run") && !is_option {
                "put `--` before the command: `api-keys run -- CMD ARG…`".to_owned()
            } else {
                usage
            };
            if is_option {
                wrong(format!("there is no option `{typed}`")).hint(hint)
            } else {
                wrong("there is an argument too many".to_owned()).hint(hint)
            }
        }
        ErrorKind::InvalidSubcommand => {
            let typed = ours(ContextKind::InvalidSubcommand);
            let meant = names(error.get(ContextKind::SuggestedSubcommand)).join("` or `");
            wrong(if is_a_word(&typed) {
                format!("there is no command `{typed}`")
            } else {
                "there is no such command".to_owned()
            })
            .hint(if meant.is_empty() {
                "`api-keys --help` lists the commands".to_owned()
            } else {
                format!("did you mean `{meant}`? `api-keys --help` lists the commands")
            })
        }
        ErrorKind::MissingRequiredArgument => {
            wrong(format!("`{}` is missing", ours(ContextKind::InvalidArg))).hint(usage)
        }
        ErrorKind::MissingSubcommand => wrong(format!(
            "`api-keys {}` needs to know what to do",
            name.unwrap_or_default()
        ))
        .hint(usage),
        ErrorKind::ArgumentConflict => {
            let (one, other) = (ours(ContextKind::InvalidArg), ours(ContextKind::PriorArg));
            if one == other || other.is_empty() {
                wrong(format!("`{one}` is given twice")).hint(usage)
            } else {
                wrong(format!("`{one}` and `{other}` cannot go together")).hint(usage)
            }
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::NoEquals => {
            let argument = ours(ContextKind::InvalidArg);
            let typed = ours(ContextKind::InvalidValue);
            let choices = ours(ContextKind::ValidValue);
            let reason = error.source().map(ToString::to_string);
            if !choices.is_empty() {
                wrong(format!("`{argument}` must be one of {choices}")).hint(usage)
            } else if typed.is_empty() {
                wrong(format!("`{argument}` needs a value")).hint(usage)
            } else {
                // A reason that repeats the value is dropped with it, unless it only begins with it.
                let reason = reason.as_deref().unwrap_or_default();
                let rule = reason.strip_prefix(&typed).filter(|rule| !rule.contains(&typed));
                match rule {
                    Some(rule) => wrong(format!("`{argument}`{rule}")).hint(usage),
                    None if reason.is_empty() || reason.contains(&typed) => {
                        wrong(format!("`{argument}` cannot be that")).hint(usage)
                    }
                    None => wrong(format!("`{argument}` cannot be that: {reason}")).hint(usage),
                }
            }
        }
        ErrorKind::InvalidUtf8 => wrong("an argument is not text".to_owned()).hint(usage),
        _ => wrong("the command line was not understood".to_owned()).hint(usage),
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
const SHORTEST_KEY: usize = 16;

/// Whether `text` may be repeated: a short word such as an option or a command, and no key.
fn is_a_word(text: &str) -> bool {
    text.trim_start_matches('-').len() < SHORTEST_KEY
        && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        && !providers::looks_like_key(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> Error {
        let arguments = std::iter::once("api-keys")
            .chain(line.split_whitespace())
            .map(OsString::from)
            .collect();
        match parse(arguments).outcome {
            Err(error) => error,
            Ok(_) => panic!("understood: {line}"),
        }
    }

    #[test]
    fn the_declarations_make_a_sound_command_line() {
        command().debug_assert();
    }

    #[test]
    fn what_was_typed_in_the_wrong_place_is_never_repeated() {
        for line in [
            "hunter2SECRET",
            "serve hunter2SECRET",
            "--hunter2SECRET",
            "serve --hunter2SECRET=hunter2SECRET",
            "serve --json=hunter2SECRET",
            "--color hunter2SECRET",
            "completions hunter2SECRET",
            "completions bash hunter2SECRET",
        ] {
            let error = error(line);
            assert_eq!(error.code(), Code::InvalidArgument, "{line}");
            assert!(!error.to_json().to_string().contains("hunter2"), "{line}: {error}");
            assert!(error.hint_text().is_some(), "{line}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_gets_a_suggestion() {
        assert_eq!(error("serv").to_string(), "there is no command `serv`");
        assert!(error("serv").hint_text().is_some_and(|hint| hint.contains("`serve`")));
    }

    #[test]
    fn a_value_out_of_range_is_told_with_the_range() {
        assert_eq!(
            error("rotate openai --grace-hours 1000").to_string(),
            "`--grace-hours <HOURS>` is not in 0..=720"
        );
        assert!(!error("rotate openai --grace-hours x9x9").to_string().contains("x9"));
    }

    #[test]
    fn the_look_is_known_even_where_the_rest_is_nonsense() {
        let line = ["api-keys", "nonsense", "--json", "--color", "never"].map(OsString::from);
        assert_eq!(
            parse(line.to_vec()).look,
            Look {
                json: true,
                color: ColorChoice::Never
            }
        );
        let line = ["api-keys", "run", "--", "jq", "--json"].map(OsString::from);
        assert!(!parse(line.to_vec()).look.json);
    }
}
