//! Whether the configuration can be read, and whether the files are private and writable.

use std::path::Path;

use super::finding::{Finding, Severity};
use crate::{app::App, storage::files::Folder};

pub(super) fn configuration(app: &App) -> Finding {
    let file = app.settings().paths().config_file();
    match app.settings().problem() {
        Some(problem) => Finding::new("config", Severity::Wrong, problem.to_string())
            .fix(format!("fix {}; until then it is ignored", file.display())),
        None if is_writable_by_others(&file) => Finding::new(
            "config",
            Severity::Wrong,
            format!(
                "{} is writable by everyone, who could redirect new keys",
                file.display()
            ),
        )
        .fix(format!("`chmod 600 '{}'`", file.display())),
        None if file.exists() => Finding::good("config", format!("using {}", file.display())),
        None => Finding::good("config", format!("no {}: using the built-in settings", file.display())),
    }
}

/// Whether the folders and the files in them are private.
pub(super) fn folders(app: &App) -> Vec<Finding> {
    let paths = app.settings().paths();
    match Folder::open(paths.data_folder()) {
        Err(error) => vec![Finding::of("files", &error.into())],
        Ok(None) => vec![Finding::good(
            "files",
            format!("{} does not exist yet", paths.data_folder().display()),
        )],
        Ok(Some(_)) => {
            let open_to_others = open_to_others(paths.data_folder());
            let read_only = read_only(paths.data_folder());
            if !read_only.is_empty() {
                read_only
            } else if open_to_others.is_empty() {
                vec![Finding::good(
                    "files",
                    format!("{} is private", paths.data_folder().display()),
                )]
            } else {
                let found = |path: String| {
                    Finding::new("files", Severity::Wrong, format!("{path} is accessible to other users"))
                        .fix(format!("`chmod 600 '{path}'`"))
                };
                open_to_others.into_iter().map(found).collect()
            }
        }
    }
}

/// Files that cannot be written but must be: no key is used without an entry in the audit trail.
fn read_only(folder: &Path) -> Vec<Finding> {
    let lock_and_trail = ["vault.lock", "audit.jsonl"].map(|name| folder.join(name));
    let is_closed = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|found| {
            let refuses = || std::fs::OpenOptions::new().append(true).open(path).is_err();
            found.permissions().readonly() || (found.is_file() && refuses())
        })
    };
    std::iter::once(folder.to_owned())
        .chain(lock_and_trail)
        .filter(|path| is_closed(path))
        .map(|path| {
            let path = path.display();
            Finding::new(
                "files",
                Severity::Wrong,
                format!("{path} is not writable: no key can be used or changed"),
            )
            .fix(format!(
                "`chmod u+rwX '{path}'`, or check whether the disk is mounted read-only"
            ))
        })
        .collect()
}

/// Many systems give each user a group of their own, so access by the group is not reported.
#[cfg(unix)]
fn is_writable_by_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o002 != 0)
}

#[cfg(unix)]
fn open_to_others(folder: &Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt;

    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries
        // The settings hold no secret, and people share them.
        .filter(|entry| entry.file_name() != "config.toml")
        .filter(|entry| {
            let found = entry.metadata();
            found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o077 != 0)
        })
        .map(|entry| entry.path().display().to_string())
        .collect();
    found.sort();
    found
}

#[cfg(not(unix))]
fn is_writable_by_others(_: &Path) -> bool {
    false
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Vec<String> {
    Vec::new()
}
