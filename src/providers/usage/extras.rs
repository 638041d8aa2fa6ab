//! What merged counts say of sound, images, searches and citations.

use super::known::Known;
use crate::domain::{Extras, SearchContext};

/// The counts beside those of text; `search_context` stands in no count.
pub(super) fn extras(known: Known<'_>, search_context: Option<SearchContext>) -> Extras {
    // OpenAI's chat, responses and sessions, then Gemini and its interactions.
    let input = |what: &str| {
        let details = ["prompt_tokens_details", "input_tokens_details", "input_token_details"];
        let lists = [
            "promptTokensDetails",
            "toolUsePromptTokensDetails",
            "input_tokens_by_modality",
        ];
        of_kind(known, what, &details, &lists)
    };
    let cached = |what: &str| {
        let details = [
            "prompt_tokens_details.cached_tokens_details",
            "input_tokens_details.cached_tokens_details",
            "input_token_details.cached_tokens_details",
        ];
        of_kind(
            known,
            what,
            &details,
            &["cacheTokensDetails", "cached_tokens_by_modality"],
        )
    };
    let output = |what: &str| {
        let details = [
            "completion_tokens_details",
            "output_tokens_details",
            "output_token_details",
        ];
        let lists = [
            "candidatesTokensDetails",
            "responseTokensDetails",
            "output_tokens_by_modality",
        ];
        of_kind(known, what, &details, &lists)
    };
    Extras {
        audio_input: input("audio"),
        audio_cache_read: cached("audio"),
        image_input: input("image"),
        audio_output: output("audio"),
        image_output: output("image"),
        citations: known.at("citation_tokens"),
        // Anthropic, then Perplexity.
        searches: known.first_of(&["server_tool_use.web_search_requests", "num_search_queries"]),
        // The request says what is read out.
        characters: 0,
        search_context,
        // xAI's sources are charged by a price of their own.
        has_uncounted: output("video") > 0 || known.at("num_sources_used") > 0,
    }
}

/// Tokens of one kind: in the first object of `details` that counts them, and in all `lists`.
fn of_kind(known: Known<'_>, kind: &str, details: &[&str], lists: &[&str]) -> u64 {
    let mut counts = details
        .iter()
        .map(|details| known.at(&format!("{details}.{kind}_tokens")));
    let listed: u64 = lists.iter().map(|list| known.at(&format!("{list}.{kind}"))).sum();
    counts.find(|count| *count > 0).unwrap_or(0) + listed
}

/// How much of the web Perplexity says that it searched.
pub(super) fn search_context(said: &str) -> Option<SearchContext> {
    match said {
        "low" => Some(SearchContext::Low),
        "medium" => Some(SearchContext::Medium),
        "high" => Some(SearchContext::High),
        _ => None,
    }
}
