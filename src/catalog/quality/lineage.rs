//! Which models follow each other, by the numbers in their names.

use crate::domain::ModelId;

/// A normalized name, taken apart: `claude-opus-5-5` is of the line `claude-opus`, and its version is 5, 5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lineage {
    pub(super) line: Vec<String>,
    pub(super) version: Vec<u32>,
}

impl Lineage {
    pub(super) fn of(name: &str) -> Self {
        let mut it = Self {
            line: Vec::new(),
            version: Vec::new(),
        };
        for part in name.split('-') {
            // As in `v4` and `k3`.
            let digits = part.trim_start_matches(|c: char| c.is_ascii_lowercase());
            let letter = part.strip_suffix(digits).unwrap_or_default();
            match digits.parse() {
                Ok(number) if digits.len() <= 2 && letter.len() <= 1 => {
                    it.version.push(number);
                    it.line.extend((!letter.is_empty()).then(|| letter.to_owned()));
                }
                // A day says nothing of the version.
                Ok(_) if digits.len() == "20251101".len() && letter.is_empty() => {}
                _ => it.line.push(part.to_owned()),
            }
        }
        it
    }
}

/// A model's name without its maker's, and with one sign for all that separates.
pub fn normalized(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.to_ascii_lowercase().replace(['.', ':', '_'], "-")
}

/// The numbers in a model's name, such as 5 and 5 of `claude-opus-5-5`: of two models of a line, the newer one has more.
pub fn version(name: &ModelId) -> Vec<u32> {
    Lineage::of(&normalized(name.as_str())).version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_follows_another_of_the_same_line() {
        let is_before = |one, other| {
            let (one, other) = (Lineage::of(one), Lineage::of(other));
            one.line == other.line && !one.version.is_empty() && one.version < other.version
        };
        for (one, other) in [
            ("claude-sonnet-4-6", "claude-sonnet-5-5"),
            ("claude-sonnet-5", "claude-sonnet-5-5"),
            ("claude-opus-4-8", "claude-opus-5"),
            ("gemini-3-5-flash", "gemini-3-8-flash"),
            ("deepseek-v4-flash", "deepseek-v4-1-flash"),
            ("kimi-k2-6", "kimi-k3"),
            ("grok-4-3", "grok-4-20"),
            ("claude-haiku-4-5", "claude-haiku-5-5-20261007"),
        ] {
            assert!(is_before(one, other) && !is_before(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("claude-sonnet-4-6", "claude-opus-5"),
            ("gpt-5-4-mini", "gpt-5-5"),
            ("gpt-oss-20b", "gpt-oss-120b"),
            ("gpt-5", "gpt-6-sol"),
            ("claude-opus-5", "claude-opus-5"),
            ("claude-opus-latest", "claude-opus-5"),
        ] {
            assert!(!is_before(one, other), "{one} {other}");
        }
    }
}
