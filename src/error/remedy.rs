//! Codes explained, for the documentation.

use super::{Code, ExitCode};

impl ExitCode {
    /// Every exit code, in order.
    pub const ALL: [Self; 5] = [Self::Done, Self::Failed, Self::Usage, Self::Locked, Self::Bug];

    /// What a script may conclude from it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => {
                "failed; also a key that its provider rejects (`validate`), an exceeded limit (`budget --check`), a problem found (`doctor`), or a broken chain (`audit --verify`)"
            }
            Self::Usage => "usage error",
            Self::Locked => "locked: the vault needs its passphrase",
            Self::Bug => "a bug in api-keys",
        }
    }
}

impl Code {
    /// What to do about this error in general; the error's own hint is more specific.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::InvalidArgument => "read the message and `api-keys COMMAND --help`",
            Self::UnknownProvider => {
                "check the spelling against the list of providers, or configure your own endpoint under `[providers]`"
            }
            Self::UnknownModel => {
                "`api-keys prices list` shows the known models; write others as `provider/model`, and give them a price under `[[prices]]`"
            }
            Self::NoRoute => "read the verdicts; `api-keys recommend` says what would help",
            Self::MalformedKey => "copy the whole key, and nothing else, from the provider's console",
            Self::KeyInWrongPlace => "rotate that key, then enter the new one at the prompt or on the page",
            Self::KeyInChatRefused => {
                "let the assistant open the page, or run `api-keys add PROVIDER`; the key in the chat should be rotated"
            }
            Self::KeyRequired => "run the command on a terminal, or use `--stdin`, `--env-var` or `--from-file`",
            Self::InputPending => "finish the page, then repeat the call",
            Self::InputDeclined => "repeat the call if it was declined by accident",
            Self::VariableMissing => "set the variable for the process that reads it",
            Self::OverBudget => {
                "wait for the budget to reset, raise the limit under `[budget]` or of the client, or lower the request's output limit"
            }
            Self::PriceUnknown => "give the model a price under `[[prices]]`, or set `budget.unpriced_cap`",
            Self::DestinationNotFound => "`api-keys alerts list` shows the destinations",
            Self::KeyNotFound => "`api-keys list` shows the stored keys",
            Self::LabelTaken => "choose another label",
            Self::KeyExpired => "`api-keys rotate PROVIDER` with a new key",
            Self::KeyUnchanged => "create a new key in the provider's console first",
            Self::KeyRejected => "check that the new key was copied whole and is active",
            Self::OtherAccount => "use a key of the same account, or add this one under another label",
            Self::NothingToUndo => "`api-keys audit` shows what was done",
            Self::OriginChanged => "set `base_url` back, or add the key again for the new address",
            Self::VaultAbsent => "`api-keys setup`, or `api-keys vault init`",
            Self::VaultExists => "use it; `api-keys vault status` shows what opens it",
            Self::VaultMissing => "restore `vault.json` from a backup",
            Self::VaultLocked => "run the command on a terminal, or set `API_KEYS_PASSPHRASE`",
            Self::WrongPassphrase => "try again; if it is forgotten, `api-keys vault recover`",
            Self::VaultDamaged => "keep the file and restore a backup",
            Self::VaultTooNew | Self::LedgerTooNew | Self::BackupTooNew => "update api-keys",
            Self::VaultForeign | Self::VaultRolledBack | Self::VaultForked => {
                "restore the newest file, or accept this one with `api-keys vault accept-rollback`"
            }
            Self::VaultFull => "remove keys or keyslots that are no longer used",
            Self::SlotNotFound => "`api-keys vault status` lists the keyslots",
            Self::LastSlot => "add another one first: `api-keys vault add-slot`",
            Self::KeychainUnavailable => "unlock the keychain, or start the session's keychain service",
            Self::KeychainEntryMissing => "restore the entry, or `api-keys vault recover` with the recovery code",
            Self::KeyFileMissing => "restore the key file, or `api-keys vault recover` with the recovery code",
            Self::AuditBroken => "`api-keys audit --verify` shows where; restore the files from a backup",
            Self::LedgerDamaged => "keep the file and restore a backup; `api-keys doctor` says more",
            Self::BackupDamaged => "use another backup; `api-keys backup list DIR` shows them",
            Self::RestoreRefused => "stop the gateway, and use `--replace` or `--into FOLDER`",
            Self::ClientsDamaged => "restore `clients.json` from a backup, or move it away and add the clients again",
            Self::ClientNotFound => "`api-keys client list` shows the clients",
            Self::ClientExists => "choose another name, or remove the client first",
            Self::ClientKeyInvalid => "send a client key; `api-keys client add NAME` makes one",
            Self::ForeignRequest => "use the address that the gateway prints",
            Self::NoSuchRoute => "check the base URL; `/p/PROVIDER/…` reaches everything else",
            Self::MethodNotAllowed => "use a method from the `allow` header",
            Self::UpgradeRefused => "send the request over HTTP; agents do so by themselves",
            Self::RequestTooLarge => "send less than 32 MiB",
            Self::ProviderNotAllowed => "add the client again with that `--provider`, or enable the provider",
            Self::ProviderUnreachable => "check the network, the proxy and `base_url`, and try again",
            Self::ProviderTooSlow => "try again, or raise `gateway --first-byte-timeout`",
            Self::RateLimited => "wait for `Retry-After`; more keys or accounts help",
            Self::AddressUnavailable => "another program uses the port; choose one with `--listen`",
            Self::UnsafeFile => "`api-keys doctor` names the file and the command that fixes its mode",
            Self::StorageFailed => "check free disk space and permissions",
            Self::Busy => "try again; if it stays, look for a stopped `api-keys` process",
            Self::ConfigInvalid => "fix the line that the message names",
            Self::PriceOverlayInvalid => "download the file again, whole",
            Self::PriceOverlayDamaged => "`api-keys prices reset`, then import the file again",
            Self::HomeMissing => "set `HOME` or `API_KEYS_HOME`",
            Self::ClientConfigInvalid => "fix the client's settings file, then repeat `api-keys setup`",
            Self::SettingTaken => "remove it there, then repeat `api-keys setup --gateway`",
            Self::ServerNameTaken => "remove or rename that entry, then repeat `api-keys setup`",
            Self::CommandFailed => "check the command's name and that it is executable",
            Self::Interrupted => "run it again",
            Self::Internal => "please report it",
        }
    }
}
