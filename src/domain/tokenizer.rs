//! How many tokens a text has: counted with OpenAI's own vocabularies, and for other families in a ratio to that.
//!
//! The ratios are per class of characters, since vocabularies differ little in English and code and much in digits and
//! scripts. Those of Llama, DeepSeek, Qwen, Mistral, GLM, Kimi and MiniMax were fitted in November 2026 to their published
//! vocabularies over 920 samples: code in many languages, prose, JSON, 33 languages, logs, tables, hexadecimal and base64.
//! Gemini's were fitted to Gemma 3's vocabulary, which its own SDK counts with, over 586 such samples: 14% off at the 90th
//! percentile. Claude's tokenizer is not published: its ratios follow what users measured, and have the widest margins.

use std::sync::OnceLock;

use tiktoken::{CoreBpe, encoding};

use super::ModelRef;

/// How much of a text is counted, in bytes; the rest is taken to be like it.
const MAX_COUNTED: usize = 128 << 10;
/// Of a longer text, so many pieces from all over it are counted.
const PIECES: usize = 16;
/// The longest stretch that is counted at a time: one without a space costs more than its length.
const MAX_STRETCH: usize = 4 << 10;
/// What counting a part of a text adds to the margin.
const MARGIN_OF_A_PART: u8 = 8;

/// The tokenizer of a model, or what comes near it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokenizer {
    /// OpenAI's since GPT-4o.
    O200k,
    /// OpenAI's of GPT-4, GPT-3.5 and the embedding models.
    Cl100k,
    /// Another family's, in a ratio to the first.
    Like(ModelFamily),
}

/// Models that share a tokenizer, more or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelFamily {
    Claude,
    Gemini,
    Llama,
    DeepSeek,
    Qwen,
    Mistral,
    Glm,
    Kimi,
    MiniMax,
    Other,
}

/// A count, and how far the true one may be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenEstimate {
    pub tokens: u64,
    /// Nine in ten texts lie within this many percent.
    pub margin_percent: u8,
    pub tokenizer: Tokenizer,
    /// Whether only a part of the text was counted.
    pub is_of_a_part: bool,
}

/// Classes of characters for which vocabularies differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// ASCII besides digits.
    Plain,
    Digit,
    MarkedLatin,
    Han,
    Kana,
    Hangul,
    Cyrillic,
    Greek,
    Hebrew,
    Arabic,
    Devanagari,
    OtherIndic,
    Thai,
    Other,
}

const CLASSES: usize = 14;

impl Script {
    fn of(c: char) -> Self {
        match c {
            '0'..='9' => Self::Digit,
            '\0'..='\u{7f}' => Self::Plain,
            '\u{80}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Self::MarkedLatin,
            '\u{370}'..='\u{3ff}' => Self::Greek,
            '\u{400}'..='\u{52f}' => Self::Cyrillic,
            '\u{590}'..='\u{5ff}' => Self::Hebrew,
            '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' => {
                Self::Arabic
            }
            '\u{900}'..='\u{97f}' => Self::Devanagari,
            '\u{980}'..='\u{dff}' => Self::OtherIndic,
            '\u{e00}'..='\u{eff}' => Self::Thai,
            '\u{3040}'..='\u{30ff}' => Self::Kana,
            '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => Self::Han,
            '\u{ac00}'..='\u{d7af}' => Self::Hangul,
            _ => Self::Other,
        }
    }
}

impl Tokenizer {
    /// The tokenizer of `model`, by its name: many providers serve models of others.
    pub fn of(model: &ModelRef) -> Self {
        let name = model.model.as_str().to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let is_openai = matches!(model.provider.as_str(), "openai" | "azure-openai");
        if has(&["text-embedding-", "gpt-3.5", "gpt-35", "gpt-4-"]) || name.ends_with("gpt-4") {
            // Others' embedding models are called so as well.
            return if is_openai || has(&["gpt-", "openai"]) {
                Self::Cl100k
            } else {
                Self::Like(ModelFamily::of(&name))
            };
        }
        if is_openai || has(&["gpt-"]) {
            return Self::O200k;
        }
        Self::Like(ModelFamily::of(&name))
    }

    /// How a result says what was counted with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::O200k => "counted with o200k_base",
            Self::Cl100k => "counted with cl100k_base",
            Self::Like(ModelFamily::Claude) => "counted with o200k_base, in Claude's ratio to it",
            Self::Like(ModelFamily::Gemini) => "counted with o200k_base, in Gemini's ratio to it",
            Self::Like(ModelFamily::Llama) => "counted with o200k_base, in Llama's ratio to it",
            Self::Like(ModelFamily::DeepSeek) => "counted with o200k_base, in DeepSeek's ratio to it",
            Self::Like(ModelFamily::Qwen) => "counted with o200k_base, in Qwen's ratio to it",
            Self::Like(ModelFamily::Mistral) => "counted with o200k_base, in Mistral's ratio to it",
            Self::Like(ModelFamily::Glm) => "counted with o200k_base, in GLM's ratio to it",
            Self::Like(ModelFamily::Kimi) => "counted with o200k_base, in Kimi's ratio to it",
            Self::Like(ModelFamily::MiniMax) => "counted with o200k_base, in MiniMax's ratio to it",
            Self::Like(ModelFamily::Other) => "counted with o200k_base, in the usual ratio to it",
        }
    }

    /// How many tokens `text` has; the vocabulary is opened when it is first needed, which takes a moment.
    pub fn count(self, text: &str) -> TokenEstimate {
        let parts = parts(text);
        let counted: usize = parts.iter().map(|part| part.len()).sum();
        let stretches = parts.iter().flat_map(|part| stretches(part));
        let (tokens, margin_percent) = match self {
            Self::O200k => (stretches.map(|it| o200k().count(it) as u64).sum(), 2),
            Self::Cl100k => (stretches.map(|it| cl100k().count(it) as u64).sum(), 2),
            Self::Like(family) => {
                let mut by_class = [0; CLASSES];
                stretches.for_each(|it| count_by_class(it, &mut by_class));
                family.weighed(by_class)
            }
        };
        let is_of_a_part = counted < text.len();
        let scaled = u128::from(tokens) * text.len() as u128 / counted.max(1) as u128;
        TokenEstimate {
            tokens: u64::try_from(scaled).unwrap_or(u64::MAX),
            margin_percent: margin_percent + if is_of_a_part { MARGIN_OF_A_PART } else { 0 },
            tokenizer: self,
            is_of_a_part,
        }
    }
}

impl ModelFamily {
    fn of(name: &str) -> Self {
        const NAMES: [(&str, ModelFamily); 21] = [
            ("claude", ModelFamily::Claude),
            ("gemini", ModelFamily::Gemini),
            ("gemma", ModelFamily::Gemini),
            // Before those that some are distilled from.
            ("deepseek", ModelFamily::DeepSeek),
            ("qwen", ModelFamily::Qwen),
            ("qwq", ModelFamily::Qwen),
            ("llama", ModelFamily::Llama),
            ("hermes", ModelFamily::Llama),
            ("mistral", ModelFamily::Mistral),
            ("mixtral", ModelFamily::Mistral),
            ("ministral", ModelFamily::Mistral),
            ("codestral", ModelFamily::Mistral),
            ("devstral", ModelFamily::Mistral),
            ("magistral", ModelFamily::Mistral),
            ("pixtral", ModelFamily::Mistral),
            ("voxtral", ModelFamily::Mistral),
            ("nemo", ModelFamily::Mistral),
            ("glm", ModelFamily::Glm),
            ("kimi", ModelFamily::Kimi),
            ("moonshot", ModelFamily::Kimi),
            ("minimax", ModelFamily::MiniMax),
        ];
        let found = NAMES.iter().find(|(part, _)| name.contains(part));
        found.map_or(Self::Other, |(_, family)| *family)
    }

    /// Tokens for each of o200k's, in hundredths, in the order of the classes.
    fn ratios(self) -> [u64; CLASSES] {
        //    plain digit marked han kana hangul cyrillic greek hebrew arabic devanagari indic thai other
        match self {
            Self::Claude => [120, 130, 150, 125, 130, 150, 150, 180, 200, 160, 250, 300, 200, 200],
            Self::Gemini => [110, 185, 75, 94, 60, 91, 95, 106, 125, 98, 77, 76, 88, 60],
            Self::Llama => [100, 99, 100, 52, 55, 102, 115, 107, 268, 103, 163, 439, 131, 520],
            Self::DeepSeek => [107, 95, 164, 70, 95, 126, 123, 134, 125, 124, 182, 185, 100, 187],
            Self::Qwen => [99, 199, 151, 63, 74, 115, 132, 255, 100, 134, 281, 360, 154, 311],
            Self::Mistral => [103, 199, 102, 115, 85, 95, 107, 105, 113, 96, 123, 133, 130, 118],
            Self::Glm => [99, 124, 128, 64, 79, 141, 105, 114, 267, 123, 274, 435, 225, 310],
            Self::Kimi => [100, 99, 236, 75, 91, 143, 140, 165, 164, 160, 178, 187, 200, 194],
            Self::MiniMax => [100, 101, 174, 42, 19, 94, 120, 190, 220, 107, 188, 238, 260, 421],
            Self::Other => [105, 120, 140, 80, 90, 120, 125, 150, 150, 130, 200, 250, 140, 200],
        }
    }

    /// The margins of English and code, and of everything else.
    fn margins(self) -> (u8, u8) {
        match self {
            Self::Claude => (30, 40),
            Self::Gemini => (25, 30),
            Self::Llama | Self::DeepSeek | Self::Qwen | Self::Mistral | Self::Glm | Self::Kimi | Self::MiniMax => {
                (15, 25)
            }
            Self::Other => (25, 40),
        }
    }

    /// What o200k's tokens are to this family, and the margin of that.
    fn weighed(self, by_class: [u64; CLASSES]) -> (u64, u8) {
        let hundredths: u64 = by_class
            .iter()
            .zip(self.ratios())
            .map(|(tokens, ratio)| tokens * ratio)
            .sum();
        let all: u64 = by_class.iter().sum();
        let plain = by_class[Script::Plain as usize] + by_class[Script::Digit as usize];
        let (of_plain, of_others) = self.margins();
        let is_plain = plain * 100 >= all * 95;
        (hundredths.div_ceil(100), if is_plain { of_plain } else { of_others })
    }
}

/// Adds o200k's tokens of `text` to those of the class that each is of: of what is not plain in it, the last.
fn count_by_class(text: &str, by_class: &mut [u64; CLASSES]) {
    let mut classes = Vec::with_capacity(text.len());
    for c in text.chars() {
        classes.resize(classes.len() + c.len_utf8(), Script::of(c));
    }
    let mut rest = classes.as_slice();
    for token in o200k().encode(text) {
        let length = o200k().decode(&[token]).len().min(rest.len());
        let (of_token, after) = rest.split_at(length);
        let class = of_token.iter().rfind(|class| **class != Script::Plain);
        by_class[*class.unwrap_or(&Script::Plain) as usize] += 1;
        rest = after;
    }
}

/// `text`, or pieces from all over it where it is long.
fn parts(text: &str) -> Vec<&str> {
    if text.len() <= MAX_COUNTED {
        return vec![text];
    }
    let length = MAX_COUNTED / PIECES;
    let step = (text.len() - length) / (PIECES - 1);
    let part = |at: usize| {
        let from = text.ceil_char_boundary(at * step);
        text.get(from..text.floor_char_boundary(from + length))
            .unwrap_or_default()
    };
    (0..PIECES).map(part).collect()
}

/// `text` in stretches that end before a space where one is, where every tokenizer ends a token.
fn stretches(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let end = text.floor_char_boundary(MAX_STRETCH);
        let (head, _) = text.split_at(end);
        let is_end = |at: usize| {
            head.get(..at)
                .is_some_and(|before| before.ends_with(|c: char| !c.is_whitespace()))
        };
        let before_a_space = || head.rmatch_indices(' ').map(|(at, _)| at).find(|at| is_end(*at));
        let at = if text.len() == end {
            end
        } else {
            before_a_space().unwrap_or(end)
        };
        let (stretch, rest) = text.split_at(at);
        text = rest;
        Some(stretch)
    })
}

fn o200k() -> &'static CoreBpe {
    static OPEN: OnceLock<CoreBpe> = OnceLock::new();
    OPEN.get_or_init(encoding::o200k_base)
}

fn cl100k() -> &'static CoreBpe {
    static OPEN: OnceLock<CoreBpe> = OnceLock::new();
    OPEN.get_or_init(encoding::cl100k_base)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts, and how many tokens OpenAI's own counter makes of them with `o200k_base` and `cl100k_base`.
    const COUNTED: &[(&str, u64, u64)] = &[
        (
            "Every morning she walked along the river before the city woke up. The water was grey and slow, and the bridges stood above it like old thoughts that nobody had finished.\n",
            34,
            34,
        ),
        (
            "Die Verwaltung von Zugangsschlüsseln ist eine Aufgabe, die niemand gern übernimmt.\n",
            16,
            25,
        ),
        (
            "每天早上,她都会在城市醒来之前沿着河边散步。河水灰蒙蒙的,流得很慢。\n",
            30,
            52,
        ),
        ("Каждое утро она гуляла вдоль реки, пока город ещё спал.\n", 19, 31),
        ("كل صباح كانت تمشي على ضفة النهر قبل أن تستيقظ المدينة.\n", 17, 38),
        ("हर सुबह वह शहर के जागने से पहले नदी के किनारे टहलती थी।\n", 18, 53),
        (
            "pub fn totals(rows: &[Row]) -> BTreeMap<String, u64> {\n    let mut totals = BTreeMap::new();\n    for row in rows {\n        *totals.entry(row.name.clone()).or_insert(0) += row.count;\n    }\n    totals\n}\n",
            59,
            58,
        ),
        (
            "{\"id\": \"msg_01\", \"type\": \"message\", \"usage\": {\"input_tokens\": 2095, \"output_tokens\": 503}}\n",
            32,
            32,
        ),
        (
            "2026-11-24T07:03:11.204Z WARN [worker-7] id=9f86d081884c7d65 status=429 duration_ms=1833 path=/v1/chat\n",
            47,
            47,
        ),
        (
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n",
            44,
            44,
        ),
        ("VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZy4=\n", 41, 43),
        (
            "| model | p50 | cost |\n|---|---:|---:|\n| alpha | 12.5 | 0.00031 |\n",
            31,
            31,
        ),
    ];

    #[test]
    fn openai_models_are_counted_as_openai_counts() {
        for (text, o200k, cl100k) in COUNTED {
            let of = |tokenizer: Tokenizer| tokenizer.count(text).tokens;
            assert_eq!(
                (of(Tokenizer::O200k), of(Tokenizer::Cl100k)),
                (*o200k, *cl100k),
                "{text}"
            );
        }
    }

    #[test]
    fn a_long_text_is_counted_by_a_part_of_it() {
        let texts: String = COUNTED.iter().map(|(text, ..)| *text).collect();
        let whole = Tokenizer::O200k.count(&texts).tokens;
        let times = 4 * MAX_COUNTED / texts.len();
        let long = Tokenizer::O200k.count(&texts.repeat(times));
        let expected = whole * times as u64;
        assert!(long.is_of_a_part);
        let off = long.tokens.abs_diff(expected) * 100 / expected;
        assert!(off <= u64::from(long.margin_percent), "{off} percent off");
    }

    #[test]
    fn text_of_any_kind_is_counted_in_a_moment() {
        for text in ["a", "ab", " ", "-", "\u{1f980}", "\u{0}", "每", "\u{915}\u{94d}"] {
            let text = text.repeat(2_000_000 / text.len());
            let begun = std::time::Instant::now();
            assert!(Tokenizer::Like(ModelFamily::Qwen).count(&text).tokens > 0);
            assert!(begun.elapsed().as_secs() < 20, "{:?}", text.chars().next());
        }
        assert_eq!(Tokenizer::Cl100k.count("").tokens, 0);
    }

    #[test]
    fn stretches_are_the_text_and_none_is_long() {
        for text in ["", "word ", "x", "  ", "é ", "每\n "] {
            let text = text.repeat(10_000);
            let all: Vec<&str> = stretches(&text).collect();
            assert_eq!(all.concat(), text);
            assert!(all.iter().all(|it| !it.is_empty() && it.len() <= MAX_STRETCH));
        }
    }

    #[test]
    fn models_are_counted_with_the_tokenizer_of_their_family() {
        for (model, tokenizer) in [
            ("openai/gpt-5-mini", Tokenizer::O200k),
            ("openai/o3", Tokenizer::O200k),
            ("openai/gpt-4.1", Tokenizer::O200k),
            ("openai/gpt-4o", Tokenizer::O200k),
            ("openai/gpt-4", Tokenizer::Cl100k),
            ("openai/gpt-4-turbo", Tokenizer::Cl100k),
            ("openai/gpt-3.5-turbo", Tokenizer::Cl100k),
            ("openai/text-embedding-3-small", Tokenizer::Cl100k),
            ("google/text-embedding-004", Tokenizer::Like(ModelFamily::Other)),
            ("groq/openai/gpt-oss-120b", Tokenizer::O200k),
            ("anthropic/claude-sonnet-5", Tokenizer::Like(ModelFamily::Claude)),
            (
                "groq/deepseek-r1-distill-llama-70b",
                Tokenizer::Like(ModelFamily::DeepSeek),
            ),
            ("mistral/codestral-latest", Tokenizer::Like(ModelFamily::Mistral)),
            ("zai/glm-5", Tokenizer::Like(ModelFamily::Glm)),
            ("moonshot/kimi-k2", Tokenizer::Like(ModelFamily::Kimi)),
            ("xai/grok-4", Tokenizer::Like(ModelFamily::Other)),
        ] {
            assert_eq!(Tokenizer::of(&model.parse().expect("a model")), tokenizer, "{model}");
        }
    }
}
