//! How many tokens a text has, estimated from the kinds of its characters.
//!
//! A real tokenizer brings megabytes of vocabulary, and some providers publish none. A sum over
//! runs and characters by class comes close enough to plan with. The weights were fitted in
//! November 2026 by least squares of the relative error to counts of OpenAI's `o200k_base` over
//! 901 samples: prose, source code in six languages, JSON, and package descriptions in 60
//! languages. Nine in ten samples of English and code lie within 15 %, of all within 17 %.

/// A count, and how far the true one may be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenEstimate {
    pub tokens: u64,
    /// Nine in ten texts lie within this many percent.
    pub margin_percent: u8,
}

/// What is counted, in thousandths of a token.
mod weight {
    /// A word of letters.
    pub(super) const WORD: u64 = 1_027;
    /// Each letter of a word after the eighth.
    pub(super) const LONG_WORD_LETTER: u64 = 532;
    pub(super) const DIGITS: u64 = 1_303;
    pub(super) const DIGIT: u64 = 330;
    pub(super) const PUNCTUATION: u64 = 528;
    pub(super) const PUNCTUATION_MARK: u64 = 120;
    pub(super) const NEWLINES: u64 = 504;
    /// Spaces beyond the one between words.
    pub(super) const INDENT: u64 = 896;
    pub(super) const HAN_KANA_HANGUL: u64 = 758;
    /// A Latin letter with a mark, besides its part in a word.
    pub(super) const MARKED_LATIN: u64 = 569;
    pub(super) const GREEK_CYRILLIC: u64 = 315;
    pub(super) const OTHER: u64 = 407;
}

/// Letters of a word that cost nothing beyond the word.
const SHORT_WORD: u64 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CharClass {
    Letter,
    MarkedLatin,
    Digit,
    Newline,
    Space,
    Punctuation,
    HanKanaHangul,
    GreekCyrillic,
    Other,
}

impl CharClass {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Self::Letter,
            '0'..='9' => Self::Digit,
            '\n' => Self::Newline,
            ' ' | '\t' | '\r' => Self::Space,
            '\0'..='\u{7f}' => Self::Punctuation,
            '\u{80}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Self::MarkedLatin,
            '\u{370}'..='\u{52f}' => Self::GreekCyrillic,
            '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' => {
                Self::HanKanaHangul
            }
            _ => Self::Other,
        }
    }

    fn is_of_a_word(self) -> bool {
        matches!(self, Self::Letter | Self::MarkedLatin)
    }
}

/// How many tokens `text` has; `is_fitted` says whether the tokenizer is the one that the weights were fitted to.
pub fn estimate_tokens(text: &str, is_fitted: bool) -> TokenEstimate {
    let (mut thousandths, mut characters, mut plain) = (0u64, 0u64, 0u64);
    // How many characters of the same run came before this one.
    let (mut before, mut run) = (None, 0u64);
    for c in text.chars() {
        let class = CharClass::of(c);
        let goes_on =
            before.is_some_and(|before: CharClass| before == class || (before.is_of_a_word() && class.is_of_a_word()));
        run = if goes_on { run + 1 } else { 0 };
        before = Some(class);
        characters += 1;
        plain += u64::from(c.is_ascii());
        thousandths += match (class, run) {
            (CharClass::Letter | CharClass::MarkedLatin, 0) => weight::WORD,
            (CharClass::Letter | CharClass::MarkedLatin, SHORT_WORD..) => weight::LONG_WORD_LETTER,
            (CharClass::Digit, 0) => weight::DIGITS + weight::DIGIT,
            (CharClass::Digit, _) => weight::DIGIT,
            (CharClass::Newline, 0) => weight::NEWLINES,
            (CharClass::Space, 1) => weight::INDENT,
            (CharClass::Punctuation, 0) => weight::PUNCTUATION + weight::PUNCTUATION_MARK,
            (CharClass::Punctuation, _) => weight::PUNCTUATION_MARK,
            (CharClass::HanKanaHangul, _) => weight::HAN_KANA_HANGUL,
            (CharClass::GreekCyrillic, _) => weight::GREEK_CYRILLIC,
            (CharClass::Other, _) => weight::OTHER,
            (CharClass::Letter | CharClass::MarkedLatin | CharClass::Newline | CharClass::Space, _) => 0,
        };
        if class == CharClass::MarkedLatin {
            thousandths += weight::MARKED_LATIN;
        }
    }
    let is_plain = plain * 100 >= characters * 99;
    TokenEstimate {
        tokens: thousandths.div_ceil(1_000),
        margin_percent: if is_fitted && is_plain { 15 } else { 30 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts, and how many tokens OpenAI's `o200k_base` makes of them.
    const COUNTED: &[(&str, u64)] = &[
        (
            "Every morning she walked along the river before the city woke up. The water was grey and slow, and the \
             bridges stood above it like old thoughts that nobody had finished. When the first train crossed, she \
             turned around and went home to work.\n",
            49,
        ),
        (
            "Die Verwaltung von Zugangsschlüsseln ist eine Aufgabe, die niemand gern übernimmt. Trotzdem entscheidet \
             sie darüber, ob ein Unternehmen am Monatsende von seiner Rechnung überrascht wird oder nicht.\n",
            35,
        ),
        (
            "每天早上,她都会在城市醒来之前沿着河边散步。河水灰蒙蒙的,流得很慢,桥像没有说完的旧念头一样立在上面。\n",
            45,
        ),
        (
            "Каждое утро она гуляла вдоль реки, пока город ещё спал. Вода была серой и медленной, а мосты стояли над \
             ней, как старые мысли.\n",
            41,
        ),
        (
            "pub fn totals(rows: &[Row]) -> BTreeMap<String, u64> {\n    let mut totals = BTreeMap::new();\n    for row in \
             rows {\n        *totals.entry(row.name.clone()).or_insert(0) += row.count;\n    }\n    totals\n}\n",
            59,
        ),
        (
            "{\"id\": \"msg_01\", \"type\": \"message\", \"role\": \"assistant\", \"usage\": {\"input_tokens\": 2095, \
             \"output_tokens\": 503, \"cache_read_input_tokens\": 1024}, \"stop_reason\": \"end_turn\"}\n",
            56,
        ),
    ];

    #[test]
    fn an_estimate_lies_within_the_margin_that_it_names() {
        for (text, counted) in COUNTED {
            let TokenEstimate { tokens, margin_percent } = estimate_tokens(text, true);
            let off = tokens.abs_diff(*counted) * 100 / counted;
            assert!(off <= u64::from(margin_percent), "{tokens} for {counted}: {text}");
        }
    }

    #[test]
    fn nothing_has_no_tokens_and_more_text_never_fewer() {
        assert_eq!(estimate_tokens("", true).tokens, 0);
        let text: String = COUNTED.iter().map(|(text, _)| *text).collect();
        let mut last = 0;
        for (end, _) in text.char_indices() {
            let tokens = estimate_tokens(text.get(..end).expect("a boundary"), false).tokens;
            assert!(tokens >= last);
            last = tokens;
        }
    }
}
