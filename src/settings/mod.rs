//! The settings: environment over `config.toml` over what is built in.
//!
//! Only this module reads the process's environment. Each variable is declared once, in
//! [`VARIABLES`]; the configuration file is read strictly, and an error names the field and the
//! line and never quotes a value, because a value may be a key in the wrong place.

mod config;
mod destinations;
mod environment;
mod error;
mod machine;
mod paths;
mod projects;
mod reading;
mod section;
mod source;

use std::sync::Arc;

pub use self::{
    config::{
        AgentLogsConfig, BudgetConfig, CacheConfig, Config, GatewayConfig, KeysInChat, MasterKey, ModelAliases,
        PriceOverride, ProviderConfig, QualityOverride, RoutingConfig, UnknownProvider, VaultConfig, fits,
    },
    destinations::{WrittenValue, with_destination, without_destination},
    environment::{Environment, HOME, VARIABLES, Variable, VariableError},
    error::SettingsError,
    machine::Machine,
    paths::Paths,
    projects::Project,
    section::ConfigError,
};
use crate::domain::{Passphrase, Secret};

/// The settings in force, re-read when the file changes.
#[derive(Debug)]
pub struct Settings {
    environment: Environment,
    paths: Paths,
    source: source::ConfigFile,
}

impl Settings {
    /// Finds the folders and reads `config.toml`, if there is one.
    ///
    /// A broken file is not an error here: see [`Settings::problem`] and [`Settings::required`].
    pub fn open(environment: &Environment) -> Result<Self, SettingsError> {
        let paths = Paths::find(environment)?;
        let source = source::ConfigFile::new(paths.config_file());
        Ok(Self {
            environment: environment.clone(),
            paths,
            source,
        })
    }

    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Where the user's other programs keep things.
    pub fn machine(&self) -> Result<Machine, SettingsError> {
        Machine::find(&self.environment)
    }

    /// The configuration in force: the file's, else the last good one, else what is built in.
    pub fn current(&self) -> Arc<Config> {
        self.source.current().0
    }

    /// What the configuration says of the folder that the command was started in.
    pub fn project(&self) -> Option<Project> {
        let config = self.current();
        if config.projects.is_empty() {
            return None;
        }
        let machine = self.machine().ok()?;
        projects::project_of(&config.projects, machine.working(), machine.home()).cloned()
    }

    /// What is wrong with the file as it stands now.
    pub fn problem(&self) -> Option<ConfigError> {
        self.source.current().1
    }

    /// The configuration in force, or the error of a file that has not been good since it is there.
    ///
    /// For everything that stores or sends a key: what is built in must not stand in for rules
    /// that were written and mistyped.
    pub fn required(&self) -> Result<Arc<Config>, ConfigError> {
        self.source.required()
    }

    /// The variables that hold a passphrase, which are no other program's business.
    pub fn passphrase_variables(&self) -> [String; 3] {
        [
            environment::PASSPHRASE.name.to_owned(),
            environment::BACKUP_PASSPHRASE.name.to_owned(),
            self.current().vault.passphrase_env.clone(),
        ]
    }

    /// The secret in the environment variable `name`.
    pub fn variable(&self, name: &str) -> Result<Secret, VariableError> {
        self.environment.secret(name)
    }

    /// The passphrase of backups in the environment, if it is set.
    pub fn backup_passphrase_from_environment(&self) -> Option<Passphrase> {
        self.variable(environment::BACKUP_PASSPHRASE.name)
            .ok()
            .map(Passphrase::new)
    }

    /// The passphrase that the configured variable holds, if it is set.
    pub fn passphrase_from_environment(&self) -> Option<Passphrase> {
        self.variable(&self.current().vault.passphrase_env)
            .ok()
            .map(Passphrase::new)
    }
}
