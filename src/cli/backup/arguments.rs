//! The command line of `backup`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, ValueHint, builder::PossibleValuesParser, value_parser};

use crate::{
    cli::{console::yes, secret_source::SecretSource},
    services::backup::RestorePart,
    settings::MasterKey,
};

/// The parts that can be restored alone, as they are typed.
pub(super) const PARTS: [(&str, RestorePart); 3] = [
    ("vault", RestorePart::Vault),
    ("ledger", RestorePart::Ledger),
    ("config", RestorePart::Config),
];

pub(super) fn define(command: Command) -> Command {
    command
        .about("Back up keys, ledger and settings into one encrypted file, and restore them")
        .subcommand_required(true)
        .subcommand(create())
        .subcommand(verify())
        .subcommand(list())
        .subcommand(restore())
        .subcommand(prune())
}

fn create() -> Command {
    Command::new("create")
        .about("Make a backup, while other programs go on using the keys")
        .long_about(
            "Make a backup, while other programs go on using the keys\n\n\
             The file holds the vault, the audit trail, the ledger, the gateway's clients, config.toml and prices. It is \
             encrypted with a passphrase of its own, which opens it on any machine: keep that apart from the file.",
        )
        .arg(path(
            "place",
            "DIR|FILE",
            "Where to put it: a folder, or a file whose name ends in .akb (default: this folder)",
        ))
        .arg(passphrase_file())
        .arg(stdin("Read the backup's passphrase from standard input"))
        .arg(flag(
            "recovery-code",
            "Also create a recovery code that opens this backup, and show it once",
        ))
        .arg(flag("verify", "Verify it once it is made"))
}

fn verify() -> Command {
    Command::new("verify")
        .about("Read and decrypt all of a backup, and say what is newer here")
        .arg(path("file", "FILE", "The backup").required(true))
        .args(unlocking())
        .arg(flag("deep", "Also verify the indexes of a large ledger"))
}

fn list() -> Command {
    Command::new("list").about("List the backups in a folder").arg(path(
        "dir",
        "DIR",
        "The folder (default: this folder)",
    ))
}

fn restore() -> Command {
    Command::new("restore")
        .about("Put a backup in place; what is there is kept beside it")
        .long_about(
            "Put a backup in place; what is there is kept beside it\n\n\
             Everything is decrypted and checked before anything is put in place. The vault opens here without the \
             keychain or key file of the machine that it comes from: a keychain entry or key file is made for it, while \
             its passphrases and recovery codes stay. The audit trail goes on, and client keys of the gateway stay valid.",
        )
        .arg(path("file", "FILE", "The backup").required(true))
        .arg(
            path("into", "FOLDER", "Restore everything into this folder, for use as API_KEYS_HOME").long("into"),
        )
        .arg(
            Arg::new("only")
                .long("only")
                .value_name("PART")
                .value_parser(PossibleValuesParser::new(PARTS.map(|(name, _)| name)))
                .help("Restore only this part and leave the others as they are"),
        )
        .arg(flag("replace", "Replace what is there, and keep it beside the restored files"))
        .arg(
            Arg::new("master-key")
                .long("master-key")
                .value_name("KIND")
                .value_parser(PossibleValuesParser::new(MasterKey::NAMED.map(|(name, _)| name)))
                .help("What unlocks the vault from now on (default: its passphrase, else the keychain, else a key file)"),
        )
        .args(unlocking())
        .arg(yes())
}

fn prune() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("N")
            .default_value(default)
            .value_parser(value_parser!(u16).range(0..=10_000))
            .help(help)
    };
    Command::new("prune")
        .about("Delete old backups in a folder")
        .long_about(
            "Delete old backups in a folder\n\n\
             The newest backup of each of the last days and weeks (UTC) that have any is kept, and the newest of all. \
             Files that are not readable backups are left alone.",
        )
        .arg(path("dir", "DIR", "The folder").required(true))
        .arg(number(
            "keep-daily",
            "7",
            "For so many days, keep the newest backup of each",
        ))
        .arg(number(
            "keep-weekly",
            "4",
            "For so many weeks, keep the newest backup of each",
        ))
        .arg(flag("dry-run", "Only show what would be deleted"))
        .arg(yes())
}

fn path(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .value_name(value)
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::AnyPath)
        .help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn passphrase_file() -> Arg {
    Arg::new("passphrase-file")
        .long("passphrase-file")
        .value_name("PATH")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help("Read the backup's passphrase from the first line of a file")
}

fn stdin(help: &'static str) -> Arg {
    SecretSource::stdin_option(help).conflicts_with("passphrase-file")
}

/// What opens a backup.
fn unlocking() -> [Arg; 3] {
    [
        passphrase_file(),
        stdin("Read the backup's passphrase or recovery code from standard input"),
        flag("recovery", "Open it with its recovery code").conflicts_with("passphrase-file"),
    ]
}
