//! The help of the whole program: commands by what they are for, and examples.

use std::fmt::Write;

use clap::{Command, builder::StyledStr};

use crate::tools::{Area, TOOLS};

/// What a command is for, as a heading of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HelpSection {
    Keys,
    Usage,
    Routing,
    Gateway,
    Setup,
}

impl HelpSection {
    const ALL: [Self; 5] = [Self::Keys, Self::Usage, Self::Routing, Self::Gateway, Self::Setup];

    fn title(self) -> &'static str {
        match self {
            Self::Keys => "Keys",
            Self::Usage => "Usage",
            Self::Routing => "Routing",
            Self::Gateway => "Gateway",
            Self::Setup => "Setup",
        }
    }
}

impl From<Area> for HelpSection {
    fn from(area: Area) -> Self {
        match area {
            Area::Keys => Self::Keys,
            Area::Usage => Self::Usage,
            Area::Routing => Self::Routing,
        }
    }
}

const SHORT: &str = "Run `api-keys COMMAND --help` for examples and details.";

const LONG: &str = "\
Without a command, api-keys prints the status on a terminal and serves MCP otherwise.

Keys are never arguments: type them at the hidden prompt, or use --stdin, --env-var, --from-file or --from-env-file.
Every argument is also a flag: `usage --provider openai` and `usage openai` are the same.

Exit codes: 0 done, 1 failed, 2 usage error, 3 locked (a passphrase is needed), 70 internal error.";

/// Examples of commands, shown by `--help`; a test parses each of them.
pub(super) const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "add",
        &[
            "api-keys add anthropic",
            "api-keys add openai:work --description 'CI runs' --expiration-date 2027-06-30",
            "pass show openai | api-keys add openai --stdin",
            "api-keys add google --env-var GEMINI_API_KEY",
        ],
    ),
    (
        "remove",
        &["api-keys remove openai:work", "api-keys remove openai --yes"],
    ),
    (
        "rotate",
        &["api-keys rotate openai", "api-keys rotate openai:work --revoke-now"],
    ),
    (
        "list",
        &[
            "api-keys list",
            "api-keys list --provider openai",
            "api-keys list --json",
        ],
    ),
    (
        "validate",
        &["api-keys validate openai:work", "api-keys validate --all"],
    ),
    ("undo", &["api-keys undo", "api-keys undo openai:work"]),
    (
        "run",
        &[
            "api-keys run -- python app.py",
            "api-keys run -p openai:work -- npm test",
            "api-keys run --gateway -- claude",
            "api-keys run --dry-run",
        ],
    ),
    (
        "scan",
        &[
            "api-keys scan",
            "api-keys scan ~/project .env",
            "api-keys scan --staged",
        ],
    ),
    (
        "audit",
        &[
            "api-keys audit",
            "api-keys audit --all -n 200",
            "api-keys audit --verify",
        ],
    ),
    (
        "usage",
        &[
            "api-keys usage",
            "api-keys usage openai --days 7 --group-by model",
            "api-keys usage --days 90 --export csv > usage.csv",
        ],
    ),
    (
        "estimate",
        &[
            "api-keys estimate anthropic 12000 800",
            "api-keys estimate openai 12000 800 --model gpt-5 --compare",
            "api-keys estimate openai 500 --text 'Summarize this page'",
        ],
    ),
    (
        "budget",
        &["api-keys budget", "api-keys budget --check && make evaluation"],
    ),
    (
        "track",
        &[
            "api-keys track openai gpt-5 12000 800",
            "api-keys track openai gpt-5 12000 0 --failed --status-code 429",
        ],
    ),
    (
        "alerts",
        &[
            "api-keys alerts add slack ops",
            "api-keys alerts add email me --host smtp.example.org --user me --from keys@example.org --to me@example.org",
            "api-keys alerts add command pager --program /usr/local/bin/page --min-severity critical",
            "api-keys alerts test ops",
            "api-keys alerts mute budget --for 2h",
        ],
    ),
    (
        "prices",
        &[
            "api-keys prices show gpt-5",
            "api-keys prices list anthropic",
            "api-keys prices update --from data.json",
        ],
    ),
    (
        "dashboard",
        &[
            "api-keys dashboard",
            "api-keys dashboard --no-open --port 8790",
            "api-keys dashboard --html report.html --days 90",
        ],
    ),
    ("prune", &["api-keys prune --older-than 365"]),
    (
        "route",
        &[
            "api-keys route chat",
            "api-keys route code_review --objective cost --needs tools,vision",
            "api-keys route analysis --preferred-provider google --no-fallback",
        ],
    ),
    ("stats", &["api-keys stats", "api-keys stats openai"]),
    (
        "gateway",
        &[
            "api-keys gateway",
            "api-keys gateway --listen 127.0.0.1:9000",
            "api-keys gateway install",
        ],
    ),
    (
        "client",
        &[
            "api-keys client add editor --daily-limit 5 --provider anthropic",
            "api-keys client list",
            "api-keys client remove editor",
        ],
    ),
    ("env", &["eval \"$(api-keys env --client editor --new)\""]),
    (
        "setup",
        &[
            "api-keys setup",
            "api-keys setup --dry-run",
            "api-keys setup --client cursor --yes",
        ],
    ),
    ("doctor", &["api-keys doctor", "api-keys doctor --offline"]),
    (
        "vault",
        &[
            "api-keys vault init --master-key passphrase",
            "api-keys vault status",
            "api-keys vault add-slot recovery",
        ],
    ),
    (
        "backup",
        &[
            "api-keys backup create --verify /mnt/backups",
            "api-keys backup verify /mnt/backups/api-keys-2026-11-29T031000Z.akb",
            "api-keys backup restore api-keys-2026-11-29T031000Z.akb",
            "api-keys backup prune /mnt/backups --keep-daily 7 --keep-weekly 4",
        ],
    ),
    (
        "completions",
        &["api-keys completions bash > ~/.local/share/bash-completion/completions/api-keys"],
    ),
];

/// `command` with examples in its long help.
pub(super) fn with_examples(command: Command) -> Command {
    let known = EXAMPLES.iter().find(|(name, _)| *name == command.get_name());
    match known {
        Some((_, examples)) => {
            let help = examples_help(&command, examples);
            command.after_long_help(help)
        }
        None => command,
    }
}

/// The command line with its commands in sections.
pub(super) fn with_sections(command: Command, section_of: impl Fn(&str) -> Option<HelpSection>) -> Command {
    let (sections, options) = (sections(&command, section_of), heading(&command, "Options"));
    command
        .help_template(StyledStr::from(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{sections}{options}:\n{{options}}{{after-help}}"
        )))
        .after_help(SHORT)
        .after_long_help(format!("{LONG}\n\n{SHORT}"))
}

/// The commands below the headings of their sections.
fn sections(command: &Command, section_of: impl Fn(&str) -> Option<HelpSection>) -> String {
    let widest = command
        .get_subcommands()
        .map(|known| known.get_name().len())
        .max()
        .unwrap_or(0);
    let literal = command.get_styles().get_literal();
    let mut text = String::new();
    for section in HelpSection::ALL {
        let _ = writeln!(text, "{}:", heading(command, section.title()));
        let known = command
            .get_subcommands()
            .filter(|known| section_of(known.get_name()) == Some(section));
        for known in known {
            let about = known.get_about().map(ToString::to_string).unwrap_or_default();
            let about = shortened(&about, COLUMNS - widest - 4);
            let _ = writeln!(text, "  {literal}{:<widest$}{literal:#}  {about}", known.get_name());
        }
        text.push('\n');
    }
    text
}

/// How wide the list of commands is at most.
const COLUMNS: usize = 80;

/// A sentence up to the last of its parts that fits into `room`.
fn shortened(about: &str, room: usize) -> &str {
    let about = about.split([';', ':']).next().unwrap_or(about);
    let parts = about.match_indices(',').map(|(at, _)| at);
    let ends = parts.chain([about.len()]).filter(|end| *end <= room);
    ends.max().and_then(|end| about.get(..end)).unwrap_or(about)
}

fn heading(command: &Command, text: &str) -> String {
    let style = command.get_styles().get_header();
    format!("{style}{text}{style:#}")
}

fn examples_help(command: &Command, examples: &[&str]) -> StyledStr {
    let mut text = format!("{}:", heading(command, "Examples"));
    for example in examples {
        let _ = write!(text, "\n  {example}");
    }
    StyledStr::from(text)
}

/// The section of the command `name` that is a tool.
pub(super) fn section_of_tool(name: &str) -> Option<HelpSection> {
    let tool = TOOLS.iter().find(|tool| tool.command == name)?;
    Some(tool.area.into())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{
        super::{command_line::command, forgiving},
        *,
    };

    /// The words of the command in an example, without what its shell does with it.
    fn words(example: &str) -> Vec<OsString> {
        let (_, line) = example.split_once("api-keys").expect("a command of ours");
        let line = line.split([')', '>']).next().unwrap_or_default();
        let line = line.split(" && ").next().unwrap_or_default();
        let mut words = vec![OsString::from("api-keys")];
        for (at, part) in line.split('\'').enumerate() {
            if at % 2 == 1 {
                words.push(part.into());
            } else {
                words.extend(part.split_whitespace().map(OsString::from));
            }
        }
        words
    }

    #[test]
    fn every_example_is_a_command_line_that_is_understood() {
        for (name, examples) in EXAMPLES {
            for example in *examples {
                let words = words(example);
                assert_eq!(words.get(1).and_then(|word| word.to_str()), Some(*name), "{example}");
                let (command, words) = forgiving::understood(command(), words);
                if let Err(error) = command.try_get_matches_from(words) {
                    panic!("{example}: {error}");
                }
            }
        }
    }

    #[test]
    fn every_command_is_in_a_section_and_on_one_line() {
        let help = anstream::adapter::strip_str(&command().render_help().ansi().to_string()).to_string();
        for section in HelpSection::ALL {
            assert!(help.contains(&format!("\n{}:\n", section.title())), "{help}");
        }
        for known in command().get_subcommands() {
            let line = help
                .lines()
                .filter(|line| line.trim_start().split(' ').next() == Some(known.get_name()));
            assert_eq!(line.count(), 1, "{} in {help}", known.get_name());
        }
        assert!(help.lines().all(|line| line.chars().count() <= COLUMNS), "{help}");
    }
}
