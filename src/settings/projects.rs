//! Which account where: folders, and the label of the keys that belong to them.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::domain::Label;

/// What `[projects]` says of the folders that match a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// As it is written: `~/work/**`.
    pub pattern: String,
    pub label: Label,
}

impl Project {
    /// Why `pattern` cannot be one, if it cannot.
    pub(super) fn check(pattern: &str) -> Result<(), &'static str> {
        if !(pattern == "~"
            || pattern.starts_with("~/")
            || Path::new(pattern).is_absolute()
            || pattern.starts_with("**/"))
        {
            return Err("must begin with ~/, with **/, or at the root");
        }
        matcher(pattern).map(drop).ok_or("is not a pattern of folders")
    }

    /// Whether `folder`, or a folder that it is in, matches.
    fn covers(&self, folder: &Path, home: &Path) -> bool {
        let pattern = match self.pattern.strip_prefix('~') {
            Some(rest) => {
                // The home folder is a name, not a pattern.
                let home = globset::escape(&home.to_string_lossy());
                format!("{}{rest}", home.trim_end_matches('/'))
            }
            None => self.pattern.clone(),
        };
        let pattern = pattern.strip_suffix("/**").unwrap_or(&pattern).trim_end_matches('/');
        matcher(pattern).is_some_and(|matcher| folder.ancestors().any(|folder| matcher.is_match(folder)))
    }
}

fn matcher(pattern: &str) -> Option<GlobMatcher> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build().ok()?;
    Some(glob.compile_matcher())
}

/// What is said of `folder`: by the longest pattern that matches, which is the nearest.
pub(super) fn project_of<'a>(projects: &'a [Project], folder: &Path, home: &Path) -> Option<&'a Project> {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (real_folder, real_home): (PathBuf, PathBuf) = (real(folder), real(home));
    projects
        .iter()
        .filter(|project| project.covers(folder, home) || project.covers(&real_folder, &real_home))
        .max_by_key(|project| (project.pattern.len(), &project.pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_pattern_decides_and_covers_what_is_below() {
        let project = |pattern: &str, label: &str| Project {
            pattern: pattern.to_owned(),
            label: label.parse().expect("a label"),
        };
        let projects = [
            project("~/work/**", "work"),
            project("~/work/acme", "acme"),
            project("/srv/*/app", "srv"),
            project("**/secret-*", "secret"),
        ];
        let label = |folder: &str| {
            let found = project_of(&projects, Path::new(folder), Path::new("/home/[me]"));
            found.map(|project| project.label.as_str())
        };
        for (folder, expected) in [
            ("/home/[me]/work", Some("work")),
            ("/home/[me]/work/deep/er", Some("work")),
            ("/home/[me]/workshop", None),
            ("/home/[me]", None),
            ("/home/m/work", None),
            ("/home/[me]/work/acme", Some("acme")),
            ("/home/[me]/work/acme/src", Some("acme")),
            ("/srv/one/app/src", Some("srv")),
            ("/srv/one/two/app", None),
            ("/anywhere/secret-plan/notes", Some("secret")),
        ] {
            assert_eq!(label(folder), expected, "{folder}");
        }
    }

    #[test]
    fn a_pattern_that_could_mean_any_folder_is_refused() {
        assert!(Project::check("~/work/**").is_ok() && Project::check("**/acme").is_ok());
        assert!(Project::check("work/**").is_err() && Project::check("~/[").is_err());
    }
}
