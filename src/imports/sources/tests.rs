//! One golden file for each form, as the program's documentation or source has it; every key in them is made up.

use super::*;

const OPENAI: &str = "sk-proj-MadeUpForTheTestsOai0123456789abcdefXYZ";
const ANTHROPIC: &str = "sk-ant-api03-MadeUpForTheTestsAnt0123456789abcdefXYZ";
const GROQ: &str = "gsk_MadeUpForTheTestsGrq0123456789abcdefXYZABCDEFGHIJKLM";
const OWN: &str = "own-MadeUpForTheTestsOwn0123456789";

/// The file, what its form is called, the secrets in it by name, and how many are left out.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    usize,
);

const CASES: &[Case] = &[
    ("llm.json", "llm", &[("openai", OPENAI), ("claude", ANTHROPIC)], 0),
    (
        "litellm.yaml",
        "litellm",
        &[
            ("model_list.gpt.api_key", OPENAI),
            ("model_list.own.api_key", OWN),
            ("credential_list.anthropic.api_key", ANTHROPIC),
            ("GROQ_API_KEY", GROQ),
        ],
        1,
    ),
    (
        "aichat.yaml",
        "aichat",
        &[
            ("clients.openai.api_key", OPENAI),
            ("clients.claude.api_key", ANTHROPIC),
            ("clients.groq.api_key", GROQ),
        ],
        0,
    ),
    ("continue.yaml", "continue", &[("models.GPT.apiKey", OPENAI)], 1),
    ("continue.json", "continue", &[("models.Claude.apiKey", ANTHROPIC)], 0),
    ("opencode.json", "opencode", &[("openai", OPENAI)], 1),
    (
        "opencode-settings.jsonc",
        "opencode",
        &[("provider.groq.options.apiKey", GROQ)],
        1,
    ),
    ("codex.json", "codex", &[("OPENAI_API_KEY", OPENAI)], 0),
    ("codex-plan.json", "codex", &[], 1),
    (
        "claude-code.json",
        "claude-code",
        &[("env.ANTHROPIC_API_KEY", ANTHROPIC)],
        0,
    ),
    (
        "claude-code-router.json",
        "claude-code-router",
        &[("Providers.openai.api_key", OPENAI)],
        1,
    ),
    ("crush.json", "crush", &[("providers.openai.api_key", OPENAI)], 1),
    (
        "goose.yaml",
        "",
        &[("OPENAI_API_KEY", OPENAI), ("ANTHROPIC_API_KEY", ANTHROPIC)],
        0,
    ),
    (
        "aider.yaml",
        "aider",
        &[("openai-api-key", OPENAI), ("api-key.groq", GROQ)],
        0,
    ),
    (
        "compose.yaml",
        "compose",
        &[("web.OPENAI_API_KEY", OPENAI), ("worker.GROQ_API_KEY", GROQ)],
        1,
    ),
    (
        "bitwarden.json",
        "bitwarden",
        &[
            ("OpenAI API key.password", OPENAI),
            ("Notes.ANTHROPIC_API_KEY", ANTHROPIC),
        ],
        0,
    ),
    ("bitwarden-encrypted.json", "bitwarden", &[], 1),
    (
        "doppler.json",
        "json",
        &[("OPENAI_API_KEY", OPENAI), ("DOPPLER_PROJECT", "example")],
        0,
    ),
    (
        "infisical.json",
        "json",
        &[("OPENAI_API_KEY", OPENAI), ("DEBUG", "1")],
        0,
    ),
    ("vault-kv.json", "json", &[("ANTHROPIC_API_KEY", ANTHROPIC)], 0),
    (
        "dotenv.env",
        "env",
        &[("OPENAI_API_KEY", OPENAI), ("ANTHROPIC_API_KEY", ANTHROPIC)],
        2,
    ),
    ("profile.sh", "env", &[("OPENAI_API_KEY", OPENAI)], 0),
    ("config.fish", "env", &[("OPENAI_API_KEY", OPENAI)], 0),
    ("profile.ps1", "env", &[("ANTHROPIC_API_KEY", ANTHROPIC)], 0),
];

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/imports/");
    std::fs::read(format!("{folder}{name}")).expect("a golden file")
}

#[test]
fn every_form_is_read_as_its_program_writes_it() {
    for (name, form, secrets, left_out) in CASES {
        let bytes = file(name);
        let source = source_named(if form.is_empty() { "goose" } else { form }).expect("a source");
        let contents = (source.read)(&bytes).unwrap_or_else(|why| panic!("{name} {why}"));
        let found: Vec<(&str, &str)> = contents
            .secrets
            .iter()
            // EXPOSE: made-up values in a test
            .map(|found| (found.name.as_str(), found.secret.expose()))
            .collect();
        assert_eq!(found, *secrets, "{name}");
        assert_eq!(contents.left_out.len(), *left_out, "{name}: {:?}", contents.left_out);
    }
}

#[test]
fn a_form_is_guessed_by_what_is_in_the_file() {
    for (name, form, ..) in CASES.iter().filter(|(_, form, ..)| !form.is_empty()) {
        let guessed = guess(&file(name)).map(|source| source.name);
        assert_eq!(guessed, Some(*form), "{name}");
    }
    assert!(guess(b"").is_none());
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let mut seed = 1_u32;
    for (name, ..) in CASES {
        let whole = file(name);
        for _ in 0..40 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut bytes = whole.clone();
            let at = seed as usize % bytes.len();
            bytes[at] ^= (seed >> 24) as u8 | 1;
            bytes.truncate(at + (seed >> 16) as usize % (bytes.len() - at) + 1);
            for source in SOURCES {
                let _ = (source.read)(&bytes);
            }
            let _ = guess(&bytes);
        }
    }
}

#[test]
fn each_source_has_a_name_of_its_own() {
    for (at, source) in SOURCES.iter().enumerate() {
        assert!(
            SOURCES[..at].iter().all(|other| other.name != source.name),
            "{}",
            source.name
        );
        assert!(source_named(source.name).is_some());
    }
}
