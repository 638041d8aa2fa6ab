//! The permanent codes of errors, what they mean, and how a command exits with them.

/// What went wrong, as a permanent name: API, never reused and never renamed.
///
/// Its `definition` says of each how it is spelled, what it means and how a command exits with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    InvalidArgument,
    UnknownProvider,
    UnknownModel,
    NoRoute,
    MalformedKey,
    KeyInWrongPlace,
    KeyInChatRefused,
    KeyRequired,
    InputPending,
    InputDeclined,
    VariableMissing,
    OverBudget,
    PriceUnknown,
    KeyNotFound,
    DestinationNotFound,
    LabelTaken,
    KeyExpired,
    KeyUnchanged,
    KeyRejected,
    OtherAccount,
    NothingToUndo,
    OriginChanged,
    VaultAbsent,
    VaultExists,
    VaultMissing,
    VaultLocked,
    WrongPassphrase,
    VaultDamaged,
    VaultTooNew,
    VaultForeign,
    VaultRolledBack,
    VaultForked,
    VaultFull,
    SlotNotFound,
    LastSlot,
    KeychainUnavailable,
    KeychainEntryMissing,
    KeyFileMissing,
    AuditBroken,
    LedgerDamaged,
    LedgerTooNew,
    BackupDamaged,
    BackupTooNew,
    RestoreRefused,
    ClientsDamaged,
    ClientNotFound,
    ClientExists,
    ClientKeyInvalid,
    ForeignRequest,
    NoSuchRoute,
    MethodNotAllowed,
    UpgradeRefused,
    RequestTooLarge,
    ProviderNotAllowed,
    ProviderUnreachable,
    ProviderTooSlow,
    RateLimited,
    AddressUnavailable,
    UnsafeFile,
    StorageFailed,
    Busy,
    ConfigInvalid,
    PriceOverlayInvalid,
    PriceOverlayDamaged,
    HomeMissing,
    ClientConfigInvalid,
    ServerNameTaken,
    SettingTaken,
    CommandFailed,
    Interrupted,
    Internal,
}

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Locked = 3,
    /// Our own mistake (`EX_SOFTWARE` of sysexits.h).
    Bug = 70,
}

impl Code {
    /// Every code, in the order in which people read about them.
    pub const ALL: &[Self] = &[
        Self::InvalidArgument,
        Self::UnknownProvider,
        Self::UnknownModel,
        Self::NoRoute,
        Self::MalformedKey,
        Self::KeyInWrongPlace,
        Self::KeyInChatRefused,
        Self::KeyRequired,
        Self::InputPending,
        Self::InputDeclined,
        Self::VariableMissing,
        Self::OverBudget,
        Self::PriceUnknown,
        Self::KeyNotFound,
        Self::DestinationNotFound,
        Self::LabelTaken,
        Self::KeyExpired,
        Self::KeyUnchanged,
        Self::KeyRejected,
        Self::OtherAccount,
        Self::NothingToUndo,
        Self::OriginChanged,
        Self::VaultAbsent,
        Self::VaultExists,
        Self::VaultMissing,
        Self::VaultLocked,
        Self::WrongPassphrase,
        Self::VaultDamaged,
        Self::VaultTooNew,
        Self::VaultForeign,
        Self::VaultRolledBack,
        Self::VaultForked,
        Self::VaultFull,
        Self::SlotNotFound,
        Self::LastSlot,
        Self::KeychainUnavailable,
        Self::KeychainEntryMissing,
        Self::KeyFileMissing,
        Self::AuditBroken,
        Self::LedgerDamaged,
        Self::LedgerTooNew,
        Self::BackupDamaged,
        Self::BackupTooNew,
        Self::RestoreRefused,
        Self::ClientsDamaged,
        Self::ClientNotFound,
        Self::ClientExists,
        Self::ClientKeyInvalid,
        Self::ForeignRequest,
        Self::NoSuchRoute,
        Self::MethodNotAllowed,
        Self::UpgradeRefused,
        Self::RequestTooLarge,
        Self::ProviderNotAllowed,
        Self::ProviderUnreachable,
        Self::ProviderTooSlow,
        Self::RateLimited,
        Self::AddressUnavailable,
        Self::UnsafeFile,
        Self::StorageFailed,
        Self::Busy,
        Self::ConfigInvalid,
        Self::PriceOverlayInvalid,
        Self::PriceOverlayDamaged,
        Self::HomeMissing,
        Self::ClientConfigInvalid,
        Self::ServerNameTaken,
        Self::SettingTaken,
        Self::CommandFailed,
        Self::Interrupted,
        Self::Internal,
    ];

    /// The code as results spell it.
    pub fn as_str(self) -> &'static str {
        self.definition().0
    }

    /// What it means, in a lowercase fragment.
    pub fn meaning(self) -> &'static str {
        self.definition().1
    }

    /// How a command that fails with it exits.
    pub fn exit_code(self) -> ExitCode {
        self.definition().2
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each code")]
    fn definition(self) -> (&'static str, &'static str, ExitCode) {
        use ExitCode::{Bug, Failed, Locked, Usage};
        match self {
            Self::InvalidArgument => (
                "invalid_argument",
                "an argument is missing, unknown or out of range",
                Usage,
            ),
            Self::UnknownProvider => (
                "unknown_provider",
                "no provider of that name is built in or configured",
                Usage,
            ),
            Self::UnknownModel => (
                "unknown_model",
                "no model of that name is known, or no price of it",
                Usage,
            ),
            Self::NoRoute => (
                "no_route",
                "no provider can take the request now; the verdict on every candidate is beside the message",
                Failed,
            ),
            Self::MalformedKey => ("malformed_key", "the text cannot be an API key of that provider", Usage),
            Self::KeyInWrongPlace => (
                "key_in_wrong_place",
                "an argument that is not for keys contains something that looks like one",
                Usage,
            ),
            Self::KeyInChatRefused => (
                "key_in_chat_refused",
                "the configuration refuses keys sent through a chat",
                Failed,
            ),
            Self::KeyRequired => (
                "key_required",
                "no key or new passphrase was given, and this caller cannot be prompted for one",
                Failed,
            ),
            Self::InputPending => (
                "input_pending",
                "the page for typing the secret is open and not completed yet",
                Failed,
            ),
            Self::InputDeclined => ("input_declined", "the user declined to enter a secret", Failed),
            Self::VariableMissing => (
                "variable_missing",
                "the named environment variable is not set or not readable",
                Failed,
            ),
            Self::OverBudget => (
                "over_budget",
                "the request could cost more than the budget has left",
                Failed,
            ),
            Self::PriceUnknown => (
                "price_unknown",
                "the budget is enforced, but the cost of the request is unknown",
                Failed,
            ),
            Self::KeyNotFound => ("key_not_found", "no key of that provider and label is stored", Failed),
            Self::DestinationNotFound => (
                "destination_not_found",
                "no destination of alerts has that name, or it has no secret",
                Failed,
            ),
            Self::LabelTaken => ("label_taken", "another key of the provider has that label", Failed),
            Self::KeyExpired => ("key_expired", "the key's expiry date has passed", Failed),
            Self::KeyUnchanged => (
                "key_unchanged",
                "the new key is one that this record already had",
                Failed,
            ),
            Self::KeyRejected => ("key_rejected", "the provider does not accept the new key", Failed),
            Self::OtherAccount => (
                "other_account",
                "the new key belongs to another account than the old one",
                Failed,
            ),
            Self::NothingToUndo => (
                "nothing_to_undo",
                "no removal or rotation in the last 30 days can be undone",
                Failed,
            ),
            Self::OriginChanged => (
                "origin_changed",
                "the provider's address is not the one the key was added for",
                Failed,
            ),
            Self::VaultAbsent => ("vault_absent", "there is no vault yet", Failed),
            Self::VaultExists => ("vault_exists", "the vault already exists", Failed),
            Self::VaultMissing => (
                "vault_missing",
                "vault.json is missing, but other vault files exist",
                Failed,
            ),
            Self::VaultLocked => (
                "vault_locked",
                "the vault needs its passphrase or recovery code",
                Locked,
            ),
            Self::WrongPassphrase => (
                "wrong_passphrase",
                "the passphrase or recovery code does not open the vault or backup",
                Locked,
            ),
            Self::VaultDamaged => (
                "vault_damaged",
                "the vault file is corrupted or was modified; nothing was changed",
                Failed,
            ),
            Self::VaultTooNew => ("vault_too_new", "the vault was written by a newer version", Failed),
            Self::VaultForeign => (
                "vault_foreign",
                "the file is not the vault that this folder's anchor belongs to",
                Failed,
            ),
            Self::VaultRolledBack => (
                "vault_rolled_back",
                "the vault file is older than the last one written here",
                Failed,
            ),
            Self::VaultForked => (
                "vault_forked",
                "the vault file has the expected version but different contents",
                Failed,
            ),
            Self::VaultFull => ("vault_full", "the vault has reached a limit of its format", Failed),
            Self::SlotNotFound => ("slot_not_found", "the vault has no such keyslot", Failed),
            Self::LastSlot => ("last_slot", "the last keyslot cannot be removed", Failed),
            Self::KeychainUnavailable => (
                "keychain_unavailable",
                "the system's keychain did not answer or is locked",
                Failed,
            ),
            Self::KeychainEntryMissing => (
                "keychain_entry_missing",
                "the keychain no longer has the entry that opens this vault",
                Failed,
            ),
            Self::KeyFileMissing => (
                "key_file_missing",
                "the key file that opens this vault is missing or unreadable",
                Failed,
            ),
            Self::AuditBroken => ("audit_broken", "the audit trail is corrupted or was modified", Failed),
            Self::LedgerDamaged => (
                "ledger_damaged",
                "the ledger file is corrupted or was modified; nothing was changed",
                Failed,
            ),
            Self::LedgerTooNew => ("ledger_too_new", "the ledger was written by a newer version", Failed),
            Self::BackupDamaged => (
                "backup_damaged",
                "the file is not a whole backup: it is corrupted, cut short, or was modified",
                Failed,
            ),
            Self::BackupTooNew => ("backup_too_new", "the backup was made by a newer version", Failed),
            Self::RestoreRefused => (
                "restore_refused",
                "restoring would replace files that are there, or a gateway is using them; nothing was changed",
                Failed,
            ),
            Self::ClientsDamaged => (
                "clients_damaged",
                "the list of the gateway's clients is corrupted or was modified",
                Failed,
            ),
            Self::ClientNotFound => ("client_not_found", "the gateway has no client of that name", Failed),
            Self::ClientExists => ("client_exists", "the gateway has a client of that name already", Failed),
            Self::ClientKeyInvalid => (
                "client_key_invalid",
                "the request to the gateway has no client key, or an unknown one",
                Failed,
            ),
            Self::ForeignRequest => (
                "foreign_request",
                "the request to the gateway names another host",
                Failed,
            ),
            Self::NoSuchRoute => ("no_such_route", "the gateway does not serve that path", Failed),
            Self::UpgradeRefused => (
                "upgrade_refused",
                "the gateway speaks HTTP alone, and no WebSocket",
                ExitCode::Failed,
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                "the gateway does not support that HTTP method on the path; see the `allow` header",
                Failed,
            ),
            Self::RequestTooLarge => ("request_too_large", "the request to the gateway is too large", Failed),
            Self::ProviderNotAllowed => (
                "provider_not_allowed",
                "the client may not use that provider, or it is disabled in the configuration",
                Failed,
            ),
            Self::ProviderUnreachable => (
                "provider_unreachable",
                "the provider did not answer, or closed the connection before the response was complete",
                Failed,
            ),
            Self::ProviderTooSlow => ("provider_too_slow", "the provider did not answer in time", Failed),
            Self::RateLimited => (
                "rate_limited",
                "every key of the provider is rate-limited, or the client sent too many requests",
                Failed,
            ),
            Self::AddressUnavailable => (
                "address_unavailable",
                "the gateway cannot listen at that address",
                Failed,
            ),
            Self::UnsafeFile => (
                "unsafe_file",
                "a file or folder is unsafe: a link, a device, owned by another user, or accessible to others",
                Failed,
            ),
            Self::StorageFailed => ("storage_failed", "a file could not be read or written", Failed),
            Self::Busy => ("busy", "another process locked the files for too long", Failed),
            Self::ConfigInvalid => ("config_invalid", "the configuration file is invalid", Failed),
            Self::PriceOverlayInvalid => (
                "price_overlay_invalid",
                "the price file cannot be used; nothing was changed",
                Failed,
            ),
            Self::PriceOverlayDamaged => (
                "price_overlay_damaged",
                "the loaded prices are corrupted or were modified; no prices are shown until that is fixed",
                Failed,
            ),
            Self::HomeMissing => ("home_missing", "no folder for the files could be determined", Failed),
            Self::ClientConfigInvalid => (
                "client_config_invalid",
                "an MCP client's settings cannot be read or safely changed; they were left alone",
                Failed,
            ),
            Self::ServerNameTaken => (
                "server_name_taken",
                "an MCP client has a server of this name with other settings; it was left alone",
                Failed,
            ),
            Self::SettingTaken => (
                "setting_taken",
                "an agent's settings already name an address or key of their own; they were left alone",
                Failed,
            ),
            Self::CommandFailed => (
                "command_failed",
                "the command to run could not be started; `run` exits with 126 or 127 then, as shells do",
                Failed,
            ),
            Self::Interrupted => ("interrupted", "the operation was interrupted from outside", Failed),
            Self::Internal => ("internal", "a mistake in this program", Bug),
        }
    }
}

// `ALL` has each code once: they stand in their order, and `Internal` is the last.
const _: () = {
    let mut at = 0;
    while at < Code::ALL.len() {
        assert!(Code::ALL[at] as usize == at);
        at += 1;
    }
    assert!(at == Code::Internal as usize + 1);
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_code_has_a_name_of_its_own_and_a_meaning() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len(), "no name is used twice");
        for code in Code::ALL {
            let meaning = code.meaning();
            let is_fragment = !meaning.ends_with('.') && meaning.starts_with(|c: char| c.is_lowercase());
            assert!(is_fragment, "{meaning}");
        }
    }
}
