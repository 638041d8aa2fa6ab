//! Where the files are.

use std::path::{Path, PathBuf};

use super::{Environment, SettingsError, environment};

/// The application's name in the platform's folders.
const APPLICATION: &str = "api-keys";

/// The folders for configuration and data; nothing is created here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    config: PathBuf,
    data: PathBuf,
    is_named: bool,
}

impl Paths {
    /// `API_KEYS_HOME` for everything, else the platform's folders.
    pub(super) fn find(environment: &Environment) -> Result<Self, SettingsError> {
        if let Some(home) = environment.value(environment::HOME.name) {
            let home = std::path::absolute(&home).map_err(|_| SettingsError::HomeMissing)?;
            return Ok(Self {
                config: home.clone(),
                data: home,
                is_named: true,
            });
        }
        // Without HOME the system's user table would still name a folder: someone who cleared the
        // environment expects a vault there.
        if cfg!(unix) && environment.value("HOME").is_none() {
            return Err(SettingsError::HomeMissing);
        }
        let folders = directories::ProjectDirs::from("", "", APPLICATION).ok_or(SettingsError::HomeMissing)?;
        Ok(Self {
            config: folders.config_dir().to_owned(),
            data: folders.data_dir().to_owned(),
            is_named: false,
        })
    }

    /// The folder of `config.toml`.
    pub fn config_folder(&self) -> &Path {
        &self.config
    }

    /// The folder of the vault, the audit trail and the ledger.
    pub fn data_folder(&self) -> &Path {
        &self.data
    }

    /// The folder that holds everything, where `API_KEYS_HOME` names one.
    pub fn named_home(&self) -> Option<&Path> {
        self.is_named.then_some(self.data.as_path())
    }

    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    pub fn vault_file(&self) -> PathBuf {
        self.data.join("vault.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_holds_everything_where_the_variable_says_so() {
        let paths = Paths::find(&Environment::of([("API_KEYS_HOME", "/somewhere/keys")])).expect("set");
        assert_eq!(paths.config_folder(), paths.data_folder());
        assert_eq!(paths.vault_file(), Path::new("/somewhere/keys/vault.json"));
        assert_eq!(paths.config_file(), Path::new("/somewhere/keys/config.toml"));
    }

    #[cfg(unix)]
    #[test]
    fn without_a_home_there_is_no_guessing() {
        for environment in [
            Environment::of([]),
            Environment::of([("HOME", "")]),
            Environment::of([("API_KEYS_HOME", "")]),
        ] {
            assert_eq!(Paths::find(&environment), Err(SettingsError::HomeMissing));
        }
    }
}
