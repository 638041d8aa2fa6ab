//! Which file uses which: by `use`, by full paths within its code, and through re-exports.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{Source, word};

/// For each file the others that it uses.
///
/// A `mod.rs` is used where something is taken that it defines itself; what it re-exports leads on to where that is
/// defined, and its re-exports are no use of its own.
pub(super) fn uses(sources: &[Source]) -> BTreeMap<&str, BTreeSet<&str>> {
    let files = Files::read(sources);
    files
        .by_module
        .values()
        .map(|file| (file.name, files.used_by(file)))
        .collect()
}

/// Files of which each uses the next, and the last the first.
pub(super) fn circle<'f>(graph: &BTreeMap<&'f str, BTreeSet<&'f str>>) -> Option<Vec<&'f str>> {
    fn visit<'f>(
        file: &'f str,
        graph: &BTreeMap<&'f str, BTreeSet<&'f str>>,
        path: &mut Vec<&'f str>,
        done: &mut BTreeSet<&'f str>,
    ) -> Option<Vec<&'f str>> {
        if let Some(start) = path.iter().position(|before| *before == file) {
            return Some(path[start..].to_vec());
        }
        if done.contains(file) {
            return None;
        }
        path.push(file);
        let used = graph.get(file).into_iter().flatten();
        let found = used.into_iter().find_map(|used| visit(used, graph, path, done));
        path.pop();
        done.insert(file);
        found
    }
    let (mut path, mut done) = (Vec::new(), BTreeSet::new());
    graph.keys().find_map(|file| visit(file, graph, &mut path, &mut done))
}

/// The module that a file below `src` is.
pub(super) fn module_of(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|part| *part != "lib").collect()
}

/// The keyword and the name of the item that a line begins at the file's outermost level.
pub(super) fn definition(line: &str) -> Option<(&str, String)> {
    let mut rest = line;
    if let Some(after) = rest.strip_prefix("pub") {
        rest = match after.strip_prefix('(') {
            Some(place) => place.split_once(") ")?.1,
            None => after.strip_prefix(' ')?,
        };
    }
    loop {
        let (first, after) = rest.split_once(' ')?;
        let is_qualifier = matches!(first, "async" | "unsafe") || first == "const" && after.contains("fn ");
        if !is_qualifier {
            let is_item = matches!(
                first,
                "fn" | "struct" | "enum" | "trait" | "type" | "union" | "const" | "static"
            );
            return is_item.then(|| (first, word(after)));
        }
        rest = after;
    }
}

struct File<'s> {
    name: &'s str,
    module: Vec<String>,
    /// What it imports, by the name that it has here.
    imports: BTreeMap<String, Vec<String>>,
    definitions: BTreeSet<String>,
    /// Its code without `use` statements.
    body: String,
}

impl File<'_> {
    fn is_folder(&self) -> bool {
        self.name.ends_with("/mod.rs")
    }
}

/// The files by their modules' paths.
struct Files<'s> {
    by_module: BTreeMap<String, File<'s>>,
}

impl<'s> Files<'s> {
    fn read(sources: &'s [Source]) -> Self {
        let files = sources.iter().filter(|source| source.name != "main.rs").map(|source| {
            let module: Vec<String> = module_of(&source.name).into_iter().map(str::to_owned).collect();
            let lines: Vec<&str> = source.code().map(|(_, line)| line).collect();
            let (mut imports, mut body) = (BTreeMap::new(), String::new());
            let mut statement: Option<String> = None;
            for line in &lines {
                let trimmed = line.trim();
                let begins = statement.is_none() && import(trimmed).is_some();
                if begins {
                    statement = Some(String::new());
                }
                let Some(text) = &mut statement else {
                    body.push_str(line);
                    body.push('\n');
                    continue;
                };
                text.push_str(trimmed);
                text.push(' ');
                if trimmed.ends_with(';') {
                    let tree = import(text).unwrap_or_default().trim().trim_end_matches(';').to_owned();
                    for leaf in expanded(&tree) {
                        let (path, alias) = leaf.split_once(" as ").unwrap_or((leaf.as_str(), ""));
                        let path = path.trim_end_matches("::self");
                        let last = path.rsplit("::").next().unwrap_or_default();
                        let name = if alias.is_empty() { last } else { alias.trim() };
                        if let Some(path) = absolute(path, &module) {
                            imports.insert(name.to_owned(), path);
                        }
                    }
                    statement = None;
                }
            }
            let definitions = lines
                .iter()
                .filter_map(|line| definition(line))
                .map(|(_, name)| name)
                .collect();
            let key = module.join("::");
            let file = File {
                name: &source.name,
                module,
                imports,
                definitions,
                body,
            };
            (key, file)
        });
        Self {
            by_module: files.collect(),
        }
    }

    /// The file that `path` leads to, and what it is there; nothing for the module itself.
    fn find<'p>(&self, path: &'p [String]) -> Option<(&File<'s>, Option<&'p str>)> {
        (0..=path.len()).rev().find_map(|length| {
            let file = self.by_module.get(&path[..length].join("::"))?;
            Some((file, path.get(length).map(String::as_str)))
        })
    }

    /// The file that defines what `path` names; nothing for a module that only leads on.
    fn definer(&self, path: &[String]) -> Option<&File<'s>> {
        let mut path = path.to_vec();
        // As many re-exports of a re-export as anybody writes.
        for _ in 0..8 {
            let (file, item) = self.find(&path)?;
            let Some(item) = item else {
                return (!file.is_folder()).then_some(file);
            };
            if file.definitions.contains(item) {
                return Some(file);
            }
            let Some(target) = file.imports.get(item) else {
                return (!file.is_folder()).then_some(file);
            };
            let rest = path[file.module.len() + 1..].to_vec();
            path = [target.clone(), rest].concat();
        }
        None
    }

    fn used_by(&self, file: &File<'s>) -> BTreeSet<&'s str> {
        let mut used = BTreeSet::new();
        let mut add = |path: &[String]| {
            let definer = self
                .definer(path)
                .filter(|it| it.name != file.name && it.name != "lib.rs");
            used.extend(definer.map(|definer| definer.name));
        };
        let words: BTreeSet<&str> = file.body.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        for (name, path) in &file.imports {
            let is_module = self.find(path).is_some_and(|(_, item)| item.is_none());
            // What is imported as a module is used by the paths that begin with it.
            if !is_module && (!file.is_folder() || words.contains(name.as_str())) {
                add(path);
            }
        }
        let named = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for path in file.body.split(|c| !named(c)).filter(|path| path.contains("::")) {
            let (first, rest) = path.split_once("::").unwrap_or((path, ""));
            let within: Vec<String> = rest.split("::").map(str::to_owned).collect();
            if let Some(path) = absolute(path, &file.module) {
                add(&path);
            } else if let Some(import) = file.imports.get(first) {
                add(&[import.clone(), within].concat());
            } else {
                let child = [file.module.clone(), vec![first.to_owned()]].concat();
                if self.by_module.contains_key(&child.join("::")) {
                    add(&[child, within].concat());
                }
            }
        }
        used
    }
}

/// The tree of a `use` statement that begins with `text`.
fn import(text: &str) -> Option<&str> {
    let text = match text.strip_prefix("pub") {
        Some(after) if after.starts_with('(') => after.split_once(") ")?.1,
        Some(after) => after.trim_start(),
        None => text,
    };
    text.strip_prefix("use ")
}

/// The path from the crate's root; nothing for what is not in the crate by its first word.
fn absolute(path: &str, module: &[String]) -> Option<Vec<String>> {
    let mut parts = path.split("::").map(str::trim).filter(|part| !part.is_empty());
    let mut base = match parts.next()? {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        _ => return None,
    };
    for part in parts {
        match part {
            "super" => drop(base.pop()),
            part => base.push(part.to_owned()),
        }
    }
    Some(base)
}

/// The paths that a `use` tree names, one for each of its leaves.
fn expanded(tree: &str) -> Vec<String> {
    let Some((before, list)) = tree.split_once('{') else {
        return vec![tree.trim().to_owned()];
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
