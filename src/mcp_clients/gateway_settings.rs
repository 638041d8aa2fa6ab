//! What makes agents use a running gateway from then on: the entries of their settings, as a row of data for each.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{
    Launch,
    client::{claude_folder, codex_folder},
    document::SettingsFormat,
    launch::shell_word,
};
use crate::settings::Machine;

/// An agent whose settings can make it use the gateway.
#[derive(Debug)]
pub struct GatewayAgent {
    /// As the row of what the agent needs calls it.
    pub id: &'static str,
    pub title: &'static str,
    pub program: &'static str,
    /// What is there once it has run.
    trace: fn(&Machine) -> PathBuf,
    pub(super) files: &'static [AgentSettingsFile],
    pub key: ClientKeyPlace,
    /// The variables that it prefers to these settings.
    pub prefers: &'static [&'static str],
    /// What a user has to know of it.
    pub note: Option<&'static str>,
}

/// Where the agent finds its client key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKeyPlace {
    /// Nowhere: it runs a command of ours that prints a new one, which works for an hour.
    Command,
    /// In a private file of ours, which its settings name.
    OwnFile,
    /// In its settings, in clear.
    Settings,
}

/// Settings of an agent in one file.
#[derive(Debug)]
pub(super) struct AgentSettingsFile {
    pub(super) path: fn(&Machine) -> PathBuf,
    pub(super) format: SettingsFormat,
    pub(super) entries: &'static [AgentEntry],
    /// Entries that would get in the way.
    pub(super) rivals: &'static [&'static [&'static str]],
}

/// One entry of an agent's settings.
#[derive(Debug)]
pub(super) struct AgentEntry {
    pub(super) path: &'static [&'static str],
    pub(super) value: EntryValue,
    /// Whether it is a choice of the user's that ours may replace: it is shown, noted, and restored.
    pub(super) replaces: bool,
}

#[derive(Debug)]
pub(super) enum EntryValue {
    Known(fn(&GatewayAccess) -> Value),
    /// The client key itself.
    Key,
}

/// How an agent gets to the gateway.
#[derive(Debug)]
pub struct GatewayAccess {
    /// Such as `http://127.0.0.1:8787`.
    pub base: String,
    /// What prints a new client key.
    pub helper: Launch,
    /// Where a client key is for the agents that read a file.
    pub key_file: PathBuf,
}

/// How often agents ask for a new client key, in milliseconds: half of the time that it works.
const KEY_INTERVAL_MS: u32 = 30 * 60 * 1000;

/// The agents that `setup --gateway` knows.
pub const GATEWAY_AGENTS: &[GatewayAgent] = &[
    GatewayAgent {
        id: "claude-code",
        title: "Claude Code",
        program: "claude",
        trace: claude_folder,
        files: &[AgentSettingsFile {
            path: |machine| claude_folder(machine).join("settings.json"),
            format: SettingsFormat::Json,
            entries: &[
                ours(&["env", "ANTHROPIC_BASE_URL"], |access| access.base.as_str().into()),
                ours(&["env", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"], |_| "1".into()),
                ours(&["env", "CLAUDE_CODE_API_KEY_HELPER_TTL_MS"], |_| {
                    KEY_INTERVAL_MS.to_string().into()
                }),
                ours(&["apiKeyHelper"], |access| access.shell_line().into()),
            ],
            rivals: &[&["env", "ANTHROPIC_API_KEY"], &["env", "ANTHROPIC_AUTH_TOKEN"]],
        }],
        key: ClientKeyPlace::Command,
        prefers: &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"],
        note: Some(
            "Claude Code then asks Anthropic for nothing besides, so it does not update itself: `claude update` does",
        ),
    },
    GatewayAgent {
        id: "codex",
        title: "Codex",
        program: "codex",
        trace: codex_folder,
        files: &[AgentSettingsFile {
            path: |machine| codex_folder(machine).join("config.toml"),
            format: SettingsFormat::Toml,
            entries: &[
                AgentEntry {
                    path: &["model_provider"],
                    value: EntryValue::Known(|_| super::SERVER.into()),
                    replaces: true,
                },
                ours(&["model_providers", super::SERVER], |access| {
                    let mut words = access.words();
                    let command = words.remove(0);
                    json!({
                        "name": "API Key Manager",
                        "base_url": format!("{}/v1", access.base),
                        "wire_api": "responses",
                        "supports_websockets": false,
                        "auth": {"command": command, "args": words, "refresh_interval_ms": KEY_INTERVAL_MS},
                    })
                }),
            ],
            rivals: &[],
        }],
        key: ClientKeyPlace::Command,
        prefers: &[],
        note: None,
    },
    GatewayAgent {
        id: "opencode",
        title: "OpenCode",
        program: "opencode",
        trace: opencode_folder,
        files: &[AgentSettingsFile {
            path: |machine| {
                let folder = opencode_folder(machine);
                let known = ["opencode.jsonc", "opencode.json", "config.json"].map(|name| folder.join(name));
                let found = known.iter().find(|file| file.exists()).cloned();
                found.unwrap_or_else(|| folder.join("opencode.json"))
            },
            format: SettingsFormat::Json,
            entries: &[
                ours(&["provider", "anthropic", "options", "baseURL"], with_v1),
                ours(
                    &["provider", "anthropic", "options", "apiKey"],
                    GatewayAccess::key_reference,
                ),
                ours(&["provider", "openai", "options", "baseURL"], with_v1),
                ours(
                    &["provider", "openai", "options", "apiKey"],
                    GatewayAccess::key_reference,
                ),
                ours(&["provider", "google", "options", "baseURL"], |access| {
                    format!("{}/p/google/v1beta", access.base).into()
                }),
                ours(
                    &["provider", "google", "options", "apiKey"],
                    GatewayAccess::key_reference,
                ),
            ],
            rivals: &[],
        }],
        key: ClientKeyPlace::OwnFile,
        prefers: &["OPENCODE_CONFIG_CONTENT"],
        note: None,
    },
    GatewayAgent {
        id: "gemini-cli",
        title: "Gemini CLI",
        program: "gemini",
        trace: gemini_folder,
        files: &[
            AgentSettingsFile {
                path: |machine| gemini_folder(machine).join("settings.json"),
                format: SettingsFormat::Json,
                entries: &[AgentEntry {
                    path: &["security", "auth", "selectedType"],
                    value: EntryValue::Known(|_| "gemini-api-key".into()),
                    replaces: true,
                }],
                rivals: &[],
            },
            AgentSettingsFile {
                path: |machine| gemini_folder(machine).join(".env"),
                format: SettingsFormat::Dotenv,
                entries: &[
                    ours(&["GOOGLE_GEMINI_BASE_URL"], |access| {
                        format!("{}/p/google", access.base).into()
                    }),
                    AgentEntry {
                        path: &["GEMINI_API_KEY"],
                        value: EntryValue::Key,
                        replaces: false,
                    },
                ],
                rivals: &[&["GOOGLE_API_KEY"]],
            },
        ],
        key: ClientKeyPlace::Settings,
        prefers: &["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"],
        note: Some("Gemini CLI reads only one .env file, so a project's own hides this one there"),
    },
];

const fn ours(path: &'static [&'static str], value: fn(&GatewayAccess) -> Value) -> AgentEntry {
    AgentEntry {
        path,
        value: EntryValue::Known(value),
        replaces: false,
    }
}

fn with_v1(access: &GatewayAccess) -> Value {
    format!("{}/v1", access.base).into()
}

fn opencode_folder(machine: &Machine) -> PathBuf {
    let folder = machine.named_by("XDG_CONFIG_HOME");
    folder
        .unwrap_or_else(|| machine.home().join(".config"))
        .join("opencode")
}

fn gemini_folder(machine: &Machine) -> PathBuf {
    machine.home().join(".gemini")
}

impl GatewayAgent {
    /// Whether the machine shows that it is used here.
    pub fn is_here(&self, machine: &Machine) -> bool {
        (self.trace)(machine).exists() || machine.program(self.program).is_some()
    }
}

impl GatewayAccess {
    /// The helper and its arguments, after the variables that it needs.
    fn words(&self) -> Vec<String> {
        let variables = self.helper.environment.iter();
        let variables: Vec<String> = variables.map(|(name, value)| format!("{name}={value}")).collect();
        let env = (!variables.is_empty()).then(|| "env".to_owned());
        let command = std::iter::once(&self.helper.command).chain(&self.helper.arguments);
        env.into_iter().chain(variables).chain(command.cloned()).collect()
    }

    /// The helper as a line for a shell.
    fn shell_line(&self) -> String {
        let words = self.words();
        let words: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
        words.join(" ")
    }

    fn key_reference(&self) -> Value {
        format!("{{file:{}}}", self.key_file.display()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::agents::AgentProgram;

    #[test]
    fn every_agent_is_one_whose_needs_are_known() {
        for agent in GATEWAY_AGENTS {
            let known = AgentProgram::named(agent.id).expect(agent.id);
            assert_eq!((known.title, known.program), (agent.title, agent.program));
            let entries = agent.files.iter().flat_map(|file| file.entries);
            let holds_key = entries.clone().any(|entry| matches!(entry.value, EntryValue::Key));
            assert_eq!(holds_key, agent.key == ClientKeyPlace::Settings, "{}", agent.id);
        }
    }

    #[test]
    fn a_helper_with_spaces_in_its_path_is_one_word_to_a_shell() {
        let access = GatewayAccess {
            base: String::new(),
            helper: Launch {
                command: "/my programs/api-keys".to_owned(),
                arguments: vec!["client".to_owned(), "key".to_owned()],
                environment: [("API_KEYS_HOME".to_owned(), "/it's".to_owned())].into(),
            },
            key_file: PathBuf::new(),
        };
        assert_eq!(
            access.shell_line(),
            r"env 'API_KEYS_HOME=/it'\''s' '/my programs/api-keys' client key"
        );
    }
}
