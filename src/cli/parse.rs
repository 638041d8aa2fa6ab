//! Arguments parsed without ever quoting what was typed.
//!
//! The parser's own messages quote arguments, and an argument may be a key in the wrong place. So its errors are
//! [explained](super::explain) in our words, from the names that are ours.

use std::ffi::OsString;

use clap::{ArgMatches, Command, error::ErrorKind};

use super::{
    command_line::{command, subcommand_of},
    explain::{KEYS_ARE_NEVER_ARGUMENTS, explain},
    forgiving,
    look::{Look, ours},
};
use crate::{
    error::{Code, Error, Result},
    providers,
    tools::TOOLS,
};

/// What came of the arguments.
pub(super) struct Parsed {
    /// Known even where the rest is nonsense, so that errors have the right form.
    pub(super) look: Look,
    pub(super) outcome: Result<Outcome>,
}

pub(super) enum Outcome {
    Command(ArgMatches),
    /// Help or the version, with colours as escape codes.
    Help(String),
}

/// Reads `arguments`, the program's own name first.
pub(super) fn parse(arguments: Vec<OsString>) -> Parsed {
    let look = Look::of(&arguments);
    Parsed {
        look,
        outcome: read(arguments, look),
    }
}

fn read(arguments: Vec<OsString>, look: Look) -> Result<Outcome> {
    let command = command();
    refuse_keys(&command, &arguments)?;
    let (command, arguments) = forgiving::understood(command, arguments);
    match command.color(look.color).try_get_matches_from(&arguments) {
        Ok(matches) => Ok(Outcome::Command(matches)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(Outcome::Help(error.render().ansi().to_string())),
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
                "rotate that key: your shell history now contains it; {KEYS_ARE_NEVER_ARGUMENTS}"
            )));
        }
        before = text.into_owned();
    }
    Ok(())
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
    fn a_slip_of_the_finger_gets_the_one_right_suggestion() {
        assert_eq!(error("serv").to_string(), "unknown command `serv`");
        for (line, meant) in [
            ("serv", "serve"),
            ("rmove", "remove"),
            ("delete openai", "remove"),
            ("ls", "list"),
            ("budgets", "budget"),
            ("prices lst", "list"),
            ("add openai --expires 2027-01-01", "--expiration-date"),
            ("add openai --descripton x", "--description"),
            ("usage --provder openai", "--provider"),
            ("usage --group model", "--group-by"),
            ("list --jsn", "--json"),
            ("track openai m 1 1 --sucess false", "--success"),
        ] {
            let hint = error(line).hint_text().unwrap_or_default().to_owned();
            assert!(hint.starts_with(&format!("did you mean `{meant}`?")), "{line}: {hint}");
        }
        let far = error("list --wholly-else").hint_text().unwrap_or_default().to_owned();
        assert!(!far.contains("did you mean"), "{far}");
    }

    #[test]
    fn what_is_missing_or_too_much_is_said_in_plain_words() {
        for (line, said) in [
            ("add", "missing argument: <PROVIDER[:LABEL]>"),
            ("track openai m", "missing arguments: <INPUT_TOKENS>, <OUTPUT_TOKENS>"),
            ("list openai more", "unexpected argument"),
            ("prune --older-than x", "`--older-than <DAYS>` must be a whole number"),
            ("vault", "`api-keys vault` needs a command"),
        ] {
            assert_eq!(error(line).to_string(), said, "{line}");
        }
    }

    #[test]
    fn a_value_out_of_range_is_told_with_the_range() {
        assert_eq!(
            error("rotate openai --grace-hours 1000").to_string(),
            "`--grace-hours <HOURS>` is not in 0..=720"
        );
        assert!(!error("rotate openai --grace-hours x9x9").to_string().contains("x9"));
    }
}
