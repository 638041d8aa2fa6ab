//! What a translation cannot carry over.

use std::{collections::BTreeSet, fmt};

/// How many names are listed.
const MAX_NAMES: usize = 16;
/// The longest name that is repeated, in characters.
const MAX_NAME: usize = 64;

/// The names of what was left out, in order, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses(BTreeSet<String>);

/// A request that is not translated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untranslatable {
    /// It means something that the other format cannot say.
    #[error("{0} has no counterpart in the provider's format")]
    Unsupported(String),
    /// It is not of the format that its path promises.
    #[error("{0} is missing or malformed")]
    Malformed(String),
    #[error("the request body is not a JSON object")]
    NotJson,
    #[error("requests in the format {from} are not translated to {to}")]
    NoSuchPair { from: &'static str, to: &'static str },
}

impl Losses {
    pub(super) fn add(&mut self, name: &str) {
        if self.0.len() < MAX_NAMES {
            self.0.insert(repeatable(name));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, name) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl Untranslatable {
    pub(super) fn unsupported(what: &str) -> Self {
        Self::Unsupported(repeatable(what))
    }

    pub(super) fn malformed(what: &str) -> Self {
        Self::Malformed(repeatable(what))
    }
}

/// A name from a request as it may stand in a header or message.
fn repeatable(name: &str) -> String {
    let is_kept = |c: &char| c.is_ascii_alphanumeric() || " _-.:".contains(*c);
    name.chars().filter(is_kept).take(MAX_NAME).collect()
}
