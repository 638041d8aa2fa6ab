//! The names of a tool's arguments, as errors tell them.

use serde_json::{Map, Value};

/// How many edits away the name of an argument may be from the one that is meant.
const MAX_EDITS: usize = 2;

/// The argument that `name` was probably meant for: the same in another spelling, a word of it, or a few letters away.
pub(super) fn nearest<'a>(name: &str, properties: &'a Map<String, Value>) -> Option<&'a str> {
    let letters = |name: &str| name.to_ascii_lowercase().replace(['_', '-'], "");
    let meant = letters(name);
    let distance = |known: &str| {
        let known = letters(known);
        let is_part = meant.len() >= 3 && known.len() >= 3 && (known.contains(&meant) || meant.contains(&known));
        let edits = strsim::damerau_levenshtein(&meant, &known);
        if edits <= MAX_EDITS.min(meant.len() / 3) {
            Some(edits)
        } else {
            is_part.then_some(MAX_EDITS + 1)
        }
    };
    let near = properties
        .keys()
        .filter_map(|known| Some((distance(known)?, known.as_str())));
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

pub(super) fn known(properties: &Map<String, Value>) -> String {
    if properties.is_empty() {
        return "this tool takes no arguments".to_owned();
    }
    let names: Vec<&str> = properties.keys().map(String::as_str).collect();
    format!("the arguments are: {}", names.join(", "))
}
