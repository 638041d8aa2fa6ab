//! Keeps a key out of what a provider sends: found in every spelling, and masked without a change of length.
//!
//! Spellings are the key as it is, in base64 and base64url wherever it stands in the encoded text, and in hexadecimal;
//! each character of these plain or escaped, in any mixture: `\u0073`, `\x73`, `%73`, `&#115;`, `\/`, also escaped again.

use std::{fmt, ops::Range, sync::Arc};

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::{Bytes, BytesMut};
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use hyper::{HeaderMap, header::HeaderValue};
use zeroize::Zeroizing;

use crate::domain::ApiKey;

/// What stands in place of each byte of a key: valid wherever an escape or a letter is.
const MASK: u8 = b'*';
/// How many bytes of a spelling are looked for before all of it is compared.
const ANCHOR: usize = 8;
/// How many backslashes an escape may begin with: JSON in JSON in JSON.
const BACKSLASHES: usize = 8;
/// How often a percent sign may be encoded again.
const PERCENTS: usize = 4;
/// How many digits the number of a character may have in HTML.
const DIGITS: usize = 7;
/// The most bytes that one escaped character has.
const MAX_ESCAPE: usize = BACKSLASHES + "u0073".len();
/// The characters that have names in HTML.
const NAMED: [(&[u8], u8); 5] = [
    (b"amp;", b'&'),
    (b"lt;", b'<'),
    (b"gt;", b'>'),
    (b"quot;", b'"'),
    (b"apos;", b'\''),
];

/// The spellings of one key; made once a key and shared by the responses to it.
pub(in crate::gateway) struct KeySpellings {
    spellings: Vec<Spelling>,
    /// Finds the first bytes of each spelling, most of them the published prefix of the provider's keys; only these are
    /// copied into memory that is not wiped by its type.
    anchors: Option<AhoCorasick>,
    /// Which bytes may begin a spelling, be a character of one, and stand in one however it is escaped.
    may_begin: Zeroizing<[bool; 256]>,
    is_character: Zeroizing<[bool; 256]>,
    may_occur: Zeroizing<[bool; 256]>,
    /// The most bytes that a spelling has when all of it is escaped.
    longest: usize,
}

/// A key in one encoding.
struct Spelling {
    text: Zeroizing<Vec<u8>>,
    ignores_case: bool,
}

/// Masks a key in a response that passes through it.
///
/// Holds bytes back only while they may be the beginning of the key.
pub(in crate::gateway) struct Scrubber {
    key: Arc<KeySpellings>,
    held: Bytes,
    has_found: bool,
}

/// How bytes compare with what is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// They begin with it, in so many bytes.
    Match(usize),
    /// They end before it can be decided.
    Incomplete,
    Differs,
}

/// What an escape at the beginning of bytes stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// The character, and how many bytes the escape has.
    Of(u8, usize),
    /// The bytes end before it can be decided.
    Incomplete,
    /// There is none.
    Absent,
}

impl From<&ApiKey> for KeySpellings {
    fn from(key: &ApiKey) -> Self {
        Self::new(key)
    }
}

impl KeySpellings {
    pub(in crate::gateway) fn new(key: &ApiKey) -> Self {
        // EXPOSE: looked for in what a provider sends, to keep it back
        let key = key.expose().as_bytes();
        let plain = Spelling {
            text: Zeroizing::new(key.to_vec()),
            ignores_case: false,
        };
        let hexadecimal = Spelling {
            text: Zeroizing::new(HEXLOWER.encode(key).into_bytes()),
            ignores_case: true,
        };
        let mut spellings = vec![plain, hexadecimal];
        for encoding in [BASE64_NOPAD, BASE64URL_NOPAD] {
            for before in 0..3 {
                let spelling = in_base64(&encoding, key, before);
                if spellings.iter().all(|known| *known.text != *spelling.text) {
                    spellings.push(spelling);
                }
            }
        }
        let mut may_begin = [false; 256];
        let mut is_character = [false; 256];
        let mut may_occur = [false; 256];
        for byte in *b"\\%&" {
            may_begin[usize::from(byte)] = true;
        }
        let names = NAMED.iter().flat_map(|(name, _)| name.iter());
        for byte in b"\\%&#;uUxX0123456789abcdefABCDEF".iter().chain(names) {
            may_occur[usize::from(*byte)] = true;
        }
        for spelling in &spellings {
            for (at, byte) in spelling.both_cases() {
                may_begin[usize::from(byte)] |= at == 0;
                is_character[usize::from(byte)] = true;
                may_occur[usize::from(byte)] = true;
            }
        }
        let mut anchors: Vec<_> = spellings.iter().flat_map(Spelling::anchors).collect();
        anchors.sort_by(|one, other| one.as_slice().cmp(other));
        anchors.dedup();
        let longest = spellings.iter().map(|spelling| spelling.text.len()).max();
        Self {
            // Any other kind of match has no vector instructions.
            anchors: AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostFirst)
                .build(anchors)
                .ok(),
            may_begin: Zeroizing::new(may_begin),
            is_character: Zeroizing::new(is_character),
            may_occur: Zeroizing::new(may_occur),
            longest: longest.unwrap_or_default() * MAX_ESCAPE,
            spellings,
        }
    }

    /// Masks the key in every value of `headers`, and says whether it was there.
    pub(in crate::gateway) fn scrub_headers(&self, headers: &mut HeaderMap) -> bool {
        let mut has_found = false;
        for value in headers.values_mut() {
            let found = self.find(value.as_bytes());
            if !found.is_empty() {
                has_found = true;
                let masked = HeaderValue::from_bytes(&masked(value.as_bytes(), &found));
                *value = masked.unwrap_or(HeaderValue::from_static("*"));
            }
        }
        has_found
    }

    /// Where the key is in `text`, in any order and also more than once.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        self.find_plain_beginnings(text, &mut found);
        self.find_escapes(text, &mut found);
        found
    }

    /// Finds every spelling whose first characters are not escaped.
    fn find_plain_beginnings(&self, text: &[u8], found: &mut Vec<Range<usize>>) {
        let mut from = 0;
        while let Some(rest) = text.get(from..) {
            let start = match &self.anchors {
                Some(anchors) => anchors.find(rest).map(|anchor| from + anchor.start()),
                None => (!rest.is_empty()).then_some(from),
            };
            let Some(start) = start else { return };
            for spelling in &self.spellings {
                if let Comparison::Match(length) = spelling.compare(text, start, 0) {
                    found.push(start..start + length);
                }
            }
            from = start + 1;
        }
    }

    /// Finds every spelling in which a character is escaped, by the first that is.
    fn find_escapes(&self, text: &[u8], found: &mut Vec<Range<usize>>) {
        for at in memchr::memchr3_iter(b'\\', b'%', b'&', text) {
            let escaped = match escape(&text[at..]) {
                Escape::Of(character, _) => Some(character),
                Escape::Incomplete | Escape::Absent => None,
            };
            // A key may have the sign itself.
            let meant = [escaped, Some(text[at])].into_iter().flatten();
            for character in meant.filter(|character| self.is_character[usize::from(*character)]) {
                self.find_with(text, at, character, found);
            }
        }
    }

    /// Finds every spelling whose first escaped character is that one at `at`.
    fn find_with(&self, text: &[u8], at: usize, character: u8, found: &mut Vec<Range<usize>>) {
        for spelling in &self.spellings {
            for position in memchr::memchr_iter(spelling.folded(character), &spelling.text) {
                let Some(start) = at.checked_sub(position) else {
                    break;
                };
                // Most differ in the byte before, which costs the least to see.
                let precedes = position == 0 || spelling.folded(text[at - 1]) == spelling.text[position - 1];
                if precedes
                    && spelling.equals(0, &text[start..at])
                    && let Comparison::Match(length) = spelling.compare(text, at, position)
                {
                    found.push(start..at + length);
                }
            }
        }
    }

    /// Where the end of `text` may be the beginning of the key; the length where it is not.
    fn beginning_at_end(&self, text: &[u8]) -> usize {
        let longest = text.len().saturating_sub(self.longest);
        let run = text[longest..]
            .iter()
            .rev()
            .take_while(|byte| self.may_occur[usize::from(**byte)])
            .count();
        let begins = |start: &usize| {
            let mut spellings = self.spellings.iter();
            self.may_begin[usize::from(text[*start])]
                && spellings.any(|spelling| spelling.compare(text, *start, 0) == Comparison::Incomplete)
        };
        (text.len() - run..text.len()).find(begins).unwrap_or(text.len())
    }
}

/// What is the same of `key` in base64 wherever it stands, with `before` bytes of something else in its first group.
fn in_base64(encoding: &data_encoding::Encoding, key: &[u8], before: usize) -> Spelling {
    let mut group = Zeroizing::new(vec![0; before]);
    group.reserve_exact(key.len());
    group.extend_from_slice(key);
    let encoded = Zeroizing::new(encoding.encode(&group).into_bytes());
    // Characters that share bits with a neighbor of the key are not known.
    let known = (before * 8).div_ceil(6)..group.len() * 8 / 6;
    Spelling {
        text: Zeroizing::new(encoded[known].to_vec()),
        ignores_case: false,
    }
}

impl Spelling {
    fn folded(&self, byte: u8) -> u8 {
        if self.ignores_case {
            byte.to_ascii_lowercase()
        } else {
            byte
        }
    }

    /// Each byte with its position, and again in upper case where that is the same.
    fn both_cases(&self) -> impl Iterator<Item = (usize, u8)> {
        let upper = |byte: u8| {
            if self.ignores_case {
                byte.to_ascii_uppercase()
            } else {
                byte
            }
        };
        self.text
            .iter()
            .enumerate()
            .flat_map(move |(at, byte)| [(at, *byte), (at, upper(*byte))])
    }

    /// The first bytes, in lower and in upper case where that is the same.
    fn anchors(&self) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
        let anchor = Zeroizing::new(self.text[..ANCHOR.min(self.text.len())].to_vec());
        let upper = self.ignores_case.then(|| Zeroizing::new(anchor.to_ascii_uppercase()));
        [Some(anchor), upper].into_iter().flatten()
    }

    /// Whether `text` is what stands at `position`, without escapes.
    fn equals(&self, position: usize, text: &[u8]) -> bool {
        let Some(own) = self.text.get(position..position + text.len()) else {
            return false;
        };
        if self.ignores_case {
            own.eq_ignore_ascii_case(text)
        } else {
            own == text
        }
    }

    /// Compares what follows at `start` with everything from `position` on.
    fn compare(&self, text: &[u8], start: usize, position: usize) -> Comparison {
        let mut rest = &text[start..];
        let (own, available) = (&self.text[position..], rest.len());
        // First without escapes: a key may hold what looks like one.
        let both = own.len().min(available);
        if self.equals(position, &rest[..both]) {
            return if both == own.len() {
                Comparison::Match(both)
            } else {
                Comparison::Incomplete
            };
        }
        for wanted in own {
            match self.compare_character(rest, *wanted) {
                Comparison::Match(length) => rest = &rest[length..],
                other @ (Comparison::Incomplete | Comparison::Differs) => return other,
            }
        }
        Comparison::Match(available - rest.len())
    }

    fn compare_character(&self, rest: &[u8], wanted: u8) -> Comparison {
        let Some(first) = rest.first() else {
            return Comparison::Incomplete;
        };
        if !matches!(first, b'\\' | b'%' | b'&') {
            return if self.folded(*first) == wanted {
                Comparison::Match(1)
            } else {
                Comparison::Differs
            };
        }
        match escape(rest) {
            Escape::Of(character, length) if self.folded(character) == wanted => Comparison::Match(length),
            Escape::Incomplete => Comparison::Incomplete,
            // A key may have such a sign itself, escaped by itself.
            Escape::Of(..) | Escape::Absent if wanted == *first => match rest {
                [b'%', b'2', b'5', ..] => Comparison::Match(3),
                [b'\\', b'\\', ..] => Comparison::Match(2),
                _ => Comparison::Match(1),
            },
            Escape::Of(..) | Escape::Absent => Comparison::Differs,
        }
    }
}

/// The escape that `text` begins with, in any of the languages that have some.
fn escape(text: &[u8]) -> Escape {
    match text {
        [b'\\', ..] => backslash_escape(text),
        [b'%', rest @ ..] => percent_escape(rest),
        [b'&', rest @ ..] => html_escape(rest),
        _ => Escape::Absent,
    }
}

/// `\u0073`, `\x73`, `\/`, `\"`; with more backslashes where the whole was escaped again.
fn backslash_escape(text: &[u8]) -> Escape {
    let backslashes = text.iter().take(BACKSLASHES).take_while(|byte| **byte == b'\\').count();
    let of = |number: Comparison, digits: &[u8]| match number {
        Comparison::Match(length) => match u8::try_from(hexadecimal(&digits[..length])) {
            Ok(character) => Escape::Of(character, backslashes + 1 + length),
            Err(_) => Escape::Absent,
        },
        Comparison::Incomplete => Escape::Incomplete,
        Comparison::Differs => Escape::Absent,
    };
    match &text[backslashes..] {
        [] => Escape::Incomplete,
        [b'u', digits @ ..] => of(hexadecimal_digits(digits, 4), digits),
        [b'x', digits @ ..] => of(hexadecimal_digits(digits, 2), digits),
        [character @ (b'/' | b'"'), ..] => Escape::Of(*character, backslashes + 1),
        _ => Escape::Absent,
    }
}

/// `73` after a percent sign, or `2573` where the sign was encoded again.
fn percent_escape(rest: &[u8]) -> Escape {
    let mut at = 0;
    for _ in 0..PERCENTS {
        match hexadecimal_digits(&rest[at..], 2) {
            Comparison::Match(length) => {
                let character = hexadecimal(&rest[at..at + length]);
                at += length;
                match u8::try_from(character) {
                    Ok(b'%') => {}
                    Ok(character) => return Escape::Of(character, 1 + at),
                    Err(_) => return Escape::Absent,
                }
            }
            Comparison::Incomplete => return Escape::Incomplete,
            Comparison::Differs => break,
        }
    }
    if at == 0 {
        Escape::Absent
    } else {
        Escape::Of(b'%', 1 + at)
    }
}

/// `#115;`, `#x73;` or a name after an ampersand.
fn html_escape(rest: &[u8]) -> Escape {
    let (digits, radix) = match rest {
        [] | [b'#'] => return Escape::Incomplete,
        [b'#', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'#', digits @ ..] => (digits, 10),
        name => {
            let is_cut = |known: &[u8]| known.len() > name.len() && known.starts_with(name);
            return match NAMED.iter().find(|(known, _)| name.starts_with(known)) {
                Some((known, character)) => Escape::Of(*character, 1 + known.len()),
                None if NAMED.iter().any(|(known, _)| is_cut(known)) => Escape::Incomplete,
                None => Escape::Absent,
            };
        }
    };
    let mut number = 0;
    for (at, byte) in digits.iter().take(DIGITS + 1).enumerate() {
        match char::from(*byte).to_digit(radix) {
            Some(digit) if at < DIGITS => number = number * radix + digit,
            None if *byte == b';' && at > 0 => {
                let before = rest.len() - digits.len();
                return u8::try_from(number)
                    .map_or(Escape::Absent, |character| Escape::Of(character, 1 + before + at + 1));
            }
            Some(_) | None => return Escape::Absent,
        }
    }
    Escape::Incomplete
}

/// Whether `digits` begins with so many hexadecimal digits; of four, the first two must be zero.
fn hexadecimal_digits(digits: &[u8], count: usize) -> Comparison {
    let available = &digits[..count.min(digits.len())];
    let is_expected = |(at, byte): (usize, &u8)| byte.is_ascii_hexdigit() && (at + 2 >= count || *byte == b'0');
    if !available.iter().enumerate().all(is_expected) {
        Comparison::Differs
    } else if available.len() < count {
        Comparison::Incomplete
    } else {
        Comparison::Match(count)
    }
}

fn hexadecimal(digits: &[u8]) -> u32 {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or_default();
    digits.iter().fold(0, |number, byte| number * 16 + digit(byte))
}

fn masked(text: &[u8], found: &[Range<usize>]) -> Vec<u8> {
    let mut masked = text.to_vec();
    for range in found {
        masked[range.clone()].fill(MASK);
    }
    masked
}

impl Scrubber {
    pub(in crate::gateway) fn new(key: Arc<KeySpellings>) -> Self {
        Self {
            key,
            held: Bytes::new(),
            has_found: false,
        }
    }

    /// What can go on of the response now that `chunk` has come; nothing where all of it may be the beginning of the key.
    pub(in crate::gateway) fn pass(&mut self, chunk: Bytes) -> Bytes {
        let mut text = if self.held.is_empty() {
            chunk
        } else {
            let mut joined = BytesMut::with_capacity(self.held.len() + chunk.len());
            joined.extend_from_slice(&self.held);
            joined.extend_from_slice(&chunk);
            self.held = Bytes::new();
            joined.freeze()
        };
        let found = self.key.find(&text);
        let end = found.iter().map(|range| range.end).max().unwrap_or_default();
        let keep = end + self.key.beginning_at_end(&text[end..]);
        if keep < text.len() {
            // A copy, so that a few bytes do not keep the whole chunk in memory.
            self.held = Bytes::copy_from_slice(&text[keep..]);
            text.truncate(keep);
        }
        if found.is_empty() {
            return text;
        }
        self.has_found = true;
        masked(&text, &found).into()
    }

    /// What was held back, at the end of the response.
    pub(in crate::gateway) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held)
    }

    /// Whether the key was in what has passed.
    pub(in crate::gateway) fn has_found(&self) -> bool {
        self.has_found
    }
}

/// Prints nothing of the key.
impl fmt::Debug for KeySpellings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySpellings").finish_non_exhaustive()
    }
}

/// Prints nothing of what is held back, which may be part of the key.
impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubber")
            .field("has_found", &self.has_found)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "sk-proj-T3st_Qm9/tVbW+4kHsR8==x2";

    fn spellings(key: &str) -> Arc<KeySpellings> {
        // As one that was stored by older rules.
        Arc::new(KeySpellings::new(&ApiKey::stored(key)))
    }

    /// What comes out when `chunks` go in, and whether the key was found.
    fn scrubbed<'c>(key: &Arc<KeySpellings>, chunks: impl IntoIterator<Item = &'c [u8]>) -> (Vec<u8>, bool) {
        let mut scrubber = Scrubber::new(Arc::clone(key));
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend_from_slice(&scrubber.pass(Bytes::copy_from_slice(chunk)));
        }
        out.extend_from_slice(&scrubber.finish());
        (out, scrubber.has_found())
    }

    /// Each character of `text` as `escape` writes it.
    fn each(text: &str, escape: impl Fn(usize, char) -> String) -> String {
        text.chars().enumerate().map(|(at, c)| escape(at, c)).collect()
    }

    fn escaped(style: usize, c: char) -> String {
        let code = u32::from(c);
        match style {
            0 => format!("\\u{code:04x}"),
            1 => format!("\\u{code:04X}"),
            2 => format!("\\\\u{code:04x}"),
            3 => format!("%{code:02x}"),
            4 => format!("%{code:02X}"),
            5 => format!("%25{code:02X}"),
            6 => format!("&#{code};"),
            7 => format!("&#x{code:x};"),
            8 => format!("&#0{code};"),
            9 => format!("\\x{code:02x}"),
            10 if c == '/' => "\\/".to_owned(),
            _ => c.to_string(),
        }
    }

    /// The key in base64 behind and before other bytes; and which part of it tells the key.
    fn base64(encoding: &data_encoding::Encoding, before: &[u8], after: &[u8]) -> (String, Range<usize>) {
        let text = encoding.encode(&[before, KEY.as_bytes(), after].concat());
        let known = (before.len() * 8).div_ceil(6)..(before.len() + KEY.len()) * 8 / 6;
        (text, known)
    }

    /// Every spelling of the key, and which part of it is to be masked.
    fn shapes() -> Vec<(String, Range<usize>)> {
        let mut shapes: Vec<String> = (0..12).map(|style| each(KEY, |_, c| escaped(style, c))).collect();
        shapes.extend((1..6).map(|step| each(KEY, |at, c| escaped(if at % step == 0 { at % 11 } else { 11 }, c))));
        let hex = HEXLOWER.encode(KEY.as_bytes());
        shapes.extend([hex.to_ascii_uppercase(), each(&hex, |at, c| escaped(at % 11, c)), hex]);
        let mut shapes: Vec<_> = shapes
            .into_iter()
            .map(|shape| (shape.clone(), 0..shape.len()))
            .collect();
        for encoding in [
            data_encoding::BASE64,
            data_encoding::BASE64URL,
            BASE64_NOPAD,
            BASE64URL_NOPAD,
        ] {
            for before in 0..5 {
                for after in 0..3 {
                    shapes.push(base64(&encoding, &b"user:"[..before], &b"\xff\0"[..after]));
                }
            }
        }
        let (plain, known) = base64(&BASE64_NOPAD, b"a", b"");
        let start = 3 * known.start;
        let escaped = each(&plain, |_, c| escaped(3, c));
        let end = start + 3 * known.len();
        shapes.push((escaped, start..end));
        shapes
    }

    #[test]
    fn a_key_is_masked_in_every_spelling_wherever_it_is_cut() {
        let key = spellings(KEY);
        for (shape, known) in shapes() {
            let (before, after) = ("data: {\"error\":\"no key s", "\"}\n\n");
            let text = format!("{before}{shape}{after}");
            let mut expected = text.clone().into_bytes();
            expected[before.len() + known.start..before.len() + known.end].fill(MASK);
            let show = |out: &[u8]| String::from_utf8_lossy(out).into_owned();
            for at in 0..=text.len() {
                let (start, end) = text.as_bytes().split_at(at);
                let (out, has_found) = scrubbed(&key, [start, end]);
                assert!(has_found && out == expected, "{shape} cut at {at}: {}", show(&out));
            }
            let (out, has_found) = scrubbed(&key, text.as_bytes().chunks(1));
            assert!(has_found && out == expected, "{shape} byte by byte: {}", show(&out));
        }
    }

    #[test]
    fn a_key_with_signs_that_escape_is_masked_too() {
        let text = "a%b&c\\d\"e'f<g>h/ijkl%%&&z";
        let key = spellings(text);
        let json = serde_json::to_string(text).expect("a string");
        let percent = each(text, |_, c| escaped(4, c));
        let html = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;");
        for shape in [text, json.trim_matches('"'), &percent, &html, &text.replace('%', "%25")] {
            let expected = format!("x: {}\n", "*".repeat(shape.len()));
            for at in 0..shape.len() {
                let (start, end) = shape.as_bytes().split_at(at);
                let (out, _) = scrubbed(&key, [b"x: ".as_slice(), start, end, b"\n"]);
                assert_eq!(String::from_utf8_lossy(&out), expected, "{shape} cut at {at}");
            }
        }
    }

    #[test]
    fn a_key_is_masked_as_often_as_it_comes_and_where_it_follows_itself() {
        let key = spellings("abcabcabcabcabcabcabd");
        let text = "abcabcabcabcabcabcabcabcabd abcabcabcabcabcabcabdabcabcabcabcabcabcabd abc";
        let expected = "abcabc********************* ****************************************** abc";
        for size in 1..text.len() {
            let (out, _) = scrubbed(&key, text.as_bytes().chunks(size));
            assert_eq!(String::from_utf8_lossy(&out), expected, "chunks of {size}");
        }
    }

    #[test]
    fn a_stream_without_the_key_passes_at_once_and_uncopied() {
        let key = spellings(KEY);
        let mut scrubber = Scrubber::new(key);
        for text in [
            "data: {\"text\": \"sk-proj, na\u{ef}ve\\n\"}\n\n",
            "data: [DONE]\n\n",
            "100% & more.",
            "{}",
        ] {
            let chunk = Bytes::copy_from_slice(text.as_bytes());
            let passed = scrubber.pass(chunk.clone());
            assert_eq!((passed.as_ptr(), passed.len()), (chunk.as_ptr(), chunk.len()), "{text}");
        }
        assert_eq!(scrubber.pass(Bytes::from_static(b"the sk")), "the ");
        assert_eq!(scrubber.pass(Bytes::from_static(b"-pro")), "");
        assert_eq!(scrubber.pass(Bytes::from_static(b"! \\u00")), "sk-pro! ");
        assert_eq!(scrubber.finish(), "\\u00");
        assert_eq!((scrubber.finish(), scrubber.has_found()), (Bytes::new(), false));
    }

    #[test]
    fn headers_keep_their_length_and_lose_the_key() {
        let key = spellings(KEY);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-echo", format!("Bearer {KEY}!")),
            ("x-url", each(KEY, |_, c| escaped(4, c))),
            ("x-other", "sk-proj".to_owned()),
        ] {
            headers.append(name, value.parse().expect("a value"));
        }
        assert!(key.scrub_headers(&mut headers));
        assert_eq!(headers["x-echo"], format!("Bearer {}!", "*".repeat(KEY.len())));
        assert_eq!(headers["x-url"], "*".repeat(3 * KEY.len()));
        assert_eq!(headers["x-other"], "sk-proj");
        assert!(!key.scrub_headers(&mut headers));
    }

    #[test]
    fn nothing_of_the_key_is_printed() {
        let key = spellings(KEY);
        let mut scrubber = Scrubber::new(Arc::clone(&key));
        scrubber.pass(Bytes::copy_from_slice(&KEY.as_bytes()[..20]));
        assert!(!format!("{key:?} {scrubber:?}").contains("T3st"));
    }

    /// A text with keys in it, and the same with the keys masked.
    fn text_with_keys() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let styles = || proptest::collection::vec(0..16usize, KEY.len() * 2);
        let noise = "([ -~]|\\\\u00|%2|&#1|sk-proj-|\n){0,20}[ \"=:.\n]";
        let shape = prop_oneof![
            styles().prop_map(|styles| {
                let shape = each(KEY, |at, c| escaped(styles[at], c));
                (shape.clone(), 0..shape.len())
            }),
            (styles(), any::<bool>()).prop_map(|(styles, upper)| {
                let hex = HEXLOWER.encode(KEY.as_bytes());
                let hex = if upper { hex.to_ascii_uppercase() } else { hex };
                let shape = each(&hex, |at, c| escaped(styles[at], c));
                (shape.clone(), 0..shape.len())
            }),
            (any::<bool>(), any::<Vec<u8>>(), any::<Vec<u8>>()).prop_map(|(url, before, after)| {
                let encoding = if url { BASE64URL_NOPAD } else { BASE64_NOPAD };
                base64(&encoding, &before, &after)
            }),
        ];
        let part = (noise, proptest::option::of(shape)).prop_map(|(noise, shape)| {
            let (shape, known) = shape.unwrap_or_default();
            let text = format!("{noise}{shape}").into_bytes();
            let mut masked = text.clone();
            masked[noise.len() + known.start..noise.len() + known.end].fill(MASK);
            (text, masked)
        });
        proptest::collection::vec(part, 0..6).prop_map(|parts| {
            let (texts, masked): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            (texts.concat(), masked.concat())
        })
    }

    proptest! {
        #[test]
        fn only_the_key_is_masked_in_any_text_and_any_chunks(
            (text, expected) in text_with_keys(),
            sizes in proptest::collection::vec(1..90usize, 1..20),
        ) {
            let mut rest = text.as_slice();
            let mut chunks = Vec::new();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at(rest.len().min(*size));
                chunks.push(chunk);
                rest = after;
            }
            let (out, has_found) = scrubbed(&spellings(KEY), chunks);
            prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));
            prop_assert_eq!(has_found, text != expected);
        }

        #[test]
        fn any_bytes_pass_as_they_are(chunks in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let (out, has_found) = scrubbed(&spellings(KEY), chunks.iter().map(Vec::as_slice));
            prop_assert_eq!(out, chunks.concat());
            prop_assert!(!has_found);
        }
    }
}
