//! The process's environment: the only place that reads it.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::PathBuf, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    domain::Secret,
    providers::{self, ExtraCertificates},
};

/// A variable that this program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    /// What it does, for the documentation.
    pub what: &'static str,
}

/// The folder that holds everything.
pub const HOME: Variable = Variable {
    name: "API_KEYS_HOME",
    what: "Holds all files in this one folder, instead of the platform's folders for configuration and data",
};
pub(super) const PASSPHRASE: Variable = Variable {
    name: "API_KEYS_PASSPHRASE",
    what: "Unlocks a passphrase vault where there is no terminal; `vault.passphrase_env` names another variable",
};
pub(super) const BACKUP_PASSPHRASE: Variable = Variable {
    name: "API_KEYS_BACKUP_PASSPHRASE",
    what: "Encrypts and opens backups where there is no terminal, unless `--passphrase-file` names a file",
};
const LOG: Variable = Variable {
    name: "API_KEYS_LOG",
    what: "Filters the log on standard error, such as `debug` or `off`; only for this program's own modules (default: nothing, and `warn` for the gateway)",
};

const SESSION: Variable = Variable {
    name: "CLAUDE_CODE_SESSION_ID",
    what: "Set by Claude Code: the session that usage is recorded under",
};
const PROJECT: Variable = Variable {
    name: "CLAUDE_PROJECT_DIR",
    what: "Set by Claude Code: usage is recorded under this folder's name as the project unless the call names one",
};

/// Every variable that this program reads, besides the providers' own.
pub const VARIABLES: &[Variable] = &[HOME, PASSPHRASE, BACKUP_PASSPHRASE, LOG, SESSION, PROJECT];

/// Where variables come from: the process, or a fixed set in tests.
#[derive(Clone, Default)]
pub struct Environment(Option<Arc<BTreeMap<String, OsString>>>);

/// Why a variable gives no secret; never says what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// The name is not one that a variable can have, or looks like a key, and is not repeated.
    #[error("that is not the name of an environment variable")]
    BadName,
    #[error("the environment variable {name} is not set")]
    NotSet { name: String },
    #[error("the environment variable {name} is empty")]
    Empty { name: String },
    /// The value is not UTF-8.
    #[error("the environment variable {name} does not hold text")]
    NotText { name: String },
}

impl Environment {
    /// The environment of this process.
    pub fn process() -> Self {
        Self(None)
    }

    /// A fixed environment, for tests.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()));
        Self(Some(Arc::new(variables.collect())))
    }

    /// The value of `name` where it is set and not empty.
    pub(super) fn value(&self, name: &str) -> Option<OsString> {
        let value = match &self.0 {
            None => std::env::var_os(name),
            Some(variables) => variables.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The certificates that Node.js programs are configured to trust; we trust them too.
    pub fn extra_certificates(&self) -> ExtraCertificates {
        ExtraCertificates::of_file(self.value("NODE_EXTRA_CA_CERTS").map(PathBuf::from))
    }

    /// The log filter that the user asks for.
    pub fn log_filter(&self) -> Option<String> {
        self.text(LOG.name)
    }

    /// The client's session, where it names one.
    pub fn session(&self) -> Option<String> {
        self.text(SESSION.name)
            .filter(|id| is_short(id) && !providers::has_key_form(id))
    }

    /// The name of the project that the client works on, where it says so.
    pub fn project(&self) -> Option<String> {
        let folder = PathBuf::from(self.value(PROJECT.name)?);
        folder
            .file_name()?
            .to_str()
            .filter(|name| is_short(name) && !providers::looks_like_key(name))
            .map(str::to_owned)
    }

    /// The program that is running.
    pub fn program(&self) -> Option<PathBuf> {
        std::env::current_exe().ok()
    }

    /// The value of `name`, which holds no secret.
    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name)?.into_string().ok()
    }

    /// Whether `name` is set to something.
    pub fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The secret in the variable `name`.
    pub fn secret(&self, name: &str) -> Result<Secret, VariableError> {
        if !is_variable_name(name) || providers::may_be_key(name) {
            return Err(VariableError::BadName);
        }
        let value = match &self.0 {
            None => std::env::var_os(name),
            Some(variables) => variables.get(name).cloned(),
        };
        let name = name.to_owned();
        match value.map(OsString::into_string) {
            None => Err(VariableError::NotSet { name }),
            Some(Err(bytes)) => {
                drop(Zeroizing::new(bytes.into_encoded_bytes()));
                Err(VariableError::NotText { name })
            }
            Some(Ok(text)) => {
                let text = Zeroizing::new(text);
                if text.is_empty() {
                    Err(VariableError::Empty { name })
                } else {
                    Ok(Secret::new(&text))
                }
            }
        }
    }
}

/// Whether `text` can stand in the ledger, but for a key that it may be.
fn is_short(text: &str) -> bool {
    (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Whether `name` can be a variable's: letters, digits and underscores, not beginning with a digit.
pub(super) fn is_variable_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Environment(fixed)"
        } else {
            "Environment(process)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_is_named_and_a_key_in_its_place_is_not() {
        let environment = Environment::of([("SET", "value"), ("EMPTY", "")]);
        assert!(environment.secret("SET").is_ok());
        assert_eq!(
            environment.secret("EMPTY").err(),
            Some(VariableError::Empty { name: "EMPTY".into() })
        );
        assert_eq!(
            environment.secret("GONE").err(),
            Some(VariableError::NotSet { name: "GONE".into() })
        );
        for name in [
            "",
            "A=B",
            "A\0",
            "sk-ant-api03-0123456789abcdef",
            "abcdef0123456789abcdef0123456789",
            "a b",
            "9A",
        ] {
            assert_eq!(environment.secret(name).err(), Some(VariableError::BadName), "{name}");
        }
        assert_eq!(format!("{environment:?}"), "Environment(fixed)");
    }

    #[test]
    fn every_variable_is_declared_once_and_described() {
        for (at, variable) in VARIABLES.iter().enumerate() {
            assert!(variable.name.starts_with("API_KEYS_") || variable.name.starts_with("CLAUDE_"));
            assert!(!variable.what.ends_with('.'));
            assert!(VARIABLES.iter().skip(at + 1).all(|other| other.name != variable.name));
        }
    }
}
