//! What coding agents need besides the usual variables to go through the gateway: a row of data for each.
//!
//! Each was tried with the real program, or is from its documentation where [`AgentProgram::is_tried`] says so.

use std::{ffi::OsStr, path::PathBuf};

use crate::{app::App, error::Result, storage::files::Folder};

/// A coding agent.
#[derive(Debug)]
pub struct AgentProgram {
    /// The name that `env --for` takes, and that the ledger has.
    pub id: &'static str,
    pub title: &'static str,
    /// What its command is called.
    pub program: &'static str,
    /// The variables that it must not find.
    pub without: &'static [&'static str],
    /// The variables that it reads beside the libraries' own.
    pub variables: &'static [(&'static str, AgentValue)],
    /// What its command line begins with; `{base}` stands for the gateway's address.
    pub arguments: &'static [&'static str],
    /// The settings that it reads from a file of its own.
    pub file: Option<AgentFile>,
    /// Whether the suite of real agents runs it.
    pub is_tried: bool,
}

/// The value of a variable.
#[derive(Debug, Clone, Copy)]
pub enum AgentValue {
    /// A text; `{base}` stands for the gateway's address.
    Text(&'static str),
    /// The client key.
    Key,
}

/// Settings in a file that a variable names.
#[derive(Debug, Clone, Copy)]
pub struct AgentFile {
    pub variable: &'static str,
    /// `{at}` stands for the gateway's address, where the contents differ from one to the other.
    pub name: &'static str,
    /// `{base}` stands for the gateway's address.
    pub contents: &'static str,
}

/// What most rows have in common.
const COMMON: AgentProgram = AgentProgram {
    id: "",
    title: "",
    program: "",
    without: &[],
    variables: &[],
    arguments: &[],
    file: None,
    is_tried: false,
};

/// Every agent that needs more than the libraries' variables.
pub const AGENTS: &[AgentProgram] = &[
    AgentProgram {
        id: "claude-code",
        title: "Claude Code",
        program: "claude",
        // With both it asks which one to use, and warns at each start.
        without: &["ANTHROPIC_API_KEY"],
        variables: &[("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", AgentValue::Text("1"))],
        is_tried: true,
        ..COMMON
    },
    AgentProgram {
        id: "codex",
        title: "Codex",
        program: "codex",
        variables: &[("API_KEYS_CLIENT_KEY", AgentValue::Key)],
        // It reads no address from its environment, and tries a WebSocket first unless it is told that there is none.
        arguments: &[
            "-c",
            "model_provider=\"api-keys\"",
            "-c",
            "model_providers.api-keys={name=\"API Key Manager\",base_url=\"{base}/v1\",env_key=\"API_KEYS_CLIENT_KEY\",wire_api=\"responses\",supports_websockets=false}",
            "-c",
            "analytics.enabled=false",
            "-c",
            "check_for_update_on_startup=false",
        ],
        is_tried: true,
        ..COMMON
    },
    AgentProgram {
        id: "opencode",
        title: "OpenCode",
        program: "opencode",
        variables: &[
            (
                "OPENCODE_CONFIG_CONTENT",
                AgentValue::Text(
                    r#"{"provider":{"anthropic":{"options":{"baseURL":"{base}/v1"}},"openai":{"options":{"baseURL":"{base}/v1"}},"google":{"options":{"baseURL":"{base}/p/google/v1beta"}}},"autoupdate":false}"#,
                ),
            ),
            ("GOOGLE_GENERATIVE_AI_API_KEY", AgentValue::Key),
        ],
        is_tried: true,
        ..COMMON
    },
    AgentProgram {
        id: "gemini-cli",
        title: "Gemini CLI",
        program: "gemini",
        // It refuses a key until settings say that it is to use one.
        file: Some(AgentFile {
            variable: "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
            name: "settings.json",
            contents: concat!(
                r#"{"security":{"auth":{"selectedType":"gemini-api-key"}},"#,
                r#""general":{"enableAutoUpdate":false},"privacy":{"usageStatisticsEnabled":false}}"#
            ),
        }),
        is_tried: true,
        ..COMMON
    },
    AgentProgram {
        id: "aider",
        title: "Aider",
        program: "aider",
        variables: &[
            ("ANTHROPIC_API_BASE", AgentValue::Text("{base}")),
            ("GEMINI_API_BASE", AgentValue::Text("{base}/p/google")),
            ("AIDER_ANALYTICS_DISABLE", AgentValue::Text("true")),
            ("AIDER_CHECK_UPDATE", AgentValue::Text("false")),
        ],
        ..COMMON
    },
    AgentProgram {
        id: "llm",
        title: "llm",
        program: "llm",
        is_tried: true,
        ..COMMON
    },
    AgentProgram {
        id: "cline",
        title: "Cline CLI",
        program: "cline",
        // Its background process would keep the client key of the run that started it.
        variables: &[("CLINE_SESSION_BACKEND_MODE", AgentValue::Text("local"))],
        // It reads keys from its environment, but no addresses.
        file: Some(AgentFile {
            variable: "CLINE_PROVIDER_SETTINGS_PATH",
            name: "providers-{at}.json",
            contents: concat!(
                r#"{"version":1,"lastUsedProvider":"openai-compatible","modes":{},"providers":{"#,
                r#""openai-compatible":{"settings":{"provider":"openai-compatible","baseUrl":"{base}/v1"},"#,
                r#""updatedAt":"2026-01-01T00:00:00.000Z","tokenSource":"manual"},"#,
                r#""openai-native":{"settings":{"provider":"openai-native","baseUrl":"{base}/v1"},"#,
                r#""updatedAt":"2026-01-01T00:00:00.000Z","tokenSource":"manual"},"#,
                r#""anthropic":{"settings":{"provider":"anthropic","baseUrl":"{base}/v1"},"#,
                r#""updatedAt":"2026-01-01T00:00:00.000Z","tokenSource":"manual"},"#,
                r#""gemini":{"settings":{"provider":"gemini","baseUrl":"{base}/p/google/v1beta"},"#,
                r#""updatedAt":"2026-01-01T00:00:00.000Z","tokenSource":"manual"}}}"#
            ),
        }),
        is_tried: true,
        ..COMMON
    },
    AgentProgram {
        id: "goose",
        title: "Goose",
        program: "goose",
        variables: &[
            ("OPENAI_HOST", AgentValue::Text("{base}")),
            ("OPENAI_BASE_PATH", AgentValue::Text("v1/chat/completions")),
            ("ANTHROPIC_HOST", AgentValue::Text("{base}")),
            ("GOOGLE_HOST", AgentValue::Text("{base}/p/google")),
            ("GOOGLE_API_KEY", AgentValue::Key),
        ],
        ..COMMON
    },
];

impl AgentProgram {
    /// The agent that a command of that name starts.
    pub fn of_program(program: &str) -> Option<&'static Self> {
        AGENTS.iter().find(|agent| agent.program == program)
    }

    /// The agent called `id`.
    pub fn named(id: &str) -> Option<&'static Self> {
        AGENTS.iter().find(|agent| agent.id == id)
    }

    /// The variable that names the settings that it reads from a file of its own for the gateway at `base`, and the file,
    /// in a private folder of ours.
    pub fn settings_file(&self, app: &App, base: &str) -> Option<(&'static str, PathBuf)> {
        let file = self.file?;
        let folder = app.settings().paths().data_folder().join("agents").join(self.id);
        let at = base.split_once("://").map_or(base, |(_, at)| at);
        let at = at.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
        Some((file.variable, folder.join(file.name.replace("{at}", &at))))
    }

    /// Writes these settings; returns the variable that names the file, and the file.
    pub fn write_settings(&self, app: &App, base: &str) -> Result<Option<(&'static str, PathBuf)>> {
        let (Some(file), Some((variable, path))) = (self.file, self.settings_file(app, base)) else {
            return Ok(None);
        };
        let (Some(place), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
            return Ok(None);
        };
        let _ = Folder::create(place)?.replace(name, with_base(file.contents, base).as_bytes())?;
        Ok(Some((variable, path)))
    }

    /// Removes the settings that are for the gateway at `base` alone, which is gone.
    pub fn remove_settings(&self, app: &App, base: &str) -> Result<()> {
        let is_for_one = self.file.is_some_and(|file| file.name.contains("{at}"));
        let path = self.settings_file(app, base).filter(|_| is_for_one);
        if let Some((_, path)) = path
            && let (Some(place), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str))
            && let Some(folder) = Folder::open(place)?
        {
            folder.remove(name)?;
        }
        Ok(())
    }

    /// The names of the variables that it reads beside the libraries' own.
    pub fn variable_names(&self) -> impl Iterator<Item = &'static str> {
        let file = self.file.map(|file| file.variable);
        self.variables.iter().map(|(name, _)| *name).chain(file)
    }

    /// The variables that it reads beside the libraries' own, but those for the key.
    pub fn addresses(&self, base: &str) -> Vec<(&'static str, String)> {
        let texts = self.variables.iter().filter_map(|(name, value)| match value {
            AgentValue::Text(text) => Some((*name, with_base(text, base))),
            AgentValue::Key => None,
        });
        texts.collect()
    }

    /// Its own variables for the client key.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        let is_key = |value: &AgentValue| matches!(value, AgentValue::Key);
        self.variables
            .iter()
            .filter(move |(_, value)| is_key(value))
            .map(|(name, _)| *name)
    }

    /// What its command line begins with, for the gateway at `base`.
    pub fn arguments(&self, base: &str) -> Vec<String> {
        self.arguments.iter().map(|text| with_base(text, base)).collect()
    }
}

/// The text with the gateway's address in it.
fn with_base(text: &str, base: &str) -> String {
    text.replace("{base}", base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_is_declared_once_and_with_good_settings() {
        for (at, agent) in AGENTS.iter().enumerate() {
            let others = AGENTS.iter().skip(at + 1);
            assert!(
                !others
                    .clone()
                    .any(|other| other.id == agent.id || other.program == agent.program)
            );
            for (name, value) in agent.variables {
                assert!(!agent.without.contains(name), "{name}");
                if let AgentValue::Text(text) = value
                    && text.starts_with("{\"")
                {
                    let filled = with_base(text, "http://127.0.0.1:1");
                    assert!(serde_json::from_str::<serde_json::Value>(&filled).is_ok(), "{name}");
                }
            }
            if let Some(file) = agent.file {
                assert!(
                    serde_json::from_str::<serde_json::Value>(&with_base(file.contents, "http://127.0.0.1:1")).is_ok(),
                    "{}",
                    agent.id
                );
            }
            // They stand between single quotes in what `env` prints.
            assert!(
                !agent.arguments.iter().any(|argument| argument.contains('\'')),
                "{}",
                agent.id
            );
        }
    }
}
