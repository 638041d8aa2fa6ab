//! The sources of the crate, as text.

use std::{
    fs,
    path::{Path, PathBuf},
};

pub(super) struct Source {
    pub(super) path: PathBuf,
    /// The path below `src`, with `/`.
    pub(super) name: String,
    pub(super) text: String,
}

impl Source {
    /// The module of the crate that the file belongs to.
    pub(super) fn module(&self) -> &str {
        self.name.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// The lines of code with their numbers: no comments, and nothing of the unit tests at the file's end.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .map(|(at, line)| (at + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The crate's modules that the code names, with the line.
    pub(super) fn used_modules(&self) -> Vec<(usize, String)> {
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
pub(super) fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

pub(super) fn sources() -> Vec<Source> {
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
