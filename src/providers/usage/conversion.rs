//! What merged counts mean: each provider's way of counting, converted once.

use serde_json::{Map, Value};

use super::counts::{CACHE_WRITE_1H, OTHER_MODALITIES};
use crate::domain::TokenCounts;

/// What is charged beside the tokens, or at rates of its own, so that the cost of the tokens is less than the whole.
const CHARGED_BESIDE: &[&str] = &[
    "prompt_tokens_details.audio_tokens",
    "completion_tokens_details.audio_tokens",
    "input_tokens_details.audio_tokens",
    "output_tokens_details.audio_tokens",
    "input_token_details.audio_tokens",
    "output_token_details.audio_tokens",
    "completion_tokens_details.image_tokens",
    "output_tokens_details.image_tokens",
    OTHER_MODALITIES,
    "citation_tokens",
    "num_search_queries",
    "num_sources_used",
    "server_tool_use.web_search_requests",
];

/// The counts of a `usage` object.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ReportedCounts {
    pub(super) counts: TokenCounts,
    /// Whether none is missing that the provider names.
    pub(super) is_whole: bool,
    /// Whether nothing is named but a total.
    pub(super) is_total_alone: bool,
}

/// The counts that were merged, by path.
#[derive(Clone, Copy)]
struct Known<'u>(&'u Map<String, Value>);

impl Known<'_> {
    fn number(self, path: &str) -> Option<u64> {
        let mut names = path.split('.');
        let first = names.next().and_then(|name| self.0.get(name));
        names.fold(first, |value, name| value?.get(name))?.as_u64()
    }

    fn at(self, path: &str) -> u64 {
        self.number(path).unwrap_or(0)
    }

    fn has(self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn has_any(self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    fn first_of(self, paths: &[&str]) -> u64 {
        let mut counts = paths.iter().map(|path| self.at(path));
        counts.find(|count| *count > 0).unwrap_or(0)
    }

    /// Whether the count is named, and has no value.
    fn is_null(self, name: &str) -> bool {
        self.0.get(name).is_some_and(Value::is_null)
    }
}

/// Whether something is charged beside the tokens, or at rates of its own.
pub(super) fn has_more_charged(usage: &Map<String, Value>) -> bool {
    CHARGED_BESIDE.iter().any(|path| Known(usage).at(path) > 0)
}

/// The counts in a `usage` object, recognized by its names; nothing where no known name is there.
pub(super) fn reported(usage: &Map<String, Value>) -> Option<ReportedCounts> {
    let known = Known(usage);
    [
        gemini,
        interactions,
        ollama,
        chat,
        snake_case,
        bedrock,
        invoke_model,
        cohere,
        total_alone,
    ]
    .iter()
    .find_map(|way| way(known))
}

/// Gemini: thoughts are beside the candidates, tool results beside the prompt; cached content is in the prompt.
fn gemini(known: Known<'_>) -> Option<ReportedCounts> {
    if !known.has_any(&["promptTokenCount", "totalTokenCount"]) {
        return None;
    }
    let thoughts = known.at("thoughtsTokenCount");
    let answer = known.first_of(&["candidatesTokenCount", "responseTokenCount"]);
    let input = known.at("promptTokenCount") + known.at("toolUsePromptTokenCount");
    let total = known.number("promptTokenCount").and(known.number("totalTokenCount"));
    let hidden = total.unwrap_or(0).saturating_sub(input + answer + thoughts);
    // What only the total tells: thoughts beside an answer, or the answer itself.
    let hidden_thoughts = if answer > 0 { hidden } else { 0 };
    let has_answer = !known.is_null("candidatesTokenCount") || known.number("totalTokenCount").is_some();
    Some(ReportedCounts {
        counts: TokenCounts {
            input,
            output: answer + thoughts + hidden,
            cache_read: known.at("cachedContentTokenCount"),
            reasoning: thoughts + hidden_thoughts,
            ..TokenCounts::default()
        },
        is_whole: known.number("promptTokenCount").is_some() && has_answer,
        is_total_alone: false,
    })
}

/// Gemini's interactions count as Gemini does.
fn interactions(known: Known<'_>) -> Option<ReportedCounts> {
    if !known.has_any(&["total_input_tokens", "total_output_tokens"]) {
        return None;
    }
    let thoughts = known.at("total_thought_tokens");
    let input = known.at("total_input_tokens") + known.at("total_tool_use_tokens");
    let answer = known.at("total_output_tokens");
    let total = known.number("total_input_tokens").and(known.number("total_tokens"));
    let hidden = total.unwrap_or(0).saturating_sub(input + answer + thoughts);
    Some(ReportedCounts {
        counts: TokenCounts {
            input,
            output: answer + thoughts + hidden,
            cache_read: known.at("total_cached_tokens"),
            reasoning: thoughts + if answer > 0 { hidden } else { 0 },
            ..TokenCounts::default()
        },
        is_whole: known.number("total_input_tokens").is_some() && !known.is_null("total_output_tokens"),
        is_total_alone: false,
    })
}

/// Ollama, which leaves the prompt out where all of it was cached.
fn ollama(known: Known<'_>) -> Option<ReportedCounts> {
    known
        .has_any(&["prompt_eval_count", "eval_count"])
        .then(|| ReportedCounts {
            counts: TokenCounts {
                input: known.at("prompt_eval_count"),
                output: known.at("eval_count"),
                ..TokenCounts::default()
            },
            is_whole: !known.is_null("prompt_eval_count") && !known.is_null("eval_count"),
            is_total_alone: false,
        })
}

/// OpenAI's chat and embeddings, and many others in its format.
fn chat(known: Known<'_>) -> Option<ReportedCounts> {
    if !known.has_any(&["prompt_tokens", "completion_tokens"]) {
        return None;
    }
    let inclusive = Inclusive {
        input: known.number("prompt_tokens"),
        output: known.number("completion_tokens"),
        has_output: known.has("completion_tokens"),
        total: known.number("total_tokens"),
        cache_read: known.first_of(&[
            "prompt_tokens_details.cached_tokens",
            // DeepSeek, Moonshot, Mistral, xAI, then LiteLLM and Databricks.
            "prompt_cache_hit_tokens",
            "cached_tokens",
            "num_cached_tokens",
            "cached_prompt_text_tokens",
            "cache_read_input_tokens",
            "prompt_tokens_details.cache_read_input_tokens",
            "input_tokens_details.cached_tokens",
        ]),
        cache_write: known.first_of(&[
            "prompt_tokens_details.cache_write_tokens",
            // LiteLLM, then DashScope.
            "prompt_tokens_details.cache_creation_tokens",
            "prompt_tokens_details.cache_creation_input_tokens",
            "cache_creation_input_tokens",
            "cache_write_tokens",
        ]),
        cache_write_1h: known.first_of(&[
            "prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
            "prompt_tokens_details.cache_creation.ephemeral_1h_input_tokens",
            "cache_creation.ephemeral_1h_input_tokens",
        ]),
        reasoning: known.first_of(&[
            "completion_tokens_details.reasoning_tokens",
            "completion_tokens_details.thinking_tokens",
            "output_tokens_details.reasoning_tokens",
            "reasoning_tokens",
        ]),
        // Perplexity, whose total leaves it out.
        is_reasoning_beside: known.has("reasoning_tokens") && known.has_any(&["citation_tokens", "num_search_queries"]),
    };
    Some(inclusive.settled())
}

/// OpenAI's responses, and Anthropic's messages, where what caches had a part in stands beside the input.
fn snake_case(known: Known<'_>) -> Option<ReportedCounts> {
    if !known.has_any(&["input_tokens", "output_tokens"]) {
        return None;
    }
    let cached_beside = [
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
    ];
    let (read, write) = (
        known.at("cache_read_input_tokens"),
        known.first_of(&["cache_creation_input_tokens"]).max(
            known.at("cache_creation.ephemeral_5m_input_tokens") + known.at("cache_creation.ephemeral_1h_input_tokens"),
        ),
    );
    let reasoning = known.first_of(&[
        "output_tokens_details.reasoning_tokens",
        "output_tokens_details.thinking_tokens",
        "reasoning_tokens",
    ]);
    if known.has_any(&cached_beside) && !known.has("input_tokens_details") {
        let exclusive = Exclusive {
            input: known.number("input_tokens"),
            output: known.number("output_tokens"),
            has_output: known.has("output_tokens"),
            total: known.number("total_tokens"),
            cache_read: read,
            cache_write: write,
            cache_write_1h: known.at("cache_creation.ephemeral_1h_input_tokens"),
            reasoning,
        };
        return Some(exclusive.settled());
    }
    let inclusive = Inclusive {
        input: known.number("input_tokens"),
        output: known.number("output_tokens"),
        has_output: known.has("output_tokens"),
        total: known.number("total_tokens"),
        cache_read: known.first_of(&[
            "input_tokens_details.cached_tokens",
            // Perplexity.
            "input_tokens_details.cache_read_input_tokens",
            // DashScope.
            "prompt_tokens_details.cached_tokens",
            "input_token_details.cached_tokens",
            "cached_tokens",
            "cache_read_input_tokens",
        ]),
        cache_write: known.first_of(&[
            "input_tokens_details.cache_write_tokens",
            "input_tokens_details.cache_creation_tokens",
            "input_tokens_details.cache_creation_input_tokens",
            "prompt_tokens_details.cache_creation_input_tokens",
            "cache_creation_input_tokens",
        ]),
        cache_write_1h: known.first_of(&[
            "input_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
            "input_tokens_details.cache_creation.ephemeral_1h_input_tokens",
            "prompt_tokens_details.cache_creation.ephemeral_1h_input_tokens",
        ]),
        reasoning,
        is_reasoning_beside: false,
    };
    Some(inclusive.settled())
}

/// Amazon Bedrock's Converse.
fn bedrock(known: Known<'_>) -> Option<ReportedCounts> {
    if !known.has_any(&["inputTokens", "outputTokens"]) {
        return None;
    }
    let exclusive = Exclusive {
        input: known.number("inputTokens"),
        output: known.number("outputTokens"),
        has_output: known.has("outputTokens"),
        total: known.number("totalTokens"),
        cache_read: known.first_of(&["cacheReadInputTokens", "cacheReadInputTokenCount"]),
        cache_write: known.first_of(&["cacheWriteInputTokens", "cacheWriteInputTokenCount"]),
        cache_write_1h: known.at(CACHE_WRITE_1H),
        reasoning: 0,
    };
    Some(exclusive.settled())
}

/// What Amazon Bedrock counts of a model that is invoked in its own format.
fn invoke_model(known: Known<'_>) -> Option<ReportedCounts> {
    if !known.has_any(&["inputTokenCount", "outputTokenCount"]) {
        return None;
    }
    let exclusive = Exclusive {
        input: known.number("inputTokenCount"),
        output: known.number("outputTokenCount"),
        has_output: known.has("outputTokenCount"),
        cache_read: known.at("cacheReadInputTokenCount"),
        cache_write: known.at("cacheWriteInputTokenCount"),
        ..Exclusive::default()
    };
    Some(exclusive.settled())
}

/// Cohere's own API; what is billed by another unit has no tokens.
fn cohere(known: Known<'_>) -> Option<ReportedCounts> {
    let counts = TokenCounts {
        input: known.first_of(&["billed_units.input_tokens", "tokens.input_tokens"]),
        output: known.first_of(&["billed_units.output_tokens", "tokens.output_tokens"]),
        cache_read: known.at("cached_tokens"),
        ..TokenCounts::default()
    };
    (known.has_any(&["billed_units", "tokens"]) && (counts.input > 0 || counts.output > 0)).then_some(ReportedCounts {
        counts,
        is_whole: true,
        is_total_alone: false,
    })
}

/// Embeddings of some: everything is input.
fn total_alone(known: Known<'_>) -> Option<ReportedCounts> {
    Some(ReportedCounts {
        counts: TokenCounts {
            input: known.number("total_tokens")?,
            ..TokenCounts::default()
        },
        is_whole: true,
        is_total_alone: true,
    })
}

/// Counts whose input includes what caches had a part in, and whose output includes reasoning, unless the total says
/// otherwise.
#[derive(Debug, Clone, Copy)]
struct Inclusive {
    input: Option<u64>,
    output: Option<u64>,
    /// Whether the output is named, with or without a value; embeddings have none.
    has_output: bool,
    total: Option<u64>,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    reasoning: u64,
    is_reasoning_beside: bool,
}

impl Inclusive {
    fn settled(self) -> ReportedCounts {
        let mut input = self.input.unwrap_or(0);
        // What the total leaves for the output where that is not reported itself.
        let rest = self.total.map(|total| total.saturating_sub(input));
        let answer = self.output.or(rest);
        let mut output = answer.unwrap_or(0);
        let mut reasoning = self.reasoning;
        let cached = self.cache_read + self.cache_write;
        // Of an input that is unknown the total tells nothing.
        let total = self.input.and(self.total);
        let mut beside = total.unwrap_or(0).saturating_sub(input + output);
        let is_cached_beside = if total.is_some() {
            cached > 0 && (beside == cached && reasoning != cached || beside == cached + reasoning)
        } else {
            cached > input
        };
        if is_cached_beside {
            input += cached;
            beside = beside.saturating_sub(cached);
        }
        // xAI counts reasoning beside the answer, which the total tells.
        if self.is_reasoning_beside || reasoning > output || reasoning > 0 && beside >= reasoning {
            output += reasoning;
            beside = beside.saturating_sub(reasoning);
        }
        // Gemini's thoughts stand in the total alone.
        if answer.is_some() {
            output += beside;
            reasoning += beside;
        }
        ReportedCounts {
            counts: TokenCounts {
                input,
                output,
                cache_read: self.cache_read,
                cache_write: self.cache_write,
                cache_write_1h: self.cache_write_1h,
                reasoning,
            },
            is_whole: self.input.is_some() && (answer.is_some() || !self.has_output),
            is_total_alone: false,
        }
    }
}

/// Counts whose input leaves out what caches had a part in, unless the total says otherwise.
#[derive(Debug, Clone, Copy, Default)]
struct Exclusive {
    input: Option<u64>,
    output: Option<u64>,
    has_output: bool,
    total: Option<u64>,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    reasoning: u64,
}

impl Exclusive {
    fn settled(self) -> ReportedCounts {
        let (input, output) = (self.input.unwrap_or(0), self.output.unwrap_or(0));
        let cached = self.cache_read + self.cache_write;
        // OpenAI's models on Bedrock.
        let is_included = self.total == Some(input + output) && cached <= input;
        ReportedCounts {
            counts: TokenCounts {
                input: if is_included { input } else { input + cached },
                output,
                cache_read: self.cache_read,
                cache_write: self.cache_write,
                cache_write_1h: self.cache_write_1h,
                reasoning: self.reasoning,
            },
            is_whole: self.input.is_some() && (self.output.is_some() || !self.has_output),
            is_total_alone: false,
        }
    }
}
