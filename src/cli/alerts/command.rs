//! The command line of `alerts`.

use std::{process::ExitCode, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Command, builder::PossibleValuesParser, value_parser};

use super::{
    super::{
        command::{CommandDef, Run, Session},
        console::dry_run,
        help::HelpSection,
        secret_source::SecretSource,
    },
    change,
    options::TEXTS,
    show, timer,
};
use crate::{
    alerts::Channel,
    domain::{AlertKind, AlertSeverity},
    error::{Code, Error, Result},
};

pub(in crate::cli) const COMMAND: CommandDef = CommandDef {
    name: "alerts",
    section: HelpSection::Usage,
    define: |command| {
        command
            .about("Send alerts about budgets, keys and providers")
            .subcommand_required(true)
            .subcommand(add())
            .subcommand(
                Command::new("remove")
                    .about("Remove a destination and its secret")
                    .arg(Arg::new("destination").required(true).help("Name of the destination")),
            )
            .subcommand(Command::new("list").about("List destinations, and what is muted"))
            .subcommand(
                Command::new("test")
                    .about("Send a test message, and use a destination again that was given up")
                    .arg(Arg::new("destination").help("Only this destination")),
            )
            .subcommand(
                Command::new("history")
                    .about("Show recent alerts, and where they were sent")
                    .arg(
                        Arg::new("number")
                            .short('n')
                            .long("number")
                            .value_name("N")
                            .value_parser(value_parser!(u32).range(1..=10_000))
                            .default_value("20")
                            .help("How many"),
                    ),
            )
            .subcommand(
                Command::new("mute")
                    .about("Send nothing of one kind for a while")
                    .arg(
                        Arg::new("kind")
                            .required(true)
                            .value_parser(PossibleValuesParser::new(AlertKind::ALL.map(AlertKind::as_str)))
                            .hide_possible_values(true)
                            .help("Kind of alerts, such as budget"),
                    )
                    .arg(
                        Arg::new("for")
                            .long("for")
                            .value_name("TIME")
                            .required_unless_present("off")
                            .conflicts_with("off")
                            .help("For how long, such as 2h or 3d"),
                    )
                    .arg(
                        Arg::new("off")
                            .long("off")
                            .action(ArgAction::SetTrue)
                            .help("Send it again"),
                    ),
            )
            .subcommand(
                Command::new("flush")
                    .about("Check what alerts are about, and send what is due")
                    .arg(
                        Arg::new("wait")
                            .long("wait")
                            .value_name("SECONDS")
                            .value_parser(value_parser!(u64).range(0..=3_600))
                            .default_value("0")
                            .help("Keep sending for so long while something waits"),
                    ),
            )
            .subcommand(
                Command::new("install")
                    .about("Install a systemd user timer that sends alerts every five minutes")
                    .arg(dry_run("Print the unit files without installing them")),
            )
    },
    run: Run::With(run),
};

fn add() -> Command {
    let texts = TEXTS
        .iter()
        .map(|(id, long, value, help)| Arg::new(*id).long(*long).value_name(*value).help(*help));
    Command::new("add")
        .about("Add a destination, or replace its secret; the secret is prompted for and kept in the vault")
        .arg(
            Arg::new("channel")
                .required(true)
                .value_parser(PossibleValuesParser::new(Channel::NAMES))
                .help("How messages are sent"),
        )
        .arg(Arg::new("name").required(true).help("Name of the destination"))
        .args(texts)
        .arg(
            Arg::new("port")
                .long("port")
                .value_name("PORT")
                .value_parser(value_parser!(u16).range(1..))
                .help("E-mail: the SMTP server's port"),
        )
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("ADDRESS")
                .action(ArgAction::Append)
                .help("E-mail: a receiver; repeatable"),
        )
        .arg(
            Arg::new("program")
                .long("program")
                .value_name("PROGRAM")
                .action(ArgAction::Append)
                .help("Command: the program, then each of its arguments; repeatable"),
        )
        .arg(
            Arg::new("min_severity")
                .long("min-severity")
                .value_name("SEVERITY")
                .value_parser(PossibleValuesParser::new(AlertSeverity::ALL.map(AlertSeverity::as_str)))
                .help("Only alerts that are at least so urgent"),
        )
        .arg(
            Arg::new("kinds")
                .long("kind")
                .value_name("KIND")
                .action(ArgAction::Append)
                .value_parser(PossibleValuesParser::new(AlertKind::ALL.map(AlertKind::as_str)))
                .hide_possible_values(true)
                .help("Only alerts of this kind, such as budget; repeatable"),
        )
        .arg(
            Arg::new("digest")
                .long("digest")
                .value_name("WHEN")
                .value_parser(["daily", "weekly"])
                .help("Also send a digest of the figures"),
        )
        .arg(
            Arg::new("allow_private")
                .long("allow-private")
                .action(ArgAction::SetTrue)
                .help("Send to a link-local address, too"),
        )
        .arg(SecretSource::stdin_option(
            "Read the secret from the first line of standard input",
        ))
}

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("add", matches)) => change::add(session, matches),
        Some(("remove", matches)) => change::remove(session, matches),
        Some(("mute", matches)) => change::mute(session, matches),
        Some(("list", _)) => show::list(session),
        Some(("test", matches)) => show::test(session, matches),
        Some(("history", matches)) => show::history(session, matches),
        Some(("flush", matches)) => {
            let seconds = matches.get_one::<u64>("wait").copied().unwrap_or_default();
            show::flush(session, Duration::from_secs(seconds))
        }
        Some(("install", matches)) => timer::install(session, matches),
        _ => Err(Error::new(Code::Internal, "`alerts` was parsed without a command")),
    }
}
