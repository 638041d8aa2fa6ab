//! What merged counts mean: each provider's way of counting, converted once.
//!
//! There are three: parts inside their whole (OpenAI and most others), caches beside the input (Anthropic and Amazon
//! Bedrock), and thoughts beside the answer (Gemini). A table of names says where each API has which count.

use serde_json::{Map, Value};

use super::{counts::CACHE_WRITE_1H, known::Known};
use crate::domain::TokenCounts;

/// The counts of a `usage` object.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ReportedCounts {
    pub(super) counts: TokenCounts,
    /// Whether none is missing that the provider names.
    pub(super) is_whole: bool,
    /// Whether nothing is named but a total.
    pub(super) is_total_alone: bool,
}

/// The counts in a `usage` object, recognized by its names; nothing where no known name is there.
pub(super) fn reported(usage: &Map<String, Value>) -> Option<ReportedCounts> {
    let ways: [fn(Known<'_>) -> Option<ReportedCounts>; 10] = [
        |known| thoughts_beside(known, &GEMINI),
        |known| thoughts_beside(known, &INTERACTIONS),
        ollama,
        |known| inclusive(known, &CHAT),
        snake_case,
        |known| exclusive(known, &CONVERSE),
        |known| exclusive(known, &INVOKE_MODEL),
        |known| inclusive(known, &PREDICTION),
        cohere,
        total_alone,
    ];
    ways.iter().find_map(|way| way(Known(usage)))
}

/// Where an API in Gemini's way has its counts.
struct ThoughtNames {
    /// One of them is there.
    marks: [&'static str; 2],
    input: &'static str,
    /// Beside the input.
    tool_use: &'static str,
    answer: &'static [&'static str],
    /// Beside the answer.
    thoughts: &'static str,
    /// In the input.
    cache_read: &'static str,
    total: &'static str,
}

const GEMINI: ThoughtNames = ThoughtNames {
    marks: ["promptTokenCount", "totalTokenCount"],
    input: "promptTokenCount",
    tool_use: "toolUsePromptTokenCount",
    answer: &["candidatesTokenCount", "responseTokenCount"],
    thoughts: "thoughtsTokenCount",
    cache_read: "cachedContentTokenCount",
    total: "totalTokenCount",
};
const INTERACTIONS: ThoughtNames = ThoughtNames {
    marks: ["total_input_tokens", "total_output_tokens"],
    input: "total_input_tokens",
    tool_use: "total_tool_use_tokens",
    answer: &["total_output_tokens"],
    thoughts: "total_thought_tokens",
    cache_read: "total_cached_tokens",
    total: "total_tokens",
};

fn thoughts_beside(known: Known<'_>, names: &ThoughtNames) -> Option<ReportedCounts> {
    if !known.has_any(&names.marks) {
        return None;
    }
    let input = known.at(names.input) + known.at(names.tool_use);
    let (answer, thoughts) = (known.first_of(names.answer), known.at(names.thoughts));
    let total = known.number(names.input).and(known.number(names.total));
    let hidden = total.unwrap_or(0).saturating_sub(input + answer + thoughts);
    // What only the total reports: thoughts beside an answer, or the answer itself.
    let hidden_thoughts = if answer > 0 { hidden } else { 0 };
    let has_answer = known.number(names.total).is_some() || !names.answer.iter().any(|name| known.is_null(name));
    Some(ReportedCounts {
        counts: TokenCounts {
            input,
            output: answer + thoughts + hidden,
            cache_read: known.at(names.cache_read),
            reasoning: thoughts + hidden_thoughts,
            ..TokenCounts::default()
        },
        is_whole: known.number(names.input).is_some() && has_answer,
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

/// OpenAI's responses, and Anthropic's messages, where what caches had a part in stands beside the input.
fn snake_case(known: Known<'_>) -> Option<ReportedCounts> {
    const BESIDE: [&str; 3] = [
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
    ];
    if known.has_any(&BESIDE) && !known.has("input_tokens_details") {
        exclusive(known, &MESSAGES)
    } else {
        inclusive(known, &RESPONSES)
    }
}

/// Where an API has its counts; of several spellings the first that counts anything is taken.
struct CountNames {
    input: &'static str,
    output: &'static str,
    total: &'static str,
    cache_read: &'static [&'static str],
    cache_write: &'static [&'static str],
    /// Cache writes by how long they are kept, which together are all of them.
    cache_writes_by_time: &'static [&'static str],
    cache_write_1h: &'static [&'static str],
    reasoning: &'static [&'static str],
}

/// OpenAI's chat and embeddings, and many others in its format.
const CHAT: CountNames = CountNames {
    input: "prompt_tokens",
    output: "completion_tokens",
    total: "total_tokens",
    cache_read: &[
        "prompt_tokens_details.cached_tokens",
        // DeepSeek, Moonshot, Mistral, xAI, then LiteLLM and Databricks.
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "num_cached_tokens",
        "cached_prompt_text_tokens",
        "cache_read_input_tokens",
        "prompt_tokens_details.cache_read_input_tokens",
        "input_tokens_details.cached_tokens",
    ],
    cache_write: &[
        "prompt_tokens_details.cache_write_tokens",
        // LiteLLM, then DashScope.
        "prompt_tokens_details.cache_creation_tokens",
        "prompt_tokens_details.cache_creation_input_tokens",
        "cache_creation_input_tokens",
        "cache_write_tokens",
    ],
    cache_writes_by_time: &[],
    cache_write_1h: &[
        "prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
        "prompt_tokens_details.cache_creation.ephemeral_1h_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens",
    ],
    reasoning: &[
        "completion_tokens_details.reasoning_tokens",
        "completion_tokens_details.thinking_tokens",
        "output_tokens_details.reasoning_tokens",
        "reasoning_tokens",
    ],
};
/// OpenAI's responses, and others that count so.
const RESPONSES: CountNames = CountNames {
    input: "input_tokens",
    output: "output_tokens",
    total: "total_tokens",
    cache_read: &[
        "input_tokens_details.cached_tokens",
        // Perplexity.
        "input_tokens_details.cache_read_input_tokens",
        // DashScope.
        "prompt_tokens_details.cached_tokens",
        "input_token_details.cached_tokens",
        "cached_tokens",
        "cache_read_input_tokens",
    ],
    cache_write: &[
        "input_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_creation_tokens",
        "input_tokens_details.cache_creation_input_tokens",
        "prompt_tokens_details.cache_creation_input_tokens",
        "cache_creation_input_tokens",
    ],
    cache_writes_by_time: &[],
    cache_write_1h: &[
        "input_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
        "input_tokens_details.cache_creation.ephemeral_1h_input_tokens",
        "prompt_tokens_details.cache_creation.ephemeral_1h_input_tokens",
    ],
    reasoning: &[
        "output_tokens_details.reasoning_tokens",
        "output_tokens_details.thinking_tokens",
        "reasoning_tokens",
    ],
};
/// Anthropic's messages.
const MESSAGES: CountNames = CountNames {
    cache_read: &["cache_read_input_tokens"],
    cache_write: &["cache_creation_input_tokens"],
    cache_writes_by_time: &[
        "cache_creation.ephemeral_5m_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens",
    ],
    cache_write_1h: &["cache_creation.ephemeral_1h_input_tokens"],
    ..RESPONSES
};
/// Amazon Bedrock's Converse.
const CONVERSE: CountNames = CountNames {
    input: "inputTokens",
    output: "outputTokens",
    total: "totalTokens",
    cache_read: &["cacheReadInputTokens", "cacheReadInputTokenCount"],
    cache_write: &["cacheWriteInputTokens", "cacheWriteInputTokenCount"],
    cache_writes_by_time: &[],
    cache_write_1h: &[CACHE_WRITE_1H],
    reasoning: &[],
};
/// What Amazon Bedrock counts of a model that is invoked in its own format.
const INVOKE_MODEL: CountNames = CountNames {
    input: "inputTokenCount",
    output: "outputTokenCount",
    cache_read: &["cacheReadInputTokenCount"],
    cache_write: &["cacheWriteInputTokenCount"],
    cache_write_1h: &[],
    ..CONVERSE
};

/// What Replicate measured of a prediction.
const PREDICTION: CountNames = CountNames {
    input: "input_token_count",
    output: "output_token_count",
    total: "total_token_count",
    cache_read: &[],
    cache_write: &[],
    cache_writes_by_time: &[],
    cache_write_1h: &[],
    reasoning: &[],
};

/// The counts as one of these APIs names them.
#[derive(Debug, Clone, Copy)]
struct NamedCounts {
    input: Option<u64>,
    output: Option<u64>,
    /// Whether the output is named, with or without a value; embeddings have none.
    has_output: bool,
    total: Option<u64>,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    reasoning: u64,
}

impl NamedCounts {
    fn read(known: Known<'_>, names: &CountNames) -> Option<Self> {
        known.has_any(&[names.input, names.output]).then(|| Self {
            input: known.number(names.input),
            output: known.number(names.output),
            has_output: known.has(names.output),
            total: known.number(names.total),
            cache_read: known.first_of(names.cache_read),
            cache_write: known
                .first_of(names.cache_write)
                .max(known.sum_of(names.cache_writes_by_time)),
            cache_write_1h: known.first_of(names.cache_write_1h),
            reasoning: known.first_of(names.reasoning),
        })
    }

    /// The counts with this input, output and reasoning; `answer` is the output where it is known.
    fn settled(self, counts: TokenCounts, answer: Option<u64>) -> ReportedCounts {
        ReportedCounts {
            counts: TokenCounts {
                cache_read: self.cache_read,
                cache_write: self.cache_write,
                cache_write_1h: self.cache_write_1h,
                ..counts
            },
            is_whole: self.input.is_some() && (answer.is_some() || !self.has_output),
            is_total_alone: false,
        }
    }
}

/// Counts whose input includes what caches had a part in, and whose output includes reasoning, unless the total says
/// otherwise.
fn inclusive(known: Known<'_>, names: &CountNames) -> Option<ReportedCounts> {
    let named = NamedCounts::read(known, names)?;
    // Perplexity, whose total leaves it out.
    let is_reasoning_beside =
        known.has("reasoning_tokens") && known.has_any(&["citation_tokens", "num_search_queries"]);
    let mut input = named.input.unwrap_or(0);
    // What the total leaves for the output where that is not reported itself.
    let rest = named.total.map(|total| total.saturating_sub(input));
    let answer = named.output.or(rest);
    let mut output = answer.unwrap_or(0);
    let mut reasoning = named.reasoning;
    let cached = named.cache_read + named.cache_write;
    // Of an input that is unknown the total says nothing.
    let total = named.input.and(named.total);
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
    // xAI counts reasoning beside the answer, which the total shows.
    if is_reasoning_beside || reasoning > output || reasoning > 0 && beside >= reasoning {
        output += reasoning;
        beside = beside.saturating_sub(reasoning);
    }
    // Gemini's thoughts stand in the total alone.
    if answer.is_some() {
        output += beside;
        reasoning += beside;
    }
    let counts = TokenCounts {
        input,
        output,
        reasoning,
        ..TokenCounts::default()
    };
    Some(named.settled(counts, answer))
}

/// Counts whose input leaves out what caches had a part in, unless the total says otherwise.
fn exclusive(known: Known<'_>, names: &CountNames) -> Option<ReportedCounts> {
    let named = NamedCounts::read(known, names)?;
    let (input, output) = (named.input.unwrap_or(0), named.output.unwrap_or(0));
    let cached = named.cache_read + named.cache_write;
    // OpenAI's models on Bedrock.
    let is_included = named.total == Some(input + output) && cached <= input;
    let counts = TokenCounts {
        input: if is_included { input } else { input + cached },
        output,
        reasoning: named.reasoning,
        ..TokenCounts::default()
    };
    Some(named.settled(counts, named.output))
}
