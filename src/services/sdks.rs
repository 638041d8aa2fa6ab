//! The variables in which the usual libraries look for an address and a key.

/// A library of a provider's, or one that reads the same variables.
#[derive(Debug)]
pub struct Sdk {
    pub title: &'static str,
    /// The variables that it reads its base URL from.
    pub bases: &'static [&'static str],
    /// What its base URL has after the gateway's address.
    pub path: &'static str,
    /// The variables that it reads its key from; which one counts differs between libraries and their versions.
    pub keys: &'static [&'static str],
}

/// Ollama's is not among them: what runs on this machine needs no key, and half of the programs that read
/// `OLLAMA_HOST` could send none.
pub const SDKS: &[Sdk] = &[
    Sdk {
        title: "OpenAI's, and compatible ones",
        bases: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
        path: "/v1",
        keys: &["OPENAI_API_KEY"],
    },
    Sdk {
        title: "Anthropic's, and Claude Code",
        bases: &["ANTHROPIC_BASE_URL"],
        path: "",
        keys: &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"],
    },
    Sdk {
        title: "Google's `genai`, and Gemini CLI",
        bases: &["GOOGLE_GEMINI_BASE_URL"],
        path: "/p/google",
        keys: &["GEMINI_API_KEY"],
    },
];

/// The variables that a library reads its key from besides `name`.
pub fn keys_beside(name: &str) -> impl Iterator<Item = &'static str> {
    let readers = SDKS.iter().filter(move |sdk| sdk.keys.contains(&name));
    readers
        .flat_map(|sdk| sdk.keys.iter().copied())
        .filter(move |other| *other != name)
}

/// What some of them prefer to the keys that are set, and so must not be there.
pub const PREFERRED: &[&str] = &["GOOGLE_API_KEY"];

/// The variables with the address of the gateway at `base`, such as `http://127.0.0.1:8787`.
pub fn addresses(base: &str) -> Vec<(&'static str, String)> {
    SDKS.iter()
        .flat_map(|sdk| sdk.bases.iter().map(move |name| (*name, format!("{base}{}", sdk.path))))
        .collect()
}

/// The variables for the key.
pub fn keys() -> impl Iterator<Item = &'static str> {
    SDKS.iter().flat_map(|sdk| sdk.keys.iter().copied())
}
