//! Why there are no settings.

/// Why there are no settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Neither `API_KEYS_HOME` nor a home folder says where the files belong.
    #[error("no folder for the files could be determined: neither API_KEYS_HOME nor a home folder is set")]
    HomeMissing,
}
