//! The programs whose files are read: where they keep keys, and which reader knows the form.

use serde_json::Value;

use super::{
    aichat, aider, bitwarden, claude_code, claude_code_router, codex, compose, continue_dev, crush, documents, dotenv,
    flat,
    found::{SourceContents, UnreadableSource},
    goose, litellm, llm, opencode,
};

/// A program or form that keys are imported from.
#[derive(Debug)]
pub struct ImportSource {
    /// As commands spell it.
    pub name: &'static str,
    pub title: &'static str,
    /// Where its files are, below the folder of the user.
    pub places: &'static [&'static str],
    pub read: fn(&[u8]) -> Result<SourceContents, UnreadableSource>,
    /// Whether a document is of its form, for files that were named without it.
    fits: fn(&Value) -> bool,
}

/// Every source, the more particular forms first.
pub const SOURCES: &[ImportSource] = &[
    source(
        "llm",
        "llm",
        &[
            ".config/io.datasette.llm/keys.json",
            "Library/Application Support/io.datasette.llm/keys.json",
        ],
        llm::read,
        llm::fits,
    ),
    source("litellm", "LiteLLM", &[], litellm::read, litellm::fits),
    source(
        "claude-code-router",
        "claude-code-router",
        &[".claude-code-router/config.json"],
        claude_code_router::read,
        claude_code_router::fits,
    ),
    source("codex", "Codex", &[".codex/auth.json"], codex::read, codex::fits),
    source(
        "claude-code",
        "Claude Code",
        &[".claude/settings.json", ".claude/settings.local.json", ".claude.json"],
        claude_code::read,
        claude_code::fits,
    ),
    source(
        "opencode",
        "OpenCode",
        &[
            ".local/share/opencode/auth.json",
            ".config/opencode/opencode.json",
            ".config/opencode/opencode.jsonc",
        ],
        opencode::read,
        opencode::fits,
    ),
    source(
        "crush",
        "Crush",
        &[".config/crush/crush.json", ".local/share/crush/crush.json"],
        crush::read,
        crush::fits,
    ),
    source(
        "continue",
        "Continue",
        &[".continue/config.yaml", ".continue/config.json"],
        continue_dev::read,
        continue_dev::fits,
    ),
    source(
        "aichat",
        "aichat",
        &[".config/aichat/config.yaml"],
        aichat::read,
        aichat::fits,
    ),
    source("aider", "Aider", &[".aider.conf.yml"], aider::read, aider::fits),
    source("goose", "Goose", &[".config/goose/secrets.yaml"], goose::read, |_| {
        false
    }),
    source("compose", "Docker Compose", &[], compose::read, compose::fits),
    source("bitwarden", "Bitwarden", &[], bitwarden::read, bitwarden::fits),
    source("json", "a secret manager's JSON", &[], flat::read, flat::fits),
    source(
        "env",
        "a shell profile or .env file",
        &[
            ".env",
            ".bashrc",
            ".bash_profile",
            ".profile",
            ".zshrc",
            ".zshenv",
            ".zprofile",
            ".config/fish/config.fish",
            ".config/fish/fish_variables",
            ".config/nushell/env.nu",
            ".continue/.env",
            ".gemini/.env",
            ".qwen/.env",
            ".config/aichat/.env",
        ],
        dotenv::read,
        |_| false,
    ),
];

const fn source(
    name: &'static str,
    title: &'static str,
    places: &'static [&'static str],
    read: fn(&[u8]) -> Result<SourceContents, UnreadableSource>,
    fits: fn(&Value) -> bool,
) -> ImportSource {
    ImportSource {
        name,
        title,
        places,
        read,
        fits,
    }
}

/// The source that is called `name`.
pub fn source_named(name: &str) -> Option<&'static ImportSource> {
    SOURCES.iter().find(|source| source.name == name)
}

/// The source whose form `bytes` have: that of a document where they are one, else lines that assign values to names.
pub fn guess(bytes: &[u8]) -> Option<&'static ImportSource> {
    let first = bytes.trim_ascii_start().first()?;
    let document = if matches!(first, b'{' | b'[') {
        documents::json(bytes, "").ok()
    } else {
        // Lines of a shell can be read as YAML, too: as a text, never as a table.
        documents::yaml(bytes, "").ok().filter(Value::is_object)
    };
    let fitting = |document: &Value| SOURCES.iter().find(|source| (source.fits)(document));
    match document {
        Some(document) => fitting(&document),
        None => source_named("env"),
    }
}
