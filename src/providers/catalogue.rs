//! The providers that are built in.

use super::{
    declaration::{Auth, Check, KeyUse, ProviderDef},
    readings,
};

/// Every built-in provider, in the order in which people read them.
pub static PROVIDERS: &[ProviderDef] = &[
    ProviderDef {
        id: "anthropic",
        title: "Anthropic",
        env_vars: &["ANTHROPIC_API_KEY"],
        base_url: Some("https://api.anthropic.com"),
        key: KeyUse::Required,
        auth: Auth::Header("x-api-key"),
        prefixes: &["sk-ant-api03-", "sk-ant-"],
        console: "https://platform.claude.com/settings/keys",
        check: Some(Check {
            headers: &[("anthropic-version", "2023-06-01")],
            ..Check::get(&["/v1/models"])
        }),
        read: readings::usual,
    },
    ProviderDef {
        id: "openai",
        title: "OpenAI",
        env_vars: &["OPENAI_API_KEY"],
        base_url: Some("https://api.openai.com/v1"),
        key: KeyUse::Required,
        auth: Auth::Bearer,
        prefixes: &["sk-svcacct-", "sk-service-", "sk-proj-", "sk-"],
        console: "https://platform.openai.com/api-keys",
        check: Some(Check::get(&["/models"])),
        read: readings::usual,
    },
    ProviderDef {
        id: "google",
        title: "Google Gemini",
        env_vars: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        base_url: Some("https://generativelanguage.googleapis.com"),
        key: KeyUse::Required,
        auth: Auth::Header("x-goog-api-key"),
        prefixes: &["AIza", "AQ."],
        console: "https://aistudio.google.com/apikey",
        check: Some(Check::get(&["/v1beta/models"])),
        read: readings::usual,
    },
    ProviderDef {
        id: "local",
        title: "Ollama",
        env_vars: &[],
        base_url: Some("http://127.0.0.1:11434"),
        key: KeyUse::Optional,
        auth: Auth::Bearer,
        prefixes: &[],
        console: "",
        check: Some(Check::get(&["/api/version", "/api/tags"])),
        read: readings::usual,
    },
];

/// What an endpoint of the user's own is taken for.
pub(super) static OPENAI_COMPATIBLE: ProviderDef = ProviderDef {
    id: "",
    title: "OpenAI-compatible endpoint",
    env_vars: &[],
    base_url: None,
    key: KeyUse::Optional,
    auth: Auth::Bearer,
    prefixes: &[],
    console: "",
    check: Some(Check::get(&["/models"])),
    read: readings::usual,
};
