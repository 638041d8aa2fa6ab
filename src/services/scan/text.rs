//! Keys in a stretch of bytes, with their lines.

use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;

use crate::{
    domain::{KeyId, KeyRecord},
    providers::{FoundKey, KeyFinder, MAX_FOUND, is_token},
    storage::vault::Recognizer,
};

/// How a masked key separates its beginning from its end.
const HIDDEN: char = '…';

/// What is looked for.
#[derive(Debug)]
pub struct Needles {
    finder: KeyFinder,
    stored: Option<StoredKeys>,
}

/// The vault's own keys.
#[derive(Debug)]
struct StoredKeys {
    recognizer: Recognizer,
    /// The last characters of each key: as random as keys are, so that hardly anything else ends so.
    tails: AhoCorasick,
    /// The public beginnings that the keys have.
    prefixes: Vec<String>,
    keys: BTreeMap<(KeyId, u32), KnownKey>,
}

/// What a finding says of a stored key.
#[derive(Debug, Clone)]
struct KnownKey {
    name: String,
    provider: String,
    label: String,
    masked: String,
    is_in_use: bool,
}

/// A key in a text, by everything but its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeakFinding {
    /// Counted from 1.
    pub line: usize,
    /// What it is, in words.
    pub what: String,
    pub masked: String,
    pub provider: Option<String>,
    /// The label of a stored key.
    pub label: Option<String>,
    /// The stored secret that it is.
    pub stored: Option<(KeyId, u32)>,
    /// What to do about it.
    pub advice: String,
}

impl Needles {
    pub(super) fn new(records: &BTreeMap<KeyId, KeyRecord>, recognizer: Option<Recognizer>) -> Option<Self> {
        let finder = KeyFinder::new()?;
        let stored = match recognizer {
            Some(recognizer) => Some(StoredKeys::new(records, recognizer)?),
            None => None,
        };
        Some(Self { finder, stored })
    }
}

impl StoredKeys {
    fn new(records: &BTreeMap<KeyId, KeyRecord>, recognizer: Recognizer) -> Option<Self> {
        let (mut tails, mut prefixes, mut keys) = (Vec::new(), Vec::new(), BTreeMap::new());
        for record in records.values() {
            for version in &record.versions {
                let (prefix, tail) = version.masked.split_once(HIDDEN).unwrap_or_default();
                if !tail.is_empty() {
                    tails.push(tail.to_owned());
                }
                if !prefix.is_empty() {
                    prefixes.push(prefix.to_owned());
                }
                let known = KnownKey {
                    name: format!("{}:{}", record.provider, record.label),
                    provider: record.provider.to_string(),
                    label: record.label.to_string(),
                    masked: version.masked.clone(),
                    is_in_use: record.removed_at.is_none()
                        && record.active().is_some_and(|active| active.version == version.version),
                };
                keys.insert((record.key_id, version.version), known);
            }
        }
        for list in [&mut tails, &mut prefixes] {
            list.sort_unstable();
            list.dedup();
        }
        Some(Self {
            recognizer,
            tails: AhoCorasick::new(&tails).ok()?,
            prefixes,
            keys,
        })
    }

    /// Where a stored key begins that ends at `end`, and which it is.
    fn ending_at(&self, bytes: &[u8], end: usize) -> Option<(usize, (KeyId, u32))> {
        let before = bytes.get(end.saturating_sub(MAX_FOUND)..end)?;
        let back = |is: fn(u8) -> bool| before.iter().rev().take_while(|byte| is(**byte)).count();
        let (token, word) = (back(is_token), back(is_key_byte));
        let text = std::str::from_utf8(before.get(before.len() - word..)?).ok()?;
        let of_prefixes = self
            .prefixes
            .iter()
            .flat_map(|prefix| text.match_indices(prefix.as_str()).map(|(at, _)| word - at));
        // The letter of an escaped line end is none of the key's.
        let lengths = [token, token.saturating_sub(1), word].into_iter().chain(of_prefixes);
        lengths.filter(|length| *length > 0).find_map(|length| {
            let key = self.recognizer.find(text.get(word.checked_sub(length)?..)?)?;
            Some((end - length, key))
        })
    }
}

/// Whether it can be a part of any key.
fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b';' | b',' | b'<' | b'>')
}

/// Every key of which the last byte is in `fresh`, in order of their places; `first_line` is that of the first byte.
pub(super) fn look_through(
    needles: &Needles,
    bytes: &[u8],
    fresh: std::ops::Range<usize>,
    first_line: usize,
) -> Vec<LeakFinding> {
    let mut found: BTreeMap<usize, (usize, LeakFinding)> = BTreeMap::new();
    let is_fresh = |end: usize| fresh.start < end && end <= fresh.end;
    if let Some(stored) = &needles.stored {
        for tail in stored
            .tails
            .find_overlapping_iter(bytes)
            .filter(|tail| is_fresh(tail.end()))
        {
            if let Some((start, key)) = stored.ending_at(bytes, tail.end())
                && let Some(known) = stored.keys.get(&key)
            {
                found.insert(start, (tail.end(), known.finding(key)));
            }
        }
    }
    for FoundKey {
        range,
        what,
        masked,
        provider,
    } in needles.finder.find(bytes)
    {
        let by_value = needles.stored.as_ref().and_then(|stored| {
            let text = std::str::from_utf8(bytes.get(range.clone())?).ok()?;
            let key = stored.recognizer.find(text)?;
            Some(stored.keys.get(&key)?.finding(key))
        });
        let is_known = found
            .iter()
            .any(|(start, (end, _))| *start < range.end && range.start < *end);
        if is_fresh(range.end) && !is_known {
            let finding = by_value.unwrap_or_else(|| unknown(what, masked, provider));
            found.insert(range.start, (range.end, finding));
        }
    }
    let (mut line, mut at) = (first_line, 0);
    found
        .into_iter()
        .map(|(start, (_, finding))| {
            line += lines_in(bytes.get(at..start).unwrap_or_default());
            at = start;
            LeakFinding { line, ..finding }
        })
        .collect()
}

/// Every key in `text`, all of which is there.
pub fn scan_text(needles: &Needles, text: &[u8], first_line: usize) -> Vec<LeakFinding> {
    look_through(needles, text, 0..text.len(), first_line)
}

pub(super) fn lines_in(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

impl KnownKey {
    fn finding(&self, key: (KeyId, u32)) -> LeakFinding {
        let Self {
            name,
            provider,
            label,
            masked,
            is_in_use,
        } = self;
        LeakFinding {
            line: 0,
            what: if *is_in_use {
                format!("the stored key {name}")
            } else {
                format!("a former secret of the stored key {name}")
            },
            masked: masked.clone(),
            provider: Some(provider.clone()),
            label: Some(label.clone()),
            stored: Some(key),
            advice: if *is_in_use {
                format!("rotate it: `api-keys rotate {name}`, and revoke the old one at the provider")
            } else {
                "make sure that it is revoked at the provider".to_owned()
            },
        }
    }
}

fn unknown(what: String, masked: String, provider: Option<&str>) -> LeakFinding {
    let advice = match provider {
        Some(provider) => {
            format!("revoke it at the provider, or store it and take it out of here: `api-keys add {provider}`")
        }
        None => "revoke it where it was made, or take it out of here".to_owned(),
    };
    LeakFinding {
        line: 0,
        what,
        masked,
        provider: provider.map(str::to_owned),
        label: None,
        stored: None,
        advice,
    }
}
