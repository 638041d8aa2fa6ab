//! Where the user's other programs keep things.

use std::path::{Path, PathBuf};

use super::{Environment, SettingsError};

/// The user's own folders, and what is on the PATH; nothing is created here.
#[derive(Debug, Clone)]
pub struct Machine {
    environment: Environment,
    home: PathBuf,
    configuration: PathBuf,
    working: PathBuf,
}

impl Machine {
    /// The folders that the system and the environment name.
    pub(super) fn find(environment: &Environment) -> Result<Self, SettingsError> {
        // As for our own folders: who cleared the environment does not expect us to find a home all the same.
        if cfg!(unix) && environment.value("HOME").is_none() {
            return Err(SettingsError::HomeMissing);
        }
        let folders = directories::BaseDirs::new().ok_or(SettingsError::HomeMissing)?;
        Ok(Self {
            environment: environment.clone(),
            home: folders.home_dir().to_owned(),
            configuration: folders.config_dir().to_owned(),
            working: std::env::current_dir().map_err(|_| SettingsError::HomeMissing)?,
        })
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where programs with windows keep their settings.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// The folder that the command was started in.
    pub fn working(&self) -> &Path {
        &self.working
    }

    /// The folder that the variable `name` names, if it is set.
    pub fn named_by(&self, name: &str) -> Option<PathBuf> {
        self.environment.value(name).map(PathBuf::from)
    }

    /// The program that the shell would start as `name`.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        let path = self.environment.value("PATH")?;
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        std::env::split_paths(&path)
            .map(|folder| folder.join(&file))
            .find(|program| program.is_file())
    }
}
