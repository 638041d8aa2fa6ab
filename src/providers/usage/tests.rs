use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    chunks::MAX_EVENT_BYTES,
    counts::{COUNTS, MAX_PER_REQUEST, PARTS},
    frames::tests::frame,
    *,
};
use crate::{
    domain::{Extras, Portion, SearchContext, Service, TokenCounts, Tokens},
    providers::refusal,
};

/// What a whole answer says.
fn whole(answer: &Value) -> Meter {
    let mut reader = UsageReader::new(Framing::Whole, false);
    reader.pass(answer.to_string().into());
    reader.finish();
    reader.meter().clone()
}

fn tokens(counts: TokenCounts) -> Tokens {
    Tokens::new(counts).expect("true counts")
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_provider_is_read_in_its_own_way_of_counting() {
    let counts = TokenCounts::default;
    for (name, answer, expected) in [
        (
            "OpenAI's chat: cached input and reasoning are parts",
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 20}}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 60,
                reasoning: 20,
                ..counts()
            },
        ),
        (
            "OpenAI's responses",
            json!({"object": "response", "error": null, "usage": {"input_tokens": 100, "output_tokens": 50,
                "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
                "output_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 150}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 60,
                cache_write: 30,
                reasoning: 20,
                ..counts()
            },
        ),
        (
            "OpenAI's embeddings",
            json!({"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}),
            TokenCounts { input: 8, ..counts() },
        ),
        (
            "Anthropic: what caches had a part in stands beside the input",
            json!({"type": "message", "usage": {"input_tokens": 10, "cache_read_input_tokens": 60,
                "cache_creation_input_tokens": 30, "output_tokens": 50,
                "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 60,
                cache_write: 30,
                cache_write_1h: 20,
                ..counts()
            },
        ),
        (
            "Gemini: thoughts stand beside the candidates, cached content in the prompt",
            json!({"candidates": [], "usageMetadata": {"promptTokenCount": 90, "toolUsePromptTokenCount": 10,
                "cachedContentTokenCount": 60, "candidatesTokenCount": 30, "thoughtsTokenCount": 20,
                "totalTokenCount": 150}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 60,
                reasoning: 20,
                ..counts()
            },
        ),
        (
            "Ollama",
            json!({"model": "x", "response": "hi", "done": true, "prompt_eval_count": 100, "eval_count": 50}),
            TokenCounts {
                input: 100,
                output: 50,
                ..counts()
            },
        ),
        (
            "DeepSeek: hits and misses make up the prompt",
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_cache_hit_tokens": 60, "prompt_cache_miss_tokens": 40,
                "completion_tokens_details": {"reasoning_tokens": 20}}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 60,
                reasoning: 20,
                ..counts()
            },
        ),
        (
            "xAI: reasoning stands beside the answer, and only the total tells",
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60},
                "completion_tokens_details": {"reasoning_tokens": 20}}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 60,
                reasoning: 20,
                ..counts()
            },
        ),
        (
            "OpenRouter",
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "cost": 0.01,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
                "completion_tokens_details": {"reasoning_tokens": 20}}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 60,
                cache_write: 30,
                reasoning: 20,
                ..counts()
            },
        ),
        (
            "Mistral and Groq",
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "queue_time": 0.1, "prompt_time": 0.2}}),
            TokenCounts {
                input: 100,
                output: 50,
                ..counts()
            },
        ),
        (
            "Moonshot",
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 50, "cached_tokens": 60}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 60,
                ..counts()
            },
        ),
        (
            "Cohere's own API",
            json!({"usage": {"billed_units": {"input_tokens": 90, "output_tokens": 50},
                "tokens": {"input_tokens": 100, "output_tokens": 55}}}),
            TokenCounts {
                input: 90,
                output: 50,
                ..counts()
            },
        ),
        (
            "Cohere's older API, and its embeddings",
            json!({"embeddings": {"float": [[0.5]]}, "meta": {"api_version": {"version": "2"},
                "billed_units": {"input_tokens": 100}}}),
            TokenCounts { input: 100, ..counts() },
        ),
        (
            "Amazon Bedrock",
            json!({"output": {}, "usage": {"inputTokens": 40, "outputTokens": 50, "totalTokens": 190,
                "cacheReadInputTokens": 60, "cacheWriteInputTokens": 40}}),
            TokenCounts {
                input: 140,
                output: 50,
                cache_read: 60,
                cache_write: 40,
                ..counts()
            },
        ),
        (
            "Replicate",
            json!({"id": "p", "model": "meta/llama", "status": "succeeded", "output": ["a", "b"], "metrics": {
                "input_token_count": 100, "output_token_count": 50, "predict_time": 1.25, "time_to_first_token": 0.2}}),
            TokenCounts {
                input: 100,
                output: 50,
                ..counts()
            },
        ),
        (
            "MiniMax",
            json!({"base_resp": {"status_code": 0, "status_msg": ""}, "usage": {"total_tokens": 150, "total_characters": 0,
                "prompt_tokens": 100, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 60},
                "completion_tokens_details": {"reasoning_tokens": 20}}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 60,
                reasoning: 20,
                ..counts()
            },
        ),
        (
            "Z.ai",
            json!({"request_id": "r", "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60}}, "web_search": []}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 60,
                ..counts()
            },
        ),
        (
            "Voyage",
            json!({"data": [], "usage": {"total_tokens": 8}}),
            TokenCounts { input: 8, ..counts() },
        ),
        (
            "a cached part beyond the prompt is cut to it; reasoning beyond the answer is beside it",
            json!({"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 60},
                "completion_tokens_details": {"reasoning_tokens": 20}}}),
            TokenCounts {
                input: 10,
                output: 25,
                cache_read: 10,
                reasoning: 20,
                ..counts()
            },
        ),
    ] {
        assert_eq!(whole(&answer).tokens(), Some(tokens(expected)), "{name}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn counts_outside_the_usual_place_are_read_as_they_are_billed() {
    let counts = TokenCounts::default;
    for (name, answer, expected) in [
        (
            "whole numbers written as decimals",
            json!({"usage": {"prompt_tokens": 10.0, "completion_tokens": 50.0, "total_tokens": 60.0}}),
            TokenCounts {
                input: 10,
                output: 50,
                ..counts()
            },
        ),
        (
            "Perplexity: reasoning beyond the completion is beside it",
            json!({"usage": {"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196,
                "citation_tokens": 20_016, "num_search_queries": 21, "reasoning_tokens": 193_893}}),
            TokenCounts {
                input: 33,
                output: 201_056,
                reasoning: 193_893,
                ..counts()
            },
        ),
        (
            "Anthropic: compaction is billed beside the counts at the top, declined fallbacks are not",
            json!({"usage": {"input_tokens": 23_000, "output_tokens": 1_000, "iterations": [
                {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
                {"type": "fallback", "input_tokens": 7, "output_tokens": 7},
                {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000}]}}),
            TokenCounts {
                input: 203_000,
                output: 4_500,
                ..counts()
            },
        ),
        (
            "Gemini's interactions: thoughts are beside the output",
            json!({"usage": {"total_input_tokens": 1_000, "total_output_tokens": 50, "total_thought_tokens": 200,
                "total_cached_tokens": 400, "total_tokens": 1_250}}),
            TokenCounts {
                input: 1_000,
                output: 250,
                cache_read: 400,
                reasoning: 200,
                ..counts()
            },
        ),
        (
            "Amazon Bedrock: cache writes for an hour",
            json!({"usage": {"inputTokens": 40, "outputTokens": 50, "totalTokens": 1_090,
                "cacheWriteInputTokens": 1_000, "cacheDetails": [{"ttl": "1h", "inputTokens": 600},
                {"ttl": "5m", "inputTokens": 400}]}}),
            TokenCounts {
                input: 1_040,
                output: 50,
                cache_write: 1_000,
                cache_write_1h: 600,
                ..counts()
            },
        ),
        (
            "whole numbers written as text",
            json!({"usage": {"prompt_tokens": "10", "completion_tokens": " 50.0 ", "total_tokens": "60"}}),
            TokenCounts {
                input: 10,
                output: 50,
                ..counts()
            },
        ),
        (
            "Anthropic: thinking is a part of the output",
            json!({"usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 50,
                "output_tokens_details": {"thinking_tokens": 30}}}),
            TokenCounts {
                input: 15,
                output: 50,
                cache_read: 5,
                reasoning: 30,
                ..counts()
            },
        ),
        (
            "Anthropic: an advisor's tokens are beside the counts at the top, with cache writes for an hour",
            json!({"usage": {"input_tokens": 10, "output_tokens": 50, "cache_creation_input_tokens": 0, "iterations": [
                {"type": "message", "input_tokens": 10, "output_tokens": 50},
                {"type": "advisor_message", "model": "claude-opus-9", "input_tokens": 100, "output_tokens": 20,
                    "cache_creation_input_tokens": 30, "cache_read_input_tokens": 0,
                    "cache_creation": {"ephemeral_1h_input_tokens": 30, "ephemeral_5m_input_tokens": 0}}]}}),
            TokenCounts {
                input: 140,
                output: 70,
                cache_write: 30,
                cache_write_1h: 30,
                ..counts()
            },
        ),
        (
            "OpenAI's responses without details",
            json!({"object": "response", "usage": {"input_tokens": 100, "output_tokens": 50,
                "input_tokens_details": null, "output_tokens_details": null}}),
            TokenCounts {
                input: 100,
                output: 50,
                ..counts()
            },
        ),
        (
            "Gemini's door for OpenAI's clients: thoughts stand in the total alone",
            json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 130}}),
            TokenCounts {
                input: 10,
                output: 120,
                reasoning: 100,
                ..counts()
            },
        ),
        (
            "Gemini: thoughts stand in the total alone",
            json!({"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 20, "totalTokenCount": 130}}),
            TokenCounts {
                input: 10,
                output: 120,
                reasoning: 100,
                ..counts()
            },
        ),
        (
            "Amazon Bedrock: the input of OpenAI's models includes the cached part, as the total tells",
            json!({"usage": {"inputTokens": 100, "outputTokens": 50, "totalTokens": 150, "cacheReadInputTokens": 60}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 60,
                ..counts()
            },
        ),
        (
            "Amazon Bedrock's older names",
            json!({"usage": {"inputTokens": 40, "outputTokens": 50, "cacheReadInputTokenCount": 60,
                "cacheWriteInputTokenCount": 7}}),
            TokenCounts {
                input: 107,
                output: 50,
                cache_read: 60,
                cache_write: 7,
                ..counts()
            },
        ),
        (
            "Mistral",
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "num_cached_tokens": 64}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 64,
                ..counts()
            },
        ),
        (
            "DashScope: cache writes in the details",
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 20, "cache_creation_input_tokens": 30,
                    "cache_creation": {"ephemeral_5m_input_tokens": 30}, "cache_type": "ephemeral"}}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 20,
                cache_write: 30,
                ..counts()
            },
        ),
        (
            "DashScope's own API",
            json!({"output": {"text": "x"}, "usage": {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 20}}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 20,
                ..counts()
            },
        ),
        (
            "LiteLLM: Anthropic's names beside OpenAI's, which include them",
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "cache_read_input_tokens": 20, "cache_creation_input_tokens": 30,
                "prompt_tokens_details": {"cached_tokens": 20, "cache_creation_tokens": 30,
                    "cache_creation_token_details": {"ephemeral_1h_input_tokens": 10}}}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 20,
                cache_write: 30,
                cache_write_1h: 10,
                ..counts()
            },
        ),
        (
            "a prompt without what caches had a part in, as the total tells",
            json!({"usage": {"prompt_tokens": 50, "completion_tokens": 50, "total_tokens": 150,
                "cache_read_input_tokens": 20, "cache_creation_input_tokens": 30}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 20,
                cache_write: 30,
                ..counts()
            },
        ),
        (
            "Perplexity's responses",
            json!({"usage": {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150,
                "input_tokens_details": {"cache_read_input_tokens": 20, "cache_creation_input_tokens": 5}}}),
            TokenCounts {
                input: 100,
                output: 50,
                cache_read: 20,
                cache_write: 5,
                ..counts()
            },
        ),
        (
            "an output that only the total tells",
            json!({"usage": {"prompt_tokens": 10, "completion_tokens": null, "total_tokens": 15}}),
            TokenCounts {
                input: 10,
                output: 5,
                ..counts()
            },
        ),
    ] {
        assert_eq!(whole(&answer).tokens(), Some(tokens(expected)), "{name}");
    }
}

#[test]
fn counts_that_cannot_be_true_are_not_believed() {
    let absurd = [
        json!(-1),
        json!(1_000_000_001_u64),
        json!(u64::MAX),
        json!(1.5),
        json!(1e30),
        json!("12.5"),
        json!("many"),
        json!("-12"),
        json!(""),
        json!(true),
        json!([7]),
        json!({"n": 7}),
    ];
    for count in &absurd {
        for usage in [
            json!({"usage": {"prompt_tokens": count, "completion_tokens": 5}}),
            json!({"usage": {"prompt_tokens": 5, "completion_tokens": count}}),
            json!({"usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": count}}),
            json!({"usage": {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": count}}}),
            json!({"usage": {"input_tokens": count, "output_tokens": 5, "total_tokens": 10}}),
            json!({"usage": {"input_tokens": 5, "output_tokens": 5, "cache_read_input_tokens": count}}),
            json!({"usage": {"input_tokens": 5, "output_tokens": 5, "iterations": [{"type": "compaction", "input_tokens": count}]}}),
            json!({"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": count}}),
            json!({"usageMetadata": {"promptTokenCount": count, "totalTokenCount": 5}}),
            json!({"usage": {"inputTokens": 5, "outputTokens": count}}),
            json!({"usage": {"billed_units": {"input_tokens": count, "output_tokens": 5}}}),
            json!({"prompt_eval_count": 5, "eval_count": count}),
            json!({"usage": {"total_tokens": count}}),
            json!({"response": {"usage": {"input_tokens": 5, "output_tokens": count, "total_tokens": 10}}}),
        ] {
            let meter = whole(&usage);
            assert_eq!((meter.tokens(), meter.is_trusted()), (None, false), "{usage}");
            let so_far = meter.tokens_so_far(100);
            assert!(so_far.input() <= 100 && so_far.output() <= 5, "{usage}: {so_far:?}");
        }
    }
    for usage in [json!(7), json!("7"), json!([7]), json!(true)] {
        assert!(!whole(&json!({"usage": usage})).is_trusted(), "{usage}");
    }
    for details in [json!(7), json!("7"), json!([{"cached_tokens": 7}])] {
        let usage = json!({"usage": {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": details}});
        assert_eq!(whole(&usage).tokens(), None, "{details}");
    }
    // Each count can be true by itself, and their sum cannot.
    let sum =
        json!({"usage": {"input_tokens": 900_000_000, "cache_read_input_tokens": 900_000_000, "output_tokens": 1}});
    assert_eq!(whole(&sum).tokens(), None);
    assert_eq!(whole(&sum).tokens_so_far(100).input(), 100);
    let most = json!({"usage": {"prompt_tokens": 1_000_000_000, "completion_tokens": 0}});
    assert_eq!(whole(&most).tokens().map(|tokens| tokens.input()), Some(1_000_000_000));
}

#[test]
fn a_count_that_is_named_without_a_value_is_missing() {
    for usage in [
        json!({"usage": {"prompt_tokens": null, "completion_tokens": 5}}),
        json!({"usage": {"prompt_tokens": 5, "completion_tokens": null}}),
        json!({"usage": {"prompt_tokens": null, "completion_tokens": 5, "total_tokens": 15}}),
        json!({"usage": {"completion_tokens": 5}}),
        json!({"usage": {"input_tokens": null, "output_tokens": 5}}),
        json!({"usage": {"output_tokens": 5}}),
        json!({"usage": {"input_tokens": 5, "output_tokens": null}}),
        json!({"usageMetadata": {"candidatesTokenCount": 5, "totalTokenCount": 15}}),
        json!({"usageMetadata": {"promptTokenCount": null, "totalTokenCount": 15}}),
        json!({"prompt_eval_count": null, "eval_count": 5}),
    ] {
        let meter = whole(&usage);
        assert_eq!(meter.tokens(), None, "{usage}");
        assert!(meter.is_trusted(), "{usage}");
    }
    let known = whole(&json!({"usage": {"prompt_tokens": 7, "completion_tokens": null}})).tokens_so_far(100);
    assert_eq!(known.input(), 7, "what is known is used");
    let parts = json!({"usage": {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": null,
        "completion_tokens_details": {"reasoning_tokens": null}}});
    assert!(whole(&parts).tokens().is_some(), "a part without a value is none");
}

/// The meter after events with those data.
fn after(events: &[Value]) -> Meter {
    let mut reader = UsageReader::new(Framing::Events, false);
    for event in events {
        reader.pass(format!("data: {event}\n\n").into());
    }
    reader.finish();
    reader.meter().clone()
}

#[test]
fn an_absurd_count_in_a_stream_replaces_no_sane_one_and_is_not_forgotten() {
    let usage = |prompt: Value, completion: Value| json!({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}});
    let sane = usage(json!(7), json!(3));
    for absurd in [
        usage(json!(-7), json!(3)),
        usage(json!(7), json!(9_000_000_000_u64)),
        usage(json!("x"), json!(0.5)),
        json!({"usage": "none"}),
    ] {
        for events in [[sane.clone(), absurd.clone()], [absurd.clone(), sane.clone()]] {
            let meter = after(&events);
            assert_eq!((meter.tokens(), meter.is_trusted()), (None, false), "{absurd}");
            let so_far = meter.tokens_so_far(100);
            assert_eq!((so_far.input(), so_far.output()), (7, 3), "{absurd}");
        }
    }
}

#[test]
fn a_later_zero_or_null_is_no_correction() {
    let start = |usage: Value| json!({"type": "message_start", "message": {"usage": usage}});
    let delta = |usage: Value| json!({"type": "message_delta", "delta": {}, "usage": usage});
    for later in [json!(0), json!(null)] {
        let meter = after(&[
            start(json!({"input_tokens": 15, "cache_read_input_tokens": 5, "output_tokens": 1})),
            delta(json!({"input_tokens": later, "cache_read_input_tokens": later, "output_tokens": 50})),
        ]);
        let expected = TokenCounts {
            input: 20,
            output: 50,
            cache_read: 5,
            ..TokenCounts::default()
        };
        assert_eq!(meter.tokens(), Some(tokens(expected)), "{later}");
    }
    let zero_first = [
        json!({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}),
        json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}}),
    ];
    assert_eq!(after(&zero_first).tokens().map(|tokens| tokens.output()), Some(10));
}

#[test]
fn the_output_at_the_start_of_a_message_is_not_its_output() {
    let events = [
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 15, "output_tokens": 1}}}),
        json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "word ".repeat(800)}}),
    ];
    let meter = after(&events);
    assert_eq!(meter.tokens(), None);
    let so_far = meter.tokens_so_far(100);
    assert_eq!((so_far.input(), so_far.output()), (15, 1_000));
    let refused = after(&events[..1]).tokens_of_refusal();
    assert_eq!((refused.input(), refused.output()), (15, 0));
    assert_eq!(Meter::default().tokens_of_refusal(), Tokens::default());
}

#[test]
fn the_end_of_a_stream_is_known_with_its_last_event() {
    let ends = |framing, text: &str| {
        let mut reader = UsageReader::new(framing, false);
        let at = (0..text.len()).find(|at| {
            reader.pass(Bytes::copy_from_slice(&text.as_bytes()[*at..=*at]));
            reader.is_complete()
        });
        at.map(|at| text.len() - at - 1)
    };
    for (name, framing, text, _) in streams() {
        let left = match name {
            // A client may act on it before the line has ended, or before the empty line.
            "OpenAI's chat" => Some(2),
            // Those end their lines with two characters, the first of which is enough.
            "OpenAI's responses"
            | "Anthropic: the counts at the end replace those at the beginning"
            | "Cohere's own API, at the end" => Some(3),
            "Ollama: a value on each line" => Some(0),
            "a value on each line that is declared as one" | "Gemini's interactions" => Some(1),
            _ => None,
        };
        assert_eq!(ends(framing, &text), left, "{name}");
    }
    for (last, framing) in [
        ("data: [DONE]\n\n", Framing::Events),
        ("data:[DONE]\r\n\r\n", Framing::Events),
        (
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            Framing::Events,
        ),
        (
            "data: {\"type\":\"response.completed\",\"response\":{}}\n\n",
            Framing::Events,
        ),
        (
            "data: {\"type\":\"response.incomplete\",\"response\":{}}\n\n",
            Framing::Events,
        ),
        (
            "data: {\"type\":\"response.failed\",\"response\":{}}\n\n",
            Framing::Events,
        ),
        ("data: {\"type\":\"message-end\",\"delta\":{}}\n\n", Framing::Events),
        ("{\"model\":\"x\",\"done\":true}\n", Framing::Lines),
    ] {
        let mut reader = UsageReader::new(framing, true);
        reader.pass(Bytes::from_static(b"\n"));
        assert!(!reader.is_complete());
        reader.pass(Bytes::from_static(last.as_bytes()));
        assert!(reader.is_complete(), "{last}");
        let text = last
            .replace("[DONE]", "DONE")
            .replace("message_stop\"}", "message\"}")
            .replace("true", "false");
        let text = text
            .replace("response.", "response.x.")
            .replace("message-end", "message-start");
        assert_eq!(ends(framing, &text), None, "{text}");
    }
    let said = "data: {\"choices\":[{\"delta\":{\"content\":\"data: [DONE]\"}}]}\n\n";
    assert_eq!(ends(Framing::Events, said), None, "words of a model end nothing");
}

#[test]
fn the_counts_of_a_last_event_are_known_before_its_empty_line() {
    let completed = json!({"type": "response.completed", "response": {"usage":
        {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}}});
    let mut reader = UsageReader::new(Framing::Events, false);
    reader.pass(format!("data: {completed}\n").into());
    assert!(reader.is_complete());
    let before = reader.meter().tokens();
    assert_eq!(before.map(|tokens| tokens.output()), Some(3));
    reader.pass(Bytes::from_static(b"\n"));
    assert_eq!(reader.meter().tokens(), before);
}

#[test]
fn an_error_is_kept_with_whatever_status_it_comes() {
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let later = json!({"error": {"message": "later"}});
    let meter = after(&[json!({"type": "ping"}), overloaded.clone(), later]);
    assert_eq!(meter.error(), Some(&overloaded), "the first one");
    for error in [
        json!({"choices": [{"delta": {}, "finish_reason": "error"}]}),
        json!({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}),
        json!({"error": "model not found"}),
        json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}),
        json!({"type": "response.failed", "response": {"error": {"code": "server_error"}}}),
    ] {
        assert_eq!(whole(&error).error(), Some(&error));
        assert!(after(std::slice::from_ref(&error)).is_error(), "{error}");
    }
    let listed = whole(&json!([{"error": {"code": 429}}]));
    assert_eq!(
        listed.error(),
        Some(&json!({"error": {"code": 429}})),
        "of Google's list"
    );
    for answer in [
        json!({"choices": [{"delta": {"content": "x"}, "finish_reason": null}], "error": null}),
        json!({"base_resp": {"status_code": 0, "status_msg": "success"}}),
        json!({"object": "response", "error": null, "status": "completed"}),
    ] {
        assert!(!whole(&answer).is_error(), "{answer}");
    }
}

#[test]
fn a_stream_that_is_declared_as_text_is_read_as_a_stream() {
    let (_, _, text, counts) = streams().swap_remove(0);
    let mut reader = UsageReader::new(Framing::Whole, false);
    for piece in text.as_bytes().chunks(3) {
        reader.pass(Bytes::copy_from_slice(piece));
    }
    reader.finish();
    assert_eq!(reader.meter().tokens(), Some(tokens(counts)));
    assert!(reader.is_complete());
}

#[test]
fn an_answer_without_counts_has_none() {
    for answer in [
        json!({"choices": [{"message": {"content": "hi"}}]}),
        json!({"usage": null}),
        json!({"usage": {"cost": 1}}),
        json!({"meta": {"billed_units": {"search_units": 1}}}),
        json!([]),
        json!("text"),
    ] {
        assert_eq!(whole(&answer).tokens(), None, "{answer}");
    }
    let error = whole(&json!({"error": {"message": "no"}}));
    assert!(error.is_error() && error.tokens().is_none());
    assert!(!whole(&json!({"error": null, "usage": {"total_tokens": 1}})).is_error());
}

#[test]
fn of_an_answer_that_is_too_long_the_end_is_read() {
    let mut reader = UsageReader::new(Framing::Whole, false);
    let numbers = Bytes::from("0.015625,".repeat(20_000));
    reader.pass(Bytes::from_static(br#"{"data": [{"embedding": ["#));
    for _ in 0..100 {
        reader.pass(numbers.clone());
    }
    reader.pass(Bytes::from_static(
        br#"0]}], "usage": {"prompt_tokens": 5000, "total_tokens": 5000}}"#,
    ));
    reader.finish();
    let expected = TokenCounts {
        input: 5_000,
        ..TokenCounts::default()
    };
    assert_eq!(reader.meter().tokens(), Some(tokens(expected)));
}

#[test]
fn the_service_is_the_one_that_the_provider_names() {
    let service = |answer: Value| whole(&answer).service();
    assert_eq!(service(json!({"service_tier": "flex"})), Some(Service::Flex));
    assert_eq!(
        service(json!({"usage": {"service_tier": "priority"}})),
        Some(Service::Priority)
    );
    assert_eq!(
        service(json!({"usage": {"service_tier": "standard", "speed": "fast"}})),
        Some(Service::Fast)
    );
    assert_eq!(service(json!({"service_tier": "default"})), Some(Service::Standard));
    assert_eq!(
        service(json!({"usage": {"service_tier": "batch", "speed": "standard"}})),
        Some(Service::Batch)
    );
    assert_eq!(service(json!({"service_tier": "auto"})), None);
    for tier in ["FLEX", "flex", "SERVICE_TIER_FLEX", "service_tier_flex"] {
        assert_eq!(
            service(json!({"usageMetadata": {"serviceTier": tier}})),
            Some(Service::Flex),
            "{tier}"
        );
    }
    let of_vertex = json!({"usageMetadata": {"trafficType": "ON_DEMAND_PRIORITY"}});
    assert_eq!(service(of_vertex), Some(Service::Priority));
    assert_eq!(
        service(json!({"service_tier": "on_demand"})),
        Some(Service::Standard),
        "of Groq"
    );
    assert_eq!(
        service(json!({"usage": {"speed": "standard"}})),
        Some(Service::Standard),
        "fast was not granted"
    );
    let mut headers = hyper::HeaderMap::new();
    headers.insert(
        "x-gemini-service-tier",
        hyper::header::HeaderValue::from_static("priority"),
    );
    let mut reader = UsageReader::new(Framing::Whole, false);
    reader.read_head(&headers);
    assert_eq!(reader.meter().service(), Some(Service::Priority));
}

#[test]
fn what_another_model_used_is_billed_at_that_model() {
    let meter = whole(
        &json!({"usage": {"input_tokens": 10, "output_tokens": 5, "iterations": [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
        {"type": "advisor_message", "model": "other", "input_tokens": 7, "output_tokens": 3}]}}),
    );
    let portion = |model: Option<&str>, input, output| Portion {
        model: model.map(|name| name.parse().expect("a name")),
        tokens: tokens(TokenCounts {
            input,
            output,
            ..TokenCounts::default()
        }),
    };
    assert_eq!(
        meter.portions(),
        [
            portion(None, 10, 5),
            portion(None, 180_000, 3_500),
            portion(Some("other"), 7, 3)
        ]
    );
    let fallback = whole(
        &json!({"usage": {"input_tokens": 10, "output_tokens": 5, "iterations": [
        {"type": "message", "model": "asked", "input_tokens": 9, "output_tokens": 0},
        {"type": "fallback_message", "model": "other", "input_tokens": 10, "output_tokens": 5}]}}),
    );
    assert_eq!(fallback.portions(), [portion(Some("other"), 10, 5)]);
    assert_eq!(
        whole(&json!({"usage": {"input_tokens": 10, "output_tokens": 5}})).portions(),
        []
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_used_beside_text_is_counted() {
    let searches = |searches| Extras {
        searches,
        ..Extras::default()
    };
    let sound = |audio_input| Extras {
        audio_input,
        ..Extras::default()
    };
    let uncounted = Extras {
        has_uncounted: true,
        ..Extras::default()
    };
    for (answer, extras) in [
        (
            json!({"usage": {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 2}}}),
            searches(2),
        ),
        (
            json!({"usage": {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 0}}}),
            searches(0),
        ),
        (
            json!({"usage": {"input_tokens": 1, "output_tokens": 1, "server_tool_use": null}}),
            searches(0),
        ),
        (
            json!({"usage": {"prompt_tokens": 9, "completion_tokens": 1, "num_search_queries": 3,
                "citation_tokens": 50, "search_context_size": "medium"}}),
            Extras {
                citations: 50,
                search_context: Some(SearchContext::Medium),
                ..searches(3)
            },
        ),
        (
            json!({"usage": {"prompt_tokens": 9, "completion_tokens": 8, "prompt_tokens_details": {"audio_tokens": 3},
                "completion_tokens_details": {"audio_tokens": 5, "text_tokens": 3}}}),
            Extras {
                audio_output: 5,
                ..sound(3)
            },
        ),
        (
            json!({"usage": {"input_tokens": 9, "output_tokens": 1, "input_token_details": {"audio_tokens": 7,
                "cached_tokens": 4, "cached_tokens_details": {"audio_tokens": 4}}}}),
            Extras {
                audio_cache_read: 4,
                ..sound(7)
            },
        ),
        (
            json!({"usage": {"input_tokens": 90, "output_tokens": 80, "input_tokens_details": {"image_tokens": 70,
                "text_tokens": 20}, "output_tokens_details": {"image_tokens": 80}}}),
            Extras {
                image_input: 70,
                image_output: 80,
                ..Extras::default()
            },
        ),
        (
            json!({"usageMetadata": {"promptTokenCount": 19, "candidatesTokenCount": 1, "cachedContentTokenCount": 5,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}, {"modality": "AUDIO", "tokenCount": 7},
                    {"modality": "IMAGE", "tokenCount": 10}],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}]}}),
            Extras {
                audio_cache_read: 5,
                image_input: 10,
                ..sound(7)
            },
        ),
        (
            json!({"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 8, "candidatesTokensDetails": [
                {"modality": "IMAGE", "tokenCount": 7}, {"modality": "TEXT", "tokenCount": 1}]}}),
            Extras {
                image_output: 7,
                ..Extras::default()
            },
        ),
        (
            json!({"usage": {"total_input_tokens": 9, "total_output_tokens": 6, "input_tokens_by_modality": [
                {"modality": "audio", "tokens": 7}], "output_tokens_by_modality": [{"modality": "audio", "tokens": 6}]}}),
            Extras {
                audio_output: 6,
                ..sound(7)
            },
        ),
        (
            json!({"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 8, "candidatesTokensDetails": [
                {"modality": "VIDEO", "tokenCount": 7}]}}),
            uncounted,
        ),
        (
            json!({"usage": {"input_tokens": 9, "output_tokens": 1, "inference_geo": "us"}}),
            uncounted,
        ),
        (
            json!({"usage": {"input_tokens": 9, "output_tokens": 1, "inference_geo": "global"}}),
            Extras::default(),
        ),
        (
            json!({"output": [{"type": "web_search_call"}, {"type": "message"}], "usage": {"input_tokens": 9,
                "output_tokens": 1}}),
            uncounted,
        ),
        (
            json!({"candidates": [{"groundingMetadata": {"webSearchQueries": ["x"]}}], "usageMetadata": {
                "promptTokenCount": 9, "candidatesTokenCount": 1}}),
            uncounted,
        ),
    ] {
        let meter = whole(&answer);
        assert!(meter.tokens().is_some(), "{answer}");
        assert_eq!(meter.extras(), extras, "{answer}");
    }
    let modalities = json!([{"modality": "AUDIO", "tokenCount": -1}]);
    let absurd = json!({"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1,
        "promptTokensDetails": modalities}});
    assert_eq!(whole(&absurd).tokens(), None, "a count that cannot be true");
}

#[test]
fn of_a_total_beside_text_the_parts_are_an_estimate() {
    let text = json!({"choices": [{"message": {"content": "word ".repeat(8)}}], "usage": {"total_tokens": 100}});
    let meter = whole(&text);
    assert_eq!(meter.tokens(), None);
    let so_far = meter.tokens_so_far(7);
    assert_eq!((so_far.input(), so_far.output()), (90, 10));
}

#[test]
fn a_stream_that_ends_without_its_end_is_unfinished() {
    let start = json!({"type": "message_start", "message": {"usage": {"input_tokens": 15, "output_tokens": 1}}});
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}});
    let chunk = |finish: Value| json!({"choices": [{"delta": {"content": "x"}, "finish_reason": finish}]});
    for (events, is_unfinished) in [
        (vec![start.clone()], true),
        (vec![start, delta], false),
        (vec![chunk(Value::Null)], true),
        (vec![chunk(Value::Null), chunk(json!("stop"))], false),
        (vec![json!({"type": "response.created", "response": {}})], true),
        (
            vec![
                json!({"type": "response.created", "response": {}}),
                json!({"type": "response.failed", "response": {}}),
            ],
            false,
        ),
        (vec![json!({"event_type": "interaction.created"})], true),
        (vec![json!({"candidates": []})], false),
    ] {
        assert_eq!(after(&events).is_unfinished(), is_unfinished, "{events:?}");
    }
}

/// Streams as the providers document them, with what they amount to.
#[expect(clippy::too_many_lines, reason = "a table")]
fn streams() -> Vec<(&'static str, Framing, String, TokenCounts)> {
    let counts = TokenCounts::default;
    let event = |value: Value| format!("data: {value}\n\n");
    let named = |value: Value| {
        format!(
            "event: {}\r\ndata: {value}\r\n\r\n",
            value["type"].as_str().expect("a type")
        )
    };
    let chat = |rest: Value| {
        let mut chunk = json!({"object": "chat.completion.chunk", "choices": [], "usage": null});
        chunk
            .as_object_mut()
            .expect("an object")
            .extend(rest.as_object().expect("an object").clone());
        chunk
    };
    vec![
        (
            "OpenAI's chat",
            Framing::Events,
            [
                event(chat(json!({"choices": [{"delta": {"content": "héllo ✓"}}]}))),
                event(chat(
                    json!({"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{\"a"}}]}}]}),
                )),
                event(chat(
                    json!({"usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}),
                )),
                "data: [DONE]\n\n".to_owned(),
            ]
            .concat(),
            TokenCounts {
                input: 7,
                output: 3,
                ..counts()
            },
        ),
        (
            "OpenAI's responses",
            Framing::Events,
            [
                named(json!({"type": "response.created", "response": {"usage": null, "error": null}})),
                named(json!({"type": "response.output_text.delta", "delta": "hi"})),
                named(
                    json!({"type": "response.completed", "response": {"usage": {"input_tokens": 7,
                    "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 3, "total_tokens": 10}}}),
                ),
            ]
            .concat(),
            TokenCounts {
                input: 7,
                output: 3,
                cache_read: 2,
                ..counts()
            },
        ),
        (
            "Anthropic: the counts at the end replace those at the beginning",
            Framing::Events,
            [
                named(json!({"type": "message_start", "message": {"usage": {"input_tokens": 5,
                    "cache_read_input_tokens": 2, "cache_creation_input_tokens": 0, "output_tokens": 1}}})),
                named(json!({"type": "ping"})),
                named(json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}})),
                named(json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 3}})),
                named(json!({"type": "message_stop"})),
            ]
            .concat(),
            TokenCounts {
                input: 7,
                output: 3,
                cache_read: 2,
                ..counts()
            },
        ),
        (
            "Gemini: every event has the counts so far",
            Framing::Events,
            [
                event(json!({"candidates": [{"content": {"parts": [{"text": "hi"}]}}],
                    "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 8, "candidatesTokenCount": 1}})),
                event(
                    json!({"candidates": [], "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 12,
                    "candidatesTokenCount": 3, "thoughtsTokenCount": 2}}),
                ),
            ]
            .concat(),
            TokenCounts {
                input: 7,
                output: 5,
                reasoning: 2,
                ..counts()
            },
        ),
        (
            "Gemini's list of answers",
            Framing::Whole,
            json!([{"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1}},
                {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3}}])
            .to_string(),
            TokenCounts {
                input: 7,
                output: 3,
                ..counts()
            },
        ),
        (
            "Cohere's own API, at the end",
            Framing::Events,
            [
                named(json!({"type": "content-delta", "delta": {"message": {"content": {"text": "hi"}}}})),
                named(json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE",
                    "usage": {"billed_units": {"input_tokens": 7, "output_tokens": 3}}}})),
            ]
            .concat(),
            TokenCounts {
                input: 7,
                output: 3,
                ..counts()
            },
        ),
        (
            "Ollama: a value on each line",
            Framing::Lines,
            [
                json!({"message": {"content": "hi"}, "done": false}).to_string() + "\n",
                json!({"done": true, "prompt_eval_count": 7, "eval_count": 3}).to_string(),
            ]
            .concat(),
            TokenCounts {
                input: 7,
                output: 3,
                ..counts()
            },
        ),
        (
            "Groq, with counts in a field of its own",
            Framing::Events,
            event(
                json!({"choices": [{"delta": {}}], "x_groq": {"usage": {"prompt_tokens": 7, "completion_tokens": 3}}}),
            ),
            TokenCounts {
                input: 7,
                output: 3,
                ..counts()
            },
        ),
        (
            "Moonshot, with counts in the choice",
            Framing::Events,
            event(json!({"choices": [{"delta": {}, "usage": {"prompt_tokens": 7, "completion_tokens": 3}}]})),
            TokenCounts {
                input: 7,
                output: 3,
                ..counts()
            },
        ),
        (
            "lines that end with a carriage return alone, after a byte order mark",
            Framing::Events,
            "\u{feff}event: x\rdata: {\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\r\r".to_owned(),
            TokenCounts {
                input: 7,
                output: 3,
                ..counts()
            },
        ),
        (
            "one value that is declared as a stream",
            Framing::Events,
            "\u{feff} {\n \"usage\": {\"prompt_tokens\": 7,\n \"completion_tokens\": 3}}\n".to_owned(),
            TokenCounts {
                input: 7,
                output: 3,
                ..counts()
            },
        ),
        (
            "a value on each line that is declared as one",
            Framing::Whole,
            "{\"done\":false}\n{\"done\":true,\"prompt_eval_count\":7,\"eval_count\":3}\n".to_owned(),
            TokenCounts {
                input: 7,
                output: 3,
                ..counts()
            },
        ),
        (
            "a stream of an undeclared kind",
            Framing::Unknown,
            "data: {\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n".to_owned(),
            TokenCounts {
                input: 7,
                output: 3,
                ..counts()
            },
        ),
        (
            "Gemini's interactions",
            Framing::Events,
            [
                named(json!({"type": "x", "event_type": "interaction.created", "interaction": {"status": "in_progress"}})),
                named(json!({"type": "x", "event_type": "step.delta", "delta": {"type": "text", "text": "hi"}})),
                event(json!({"event_type": "interaction.completed", "interaction": {"usage": {
                    "total_input_tokens": 7, "total_output_tokens": 1, "total_thought_tokens": 2, "total_tokens": 10}}})),
            ]
            .concat(),
            TokenCounts {
                input: 7,
                output: 3,
                reasoning: 2,
                ..counts()
            },
        ),
        (
            "comments, data on two lines, fields of no interest, and no empty line at the end",
            Framing::Events,
            ": hello\nid: 1\nretry: 3\ndata: {\"usage\":\ndata: {\"prompt_tokens\":7,\"completion_tokens\":3}}\n"
                .to_owned(),
            TokenCounts {
                input: 7,
                output: 3,
                ..counts()
            },
        ),
    ]
}

#[test]
fn every_stream_amounts_to_what_the_provider_says() {
    for (name, framing, text, expected) in streams() {
        let mut reader = UsageReader::new(framing, false);
        let passed = [reader.pass(text.clone().into()), reader.finish()].concat();
        assert_eq!(passed, text.as_bytes(), "{name}: byte for byte");
        assert_eq!(reader.meter().tokens(), Some(tokens(expected)), "{name}");
    }
}

#[test]
fn the_event_with_nothing_but_counts_is_kept_back_and_nothing_else() {
    let (_, _, text, _) = streams().swap_remove(0);
    let mut reader = UsageReader::new(Framing::Events, true);
    let passed = [reader.pass(text.clone().into()), reader.finish()].concat();
    let without: String = text
        .split_inclusive("\n\n")
        .filter(|event| !event.contains("prompt_tokens"))
        .collect();
    assert_eq!(String::from_utf8(passed).expect("text"), without);
}

#[test]
fn counts_beside_an_empty_choice_are_kept_back_and_beside_an_end_are_not() {
    let usage = r#""usage":{"prompt_tokens":8,"completion_tokens":5}"#;
    for (choice, is_kept_back) in [
        (r#"{"index":0,"delta":{}}"#, true),
        (r#"{"index":0,"delta":{},"finish_reason":"stop"}"#, false),
        (r#"{"index":0,"delta":{"content":"x"}}"#, false),
        (r#"{"index":0}"#, false),
    ] {
        let text = format!("data: {{\"choices\":[{choice}],{usage}}}\n\n");
        let mut reader = UsageReader::new(Framing::Events, true);
        let passed = [reader.pass(text.clone().into()), reader.finish()].concat();
        assert_eq!(passed.is_empty(), is_kept_back, "{choice}");
        assert_eq!(reader.meter().tokens().map(|tokens| tokens.input()), Some(8));
    }
}

#[test]
fn what_was_seen_counts_where_the_provider_broke_off() {
    let mut reader = UsageReader::new(Framing::Events, false);
    let (_, _, text, _) = streams().swap_remove(2);
    let cut = text.split_inclusive("\r\n\r\n").take(3).collect::<String>();
    reader.pass(cut.into());
    let so_far = reader.meter().tokens_so_far(100);
    assert_eq!(
        (so_far.input(), so_far.output()),
        (7, 1),
        "the provider's own counts of the input"
    );
    let nothing = Meter::default().tokens_so_far(100);
    assert_eq!((nothing.input(), nothing.output()), (100, 0));
}

#[test]
fn an_event_too_long_to_read_passes_and_the_next_is_read() {
    for strips in [false, true] {
        let long = format!("data: {{\"x\":\"{}\"}}\n\n", "a".repeat(MAX_EVENT_BYTES));
        let counts = "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n";
        let text = [long.as_str(), counts].concat();
        let mut reader = UsageReader::new(Framing::Events, strips);
        let mut passed = Vec::new();
        for piece in text.as_bytes().chunks(100_000) {
            passed.extend_from_slice(&reader.pass(Bytes::copy_from_slice(piece)));
        }
        passed.extend_from_slice(&reader.finish());
        assert!(passed == text.as_bytes(), "strips: {strips}");
        assert_eq!(
            reader.meter().tokens().map(|tokens| tokens.input()),
            Some(7),
            "strips: {strips}"
        );
    }
}

#[test]
fn the_event_frames_of_bedrock_are_read_wherever_they_are_cut() {
    let event = |kind: &str, payload: Value| {
        frame(
            &[
                (":event-type", kind),
                (":content-type", "application/json"),
                (":message-type", "event"),
            ],
            &payload.to_string(),
        )
    };
    let converse = [
        event("messageStart", json!({"role": "assistant"})),
        event(
            "contentBlockDelta",
            json!({"delta": {"text": "hello"}, "contentBlockIndex": 0}),
        ),
        event("messageStop", json!({"stopReason": "end_turn"})),
        event(
            "metadata",
            json!({"usage": {"inputTokens": 40, "outputTokens": 50, "totalTokens": 1_090,
            "cacheWriteInputTokens": 1_000, "cacheDetails": [{"ttl": "1h", "inputTokens": 1_000}]}, "metrics": {}}),
        ),
    ]
    .concat();
    let chunk = |inner: Value| {
        event(
            "chunk",
            json!({"bytes": data_encoding::BASE64.encode(inner.to_string().as_bytes())}),
        )
    };
    let invoke = [
        chunk(json!({"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}})),
        chunk(json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 3}})),
        chunk(json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 7, "outputTokenCount": 3}})),
    ]
    .concat();
    for (stream, input, output) in [(converse, 1_040, 50), (invoke, 7, 3)] {
        for size in [1, 7, stream.len()] {
            let mut reader = UsageReader::new(Framing::Frames, false);
            let mut passed = Vec::new();
            for piece in stream.chunks(size) {
                passed.extend_from_slice(&reader.pass(Bytes::copy_from_slice(piece)));
            }
            passed.extend_from_slice(&reader.finish());
            assert_eq!(passed, stream);
            let counted = reader.meter().tokens().expect("counts");
            assert_eq!((counted.input(), counted.output()), (input, output));
            assert!(reader.is_complete() && !reader.meter().is_unfinished());
        }
        let mut cut = UsageReader::new(Framing::Frames, false);
        cut.pass(Bytes::copy_from_slice(&stream[..stream.len() / 3]));
        assert!(cut.meter().is_unfinished());
    }
    let broken = frame(
        &[
            (":exception-type", "throttlingException"),
            (":message-type", "exception"),
        ],
        "{\"message\":\"slow\"}",
    );
    let mut reader = UsageReader::new(Framing::Frames, false);
    reader.pass(broken.into());
    assert!(reader.meter().is_error());
}

/// Any JSON value with names and numbers that matter.
fn values() -> impl Strategy<Value = Value> {
    let names = || {
        let names = [
            COUNTS,
            PARTS,
            &[
                "usage",
                "usageMetadata",
                "iterations",
                "cacheDetails",
                "type",
                "message",
                "response",
            ],
        ];
        prop::sample::select(names.concat())
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0u64..2_000_000_000).prop_map(Value::from),
        prop::sample::select(vec!["message_start", "compaction", "1h", "12"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((names(), inner), 0..6).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

/// Bytes that look much like a response, and mostly are none.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop::sample::select(vec![
        "data: ",
        "data:",
        "event: x",
        "\n",
        "\n\n",
        "\r\n",
        "[DONE]",
        "{",
        "}",
        "[",
        "]",
        "null",
        ",",
        "\u{e9}",
        "{\"type\":\"message_stop\"}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":-1}}",
        "{\"done\":true}",
        "{\"error\":{\"code\":429}}",
        "{\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":1e9}}}",
    ]);
    let bytes = prop_oneof![9 => fragment.prop_map(|text| text.as_bytes().to_vec()), 1 => any::<Vec<u8>>()];
    prop::collection::vec(bytes, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    /// What the fuzz target `usage_stream` holds.
    #[test]
    fn any_bytes_pass_alike_in_any_pieces(bytes in fragments(), which in 0usize..6, strips: bool, piece in 1usize..40) {
        let all = [Framing::Whole, Framing::Lines, Framing::Unread, Framing::Events, Framing::Unknown, Framing::Frames];
        let framing = all[which];
        let read = |pieces: Vec<&[u8]>| {
            let mut reader = UsageReader::new(framing, strips);
            let mut passed: Vec<u8> = Vec::new();
            for piece in pieces {
                passed.extend_from_slice(&reader.pass(Bytes::copy_from_slice(piece)));
            }
            passed.extend_from_slice(&reader.finish());
            (passed, reader.meter().clone())
        };
        let (at_once, meter) = read(vec![&bytes]);
        prop_assert_eq!(&read(bytes.chunks(piece).collect()).0, &at_once);
        prop_assert!(strips || at_once == bytes);
        prop_assert!(meter.is_trusted() || meter.tokens().is_none());
        prop_assert!(meter.error().is_none_or(refusal::is_error));
    }

    #[test]
    fn no_answer_whatever_makes_a_request_cost_more_than_can_be(usages in prop::collection::vec(values(), 1..4)) {
        let events: Vec<_> = usages.into_iter().map(|usage| json!({"usage": usage})).collect();
        let meter = after(&events);
        for tokens in [meter.tokens().unwrap_or_default(), meter.tokens_so_far(100)] {
            prop_assert!(tokens.input() <= MAX_PER_REQUEST && tokens.output() <= MAX_PER_REQUEST);
        }
    }

    /// Also in the middle of a character, of a line, of the empty line between two events.
    #[test]
    fn where_pieces_end_never_matters(which in 0usize..14, strips: bool, cuts in prop::collection::vec(0usize..2_000, 0..12)) {
        let (name, framing, text, _) = streams().swap_remove(which);
        let read = |pieces: Vec<&[u8]>| {
            let mut reader = UsageReader::new(framing, strips);
            let mut passed: Vec<u8> = Vec::new();
            for piece in pieces {
                passed.extend_from_slice(&reader.pass(Bytes::copy_from_slice(piece)));
            }
            passed.extend_from_slice(&reader.finish());
            (passed, reader.meter().clone())
        };
        let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).collect();
        ends.extend([0, text.len()]);
        ends.sort_unstable();
        let pieces = ends.windows(2).map(|ends| &text.as_bytes()[ends[0]..ends[1]]).collect();
        prop_assert_eq!(read(pieces), read(vec![text.as_bytes()]), "{}", name);
    }
}
