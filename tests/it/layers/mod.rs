//! The house rules that a compiler does not hold: who may use whom, and which crates live where.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

mod graph;
mod sources;

use graph::{circle, module_of, uses};
use sources::{Source, sources, word};

/// Crates and paths that live in one place, and that place.
const HOMES: &[(&str, &[&str])] = &[
    ("rmcp::", &["mcp/"]),
    ("aead_stream::", &["storage/backup/chunks.rs"]),
    ("argon2::", &["storage/vault/seal/"]),
    (
        "chacha20poly1305::",
        &["storage/vault/seal/", "storage/backup/chunks.rs"],
    ),
    ("hkdf::", &["storage/vault/seal/"]),
    (
        "hmac::",
        &[
            "storage/vault/seal/",
            "imports/command_center/fernet.rs",
            "alerts/channels/webhook.rs",
        ],
    ),
    (
        "sha2::",
        &[
            "storage/vault/seal/",
            "imports/command_center/fernet.rs",
            "alerts/channels/webhook.rs",
        ],
    ),
    ("lettre::", &["providers/mailer.rs"]),
    ("aes::", &["imports/command_center/fernet.rs"]),
    ("cbc::", &["imports/command_center/fernet.rs"]),
    ("pbkdf2::", &["imports/command_center/fernet.rs"]),
    ("keyring_core::", &["storage/vault/keychain.rs"]),
    ("zbus_secret_service_keyring_store::", &["storage/vault/keychain.rs"]),
    ("rusqlite::", &["storage/ledger/", "agent_logs/"]),
    ("reqwest::", &["providers/"]),
    ("rustls::", &["providers/"]),
    ("rustls_platform_verifier::", &["providers/"]),
    ("globset::", &["settings/"]),
    ("httpdate::", &["providers/"]),
    ("hashlink::", &["gateway/cache.rs", "gateway/known_ids.rs"]),
    ("ruzstd::", &["agent_logs/", "gateway/http/decoding.rs"]),
    ("brotli_decompressor::", &["gateway/http/decoding.rs"]),
    (
        "aho_corasick::",
        &["gateway/http/scrub.rs", "providers/finder.rs", "services/scan/"],
    ),
    (
        "memchr::",
        &[
            "agent_logs/lines.rs",
            "gateway/http/scrub.rs",
            "gateway/known_ids.rs",
            "gateway/request/multipart.rs",
            "mcp/inbox.rs",
            "providers/usage/",
            "services/scan/",
            "translation/event_stream.rs",
        ],
    ),
    ("tiktoken::", &["domain/tokenizer.rs"]),
    ("governor::", &["gateway/keys/rate_limit.rs"]),
    (
        "hyper::",
        &["intake/", "loopback/", "dashboard/", "gateway/", "providers/"],
    ),
    ("maud::", &["chart/", "dashboard/"]),
    ("hyper_rustls::", &["providers/"]),
    ("tower_service::", &["providers/"]),
    (
        "flate2::",
        &["providers/", "catalog/packed.rs", "gateway/http/decoding.rs"],
    ),
    ("jsonc_parser::", &["mcp_clients/"]),
    ("toml_edit::", &["mcp_clients/", "settings/destinations.rs"]),
    ("yaml_rust2::", &["imports/sources/documents.rs"]),
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
    for code in api_keys::error::Code::ALL {
        let (used, name) = (format!("Code::{code:?}"), code.as_str());
        let elsewhere =
            |source: &&Source| source.name != "error/code.rs" && source.code().any(|(_, line)| line.contains(&used));
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
    &["capacity", "known_ids", "metrics", "tasks"],
];

/// The row of [`GATEWAY`] that a file belongs to.
fn row(file: &str) -> Option<usize> {
    let own = *module_of(file).get(1)?;
    let row = GATEWAY.iter().position(|row| row.contains(&own));
    assert!(row.is_some(), "GATEWAY has no place for {file}");
    row
}

#[test]
fn the_gateways_folders_import_downwards() {
    let sources = sources();
    let graph = uses(&sources);
    let mut broken = Vec::new();
    let mut seen = 0;
    for (file, used) in graph.iter().filter(|(file, _)| file.starts_with("gateway/")) {
        for other in used.iter().filter(|other| other.starts_with("gateway/")) {
            seen += 1;
            let (Some(own), Some(below)) = (row(file), row(other)) else {
                continue;
            };
            let is_own_folder = module_of(file)[1] == module_of(other)[1];
            if below <= own && !is_own_folder {
                broken.push(format!("src/{file} uses {other}"));
            }
        }
    }
    assert!(seen > 40, "the check reads the imports it is meant for, found {seen}");
    assert!(
        broken.is_empty(),
        "imports point downwards only:\n{}",
        broken.join("\n")
    );
}

#[test]
fn files_import_each_other_in_no_circle() {
    let sources = sources();
    let graph = uses(&sources);
    let seen: usize = graph.values().map(BTreeSet::len).sum();
    assert!(seen > 500, "the check reads the imports it is meant for, found {seen}");
    if let Some(circle) = circle(&graph) {
        panic!("files that import each other in a circle: {}", circle.join(" → "));
    }
}

#[test]
fn the_check_of_circles_follows_imports_through_re_exports() {
    let file = |name: &str, text: &str| Source {
        path: PathBuf::new(),
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let sources = [
        file("lib.rs", "pub mod a;\npub mod b;\n"),
        file(
            "a/mod.rs",
            "mod deep;\nmod plain;\npub use self::{deep::Deep, plain as simple};\npub struct Own;\n",
        ),
        file("a/deep.rs", "pub struct Deep;\nfn f() { super::plain::g(); }\n"),
        file("a/plain.rs", "use super::{Deep as D, Own};\npub fn g() {}\n"),
        file("b.rs", "use crate::a::{self, Deep};\nfn f() { a::simple::g(); }\n"),
    ];
    let graph = uses(&sources);
    let used = |name: &str| graph[name].iter().copied().collect::<Vec<_>>();
    assert!(used("a/mod.rs").is_empty(), "re-exports are no use");
    assert_eq!(used("a/deep.rs"), ["a/plain.rs"]);
    assert_eq!(used("a/plain.rs"), ["a/deep.rs", "a/mod.rs"]);
    assert_eq!(used("b.rs"), ["a/deep.rs", "a/plain.rs"]);
    assert_eq!(circle(&graph), Some(vec!["a/deep.rs", "a/plain.rs"]));
}

/// What stands in for another file on other systems, and so defines the same.
const ALTERNATIVES: &[&str] = &["storage/files/elsewhere.rs"];

#[test]
fn each_type_has_a_name_of_its_own() {
    let sources = sources();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources.iter().filter(|it| !ALTERNATIVES.contains(&it.name.as_str())) {
        for (at, line) in source.code() {
            if let Some(("struct" | "enum" | "trait" | "type" | "union", name)) = graph::definition(line) {
                places
                    .entry(name)
                    .or_default()
                    .push(format!("src/{}:{at}", source.name));
            }
        }
    }
    assert!(places.len() > 500, "the check sees the types, found {}", places.len());
    let twice: Vec<String> = places
        .iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect();
    assert!(twice.is_empty(), "names that two types have:\n{}", twice.join("\n"));
}

/// The folders whose `mod.rs` declares the type that they are named for.
const NAMED_FOR_THEIR_TYPE: &[&str] = &["app", "error", "settings"];

#[test]
fn a_mod_rs_says_what_its_folder_holds_and_has_no_code() {
    let sources = sources();
    let mut broken = Vec::new();
    for source in &sources {
        let Some(folder) = source.name.strip_suffix("/mod.rs") else {
            continue;
        };
        // The only module of its folder, beside long tests.
        let is_alone = !sources
            .iter()
            .any(|other| other.name != source.name && other.name.starts_with(&format!("{folder}/")));
        let has_code = source.code().any(|(_, line)| {
            graph::definition(line).is_some_and(|(kind, _)| matches!(kind, "fn" | "struct" | "enum" | "trait"))
        });
        if has_code && !is_alone && !NAMED_FOR_THEIR_TYPE.contains(&folder) {
            broken.push(format!("src/{}", source.name));
        }
    }
    assert!(broken.is_empty(), "code in a file of a name:\n{}", broken.join("\n"));
}

#[test]
fn catalog_has_one_spelling() {
    let mut broken = Vec::new();
    for source in sources() {
        for (at, line) in source.text.lines().enumerate() {
            // The folder's name, and that of a stored format.
            let line = line
                .replace("packaging/catalogue", "")
                .replace("api-keys catalogue", "");
            if line.to_lowercase().contains("catalogue") {
                broken.push(format!("src/{}:{}", source.name, at + 1));
            }
        }
    }
    assert!(broken.is_empty(), "it is `catalog`:\n{}", broken.join("\n"));
}

/// The most parameters of a function in the gateway, beside `self`.
const MAX_PARAMETERS: usize = 5;

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
