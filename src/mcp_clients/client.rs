//! The programs that can be MCP clients, each declared once.

use std::{fs, path::PathBuf};

use super::{
    SERVER,
    document::{EntryPath, SettingsFormat},
};
use crate::settings::Machine;

/// A program that can be an MCP client, as data.
#[derive(Debug)]
pub struct McpClient {
    /// The name that `--client` takes.
    pub id: &'static str,
    pub title: &'static str,
    pub(super) format: SettingsFormat,
    /// The table of its settings that holds the servers.
    pub(super) table: &'static str,
    /// Whether its entries say that they mean a program on pipes.
    pub(super) typed: bool,
    /// Whether its servers get the environment that it was started in; those of others get little more than HOME and
    /// PATH.
    pub passes_environment: bool,
    /// Its settings for every project.
    user: fn(&Machine) -> PathBuf,
    /// Its settings for one project, from the project's folder on.
    project: Option<&'static str>,
    /// What is there once it has run.
    trace: fn(&Machine) -> PathBuf,
    /// What the shell starts it as.
    program: Option<&'static str>,
    /// Where its slash commands are, below the user's own folder of it and below a project's.
    commands: Option<Commands>,
    /// The settings in which it notes its plugins.
    plugins: Option<fn(&Machine) -> PathBuf>,
    /// The folder beside its settings that it makes for the moment in which it writes them.
    pub(super) lock: Option<&'static str>,
}

/// Where a client looks for slash commands.
#[derive(Debug)]
struct Commands {
    user: fn(&Machine) -> PathBuf,
    project: &'static str,
}

/// Whom a registration is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The user, in every project.
    User,
    /// Whoever works in this project.
    Project,
}

/// Every client that `setup` knows, in the order in which it looks for them.
pub const CLIENTS: &[McpClient] = &[
    McpClient {
        id: "claude-code",
        title: "Claude Code",
        format: SettingsFormat::Json,
        table: "mcpServers",
        typed: true,
        passes_environment: true,
        user: |machine| {
            let folder = machine.named_by(CLAUDE_FOLDER);
            folder.unwrap_or_else(|| machine.home().to_owned()).join(".claude.json")
        },
        project: Some(".mcp.json"),
        trace: claude_folder,
        program: Some("claude"),
        commands: Some(Commands {
            user: |machine| claude_folder(machine).join("commands"),
            project: ".claude/commands",
        }),
        plugins: Some(|machine| claude_folder(machine).join("settings.json")),
        // It holds more than settings, and a session that runs rewrites it: so its own lock is taken.
        lock: Some(".claude.json.lock"),
    },
    McpClient {
        id: "claude-desktop",
        title: "Claude Desktop",
        format: SettingsFormat::Json,
        table: "mcpServers",
        typed: false,
        passes_environment: false,
        user: |machine| machine.configuration().join("Claude/claude_desktop_config.json"),
        project: None,
        trace: |machine| machine.configuration().join("Claude"),
        program: None,
        commands: None,
        plugins: None,
        lock: None,
    },
    McpClient {
        id: "vscode",
        title: "VS Code",
        format: SettingsFormat::Json,
        table: "servers",
        typed: true,
        passes_environment: true,
        user: |machine| machine.configuration().join("Code/User/mcp.json"),
        project: Some(".vscode/mcp.json"),
        trace: |machine| machine.configuration().join("Code"),
        program: Some("code"),
        commands: None,
        plugins: None,
        lock: None,
    },
    McpClient {
        id: "cursor",
        title: "Cursor",
        format: SettingsFormat::Json,
        table: "mcpServers",
        typed: false,
        passes_environment: true,
        user: |machine| machine.home().join(".cursor/mcp.json"),
        project: Some(".cursor/mcp.json"),
        trace: |machine| machine.home().join(".cursor"),
        program: Some("cursor"),
        commands: None,
        plugins: None,
        lock: None,
    },
    McpClient {
        id: "codex",
        title: "Codex",
        format: SettingsFormat::Toml,
        table: "mcp_servers",
        typed: false,
        passes_environment: false,
        user: |machine| codex_folder(machine).join("config.toml"),
        project: Some(".codex/config.toml"),
        trace: codex_folder,
        program: Some("codex"),
        commands: None,
        plugins: None,
        lock: None,
    },
    McpClient {
        id: "gemini",
        title: "Gemini CLI",
        format: SettingsFormat::Json,
        table: "mcpServers",
        typed: false,
        passes_environment: true,
        user: |machine| machine.home().join(".gemini/settings.json"),
        project: Some(".gemini/settings.json"),
        trace: |machine| machine.home().join(".gemini"),
        program: Some("gemini"),
        commands: None,
        plugins: None,
        lock: None,
    },
];

/// The variable that moves everything of Claude Code.
const CLAUDE_FOLDER: &str = "CLAUDE_CONFIG_DIR";

/// Where Claude Code keeps what is the user's.
pub(super) fn claude_folder(machine: &Machine) -> PathBuf {
    machine
        .named_by(CLAUDE_FOLDER)
        .unwrap_or_else(|| machine.home().join(".claude"))
}

pub(super) fn codex_folder(machine: &Machine) -> PathBuf {
    machine
        .named_by("CODEX_HOME")
        .unwrap_or_else(|| machine.home().join(".codex"))
}

impl McpClient {
    /// The settings that a registration goes into; nothing where the client has none of that scope.
    pub fn settings(&self, machine: &Machine, scope: Scope) -> Option<PathBuf> {
        match scope {
            Scope::User => Some((self.user)(machine)),
            Scope::Project => self.project.map(|file| machine.working().join(file)),
        }
    }

    /// The folder of its slash commands, if it takes files.
    pub(super) fn slash_commands(&self, machine: &Machine, scope: Scope) -> Option<PathBuf> {
        let commands = self.commands.as_ref()?;
        Some(match scope {
            Scope::User => (commands.user)(machine),
            Scope::Project => machine.working().join(commands.project),
        })
    }

    /// The plugin of this server that is turned on in the client, if there is one: with an entry besides, it starts two.
    pub fn plugin(&self, machine: &Machine) -> Option<String> {
        let file = self.plugins?(machine);
        let text = fs::read_to_string(file).ok()?;
        let settings = SettingsFormat::Json
            .entry(&text, EntryPath(&["enabledPlugins"]))
            .ok()??;
        let mut enabled = settings
            .as_object()?
            .iter()
            .filter(|(_, is_on)| is_on.as_bool() == Some(true));
        enabled.find_map(|(name, _)| (name.split('@').next() == Some(SERVER)).then(|| name.clone()))
    }

    /// Whether its project settings are in this folder.
    pub fn has_project_settings(&self, machine: &Machine) -> bool {
        self.settings(machine, Scope::Project).is_some_and(|file| file.exists())
    }

    /// Whether the machine shows that it is used here.
    pub fn is_here(&self, machine: &Machine) -> bool {
        (self.trace)(machine).exists()
            || (self.user)(machine).exists()
            || self.program.is_some_and(|name| machine.program(name).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_is_declared_once() {
        for (at, client) in CLIENTS.iter().enumerate() {
            assert!(CLIENTS.iter().skip(at + 1).all(|other| other.id != client.id));
            assert!(
                client.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{}",
                client.id
            );
        }
    }
}
