//! Files such as `.env`: variables with values, as shells and many programs read them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::named_file;
use crate::{
    domain::Secret,
    error::{Code, Error, Result},
};

/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: usize = 256 * 1024;
const HINT: &str = "name a file with lines such as OPENAI_API_KEY=…";
/// Endings of files that show the form and hold no values.
const EXAMPLES: &[&str] = &["example", "sample", "template", "dist"];

/// A file such as `.env`, in memory that is wiped.
pub(super) struct EnvFile(Zeroizing<Vec<u8>>);

/// How a value is written.
enum Value<'a> {
    Plain(&'a str),
    /// Between these quotes.
    Quoted(char, &'a str),
}

/// The variables of a file with their values, in order.
///
/// As python-dotenv and node's dotenv read them, where these two agree; `tests/data/dotenv.json` says what is chosen
/// where they do not.
struct Bindings<'a>(&'a str);

impl EnvFile {
    /// Reads the file that a person named, which may be a pipe; no error repeats its name: it may be a key in the wrong
    /// place.
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::of_bytes(named_file::read(path, MAX_FILE_BYTES, "the file with variables", HINT)?)
    }

    /// Reads a file that was found, not named by the user: an ordinary one.
    pub(super) fn found(path: &Path) -> Result<Self> {
        if fs::metadata(path).is_ok_and(|found| found.is_file()) {
            Self::read(path)
        } else {
            Err(Error::new(Code::UnsafeFile, "the file with variables is not an ordinary file").hint(HINT))
        }
    }

    fn of_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self> {
        named_file::text(&bytes, "the file with variables")?;
        Ok(Self(bytes))
    }

    /// The value of the variable `name`, which may be empty; the last one where there are several.
    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        let text = named_file::text(&self.0, "the file with variables").ok()?;
        let (_, value) = Bindings(text).filter(|(found, _)| *found == name).last()?;
        Some(value.secret())
    }
}

impl<'a> Iterator for Bindings<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.0 = self.0.trim_start();
            if self.0.is_empty() {
                return None;
            }
            let binding = self.binding();
            if binding.is_none() {
                let (_, rest) = split_line(self.0);
                self.0 = rest;
            } else {
                return binding;
            }
        }
    }
}

impl<'a> Bindings<'a> {
    /// The variable that begins here, if one does; what follows it is left for the next.
    fn binding(&mut self) -> Option<(&'a str, Value<'a>)> {
        let line = self
            .0
            .strip_prefix("export")
            .filter(|rest| rest.starts_with([' ', '\t']))
            .map_or(self.0, trim_line_start);
        let (name, rest) = match line.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'')?,
            None => line.split_at(line.find(|c: char| c.is_whitespace() || matches!(c, '=' | '#' | ':'))?),
        };
        let rest = trim_line_start(rest);
        let rest = match rest.strip_prefix('=') {
            Some(rest) => trim_line_start(rest),
            // As YAML writes it.
            None => rest
                .strip_prefix(':')
                .filter(|rest| rest.starts_with([' ', '\t']))
                .map(trim_line_start)?,
        };
        if name.is_empty() || name.contains(['\r', '\n']) {
            return None;
        }
        if let Some((quote, value, rest)) = quoted(rest) {
            self.0 = rest;
            return Some((name, Value::Quoted(quote, value)));
        }
        let (value, rest) = split_line(rest);
        self.0 = rest;
        Some((name, Value::Plain(without_remark(value))))
    }
}

impl Value<'_> {
    fn secret(&self) -> Secret {
        match self {
            Self::Plain(text) | Self::Quoted('`', text) => Secret::new(text),
            Self::Quoted(quote, text) => {
                // As long as the text: growing would leave a copy behind.
                let mut plain = Zeroizing::new(String::with_capacity(text.len()));
                let mut letters = text.chars();
                while let Some(letter) = letters.next() {
                    let escaped = (letter == '\\')
                        .then(|| letters.clone().next().and_then(|next| unescaped(*quote, next)))
                        .flatten();
                    if escaped.is_some() {
                        letters.next();
                    }
                    plain.push(escaped.unwrap_or(letter));
                }
                Secret::new(&plain)
            }
        }
    }
}

/// What `letter` means after a backslash between such quotes.
fn unescaped(quote: char, letter: char) -> Option<char> {
    match letter {
        '\\' | '\'' => Some(letter),
        _ if quote == '\'' => None,
        '"' => Some('"'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        _ => None,
    }
}

/// The quotes that `text` begins with, what is between them, and the lines after; nothing where they are not closed or
/// something follows them.
fn quoted(text: &str) -> Option<(char, &str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let inner = text.strip_prefix(quote)?;
    let mut letters = inner.char_indices();
    let end = loop {
        match letters.next()? {
            // Whatever comes after a backslash ends nothing.
            (_, '\\') if quote != '`' => drop(letters.next()),
            (at, letter) if letter == quote => break at,
            _ => {}
        }
    };
    let (value, rest) = inner.split_at_checked(end)?;
    let (after, rest) = split_line(rest.strip_prefix(quote)?);
    let after = trim_line_start(after);
    (after.is_empty() || after.starts_with('#')).then_some((quote, value, rest))
}

/// The first line of `text` without its end, and the rest.
fn split_line(text: &str) -> (&str, &str) {
    match text.split_once(['\r', '\n']) {
        Some((line, rest)) => (line, rest),
        None => (text, ""),
    }
}

fn trim_line_start(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() && !matches!(c, '\r' | '\n'))
}

/// A value without quotes, without the remark behind it: a sharp sign inside a word is a part of it.
fn without_remark(value: &str) -> &str {
    let is_remark = |at: usize| {
        at == 0
            || value
                .get(..at)
                .is_some_and(|before| before.ends_with(char::is_whitespace))
    };
    let end = value.match_indices('#').map(|(at, _)| at).find(|at| is_remark(*at));
    end.and_then(|end| value.get(..end)).unwrap_or(value).trim_end()
}

/// The files with variables in `folder`, by name.
pub(super) fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = name.strip_prefix(".env.");
            name == ".env" || kind.is_some_and(|kind| !EXAMPLES.iter().any(|example| kind.ends_with(example)))
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, name: &str) -> Option<String> {
        let file = EnvFile::of_bytes(Zeroizing::new(text.as_bytes().to_vec())).expect("text");
        // EXPOSE: a made-up value in a test
        file.secret(name).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn values_are_read_as_the_usual_libraries_read_them() {
        let table = include_str!("../../tests/data/dotenv.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(table).expect("a table");
        assert!(cases.len() > 50);
        for case in cases {
            let text = case["text"].as_str().expect("text");
            assert_eq!(value(text, "A_KEY").as_deref(), case["value"].as_str(), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_an_error_that_says_where() {
        for (bytes, said) in [
            (&b"\xff\xfeA\0"[..], "UTF-16"),
            (b"\xfe\xff\0A", "UTF-16"),
            (b"A\0_\0K\0", "UTF-16"),
            (b"A_KEY=1\nB=\xe9\n", "line 2"),
        ] {
            let error = EnvFile::of_bytes(Zeroizing::new(bytes.to_vec()))
                .err()
                .expect("not text");
            assert!(error.message().contains(said), "{error}");
        }
    }

    #[test]
    fn examples_and_other_files_are_not_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            ".env",
            ".env.local",
            ".env.example",
            ".envrc",
            "env",
            ".env.prod.sample",
        ] {
            fs::write(folder.path().join(name), "").expect("a file");
        }
        let found = in_folder(folder.path());
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, [".env", ".env.local"]);
    }
}
