//! The house rules that a compiler does not hold: who may use whom, and which crates live where.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Crates and paths that live in one place, and that place.
const HOMES: &[(&str, &[&str])] = &[
    ("rmcp::", &["mcp/"]),
    ("argon2::", &["storage/vault/seal.rs"]),
    ("chacha20poly1305::", &["storage/vault/seal.rs"]),
    ("hkdf::", &["storage/vault/seal.rs"]),
    ("hmac::", &["storage/vault/seal.rs"]),
    ("sha2::", &["storage/vault/seal.rs"]),
    ("keyring_core::", &["storage/vault/keychain.rs"]),
    ("zbus_secret_service_keyring_store::", &["storage/vault/keychain.rs"]),
    ("rusqlite::", &["storage/ledger/"]),
    ("reqwest::", &["providers/"]),
    ("rustls::", &["providers/"]),
    ("httpdate::", &["providers/"]),
    ("hashlink::", &["gateway/cache.rs"]),
    ("aho_corasick::", &["gateway/http/scrub.rs"]),
    ("memchr::", &["gateway/http/scrub.rs"]),
    ("governor::", &["gateway/keys/rate_limit.rs"]),
    ("hyper::", &["intake/", "gateway/", "providers/"]),
    ("hyper_rustls::", &["providers/"]),
    ("tower_service::", &["providers/"]),
    ("flate2::", &["providers/"]),
    ("jsonc_parser::", &["clients/"]),
    ("toml_edit::", &["clients/"]),
    ("rpassword::", &["cli/"]),
    ("clap_complete::", &["cli/"]),
    ("std::env::", &["settings/", "main.rs"]),
    ("Timestamp::now", &["app.rs"]),
    ("SystemTime::now", &["app.rs"]),
];

/// Modules that do not know each other, though one stands above the other.
const STRANGERS: &[(&str, &str)] = &[
    ("providers", "storage"),
    ("settings", "storage"),
    ("resources", "tools"),
    ("prompts", "tools"),
    ("prompts", "resources"),
    ("intake", "tools"),
    ("cli", "intake"),
    ("gateway", "tools"),
    ("gateway", "intake"),
    ("mcp", "gateway"),
];

struct Source {
    path: PathBuf,
    /// The path below `src`, with `/`.
    name: String,
    text: String,
}

impl Source {
    /// The module of the crate that the file belongs to.
    fn module(&self) -> &str {
        self.name.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// The lines of code with their numbers: no comments, and nothing of the unit tests at the file's end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .map(|(at, line)| (at + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The crate's modules that the code names, with the line.
    fn used_modules(&self) -> Vec<(usize, String)> {
        let mut used = Vec::new();
        let mut in_list = false;
        let mut depth = 0;
        for (at, line) in self.code() {
            let mut rest = line;
            if !in_list {
                for (start, found) in line.match_indices("crate::") {
                    let after = &line[start + found.len()..];
                    used.push((at, word(after)));
                }
                let Some(list) = line.trim_start().strip_prefix("use crate::{") else {
                    continue;
                };
                (depth, rest) = (1, list);
            }
            // Within `use crate::{…}`: the words that stand at its first level.
            let mut fresh = true;
            for (position, c) in rest.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' => fresh = true,
                    c if c.is_alphabetic() && depth == 1 && fresh => {
                        used.push((at, word(&rest[position..])));
                        fresh = false;
                    }
                    _ => {}
                }
            }
            in_list = depth > 0;
        }
        used
    }
}

/// The identifier that `text` begins with.
fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn sources() -> Vec<Source> {
    fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    assert!(paths.len() > 20, "the sources were not found");
    paths
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            Source {
                text: fs::read_to_string(&path).unwrap(),
                name,
                path,
            }
        })
        .collect()
}

/// The crate's modules in the order of `lib.rs`, lowest first.
fn layers(sources: &[Source]) -> BTreeMap<&str, usize> {
    let lib = sources.iter().find(|source| source.name == "lib.rs").unwrap();
    let modules = lib
        .text
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    modules.enumerate().map(|(at, module)| (module, at)).collect()
}

#[test]
fn a_module_uses_only_what_lib_rs_lists_above_it() {
    let sources = sources();
    let layers = layers(&sources);
    let mut broken = Vec::new();
    let mut uses = 0;
    for source in &sources {
        let Some(own) = layers.get(source.module()) else {
            continue;
        };
        for (at, used) in source.used_modules() {
            let Some(level) = layers.get(used.as_str()) else {
                continue;
            };
            uses += 1;
            if level > own || STRANGERS.contains(&(source.module(), used.as_str())) {
                broken.push(format!("src/{}:{at} uses {used}", source.name));
            }
        }
    }
    assert!(
        uses > 50,
        "the check reads the `use` lines it is meant for, found {uses}"
    );
    assert!(
        broken.is_empty(),
        "imports point downwards only:\n{}",
        broken.join("\n")
    );
}

#[test]
fn the_check_of_imports_sees_every_way_of_writing_them() {
    let text = "use crate::{\n    app::App,\n    domain::{ApiKey, providers},\n    error::Result,\n};\nuse crate::cli::main;\nlet x = crate::mcp::serve();\n";
    let source = Source {
        path: PathBuf::new(),
        name: "x.rs".to_owned(),
        text: text.to_owned(),
    };
    let used: Vec<String> = source
        .used_modules()
        .into_iter()
        .map(|(_, module)| module)
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!(used, ["app", "domain", "error", "cli", "mcp"]);
}

#[test]
fn crates_with_one_home_stay_there() {
    let mut broken = Vec::new();
    for source in sources() {
        for (at, line) in source.code() {
            for (name, homes) in HOMES {
                let named = line.match_indices(name).any(|(start, _)| {
                    let before = line[..start].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
                });
                if named && !homes.iter().any(|home| source.name.starts_with(home)) {
                    broken.push(format!("src/{}:{at} names {name}", source.name));
                }
            }
        }
    }
    assert!(broken.is_empty(), "one home each:\n{}", broken.join("\n"));
}

#[test]
fn every_exposure_of_a_secret_says_why() {
    let mut broken = Vec::new();
    let mut exposures = 0;
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if !line.contains(".expose()") || line.trim_start().starts_with("//") {
                continue;
            }
            exposures += 1;
            if !lines[at.saturating_sub(3)..=at]
                .iter()
                .any(|line| line.contains("EXPOSE: "))
            {
                broken.push(format!("{}:{}", source.path.display(), at + 1));
            }
        }
    }
    assert!(exposures > 5, "the check sees the exposures, found {exposures}");
    assert!(broken.is_empty(), "no reason given:\n{}", broken.join("\n"));
}

#[test]
fn main_is_short() {
    let sources = sources();
    let main = sources.iter().find(|source| source.name == "main.rs").unwrap();
    assert!(main.text.lines().count() <= 40);
}

#[test]
fn every_error_code_can_happen() {
    let sources = sources();
    for (code, name, ..) in api_keys::error::CODES {
        let used = format!("Code::{code:?}");
        let elsewhere =
            |source: &&Source| source.name != "error.rs" && source.code().any(|(_, line)| line.contains(&used));
        assert!(
            sources.iter().any(|source| elsewhere(&source)),
            "{name} is documented and never given"
        );
    }
}
