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
        let (home, configuration) = match environment.value("HOME").map(PathBuf::from) {
            // An environment of a test's own: its home, and the same places in it.
            Some(named) if cfg!(unix) && named != folders.home_dir() => {
                let inside = folders.config_dir().strip_prefix(folders.home_dir());
                let configuration = named.join(inside.unwrap_or(Path::new(".config")));
                (named, configuration)
            }
            Some(_) | None => (folders.home_dir().to_owned(), folders.config_dir().to_owned()),
        };
        Ok(Self {
            environment: environment.clone(),
            home,
            configuration,
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
