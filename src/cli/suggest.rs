//! The command or option that was probably meant.

use clap::{Arg, Command};

use super::command_line::flag_of;
use crate::domain::nearest;

/// What people call commands that have another name here.
const SYNONYMS: &[(&str, &str)] = &[
    ("delete", "remove"),
    ("rm", "remove"),
    ("del", "remove"),
    ("ls", "list"),
    ("show", "list"),
    ("keys", "list"),
    ("set", "add"),
    ("store", "add"),
    ("new", "add"),
    ("login", "add"),
    ("update", "rotate"),
    ("replace", "rotate"),
    ("check", "validate"),
    ("test", "validate"),
    ("verify", "validate"),
    ("exec", "run"),
    ("restore", "undo"),
    ("log", "audit"),
    ("history", "audit"),
    ("cost", "usage"),
    ("costs", "usage"),
    ("spend", "usage"),
    ("report", "usage"),
    ("price", "prices"),
    ("limit", "budget"),
    ("proxy", "gateway"),
    ("mcp", "serve"),
    ("server", "serve"),
    ("install", "setup"),
    ("init", "setup"),
    ("status", "doctor"),
    ("health", "doctor"),
    ("completion", "completions"),
];

/// The command of `parent` that was meant by `typed`.
pub(super) fn command<'a>(typed: &str, parent: &'a Command) -> Option<&'a str> {
    let names = || parent.get_subcommands().map(Command::get_name);
    let synonym = SYNONYMS.iter().find(|(known, _)| *known == typed);
    let synonym = synonym.and_then(|(_, meant)| names().find(|name| name == meant));
    synonym.or_else(|| nearest(typed, names()))
}

/// The option of the command at the end of `path`, without its hyphens, that was meant by `typed`.
pub(super) fn option(typed: &str, command: &Command, path: &[&Command]) -> Option<String> {
    let typed = typed.trim_start_matches('-');
    let last = path.last().into_iter().flat_map(|last| last.get_arguments());
    let known: Vec<String> = last
        .chain(command.get_arguments())
        .filter(|argument| !argument.is_last_set() && !argument.is_hide_set())
        .flat_map(spellings)
        .collect();
    nearest(typed, known.iter().map(String::as_str)).map(str::to_owned)
}

/// What an argument may be called as a flag.
fn spellings(argument: &Arg) -> Vec<String> {
    let id = argument.get_id().as_str().replace('_', "-");
    let flag = flag_of(argument);
    if flag == id { vec![flag] } else { vec![flag, id] }
}
