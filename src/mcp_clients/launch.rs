//! How a client starts this server: a command, its arguments, and what its environment needs besides.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use crate::settings::{Environment, HOME, Machine};

/// The variables by which programs find their way out, each with its other spelling.
const NETWORK: [&[&str]; 6] = [
    &["HTTPS_PROXY", "https_proxy"],
    &["ALL_PROXY", "all_proxy"],
    &["NO_PROXY", "no_proxy"],
    &["SSL_CERT_FILE"],
    &["SSL_CERT_DIR"],
    &["NODE_EXTRA_CA_CERTS"],
];

/// A command that is a server on pipes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    pub command: String,
    pub arguments: Vec<String>,
    pub environment: BTreeMap<String, String>,
}

impl Launch {
    /// This server as `command` starts it, on the files in `home` where that is not the usual place.
    pub fn server(command: &str, home: Option<&str>) -> Self {
        Self {
            command: command.to_owned(),
            arguments: vec!["serve".to_owned()],
            environment: home
                .map(|home| (HOME.name.to_owned(), home.to_owned()))
                .into_iter()
                .collect(),
        }
    }

    /// The same with what the network needs here, for a client that keeps the environment to itself.
    ///
    /// An address with a password in it is left out: settings are no place for one.
    #[must_use]
    pub fn with_network(mut self, environment: &Environment) -> Self {
        for names in NETWORK {
            let value = names.iter().find_map(|name| environment.text(name));
            if let (Some(value), Some(name)) = (value.filter(|value| !value.contains('@')), names.first()) {
                self.environment.insert((*name).to_owned(), value);
            }
        }
        self
    }

    /// What an entry of a client's settings starts, if it is a command.
    pub(super) fn of_entry(entry: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let arguments = entry.get("args").and_then(Value::as_array).into_iter().flatten();
        let environment = entry.get("env").and_then(Value::as_object).into_iter().flatten();
        Some(Self {
            command: entry.get("command").and_then(text)?,
            arguments: arguments.map(text).collect::<Option<_>>()?,
            environment: environment
                .map(|(name, value)| Some((name.clone(), text(value)?)))
                .collect::<Option<_>>()?,
        })
    }

    /// The entry that makes a client start it.
    pub(super) fn entry(&self, typed: bool) -> Value {
        let mut entry = Map::new();
        if typed {
            entry.insert("type".to_owned(), "stdio".into());
        }
        entry.insert("command".to_owned(), self.command.as_str().into());
        entry.insert("args".to_owned(), json!(self.arguments));
        if !self.environment.is_empty() {
            entry.insert("env".to_owned(), json!(self.environment));
        }
        Value::Object(entry)
    }

    /// Whether it starts the same server on the same files as `other` does; further variables are the user's own.
    pub(super) fn is_same_server(&self, other: &Self, machine: &Machine) -> bool {
        let needed = |launch: &Self| launch.environment.get(HOME.name).cloned();
        // Past any link: the same program may be there under two names.
        let program = |launch: &Self| launch.program(machine)?.canonicalize().ok();
        self.arguments == other.arguments
            && needed(self) == needed(other)
            && (self.command == other.command || program(self) == program(other))
    }

    /// Whether it looks like a server of ours, wherever the program was.
    pub(super) fn is_ours(&self) -> bool {
        let name = Path::new(&self.command).file_stem().and_then(|name| name.to_str());
        name == Some(super::SERVER) && self.arguments == ["serve"]
    }

    /// The file that is started, found as the shell here would find it; nothing where there is none.
    pub fn program(&self, machine: &Machine) -> Option<PathBuf> {
        let command = Path::new(&self.command);
        let found = if command.components().count() == 1 {
            machine.program(&self.command)?
        } else {
            command.to_owned()
        };
        let found = std::path::absolute(found).ok()?;
        found.exists().then_some(found)
    }
}

/// A word as a shell takes it.
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | ':');
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_network_needs_is_written_without_passwords() {
        let environment = Environment::of([
            ("https_proxy", "http://proxy.example:3128"),
            ("ALL_PROXY", "socks5h://me:secret@proxy.example:1080"),
            ("NO_PROXY", "localhost"),
            ("SSL_CERT_FILE", "/etc/company.pem"),
            ("UNRELATED", "x"),
        ]);
        let launch = Launch::server("api-keys", None).with_network(&environment);
        let written: Vec<_> = launch.environment.keys().map(String::as_str).collect();
        assert_eq!(written, ["HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"]);
    }
}
