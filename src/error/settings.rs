//! Mistakes in settings, as users meet them.

use super::{Code, Error};
use crate::settings::{ConfigError, SettingsError, UnknownProvider, VariableError};

impl From<SettingsError> for Error {
    fn from(why: SettingsError) -> Self {
        match why {
            SettingsError::HomeMissing => Self::new(Code::HomeMissing, why.to_string())
                .hint("set API_KEYS_HOME to a folder that you own, or HOME to your home folder"),
        }
    }
}

impl From<ConfigError> for Error {
    fn from(why: ConfigError) -> Self {
        Self::new(Code::ConfigInvalid, why.to_string())
            .hint("fix the file; `api-keys doctor` shows where it is and checks it")
    }
}

impl From<VariableError> for Error {
    fn from(why: VariableError) -> Self {
        let hint = match &why {
            VariableError::BadName => "use the variable's name, not its value; if that was a key, treat it as exposed",
            VariableError::NotSet { .. } | VariableError::Empty { .. } | VariableError::NotText { .. } => {
                "set it where this program is started; a server that already runs does not see variables set later"
            }
        };
        Self::new(Code::VariableMissing, why.to_string()).hint(hint)
    }
}

impl From<UnknownProvider> for Error {
    fn from(why: UnknownProvider) -> Self {
        let meant = why.nearest.as_ref();
        let meant = meant.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        let known = why.known.join(", ");
        Self::new(Code::UnknownProvider, why.to_string()).hint(format!("{meant}the providers are: {known}"))
    }
}
