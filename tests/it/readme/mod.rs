//! The README and the pages in `docs/` say what the program does: generated tables, examples and links.
//!
//! `UPDATE_README=1` writes what has changed; read the difference before you commit it.

mod examples;
mod links;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use api_keys::{cli, docs, settings::Config};

/// A page of the documentation.
struct Page {
    path: PathBuf,
    text: String,
}

/// The README and every page in `docs/`, in order.
fn pages() -> Vec<Page> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join("docs")).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    // Beside them are pictures.
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths.insert(0, root.join("README.md"));
    paths.into_iter().map(Page::read).collect()
}

/// Held by a test that may write the pages, so that none writes what another has just changed.
fn writing() -> MutexGuard<'static, ()> {
    static WRITING: Mutex<()> = Mutex::new(());
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).expect("a page");
        Self { path, text }
    }

    fn name(&self) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        self.path.strip_prefix(root).expect("in here").display().to_string()
    }

    /// Expects the page to say `current`, or writes that if it was asked to.
    fn expect(&self, current: &str) {
        if std::env::var_os("UPDATE_README").is_some() {
            if self.text != current {
                fs::write(&self.path, current).expect("a writable page");
            }
            return;
        }
        let first = self.text.lines().zip(current.lines()).find(|(old, new)| old != new);
        assert!(
            self.text == current,
            "{} is out of date: run `UPDATE_README=1 cargo test --test it readme`; the first difference: {first:#?}",
            self.name()
        );
    }

    /// The fenced blocks in the language, without the fences.
    fn fences(&self, language: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if let Some(opened) = line.strip_prefix("```") {
                let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
                if opened == language {
                    found.push(block.join("\n"));
                }
            }
        }
        found
    }
}

#[test]
fn the_tables_are_current() {
    let _alone = writing();
    for page in pages() {
        let current = docs::with_tables(&page.text, &cli::command());
        page.expect(&current);
        // A name that the generator does not know leaves an empty table.
        for (begin, _) in current.match_indices("<!-- table: ") {
            let table = current[begin..].split("<!-- end -->").next().unwrap_or_default();
            assert!(table.lines().count() > 3, "{}: {table}", page.name());
        }
    }
}

#[test]
fn the_readme_is_short() {
    let page = pages().swap_remove(0);
    let words = page.text.split_whitespace().count();
    assert!(words <= 2_000, "{words} words");
}

#[test]
fn examples_of_settings_are_valid_and_the_defaults_are_the_defaults() {
    for page in pages() {
        for example in page.fences("json") {
            let parsed = serde_json::from_str::<serde_json::Value>(&example);
            assert!(parsed.is_ok(), "{}: {parsed:?} in {example}", page.name());
        }
        for example in page.fences("toml") {
            if page.name() != "docs/configuration.md" {
                let parsed = example.parse::<toml::Table>();
                assert!(parsed.is_ok(), "{}: {parsed:?} in {example}", page.name());
                continue;
            }
            match Config::parse(&example) {
                Ok(config) if !example.starts_with("# Example") => {
                    assert!(config == Config::default(), "not what is built in: {example}");
                }
                Ok(_) => {}
                Err(why) => panic!("{why} in {example}"),
            }
        }
    }
}
