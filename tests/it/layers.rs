//! The house rules that a compiler does not hold: who may use whom, and which crates live where.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Crates and paths that live in one place, and that place.
const HOMES: &[(&str, &[&str])] = &[
    ("rmcp::", &["mcp/"]),
    ("argon2::", &["storage/vault/seal/"]),
    ("chacha20poly1305::", &["storage/vault/seal/"]),
    ("hkdf::", &["storage/vault/seal/"]),
    ("hmac::", &["storage/vault/seal/"]),
    ("sha2::", &["storage/vault/seal/"]),
    ("keyring_core::", &["storage/vault/keychain.rs"]),
    ("zbus_secret_service_keyring_store::", &["storage/vault/keychain.rs"]),
    ("rusqlite::", &["storage/ledger/"]),
    ("reqwest::", &["providers/"]),
    ("rustls::", &["providers/"]),
    ("rustls_platform_verifier::", &["providers/"]),
    ("globset::", &["settings/"]),
    ("httpdate::", &["providers/"]),
    ("hashlink::", &["gateway/cache.rs"]),
    (
        "aho_corasick::",
        &["gateway/http/scrub.rs", "providers/finder.rs", "services/scan/"],
    ),
    (
        "memchr::",
        &[
            "gateway/http/scrub.rs",
            "gateway/request/multipart.rs",
            "mcp/inbox.rs",
            "providers/usage/",
            "services/scan/",
        ],
    ),
    ("tiktoken::", &["domain/tokenizer.rs"]),
    ("governor::", &["gateway/keys/rate_limit.rs"]),
    ("hyper::", &["intake/", "gateway/", "providers/"]),
    ("hyper_rustls::", &["providers/"]),
    ("tower_service::", &["providers/"]),
    ("flate2::", &["providers/", "catalog/packed.rs"]),
    ("jsonc_parser::", &["mcp_clients/"]),
    ("toml_edit::", &["mcp_clients/"]),
    ("rpassword::", &["cli/"]),
    ("clap_complete::", &["cli/"]),
    ("std::env::", &["settings/", "main.rs"]),
    ("Timestamp::now", &["app/"]),
    ("SystemTime::now", &["app/"]),
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
            |source: &&Source| source.name != "error/mod.rs" && source.code().any(|(_, line)| line.contains(&used));
        assert!(
            sources.iter().any(|source| elsewhere(&source)),
            "{name} is documented and never given"
        );
    }
}

/// The gateway's folders and files in their order, those that stand beside each other in one row: each uses only what is
/// in a row below its own, or its own folder.
const GATEWAY: &[&[&str]] = &[
    &["server"],
    &["connection"],
    &["handler"],
    &["exchange"],
    &["state"],
    &["accounting"],
    &["cache", "keys", "models"],
    &["request"],
    &["http"],
    &["capacity", "metrics", "tasks"],
];

/// The most parameters of a function in the gateway, beside `self`.
const MAX_PARAMETERS: usize = 5;

/// The paths that a `use` statement names, one for each of its leaves.
fn expanded(tree: &str) -> Vec<String> {
    let Some((before, list)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        return vec![path.trim().to_owned()];
    };
    let list = list.trim_end().trim_end_matches('}');
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
        .into_iter()
        .filter(|part| !part.trim().is_empty())
        .flat_map(|part| expanded(part.trim()))
        .map(|path| format!("{}{path}", before.trim()))
        .collect()
}

/// The files of the gateway that `source` names: by `use`, and by full paths within its code.
fn used_files<'f>(source: &Source, files: &[&'f str]) -> Vec<&'f str> {
    let code: Vec<&str> = source.code().map(|(_, line)| line.trim()).collect();
    let code = code.join(" ");
    let mut paths: Vec<String> = code
        .split(';')
        .filter_map(|statement| Some(statement.split_once("use ")?.1))
        .flat_map(expanded)
        .collect();
    for start in ["crate::gateway::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let named = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            paths.push(code[at..].chars().take_while(|c| named(*c)).collect());
        }
    }
    let module: Vec<&str> = module_of(&source.name);
    let mut used = Vec::new();
    for path in paths {
        let mut parts: Vec<&str> = path.split("::").collect();
        let mut base = if path.starts_with("crate::gateway::") {
            parts.remove(0);
            Vec::with_capacity(parts.len())
        } else if path.starts_with("super::") || path.starts_with("self::") {
            module.clone()
        } else {
            continue;
        };
        for part in parts {
            match part {
                "super" => drop(base.pop()),
                "self" => {}
                part => base.push(part),
            }
        }
        let is_in = |file: &&&str| {
            let of = module_of(file);
            base.starts_with(&of)
        };
        let found = files.iter().filter(is_in).max_by_key(|file| module_of(file).len());
        used.extend(found.filter(|file| **file != source.name && !file.ends_with("mod.rs")));
    }
    used
}

/// The module that a file below `src` is.
fn module_of(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').collect()
}

/// The row of [`GATEWAY`] that a file belongs to.
fn row(file: &str) -> Option<usize> {
    let own = *module_of(file).get(1)?;
    let row = GATEWAY.iter().position(|row| row.contains(&own));
    assert!(row.is_some(), "GATEWAY has no place for {file}");
    row
}

#[test]
fn the_gateways_folders_import_downwards_and_its_files_in_no_circle() {
    let sources = sources();
    let gateway: Vec<&Source> = sources.iter().filter(|source| source.module() == "gateway").collect();
    let files: Vec<&str> = gateway.iter().map(|source| source.name.as_str()).collect();
    let graph: BTreeMap<&str, Vec<&str>> = gateway
        .iter()
        .map(|source| (source.name.as_str(), used_files(source, &files)))
        .collect();
    let uses: usize = graph.values().map(Vec::len).sum();
    assert!(uses > 40, "the check reads the imports it is meant for, found {uses}");
    let mut broken = Vec::new();
    for (file, used) in &graph {
        for other in used {
            let (Some(own), Some(below)) = (row(file), row(other)) else {
                continue;
            };
            let is_own_folder = module_of(file)[1] == module_of(other)[1];
            if below <= own && !is_own_folder {
                broken.push(format!("src/{file} uses {other}"));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "imports point downwards only:\n{}",
        broken.join("\n")
    );
    if let Some(circle) = circle(&graph) {
        panic!("files that import each other in a circle: {}", circle.join(" → "));
    }
}

/// Files of which each uses the next, and the last the first.
fn circle<'f>(graph: &BTreeMap<&'f str, Vec<&'f str>>) -> Option<Vec<&'f str>> {
    fn visit<'f>(
        file: &'f str,
        graph: &BTreeMap<&'f str, Vec<&'f str>>,
        path: &mut Vec<&'f str>,
        done: &mut Vec<&'f str>,
    ) -> Option<Vec<&'f str>> {
        if let Some(start) = path.iter().position(|before| *before == file) {
            return Some(path[start..].to_vec());
        }
        if done.contains(&file) {
            return None;
        }
        path.push(file);
        let found = graph
            .get(file)
            .into_iter()
            .flatten()
            .find_map(|used| visit(used, graph, path, done));
        path.pop();
        done.push(file);
        found
    }
    let (mut path, mut done) = (Vec::new(), Vec::new());
    graph.keys().find_map(|file| visit(file, graph, &mut path, &mut done))
}

#[test]
fn the_check_of_the_gateway_sees_every_import_and_every_circle() {
    let source = Source {
        path: PathBuf::new(),
        name: "gateway/keys/quota.rs".to_owned(),
        text: "use super::{health::Health, wait as w};\nuse crate::{\n    domain::Usd,\n    gateway::{http::{body::{self, Body}}, request::fields::Fields},\n};\nlet x = crate::gateway::state::new();\nlet y = super::super::cache::Cache;\n"
            .to_owned(),
    };
    let files = [
        "gateway/cache.rs",
        "gateway/http/body.rs",
        "gateway/keys/health.rs",
        "gateway/keys/quota.rs",
        "gateway/keys/wait.rs",
        "gateway/mod.rs",
        "gateway/request/fields.rs",
        "gateway/state.rs",
    ];
    let used: std::collections::BTreeSet<&str> = used_files(&source, &files).into_iter().collect();
    let expected = files
        .into_iter()
        .filter(|file| !file.ends_with("mod.rs") && *file != source.name);
    assert!(used.iter().copied().eq(expected), "{used:?}");
    let graph = BTreeMap::from([("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["b"])]);
    assert_eq!(circle(&graph), Some(vec!["b", "c"]));
}

#[test]
fn no_function_of_the_gateway_has_many_parameters() {
    let mut broken = Vec::new();
    let mut functions = 0;
    for source in sources().iter().filter(|source| source.module() == "gateway") {
        let code: Vec<&str> = source.code().map(|(_, line)| line).collect();
        let code = code.join("\n");
        for (at, _) in code.match_indices("fn ") {
            let name = word(&code[at + 3..]);
            if name.is_empty() {
                continue;
            }
            functions += 1;
            let parameters = parameters(&code[at + 3..]);
            if parameters > MAX_PARAMETERS {
                broken.push(format!("src/{}: {name} has {parameters}", source.name));
            }
        }
    }
    assert!(functions > 100, "the check sees the functions, found {functions}");
    assert!(
        broken.is_empty(),
        "a struct holds what belongs together:\n{}",
        broken.join("\n")
    );
}

/// How many parameters beside `self` the function has that `text` begins with, after `fn`.
fn parameters(text: &str) -> usize {
    let (mut depth, mut angles, mut list, mut before) = (0, 0, String::new(), ' ');
    for c in text.chars() {
        match c {
            '<' => angles += 1,
            '>' if before != '-' => angles -= 1,
            '(' | '[' if depth > 0 || angles == 0 => depth += 1,
            ')' | ']' if depth > 0 => depth -= 1,
            _ => {}
        }
        if depth > 0 {
            // A comma within a type is none between parameters.
            list.push(if c == ',' && (depth > 1 || angles > 0) { ' ' } else { c });
        } else if !list.is_empty() {
            break;
        }
        before = c;
    }
    list.trim_start_matches('(')
        .split(',')
        .map(str::trim)
        .filter(|parameter| !parameter.is_empty() && !parameter.ends_with("self"))
        .count()
}

#[test]
fn parameters_are_counted_without_self_and_whatever_their_types_are() {
    for (text, count) in [
        ("a()", 0),
        ("a(&mut self)", 0),
        ("a(self, one: u8)", 1),
        (
            "a<F: Fn(u8, u8) -> u8>(one: F, two: (u8, u8), three: Map<u8, u8>) -> (u8, u8)",
            3,
        ),
        ("a(\n    one: [u8; 2],\n    two: impl Fn(u8, u8) -> Option<u8>,\n) {", 2),
    ] {
        assert_eq!(parameters(text), count, "{text}");
    }
}

/// Types of which each system has its own.
const PER_SYSTEM: &[&str] = &["Directory"];

#[test]
fn a_types_name_is_unique_in_the_crate() {
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in &sources() {
        // Indented ones belong to a function.
        let items = source.code().filter(|(_, line)| !line.starts_with(' '));
        for (at, line) in items {
            let item = line
                .strip_prefix("pub")
                .map_or(line, |rest| match rest.strip_prefix('(') {
                    Some(scope) => scope.split_once(')').map_or(rest, |(_, rest)| rest),
                    None => rest,
                });
            let mut words = item.split_whitespace();
            if matches!(words.next(), Some("struct" | "enum" | "trait" | "type" | "union"))
                && let Some(name) = words.next()
            {
                let home = format!("src/{}:{at}", source.name);
                homes.entry(word(name)).or_default().push(home);
            }
        }
    }
    assert!(homes.len() > 300, "the declarations were not found");
    homes.retain(|name, homes| homes.len() > 1 && !PER_SYSTEM.contains(&name.as_str()));
    assert!(homes.is_empty(), "declared more than once: {homes:#?}");
}
