//! The command line of `vault`.

use clap::{Arg, ArgAction, Command, builder::PossibleValuesParser};

use crate::{
    cli::{console::yes, secret_source::SecretSource},
    settings::MasterKey,
    storage::vault::SlotKind,
};

/// The kinds of slots that can be made, as they are typed.
pub(super) const KINDS: [(&str, SlotKind); 4] = [
    ("keychain", SlotKind::Keychain),
    ("key-file", SlotKind::KeyFile),
    ("passphrase", SlotKind::Passphrase),
    ("recovery", SlotKind::Recovery),
];

/// The commands about the vault.
pub(super) fn define(command: Command) -> Command {
    let stdin = || SecretSource::stdin_option("Read passphrases and codes from standard input, one a line");
    let master_key = || {
        Arg::new("master-key")
            .long("master-key")
            .value_name("KIND")
            .value_parser(PossibleValuesParser::new(MasterKey::NAMED.map(|(name, _)| name)))
    };
    command
        .about("Create the vault, inspect it, or manage its keyslots")
        .subcommand_required(true)
        .subcommand(
            Command::new("init")
                .about("Create the vault")
                .arg(master_key().help("What unlocks it (default: as configured, else the keychain, else a key file)"))
                .arg(
                    Arg::new("recovery-code")
                        .long("recovery-code")
                        .action(ArgAction::SetTrue)
                        .help("Also create a recovery code and show it once"),
                )
                .arg(stdin()),
        )
        .subcommand(Command::new("status").about("Show whether the vault opens, and its keyslots"))
        .subcommand(
            Command::new("unlock-check")
                .about("Try to open the vault; exit with 3 if a passphrase is needed")
                .arg(stdin()),
        )
        .subcommand(Command::new("passwd").about("Change the passphrase").arg(stdin()))
        .subcommand(
            Command::new("add-slot")
                .about("Add a keyslot: another way to open the vault")
                .arg(
                    Arg::new("kind")
                        .value_name("KIND")
                        .required(true)
                        .value_parser(PossibleValuesParser::new(KINDS.map(|(name, _)| name)))
                        .help("Kind of keyslot"),
                )
                .arg(stdin()),
        )
        .subcommand(
            Command::new("remove-slot")
                .about("Remove a keyslot")
                .arg(
                    Arg::new("slot")
                        .value_name("SLOT")
                        .required(true)
                        .help("The slot's id, or its kind if there is only one of it"),
                )
                .arg(yes())
                .arg(stdin()),
        )
        .subcommand(
            Command::new("rekey")
                .about("Replace the encryption key and re-encrypt everything")
                .arg(yes())
                .arg(stdin()),
        )
        .subcommand(
            Command::new("recover")
                .about("Open the vault with its recovery code and add a new keyslot")
                .arg(master_key().help("What unlocks it from now on (default: the keychain, else a key file)"))
                .arg(stdin()),
        )
        .subcommand(
            Command::new("accept-rollback")
                .about("Accept a vault file that is older than, or differs from, the last one written")
                .arg(
                    Arg::new("recovery")
                        .long("recovery")
                        .action(ArgAction::SetTrue)
                        .help("Open it with its recovery code"),
                )
                .arg(yes())
                .arg(stdin()),
        )
}
