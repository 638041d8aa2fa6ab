//! Spellings that are accepted beside the declared ones.
//!
//! `PROVIDER:LABEL` is a provider and a label; every positional argument is also a flag (`usage --provider openai`);
//! underscores in flags are hyphens, as people know the names from MCP; and flags may be given a truth value
//! (`--success false`, `--compare=true`).

use std::{collections::BTreeSet, ffi::OsString};

use clap::{Arg, ArgAction, Command};

use super::command_line::{flag_of, path_of, takes};

/// The command line and the arguments, every accepted spelling made the declared one.
pub(super) fn understood(command: Command, arguments: Vec<OsString>) -> (Command, Vec<OsString>) {
    let path = path_of(&command, &arguments);
    let Some(leaf) = path.last() else {
        return (command, arguments);
    };
    let mut reading = Reading {
        known: leaf.get_arguments().chain(command.get_arguments()).collect(),
        has_labels: takes(leaf, "provider") && takes(leaf, "label"),
        flags: BTreeSet::new(),
        out: Vec::with_capacity(arguments.len() + 1),
    };
    let commands = path.len();
    reading.read(arguments, commands);
    let Reading { flags, out, .. } = reading;
    let path: Vec<String> = path.iter().map(|command| command.get_name().to_owned()).collect();
    (with_flags(command, &path, &flags), out)
}

/// The command at the end of `path` with the positional arguments `flags` as flags.
fn with_flags(command: Command, path: &[String], flags: &BTreeSet<String>) -> Command {
    match path.split_first() {
        Some((first, rest)) => command.mut_subcommand(first, |command| with_flags(command, rest, flags)),
        None => flags.iter().fold(command, |command, id| {
            command.mut_arg(id, |argument| {
                let flag = flag_of(&argument);
                argument.long(flag)
            })
        }),
    }
}

/// The arguments on their way.
struct Reading<'a> {
    /// What the command takes.
    known: Vec<&'a Arg>,
    /// Whether a provider's name may bring a label.
    has_labels: bool,
    /// The positional arguments that were given as flags, by id.
    flags: BTreeSet<String>,
    out: Vec<OsString>,
}

impl Reading<'_> {
    /// Reads `arguments`, the first of which is the program's own name; the names of `commands` commands are among them.
    fn read(&mut self, arguments: Vec<OsString>, commands: usize) {
        let mut arguments = arguments.into_iter().peekable();
        self.out.extend(arguments.next());
        let mut words = 0;
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                self.out.push(argument);
                break;
            }
            let Some(text) = argument.to_str() else {
                self.out.push(argument);
                continue;
            };
            let Some(option) = text.strip_prefix("--") else {
                let is_flag = text.starts_with('-');
                // The first word after the commands is the first positional argument.
                let is_first = !is_flag && words == commands && !self.flags.contains("provider");
                words += usize::from(!is_flag);
                if is_first && self.has_labels {
                    self.provider(text);
                } else {
                    self.out.push(argument);
                }
                continue;
            };
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name.replace('_', "-"), Some(value.to_owned())),
                None => (option.replace('_', "-"), None),
            };
            let Some(found) = self.known.iter().find(|argument| is_named(argument, &name)).copied() else {
                self.out.push(argument);
                continue;
            };
            match found.get_action() {
                ArgAction::SetTrue | ArgAction::SetFalse => {
                    let next = arguments.next_if(|next| value.is_none() && (*next == "true" || *next == "false"));
                    let value = value.or_else(|| next.and_then(|next| next.into_string().ok()));
                    self.switch(found, &name, value.as_deref());
                }
                _ if found.is_positional() => {
                    self.flags.insert(found.get_id().to_string());
                    let value = value.map(OsString::from).or_else(|| arguments.next());
                    self.out.push(format!("--{name}").into());
                    match value.as_ref().and_then(|value| value.to_str()) {
                        Some(text) if self.has_labels && found.get_id() == "provider" => self.provider(text),
                        _ => self.out.extend(value),
                    }
                }
                _ => {
                    let takes_next =
                        found.get_action().takes_values() && value.is_none() && !found.is_require_equals_set();
                    self.out.push(match value {
                        Some(value) => format!("--{name}={value}").into(),
                        None => format!("--{name}").into(),
                    });
                    if takes_next {
                        self.out.extend(arguments.next());
                    }
                }
            }
        }
        self.out.extend(arguments);
    }

    /// A provider, with its label as a flag.
    fn provider(&mut self, text: &str) {
        match text.split_once(':') {
            Some((provider, label)) => {
                self.out.push(provider.into());
                self.out.push(format!("--label={label}").into());
            }
            None => self.out.push(text.into()),
        }
    }

    /// A flag that was given the truth value `value`, by its own name or by that of what it switches off.
    fn switch(&mut self, found: &Arg, name: &str, value: Option<&str>) {
        let flag = flag_of(found);
        let is_wanted = match (name == flag, value) {
            (_, Some("true") | None) => name == flag,
            (_, Some("false")) => name != flag,
            (_, Some(other)) => {
                // The parser says what is wrong.
                self.out.push(format!("--{name}={other}").into());
                return;
            }
        };
        if is_wanted {
            self.out.push(format!("--{flag}").into());
        }
    }
}

/// Whether `name` is the argument's: its flag, another spelling of it, or its id.
fn is_named(argument: &Arg, name: &str) -> bool {
    flag_of(argument) == name
        || argument
            .get_all_aliases()
            .is_some_and(|aliases| aliases.contains(&name))
        || argument.get_id().as_str().replace('_', "-") == name
}

#[cfg(test)]
mod tests {
    use clap::ArgMatches;

    use super::{super::command_line::command, *};

    fn parsed(line: &str) -> ArgMatches {
        let arguments = std::iter::once("api-keys")
            .chain(line.split_whitespace())
            .map(OsString::from)
            .collect();
        let (command, arguments) = understood(command(), arguments);
        let matches = command.try_get_matches_from(&arguments);
        matches.unwrap_or_else(|error| panic!("{line}: {arguments:?}: {error}"))
    }

    #[test]
    fn every_spelling_means_the_same() {
        for (usual, others) in [
            (
                "usage openai",
                &["usage --provider openai", "usage --provider=openai"][..],
            ),
            ("stats openai", &["stats --provider openai"]),
            ("prices list openai", &["prices list --provider openai"]),
            (
                "add openai --label work",
                &[
                    "add openai:work",
                    "add --provider openai:work",
                    "add --provider=openai --label=work",
                ],
            ),
            (
                "undo openai --label work",
                &["undo openai:work", "undo --provider openai --label work"],
            ),
            (
                "track openai m 1 2 --failed",
                &[
                    "track openai m 1 2 --success false",
                    "track openai m 1 2 --success=false",
                    "track --provider openai --model m --input-tokens 1 --output_tokens 2 --failed",
                    "track openai 1 2 --model m --failed=true",
                ],
            ),
            (
                "track local llama3:8b 1 2",
                &[
                    "track local llama3:8b 1 2 --success true",
                    "track --provider local llama3:8b 1 2",
                ],
            ),
            (
                "list",
                &[
                    "list --include-metadata true",
                    "list --include_metadata=true",
                    "list --no-metadata false",
                ],
            ),
            ("list --no-metadata", &["list --include-metadata false"]),
            (
                "route chat --no-fallback",
                &["route --task-type chat --enable-fallback false"],
            ),
            (
                "estimate openai 1 2 --compare",
                &[
                    "estimate openai 1 2 --compare true",
                    "estimate --batch=false --compare openai 1 2",
                ],
            ),
            ("vault add-slot recovery", &["vault add-slot --kind recovery"]),
            ("completions bash", &["completions --shell bash"]),
        ] {
            let wanted = parsed(usual);
            for other in others {
                let found = parsed(other);
                let same = |wanted: &ArgMatches, found: &ArgMatches| {
                    let raw = |matches: &ArgMatches| {
                        let mut ids: Vec<String> = matches.ids().map(ToString::to_string).collect();
                        ids.sort();
                        // The derived groups, which have a type's name, list their arguments in order.
                        ids.into_iter()
                            .filter(|id| id.starts_with(char::is_lowercase))
                            .filter_map(|id| {
                                let values = matches.get_raw(&id)?.map(OsString::from).collect::<Vec<_>>();
                                Some((id, values))
                            })
                            .collect::<Vec<_>>()
                    };
                    assert_eq!(raw(wanted), raw(found), "{usual} and {other}");
                };
                let (mut wanted, mut found) = (&wanted, &found);
                while let (Some((one, a)), Some((two, b))) = (wanted.subcommand(), found.subcommand()) {
                    assert_eq!(one, two);
                    same(a, b);
                    (wanted, found) = (a, b);
                }
            }
        }
    }

    #[test]
    fn what_follows_two_hyphens_is_left_alone() {
        let line = ["api-keys", "run", "--", "usage", "--input_tokens", "a:b"].map(OsString::from);
        assert_eq!(understood(command(), line.to_vec()).1, line);
    }
}
