//! The most tokens that a text can have.
//!
//! A bound to reserve money by, not an estimate to plan with (`domain/tokenizer` is for that). It was held against
//! OpenAI's `o200k_base` and `cl100k_base` in November 2026: base64, UUIDs, hex, tables, logs, LaTeX and minified code
//! all have fewer tokens, and English prose has at least half as many. Digits count one by one, as some tokenizers split
//! them, and what is not ASCII counts by its bytes, which no byte-level tokenizer exceeds.

/// A run of so many letters and digits is no word of a language.
const NO_WORD: usize = 20;
/// Spaces in a token of indentation.
const INDENT: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
enum ByteClass {
    Lower,
    Upper,
    Digit,
    Space,
    /// Each byte may be a token: punctuation, line ends, and what is not ASCII.
    Single,
}

impl ByteClass {
    fn of(byte: u8) -> Self {
        match byte {
            b'a'..=b'z' => Self::Lower,
            b'A'..=b'Z' => Self::Upper,
            b'0'..=b'9' => Self::Digit,
            b' ' => Self::Space,
            _ => Self::Single,
        }
    }

    fn is_of_word(self) -> bool {
        matches!(self, Self::Lower | Self::Upper | Self::Digit)
    }
}

/// The most tokens that `text` can have.
pub(super) fn most_tokens(text: &[u8]) -> u64 {
    let same = |one: &u8, other: &u8| {
        let (one, other) = (ByteClass::of(*one), ByteClass::of(*other));
        one == other || one.is_of_word() && other.is_of_word()
    };
    let tokens = text
        .chunk_by(same)
        .map(|run| match run.first().map(|byte| ByteClass::of(*byte)) {
            Some(ByteClass::Space) if run.len() == 1 => 0,
            Some(ByteClass::Space) => 1 + run.len() / INDENT,
            Some(ByteClass::Single) => run.len(),
            Some(ByteClass::Lower | ByteClass::Upper | ByteClass::Digit) => word(run),
            None => 0,
        });
    tokens.sum::<usize>() as u64
}

/// The most tokens of a run of letters and digits.
fn word(run: &[u8]) -> usize {
    let pieces = run.chunk_by(|one, other| ByteClass::of(*one) == ByteClass::of(*other));
    let mut tokens = 0;
    let mut begins_with_capital = false;
    for (at, piece) in pieces.enumerate() {
        tokens += match piece.first().map(|byte| ByteClass::of(*byte)) {
            Some(ByteClass::Lower) if at == 1 && begins_with_capital => letters(piece, 1) - 1,
            Some(ByteClass::Lower) => letters(piece, 0),
            Some(ByteClass::Upper) if piece.len() == 1 => 1,
            Some(ByteClass::Upper) => (piece.len() * 2).div_ceil(3),
            Some(ByteClass::Digit | ByteClass::Space | ByteClass::Single) | None => piece.len(),
        };
        begins_with_capital = at == 0 && piece.len() == 1 && piece.first().is_some_and(u8::is_ascii_uppercase);
    }
    if run.len() < NO_WORD {
        return tokens;
    }
    tokens.max((run.len() * 3).div_ceil(4))
}

/// The most tokens of small letters, behind `capital` others: fewer for what can be pronounced.
fn letters(piece: &[u8], capital: usize) -> usize {
    let vowels = piece.iter().filter(|byte| b"aeiouy".contains(byte)).count();
    let length = piece.len() + capital;
    if vowels * 4 < length {
        length.div_ceil(2)
    } else {
        length.div_ceil(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts with the tokens that `o200k_base` or `cl100k_base` makes of them, whichever are more.
    const COUNTED: &[(&str, &str, u64)] = &[
        (
            "prose",
            "Every morning she walked along the river before the city woke up. The water was grey and slow, and the bridges stood above it like old thoughts that nobody had finished.",
            34,
        ),
        (
            "a letter",
            "Dear Anna, thank you for the parcel. The children read the book twice on the first evening, and now they ask me every day when you will come to see us again.",
            36,
        ),
        (
            "base64",
            "iVBORw0KGgoAAAANSUhEUgAAAZ8xQmW9kTj3nR5vLbYp2HcX7sDqEuIw1oKfGzM4tPaJ6iNlS0yB",
            61,
        ),
        (
            "UUIDs",
            "3f2b8c1e-9d4a-4e7b-8f61-0c5d2a9b7e34 b7e1d2c4-5a6f-4908-91bc-de23f4a5c6d7",
            63,
        ),
        (
            "CSV",
            "id,name,price,stock,day\n1017,ab17,83.412,291,2026-11-03\n1018,ab18,7.906,55,2026-11-04\n",
            47,
        ),
        (
            "table",
            "| 17 | 4021 | 83.412 | x |\n| 18 | 991 | 7.906 | y |\n| 19 | 12 | 0.441 | z |\n",
            43,
        ),
        (
            "hex",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            43,
        ),
        (
            "log",
            "2026-11-29T07:14:12.031Z INFO [worker-3] request_id=9f2c4e81ab03 status=200 latency_ms=87 path=/v1/chat/completions",
            48,
        ),
        (
            "LaTeX",
            "\\frac{\\partial u}{\\partial t}=\\alpha\\nabla^2 u+\\sum_{i=1}^{n}\\int_{0}^{\\infty}e^{-x_i^2}\\,dx_i",
            47,
        ),
        (
            "minified JS",
            "!function(e,t){\"use strict\";for(var n=0,r=e.length;n<r;n++)t[e[n]]=!0;return t}(this,{});",
            36,
        ),
        (
            "Chinese",
            "每天早上,她都会在城市醒来之前沿着河边散步。河水灰蒙蒙的,流得很慢。",
            52,
        ),
    ];

    #[test]
    fn no_kind_of_text_has_more_tokens_than_its_bound_and_prose_not_half_as_many() {
        for (kind, text, tokens) in COUNTED {
            let most = most_tokens(text.as_bytes());
            assert!(most >= *tokens, "{kind}: {most} of {tokens}");
            assert!(most <= 2 * tokens, "{kind}: {most} of {tokens}");
        }
    }

    /// The measured tokens of each kind, in hundredths of a third of the bytes.
    #[test]
    fn a_long_text_without_words_counts_by_its_bytes() {
        let hex = |bytes: usize| -> String {
            let mut state = 7u32;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                format!("{:02x}", state >> 24)
            };
            (0..bytes / 2).map(|_| next()).collect()
        };
        let base64 =
            data_encoding::BASE64.encode(&data_encoding::HEXLOWER.decode(hex(120_000).as_bytes()).expect("hex"));
        let lines = |text: &str| -> String {
            let chunks = text.as_bytes().chunks(76);
            chunks
                .map(|line| String::from_utf8_lossy(line).into_owned() + "\n")
                .collect()
        };
        for (kind, text, ratio) in [
            ("base64", base64.clone(), 200),
            ("base64 in lines", lines(&base64), 200),
            ("hex", hex(100_000), 160),
            ("one letter", "a".repeat(1_000_000), 100),
            ("no spaces", "xqzjvkwpfh".repeat(100_000), 150),
            ("not ASCII", "語".repeat(10_000), 200),
        ] {
            let (most, third) = (most_tokens(text.as_bytes()), text.len() as u64 / 3);
            assert!(most * 100 >= third * ratio, "{kind}: {most} of {third}");
        }
    }
}
