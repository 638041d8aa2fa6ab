//! The command line as data, made from the declarations.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, ColorChoice, Command, value_parser};

use super::{
    alerts, audit, backup, client, command::CommandDef, completions, console, dashboard, discover, doctor, env,
    gateway, help, import, key_export, look::ours, prices, prune, run, scan, secret_source::SecretSource, serve, setup,
    statusline, tool, undo, vault,
};
use crate::tools::{TOOLS, ToolDef};

/// Every command that is not a tool.
pub(super) const COMMANDS: &[CommandDef] = &[
    undo::COMMAND,
    run::COMMAND,
    audit::COMMAND,
    scan::COMMAND,
    prices::COMMAND,
    import::COMMAND,
    key_export::COMMAND,
    prune::COMMAND,
    statusline::COMMAND,
    dashboard::COMMAND,
    gateway::COMMAND,
    client::COMMAND,
    alerts::COMMAND,
    env::COMMAND,
    setup::COMMAND,
    doctor::COMMAND,
    discover::COMMAND,
    vault::COMMAND,
    backup::COMMAND,
    serve::COMMAND,
    completions::COMMAND,
];

/// Where options stand that every command has.
const LAST: usize = 900;

/// The whole command line.
pub fn command() -> Command {
    let mut command = Command::new("api-keys")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keep API keys of LLM providers encrypted, and use them without showing them")
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
                .hide_possible_values(true)
                .global(true)
                .display_order(LAST)
                .help("When to use colors: auto, always, never"),
        );
    for tool in TOOLS {
        command = match tool.command.split_once(" --") {
            None => command.subcommand(help::with_examples(with_tool(Command::new(tool.command), tool))),
            Some((name, flag)) => command.mut_subcommand(name, |subcommand| with_variant(subcommand, flag, tool)),
        };
    }
    for own in COMMANDS {
        command = command.subcommand(help::with_examples((own.define)(Command::new(own.name))));
    }
    help::with_sections(command, |name| {
        let own = COMMANDS.iter().find(|own| own.name == name).map(|own| own.section);
        own.or_else(|| help::section_of_tool(name))
    })
}

/// The subcommand that is `tool`.
fn with_tool(subcommand: Command, tool: &ToolDef) -> Command {
    let mut subcommand = (tool.augment)(subcommand);
    // What follows the first sentence of a description is for models.
    let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
    let first = about.split(". ").next().unwrap_or_default().to_owned();
    subcommand = subcommand.about(first).long_about(None::<&str>);
    if tool::is_confirmed(tool) {
        subcommand = subcommand.arg(console::yes());
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

/// Whether `subcommand` has the argument `id`.
pub(super) fn takes(subcommand: &Command, id: &str) -> bool {
    subcommand.get_arguments().any(|argument| argument.get_id() == id)
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

/// The subcommand that `arguments` name.
pub(super) fn subcommand_of<'a>(command: &'a Command, arguments: &[OsString]) -> Option<&'a Command> {
    path_of(command, arguments).first().copied()
}

/// The subcommand that `arguments` name, and its own, down to the last.
pub(super) fn path_of<'a>(command: &'a Command, arguments: &[OsString]) -> Vec<&'a Command> {
    let mut path: Vec<&Command> = Vec::new();
    for argument in ours(arguments) {
        let known = path.last().copied().unwrap_or(command);
        path.extend(known.find_subcommand(argument));
    }
    path
}

/// The name of an argument as a flag, such as `input-tokens`.
pub(super) fn flag_of(argument: &Arg) -> String {
    argument
        .get_long()
        .map_or_else(|| argument.get_id().as_str().replace('_', "-"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declarations_make_a_sound_command_line() {
        command().debug_assert();
    }
}
