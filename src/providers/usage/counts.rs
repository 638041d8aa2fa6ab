//! The counts of a `usage` object, merged over the events of a stream.

use serde_json::{Map, Value};

use crate::domain::{Billionths, MAX_TOKENS, TokenCounts, Tokens};

/// The highest count that is believed of one request.
pub(super) const MAX_PER_REQUEST: u64 = 1_000_000_000;
/// How many entries of a list in a `usage` object are read.
pub(super) const MAX_ENTRIES: usize = 100;

/// The counts that are read from a `usage` object.
pub(super) static COUNTS: &[&str] = &[
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "reasoning_tokens",
    "thinking_tokens",
    "cached_tokens",
    "num_cached_tokens",
    "cached_prompt_text_tokens",
    "cache_write_tokens",
    "cache_creation_tokens",
    "prompt_cache_hit_tokens",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "inputTokens",
    "outputTokens",
    "totalTokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "input_token_count",
    "output_token_count",
    "inputTokenCount",
    "outputTokenCount",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
    "promptTokenCount",
    "candidatesTokenCount",
    "responseTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
    "prompt_eval_count",
    "eval_count",
    "total_input_tokens",
    "total_output_tokens",
    "total_thought_tokens",
    "total_cached_tokens",
    "total_tool_use_tokens",
    // What is charged beside the tokens, or at other rates.
    "audio_tokens",
    "image_tokens",
    "citation_tokens",
    "num_search_queries",
    "num_sources_used",
    "web_search_requests",
];
/// The objects inside a `usage` object that hold counts.
pub(super) static PARTS: &[&str] = &[
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "input_token_details",
    "output_token_details",
    "cache_creation",
    "cache_creation_token_details",
    "cached_tokens_details",
    "server_tool_use",
    "billed_units",
    "tokens",
];
/// Lists of counts by modality, of Gemini and its interactions.
const MODALITIES: &[&str] = &[
    "promptTokensDetails",
    "toolUsePromptTokensDetails",
    "cacheTokensDetails",
    "candidatesTokensDetails",
    "responseTokensDetails",
    "input_tokens_by_modality",
    "cached_tokens_by_modality",
    "output_tokens_by_modality",
];
/// What the sum over Amazon Bedrock's list of cache writes is kept as, among the names above.
pub(super) const CACHE_WRITE_1H: &str = "cacheWrite1h";

/// Merges the counts of `usage` into what is `known`; false where one cannot be true.
pub(super) fn merge(known: &mut Map<String, Value>, usage: &Map<String, Value>) -> bool {
    let mut is_plausible = true;
    for (name, value) in usage {
        is_plausible &= match (name.as_str(), value) {
            (name, value) if COUNTS.contains(&name) => merge_count(known, name, value),
            // Amazon Bedrock.
            ("cacheDetails", Value::Array(details)) => {
                let hours = details.iter().filter(|detail| detail["ttl"] == "1h");
                merge_sum(known, CACHE_WRITE_1H, hours.map(|detail| &detail["inputTokens"]))
            }
            (name, Value::Array(list)) if MODALITIES.contains(&name) => merge_modalities(known, name, list),
            (name, Value::Null) if PARTS.contains(&name) => true,
            (name, Value::Object(parts)) if PARTS.contains(&name) => {
                match known.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                    Value::Object(known) => merge(known, parts),
                    _ => false,
                }
            }
            (name, _) => !PARTS.contains(&name),
        };
    }
    is_plausible
}

/// Merges one count; false where it cannot be true, and what was known before stays.
pub(super) fn merge_count(known: &mut Map<String, Value>, name: &str, value: &Value) -> bool {
    if value.is_null() {
        known.entry(name).or_insert(Value::Null);
        return true;
    }
    let Some(count) = count(value) else { return false };
    // A later zero is a default, not a correction.
    let is_news = count > 0 || known.get(name).and_then(Value::as_u64).is_none();
    if is_news {
        known.insert(name.to_owned(), count.into());
    }
    true
}

/// Merges the sum of `values` as the count `name`; false where it cannot be true.
fn merge_sum<'v>(known: &mut Map<String, Value>, name: &str, values: impl Iterator<Item = &'v Value>) -> bool {
    let sum = values.take(MAX_ENTRIES).try_fold(0, |sum, value| {
        let one = if value.is_null() { 0 } else { count(value)? };
        Some(sum + one).filter(|sum| *sum <= MAX_PER_REQUEST)
    });
    sum.is_some_and(|sum| merge_count(known, name, &sum.into()))
}

/// Merges what a list counts of each modality that may have a price of its own, as an object of the list's name.
fn merge_modalities(known: &mut Map<String, Value>, list: &str, entries: &[Value]) -> bool {
    const NAMES: [&str; 3] = ["tokenCount", "tokens", "token_count"];
    let by_modality = known.entry(list).or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(by_modality) = by_modality else {
        return false;
    };
    ["audio", "image", "video"].into_iter().all(|modality| {
        let is_one = |entry: &&Value| {
            let named = entry["modality"].as_str();
            named.is_some_and(|named| named.eq_ignore_ascii_case(modality))
        };
        let count = |entry| NAMES.iter().find_map(|name| Value::get(entry, *name));
        let counts = entries
            .iter()
            .filter(is_one)
            .map(|entry| count(entry).unwrap_or(&Value::Null));
        merge_sum(by_modality, modality, counts)
    })
}

/// A count that can be true: a whole number up to [`MAX_PER_REQUEST`], also where it is written as `12.0` or `"12"`.
pub(super) fn count(value: &Value) -> Option<u64> {
    let whole = match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(&number.to_string())),
        Value::String(text) => whole(text.trim()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    whole.filter(|count| *count <= MAX_PER_REQUEST)
}

fn whole(text: &str) -> Option<u64> {
    let Billionths(number) = Billionths::parse(text)?;
    let one = Billionths::ONE.0;
    number.is_multiple_of(one).then_some(number / one)
}

/// The counts, with parts no greater than their whole; nothing where a sum cannot be true.
pub(super) fn true_counts(reported: TokenCounts) -> Option<Tokens> {
    (reported.input.max(reported.output) <= MAX_PER_REQUEST).then(|| within_whole(reported))
}

/// The counts with parts cut to their whole.
pub(super) fn within_whole(counts: TokenCounts) -> Tokens {
    let input = counts.input.min(MAX_TOKENS);
    let output = counts.output.min(MAX_TOKENS);
    let cache_read = counts.cache_read.min(input);
    let cache_write = counts.cache_write.min(input - cache_read);
    Tokens::new(TokenCounts {
        input,
        output,
        cache_read,
        cache_write,
        cache_write_1h: counts.cache_write_1h.min(cache_write),
        reasoning: counts.reasoning.min(output),
    })
    .unwrap_or_default()
}

/// The sum of counts.
pub(super) fn sum(one: TokenCounts, other: TokenCounts) -> TokenCounts {
    TokenCounts {
        input: one.input + other.input,
        output: one.output + other.output,
        cache_read: one.cache_read + other.cache_read,
        cache_write: one.cache_write + other.cache_write,
        cache_write_1h: one.cache_write_1h + other.cache_write_1h,
        reasoning: one.reasoning + other.reasoning,
    }
}
