//! The one error that crosses borders: a permanent code, a message, and a way out.

mod catalog;
mod ledger;
mod providers;
mod remedy;
mod settings;

use std::fmt;

use serde_json::{Value, json};

mod storage;
mod vault;

/// The result of everything above storage.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure as users meet it: over MCP, on the terminal, in JSON.
pub struct Error {
    code: Code,
    message: String,
    hint: Option<String>,
    /// What else programs can make use of.
    detail: Option<Box<(&'static str, Value)>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What went wrong, as a permanent name: API, never reused and never renamed.
///
/// [`CODES`] says for each how it is spelled, what it means and how a command exits with it.
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

/// Every code in the order of [`Code`]: its name, its meaning, and how a command exits with it.
pub const CODES: &[(Code, &str, &str, ExitCode)] = &[
    (
        Code::InvalidArgument,
        "invalid_argument",
        "an argument is missing, unknown or out of range",
        ExitCode::Usage,
    ),
    (
        Code::UnknownProvider,
        "unknown_provider",
        "no provider of that name is built in or configured",
        ExitCode::Usage,
    ),
    (
        Code::UnknownModel,
        "unknown_model",
        "no model of that name is known, or no price of it",
        ExitCode::Usage,
    ),
    (
        Code::NoRoute,
        "no_route",
        "no provider can take the request now; the verdict on every candidate is beside the message",
        ExitCode::Failed,
    ),
    (
        Code::MalformedKey,
        "malformed_key",
        "the text cannot be an API key of that provider",
        ExitCode::Usage,
    ),
    (
        Code::KeyInWrongPlace,
        "key_in_wrong_place",
        "an argument that is not for keys contains something that looks like one",
        ExitCode::Usage,
    ),
    (
        Code::KeyInChatRefused,
        "key_in_chat_refused",
        "the configuration refuses keys sent through a chat",
        ExitCode::Failed,
    ),
    (
        Code::KeyRequired,
        "key_required",
        "no key or new passphrase was given, and this caller cannot be asked for one",
        ExitCode::Failed,
    ),
    (
        Code::InputPending,
        "input_pending",
        "the page for typing the secret is open and not completed yet",
        ExitCode::Failed,
    ),
    (
        Code::InputDeclined,
        "input_declined",
        "the user declined to enter a secret",
        ExitCode::Failed,
    ),
    (
        Code::VariableMissing,
        "variable_missing",
        "the named environment variable is not set or not readable",
        ExitCode::Failed,
    ),
    (
        Code::OverBudget,
        "over_budget",
        "the request could cost more than the budget has left",
        ExitCode::Failed,
    ),
    (
        Code::PriceUnknown,
        "price_unknown",
        "the budget is enforced, but the cost of the request is unknown",
        ExitCode::Failed,
    ),
    (
        Code::KeyNotFound,
        "key_not_found",
        "no key of that provider and label is stored",
        ExitCode::Failed,
    ),
    (
        Code::LabelTaken,
        "label_taken",
        "another key of the provider has that label",
        ExitCode::Failed,
    ),
    (
        Code::KeyExpired,
        "key_expired",
        "the key's expiry date has passed",
        ExitCode::Failed,
    ),
    (
        Code::KeyUnchanged,
        "key_unchanged",
        "the new key is one that this record already had",
        ExitCode::Failed,
    ),
    (
        Code::KeyRejected,
        "key_rejected",
        "the provider does not accept the new key",
        ExitCode::Failed,
    ),
    (
        Code::OtherAccount,
        "other_account",
        "the new key belongs to another account than the old one",
        ExitCode::Failed,
    ),
    (
        Code::NothingToUndo,
        "nothing_to_undo",
        "no removal or rotation in the last 30 days can be undone",
        ExitCode::Failed,
    ),
    (
        Code::OriginChanged,
        "origin_changed",
        "the provider's address is not the one the key was added for",
        ExitCode::Failed,
    ),
    (
        Code::VaultAbsent,
        "vault_absent",
        "there is no vault yet",
        ExitCode::Failed,
    ),
    (
        Code::VaultExists,
        "vault_exists",
        "the vault already exists",
        ExitCode::Failed,
    ),
    (
        Code::VaultMissing,
        "vault_missing",
        "vault.json is missing, but other vault files exist",
        ExitCode::Failed,
    ),
    (
        Code::VaultLocked,
        "vault_locked",
        "the vault needs its passphrase or recovery code",
        ExitCode::Locked,
    ),
    (
        Code::WrongPassphrase,
        "wrong_passphrase",
        "the passphrase or recovery code does not open the vault",
        ExitCode::Locked,
    ),
    (
        Code::VaultDamaged,
        "vault_damaged",
        "the vault file is corrupted or was modified; nothing was changed",
        ExitCode::Failed,
    ),
    (
        Code::VaultTooNew,
        "vault_too_new",
        "the vault was written by a newer version",
        ExitCode::Failed,
    ),
    (
        Code::VaultForeign,
        "vault_foreign",
        "the file is not the vault that this folder's anchor belongs to",
        ExitCode::Failed,
    ),
    (
        Code::VaultRolledBack,
        "vault_rolled_back",
        "the vault file is older than the last one written here",
        ExitCode::Failed,
    ),
    (
        Code::VaultForked,
        "vault_forked",
        "the vault file has the expected version but different contents",
        ExitCode::Failed,
    ),
    (
        Code::VaultFull,
        "vault_full",
        "the vault has reached a limit of its format",
        ExitCode::Failed,
    ),
    (
        Code::SlotNotFound,
        "slot_not_found",
        "the vault has no such keyslot",
        ExitCode::Failed,
    ),
    (
        Code::LastSlot,
        "last_slot",
        "the last keyslot cannot be removed",
        ExitCode::Failed,
    ),
    (
        Code::KeychainUnavailable,
        "keychain_unavailable",
        "the system's keychain did not answer or is locked",
        ExitCode::Failed,
    ),
    (
        Code::KeychainEntryMissing,
        "keychain_entry_missing",
        "the keychain no longer has the entry that opens this vault",
        ExitCode::Failed,
    ),
    (
        Code::KeyFileMissing,
        "key_file_missing",
        "the key file that opens this vault is missing or unreadable",
        ExitCode::Failed,
    ),
    (
        Code::AuditBroken,
        "audit_broken",
        "the audit trail is corrupted or was modified",
        ExitCode::Failed,
    ),
    (
        Code::LedgerDamaged,
        "ledger_damaged",
        "the ledger file is corrupted or was modified; nothing was changed",
        ExitCode::Failed,
    ),
    (
        Code::LedgerTooNew,
        "ledger_too_new",
        "the ledger was written by a newer version",
        ExitCode::Failed,
    ),
    (
        Code::ClientsDamaged,
        "clients_damaged",
        "the list of the gateway's clients is corrupted or was modified",
        ExitCode::Failed,
    ),
    (
        Code::ClientNotFound,
        "client_not_found",
        "the gateway has no client of that name",
        ExitCode::Failed,
    ),
    (
        Code::ClientExists,
        "client_exists",
        "the gateway has a client of that name already",
        ExitCode::Failed,
    ),
    (
        Code::ClientKeyInvalid,
        "client_key_invalid",
        "the request to the gateway has no client key, or an unknown one",
        ExitCode::Failed,
    ),
    (
        Code::ForeignRequest,
        "foreign_request",
        "the request to the gateway names another host",
        ExitCode::Failed,
    ),
    (
        Code::NoSuchRoute,
        "no_such_route",
        "the gateway does not serve that path",
        ExitCode::Failed,
    ),
    (
        Code::MethodNotAllowed,
        "method_not_allowed",
        "the gateway does not support that HTTP method on the path; see the `allow` header",
        ExitCode::Failed,
    ),
    (
        Code::UpgradeRefused,
        "upgrade_refused",
        "the gateway speaks HTTP alone, and no WebSocket",
        ExitCode::Failed,
    ),
    (
        Code::RequestTooLarge,
        "request_too_large",
        "the request to the gateway is too large",
        ExitCode::Failed,
    ),
    (
        Code::ProviderNotAllowed,
        "provider_not_allowed",
        "the client may not use that provider, or it is disabled in the configuration",
        ExitCode::Failed,
    ),
    (
        Code::ProviderUnreachable,
        "provider_unreachable",
        "the provider did not answer, or closed the connection before the response was complete",
        ExitCode::Failed,
    ),
    (
        Code::ProviderTooSlow,
        "provider_too_slow",
        "the provider did not answer in time",
        ExitCode::Failed,
    ),
    (
        Code::RateLimited,
        "rate_limited",
        "every key of the provider is rate-limited, or the client sent too many requests",
        ExitCode::Failed,
    ),
    (
        Code::AddressUnavailable,
        "address_unavailable",
        "the gateway cannot listen at that address",
        ExitCode::Failed,
    ),
    (
        Code::UnsafeFile,
        "unsafe_file",
        "a file or folder is unsafe: a link, a device, owned by another user, or accessible to others",
        ExitCode::Failed,
    ),
    (
        Code::StorageFailed,
        "storage_failed",
        "a file could not be read or written",
        ExitCode::Failed,
    ),
    (
        Code::Busy,
        "busy",
        "another process locked the files for too long",
        ExitCode::Failed,
    ),
    (
        Code::ConfigInvalid,
        "config_invalid",
        "the configuration file is invalid",
        ExitCode::Failed,
    ),
    (
        Code::PriceOverlayInvalid,
        "price_overlay_invalid",
        "the price file cannot be used; nothing was changed",
        ExitCode::Failed,
    ),
    (
        Code::PriceOverlayDamaged,
        "price_overlay_damaged",
        "the loaded prices are corrupted or were modified; no prices are shown until that is fixed",
        ExitCode::Failed,
    ),
    (
        Code::HomeMissing,
        "home_missing",
        "no folder for the files could be determined",
        ExitCode::Failed,
    ),
    (
        Code::ClientConfigInvalid,
        "client_config_invalid",
        "an MCP client's settings cannot be read or safely changed; they were left alone",
        ExitCode::Failed,
    ),
    (
        Code::ServerNameTaken,
        "server_name_taken",
        "an MCP client has a server of this name with other settings; it was left alone",
        ExitCode::Failed,
    ),
    (
        Code::CommandFailed,
        "command_failed",
        "the command to run could not be started; `run` exits with 126 or 127 then, as shells do",
        ExitCode::Failed,
    ),
    (
        Code::Interrupted,
        "interrupted",
        "the operation was interrupted from outside",
        ExitCode::Failed,
    ),
    (Code::Internal, "internal", "a mistake in this program", ExitCode::Bug),
];

impl Code {
    /// The code as results spell it.
    pub fn as_str(self) -> &'static str {
        CODES[self as usize].1
    }

    /// How a command that fails with it exits.
    pub fn exit_code(self) -> ExitCode {
        CODES[self as usize].3
    }
}

impl Error {
    /// An error whose message is a lowercase fragment without a full stop.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            detail: None,
            source: None,
        }
    }

    /// The same error with what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with something more for programs, under `name` beside its code.
    #[must_use]
    pub fn detail(mut self, name: &'static str, value: Value) -> Self {
        self.detail = Some(Box::new((name, value)));
        self
    }

    /// The same error with its cause, for `source()`; the cause's text reaches logs only.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The form in results: `{"error":{"code","message","hint"}}`, and the detail where there is one.
    pub fn to_json(&self) -> Value {
        let hint = self.hint.as_deref().unwrap_or_default();
        let mut error = json!({"code": self.code.as_str(), "message": self.message, "hint": hint});
        if let Some((name, value)) = self.detail.as_deref() {
            error[*name] = value.clone();
        }
        json!({ "error": error })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<crate::domain::IdentityError> for Error {
    fn from(why: crate::domain::IdentityError) -> Self {
        Self::new(Code::InvalidArgument, why.to_string()).hint("`api-keys list` shows the providers and labels in use")
    }
}

impl From<crate::domain::TokensError> for Error {
    fn from(why: crate::domain::TokensError) -> Self {
        Self::new(Code::InvalidArgument, why.to_string())
            .hint("input_tokens includes all prompt tokens, also cached ones; output_tokens includes reasoning")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_codes_is_in_the_order_of_the_codes() {
        for (at, (code, name, meaning, _)) in CODES.iter().enumerate() {
            assert_eq!(*code as usize, at, "{name}");
            assert!(
                !meaning.ends_with('.') && meaning.starts_with(|c: char| c.is_lowercase()),
                "{meaning}"
            );
        }
        let names: std::collections::BTreeSet<_> = CODES.iter().map(|row| row.1).collect();
        assert_eq!(names.len(), CODES.len(), "no name is used twice");
    }
}
