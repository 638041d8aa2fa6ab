//! Files such as `.env`: variables with values, as shells and many programs read them.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    domain::Secret,
    error::{Code, Error, Result},
};

/// The longest file that is read, in bytes.
const LONGEST: u64 = 256 * 1024;
/// Endings of files that show the form and hold no values.
const EXAMPLES: &[&str] = &["example", "sample", "template", "dist"];

/// The lines of a file such as `.env`, in memory that is wiped.
pub(super) struct EnvFile(Zeroizing<Vec<u8>>);

impl EnvFile {
    /// Reads the ordinary file at `path`, which no error repeats: it may be a key in the wrong place.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let unreadable = |why: std::io::Error| {
            let what = if why.kind() == ErrorKind::NotFound {
                "the env file does not exist"
            } else {
                "the env file cannot be read"
            };
            Error::new(Code::StorageFailed, what)
                .caused_by(why)
                .hint("name a file with lines such as OPENAI_API_KEY=…")
        };
        let found = fs::metadata(path).map_err(unreadable)?;
        if !found.is_file() || found.len() > LONGEST {
            return Err(Error::new(
                Code::UnsafeFile,
                format!("the env file is not a regular file of at most {LONGEST} bytes"),
            )
            .hint("name a file with lines such as OPENAI_API_KEY=…"));
        }
        let length = usize::try_from(found.len()).unwrap_or_default();
        // A buffer that never grows leaves no copy behind.
        let mut bytes = Zeroizing::new(vec![0; length]);
        let mut file = File::open(path).map_err(unreadable)?;
        let mut filled = 0;
        while let Some(rest @ [_, ..]) = bytes.get_mut(filled..) {
            match file.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(unreadable(why)),
            }
        }
        bytes.truncate(filled);
        Ok(Self(bytes))
    }

    /// The value of the variable `name`; the last one where there are several, as in a shell.
    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        let text = str::from_utf8(&self.0).ok()?;
        // The mark that some editors on Windows put before a text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let value = text.lines().rev().find_map(|line| {
            let line = line.trim_start();
            let exported = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
            let line = exported.unwrap_or(line).trim_start();
            let (found, value) = line.split_once('=')?;
            (found.trim_end() == name).then_some(value)
        })?;
        let value = unquoted(value.trim());
        (!value.is_empty()).then(|| Secret::new(value))
    }
}

/// A value without its quotes, or without the remark behind it.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inner, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner;
        }
    }
    value.split_once(" #").map_or(value, |(value, _)| value.trim_end())
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
        let secret = EnvFile(Zeroizing::new(text.as_bytes().to_vec())).secret(name);
        // EXPOSE: a made-up value in a test
        secret.map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn values_are_read_as_shells_read_them() {
        for (line, read) in [
            ("A_KEY=plain", Some("plain")),
            ("  export A_KEY = spaced  ", Some("spaced")),
            ("A_KEY=\"double # quoted\" # remark", Some("double # quoted")),
            ("A_KEY='single'", Some("single")),
            ("export\tA_KEY=tab", Some("tab")),
            ("\u{feff}A_KEY=marked", Some("marked")),
            ("exportA_KEY=other", None),
            ("A_KEY=value # remark", Some("value")),
            ("A_KEY=with=sign#mark", Some("with=sign#mark")),
            ("A_KEY=first\nA_KEY=last\r\n", Some("last")),
            ("A_KEY=", None),
            ("A_KEY=\"\"", None),
            ("# A_KEY=remark", None),
            ("ANOTHER_KEY=other", None),
            ("A_KEY", None),
        ] {
            assert_eq!(value(line, "A_KEY").as_deref(), read, "{line}");
        }
        assert_eq!(value("\u{1}", "A_KEY"), None);
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
