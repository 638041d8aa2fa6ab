//! `.env` files, shell profiles and whatever else assigns values to names, line by line; nothing is executed.
//!
//! Forms: `NAME=value`, `export NAME=value`, fish's `set -gx NAME value` and `SETUVAR --export NAME:value`, PowerShell's
//! `$env:NAME = "value"`, nushell's `$env.NAME = "value"`. Only literal values count.

use super::{
    documents,
    found::{LeftOutReason, SourceContents, UnreadableSource, names_a_key},
};

pub(super) fn read(bytes: &[u8]) -> Result<SourceContents, UnreadableSource> {
    let mut contents = SourceContents::default();
    for (at, line) in documents::text(bytes, "a shell or a program with a .env file")?
        .lines()
        .enumerate()
    {
        let Some((name, value)) = assignment(line.trim()) else {
            continue;
        };
        if name.starts_with("DOTENV_") {
            contents.leave(name, LeftOutReason::Encrypted);
        } else if names_a_key(name) {
            contents.add_at(Some(at + 1), name, unquoted(value), (None, None));
        }
    }
    Ok(contents)
}

/// The name and the value that a line assigns to it, with its quotes.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = if let Some(rest) = line.strip_prefix("set ") {
        fish(rest)?
    } else if let Some(rest) = line.strip_prefix("SETUVAR ") {
        rest.trim_start_matches("--export ").split_once(':')?
    } else if let Some(rest) = line.strip_prefix("$env:").or_else(|| line.strip_prefix("$env.")) {
        let (name, value) = rest.split_once('=')?;
        (name.trim(), value.trim())
    } else {
        let rest = ["export ", "declare -x ", "typeset -x "]
            .iter()
            .find_map(|word| line.strip_prefix(word));
        let (name, value) = rest.unwrap_or(line).trim_start().split_once('=')?;
        (name.trim_end(), value)
    };
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit());
    is_name.then_some((name, value.trim()))
}

/// What follows `set`, where it sets a variable: options, a name, a value.
fn fish(rest: &str) -> Option<(&str, &str)> {
    let mut rest = rest.trim_start();
    while rest.starts_with('-') {
        rest = rest.split_once(' ')?.1.trim_start();
    }
    rest.split_once(' ')
}

/// A value without its quotes and what follows it; nothing where a shell would put in something.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let inner = rest.split(quote).next().unwrap_or_default();
            // Single quotes take a dollar sign as it is.
            return if quote == '"' && (inner.contains("$(") || inner.contains('`')) {
                ""
            } else {
                inner
            };
        }
    }
    if value.starts_with('`') || value.starts_with("$(") {
        return "";
    }
    let end = value.find(" #").or_else(|| value.find(';')).unwrap_or(value.len());
    value.get(..end).unwrap_or(value).trim_end()
}
