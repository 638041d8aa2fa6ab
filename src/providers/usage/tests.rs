use proptest::prelude::*;
use serde_json::json;

use super::*;

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
            "Voyage",
            json!({"data": [], "usage": {"total_tokens": 8}}),
            TokenCounts { input: 8, ..counts() },
        ),
        (
            "parts beyond their whole are taken at the whole",
            json!({"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 60},
                "completion_tokens_details": {"reasoning_tokens": 20}}}),
            TokenCounts {
                input: 10,
                output: 5,
                cache_read: 10,
                reasoning: 5,
                ..counts()
            },
        ),
    ] {
        assert_eq!(whole(&answer).tokens(), Some(tokens(expected)), "{name}");
    }
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
    assert!(reader.data.capacity() < 1 << 20, "and no more is kept");
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
        let long = format!("data: {{\"x\":\"{}\"}}\n\n", "a".repeat(LONGEST));
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

proptest! {
    /// Also in the middle of a character, of a line, of the empty line between two events.
    #[test]
    fn where_pieces_end_never_matters(which in 0usize..9, strips: bool, cuts in prop::collection::vec(0usize..2_000, 0..12)) {
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
