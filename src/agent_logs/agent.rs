//! What an agent's row says.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    fault::LogFault,
    files::LogFile,
    request::{LogReading, LoggedRequest},
};
use crate::settings::Machine;

/// An agent whose logs are read.
#[derive(Debug)]
pub struct Agent {
    /// As records and arguments spell it.
    pub name: &'static str,
    pub title: &'static str,
    /// Where its logs are, for the documentation.
    pub places: &'static [&'static str],
    /// The variable that moves them.
    pub variable: Option<&'static str>,
    /// What is read, and how exact it is, for the documentation.
    pub what: &'static str,
    /// The log files that are there; files of one kind are in the order in which they were made.
    pub find: fn(&Machine) -> Vec<LogFile>,
    /// A reader of some of these files; it is given all of them, as what is in one may follow from another.
    pub reader: fn(&[LogFile]) -> Box<dyn LogReader>,
}

/// Reads an agent's logs, on any thread.
pub trait LogReader: Send + Sync {
    /// Gives the requests of `file` from the byte `from` on to `each`.
    fn read(&self, file: &LogFile, from: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault>;

    /// The files whose requests depend on what is in `changed`, besides those themselves.
    fn follows_from(&self, _changed: &BTreeSet<&Path>) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// Where programs keep their data, as the XDG specification says; also where other systems have another place for it.
pub(super) fn data_folder(machine: &Machine) -> PathBuf {
    machine
        .named_by("XDG_DATA_HOME")
        .unwrap_or_else(|| machine.home().join(".local/share"))
}

/// The folders that `variable` names, with commas between them, else `usual` below the user's home.
pub(super) fn roots(machine: &Machine, variable: &str, usual: &[&str]) -> Vec<PathBuf> {
    match machine.named_by(variable) {
        Some(named) => {
            let named = named.to_string_lossy().into_owned();
            named.split(',').map(|root| PathBuf::from(root.trim())).collect()
        }
        None => usual.iter().map(|folder| machine.home().join(folder)).collect(),
    }
}
