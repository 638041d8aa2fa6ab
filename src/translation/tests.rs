//! What goes in in one format and what comes out in another.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{AnswerTranslator, TargetModel, TranslatedRequest, Untranslatable, WireFormat, translate};
use crate::domain::Effort;

use WireFormat::{Chat, Messages, Responses};

const TARGET: TargetModel<'static> = TargetModel {
    provider: "groq",
    model: "llama",
    max_output: Some(8_000),
    efforts: &[Effort::Low, Effort::Medium, Effort::High],
    input_estimate: 42,
    now: 1_790_000_000,
};

fn try_request(from: WireFormat, to: WireFormat, body: &Value) -> Result<TranslatedRequest, Untranslatable> {
    translate(from, to, body.to_string().as_bytes(), &TARGET)
}

/// The translated body, and what was lost.
fn request(from: WireFormat, to: WireFormat, body: &Value) -> (Value, String) {
    let translated = try_request(from, to, body).expect("translated");
    let body = serde_json::from_slice(&translated.body).expect("JSON");
    (body, translated.losses.to_string())
}

fn answer(from: WireFormat, to: WireFormat) -> AnswerTranslator {
    let body = json!({"messages": [], "stream_options": {"include_usage": true}});
    let body = if from == Messages {
        json!({"messages": []})
    } else {
        body
    };
    try_request(from, to, &body).expect("translated").answer
}

fn stream(events: &[Value]) -> String {
    let written = events.iter().map(|event| match event {
        Value::String(text) => format!("data: {text}\n\n"),
        event => format!("event: x\ndata: {event}\n\n"),
    });
    written.collect()
}

/// The stream as its client gets it, which is the same however it is cut.
fn streamed(from: WireFormat, to: WireFormat, stream: &str) -> String {
    let at_once = {
        let mut answer = answer(from, to);
        [answer.pass(stream.as_bytes()), answer.finish()].concat()
    };
    let mut by_byte = answer(from, to);
    let mut out: Vec<u8> = stream
        .as_bytes()
        .chunks(1)
        .flat_map(|byte| by_byte.pass(byte))
        .collect();
    out.extend(by_byte.finish());
    assert_eq!(out, at_once);
    String::from_utf8(out).expect("text")
}

fn data(stream: &str) -> Vec<Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    lines
        .filter(|line| *line != "[DONE]")
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Puts a stream of Anthropic's format together as its clients do, which insist on the order of events.
fn assembled(stream: &str) -> Value {
    let (mut message, mut open, mut arguments, mut is_over) = (Value::Null, None, String::new(), false);
    for event in data(stream) {
        assert!(!is_over, "after the end: {event}");
        let kind = event["type"].as_str().expect("a type");
        assert!(stream.contains(&format!("event: {kind}\n")));
        let index = usize::try_from(event["index"].as_u64().unwrap_or_default()).expect("small");
        match kind {
            "message_start" => {
                assert_eq!(message, Value::Null);
                message = event["message"].clone();
            }
            "content_block_start" => {
                assert_eq!(open, None);
                let blocks = message["content"].as_array_mut().expect("started");
                assert_eq!(blocks.len(), index);
                blocks.push(event["content_block"].clone());
                open = Some(index);
            }
            "content_block_delta" => {
                assert_eq!(open, Some(index));
                let block = &mut message["content"][index];
                let delta = &event["delta"];
                let fields = [("text", "text"), ("thinking", "thinking"), ("signature", "signature")];
                for (field, of) in fields {
                    if let (Some(more), Some(Value::String(text))) = (delta[of].as_str(), block.get_mut(field)) {
                        text.push_str(more);
                    }
                }
                arguments.push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
            "content_block_stop" => {
                assert_eq!(open.take(), Some(index));
                if !arguments.is_empty() {
                    message["content"][index]["input"] = serde_json::from_str(&arguments).unwrap_or_default();
                    arguments.clear();
                }
            }
            "message_delta" => {
                assert_eq!(open, None);
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"] = event["usage"].clone();
            }
            "message_stop" => is_over = true,
            "error" => {
                message["error"] = event["error"].clone();
                is_over = true;
            }
            kind => panic!("{kind}"),
        }
    }
    assert!(is_over, "{stream}");
    message
}

#[test]
fn a_request_of_claude_code_is_one_of_chat_completions() {
    let (body, losses) = request(
        Messages,
        Chat,
        &json!({
            "model": "groq/llama", "max_tokens": 32_000, "stream": true, "top_k": 5, "temperature": 0.5,
            "metadata": {"user_id": "u"}, "stop_sequences": ["END"],
            "system": [
                {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "Be kind."},
            ],
            "thinking": {"type": "enabled", "budget_tokens": 10_000},
            "tools": [{"name": "read", "description": "Reads", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "messages": [
                {"role": "user", "content": "Look."},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {"path": "a"}},
                    {"type": "tool_use", "id": "akid_ZnVuY3Rpb25zLnJlYWQ6MA", "name": "read", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "text", "text": "And now?"},
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                        {"type": "text", "text": "here"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                    ]},
                    {"type": "tool_result", "tool_use_id": "akid_ZnVuY3Rpb25zLnJlYWQ6MA", "is_error": true, "content": "no"},
                ]},
            ],
        }),
    );
    assert_eq!(
        body,
        json!({
            "model": "llama", "max_tokens": 8_000, "temperature": 0.5, "stop": ["END"],
            "stream": true, "stream_options": {"include_usage": true}, "reasoning_effort": "medium",
            "tools": [{"type": "function", "function":
                {"name": "read", "parameters": {"type": "object"}, "description": "Reads"}}],
            "tool_choice": "required", "parallel_tool_calls": false,
            "messages": [
                {"role": "system", "content": "Be brief.\n\nBe kind."},
                {"role": "user", "content": "Look."},
                {"role": "assistant", "content": "I look.", "tool_calls": [
                    {"id": "toolu_1", "type": "function", "function": {"name": "read", "arguments": "{\"path\":\"a\"}"}},
                    {"id": "functions.read:0", "type": "function", "function": {"name": "read", "arguments": "{}"}},
                ]},
                {"role": "tool", "tool_call_id": "toolu_1", "content": "here"},
                {"role": "tool", "tool_call_id": "functions.read:0", "content": "Error: no"},
                {"role": "user", "content": [
                    {"type": "text", "text": "And now?"},
                    {"type": "text", "text": "Part of the result of the tool call toolu_1:"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                ]},
            ],
        })
    );
    assert_eq!(losses, "cache_control,max_tokens,metadata,thinking,top_k");
}

#[test]
fn reasoning_of_responses_comes_back_to_its_provider_and_to_no_other() {
    let upstream = stream(&[
        json!({"type": "response.created", "response": {"id": "resp_1", "model": "gpt-5"}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1"}}),
        json!({"type": "response.reasoning_summary_part.added", "output_index": 0}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "I think"}),
        json!({"type": "response.output_item.done", "output_index": 0,
            "item": {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA"}}),
        json!({"type": "response.output_item.added", "output_index": 1,
            "item": {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "read"}}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{\"a\":"}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "1}"}),
        json!({"type": "response.output_item.done", "output_index": 1,
            "item": {"type": "function_call", "call_id": "call_1", "name": "read", "arguments": "{\"a\":1}"}}),
        json!({"type": "response.completed", "response": {"status": "completed", "usage": {
            "input_tokens": 100, "input_tokens_details": {"cached_tokens": 60},
            "output_tokens": 30, "output_tokens_details": {"reasoning_tokens": 20}}}}),
    ]);
    let message = assembled(&streamed(Messages, Responses, &upstream));
    assert_eq!(message["id"], "msg_resp_1");
    assert_eq!(message["stop_reason"], "tool_use");
    assert_eq!(
        message["usage"],
        json!({"input_tokens": 40, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 60, "output_tokens": 30})
    );
    assert_eq!(message["content"][0]["thinking"], "I think");
    assert_eq!(
        message["content"][1],
        json!({"type": "tool_use", "id": "call_1", "name": "read", "input": {"a": 1}})
    );

    let next = json!({"messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "ok"}]},
    ]});
    let (body, losses) = request(Messages, Responses, &next);
    assert_eq!(losses, "");
    assert_eq!(
        body["input"],
        json!([
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
            {"type": "function_call", "call_id": "call_1", "name": "read", "arguments": "{\"a\":1}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "ok"},
        ])
    );
    let other = TargetModel {
        provider: "openai",
        ..TARGET
    };
    let translated = translate(Messages, Responses, next.to_string().as_bytes(), &other).expect("translated");
    let body: Value = serde_json::from_slice(&translated.body).expect("JSON");
    assert_eq!(translated.losses.to_string(), "thinking");
    assert!(!body.to_string().contains("gAAA"), "{body}");
}

#[test]
fn thinking_in_chat_goes_back_while_tools_are_called_and_not_later() {
    let message = assembled(&streamed(
        Messages,
        Chat,
        &stream(&[
            json!({"id": "1", "choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}),
            json!({"choices": [{"index": 0, "delta": {"tool_calls": [
                {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}}]}),
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
            json!("[DONE]"),
        ]),
    ));
    let mut messages = vec![
        json!({"role": "user", "content": "go"}),
        json!({"role": "assistant", "content": message["content"]}),
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "ok"}]}),
    ];
    let (body, losses) = request(Messages, Chat, &json!({ "messages": messages }));
    assert_eq!(
        (body["messages"][1]["reasoning_content"].as_str(), losses.as_str()),
        (Some("hm"), "")
    );
    messages.push(json!({"role": "user", "content": "thanks"}));
    let (body, losses) = request(Messages, Chat, &json!({ "messages": messages }));
    assert_eq!(body["messages"][1].get("reasoning_content"), None);
    assert_eq!(losses, "", "it has served its purpose");
}

#[test]
fn a_chat_request_is_one_of_messages() {
    let (body, losses) = request(
        Chat,
        Messages,
        &json!({
            "model": "anthropic/claude", "seed": 7, "user": null, "stop": "END", "reasoning_effort": "xhigh",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
            "tools": [{"type": "function", "function": {"name": "f"}}], "parallel_tool_calls": false,
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                ]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                    {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "not JSON"}},
                ]},
                {"role": "tool", "tool_call_id": "call_1", "content": "one"},
                {"role": "tool", "tool_call_id": "call_2", "content": "two"},
                {"role": "system", "content": "Now finish."},
            ],
        }),
    );
    assert_eq!(
        body,
        json!({
            "model": "llama", "max_tokens": 8_000, "system": "Be brief.", "stop_sequences": ["END"],
            "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
            "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
                    {"type": "tool_use", "id": "call_2", "name": "f", "input": {"invalid_json": "not JSON"}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "one"}]},
                    {"type": "tool_result", "tool_use_id": "call_2", "content": [{"type": "text", "text": "two"}]},
                    {"type": "text", "text": "System: Now finish."},
                ]},
            ],
        })
    );
    assert_eq!(losses, "detail,effort,seed");
}

#[test]
fn what_the_two_formats_share_survives_the_way_there_and_back() {
    let asked = json!({
        "model": "llama", "max_tokens": 100, "temperature": 0.2, "top_p": 0.9, "stop": ["a", "b"],
        "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "description": "d"}}],
        "tool_choice": "required", "parallel_tool_calls": false,
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": "t", "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"x\":[1,2.5,\"é\"]}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "r"},
            {"role": "user", "content": [
                {"type": "text", "text": "v"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
        ],
    });
    let (there, lost) = request(Chat, Messages, &asked);
    let (back, lost_back) = request(Messages, Chat, &there);
    assert_eq!((lost, lost_back), (String::new(), String::new()));
    assert_eq!(back, asked);
}

#[test]
fn what_would_mean_something_else_is_refused_by_its_name() {
    let message = |content: Value| json!({"messages": [{"role": "user", "content": [content]}]});
    for (from, body, named) in [
        (
            Messages,
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            "tools: web_search_20250305",
        ),
        (Messages, json!({"mcp_servers": [{"url": "x"}]}), "mcp_servers"),
        (
            Messages,
            message(json!({"type": "container_upload"})),
            "content: container_upload",
        ),
        (
            Messages,
            message(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
            "source: file",
        ),
        (Messages, json!({"messages": [7]}), "messages is missing or malformed"),
        (
            Messages,
            json!({"messages": [{"role": "king", "content": "x"}]}),
            "messages.role",
        ),
        (Messages, json!({"max_tokens": "many"}), "request.max_tokens"),
        (Messages, json!([1]), "request is missing or malformed"),
        (Chat, json!({"n": 3}), "n has no"),
        (Chat, json!({"logprobs": true}), "logprobs"),
        (Chat, json!({"modalities": ["text", "audio"]}), "modalities"),
        (Chat, json!({"functions": [{"name": "f"}]}), "functions"),
        (
            Chat,
            message(json!({"type": "input_audio", "input_audio": {}})),
            "content: input_audio",
        ),
        (
            Chat,
            message(json!({"type": "file", "file": {"file_id": "f"}})),
            "file: file_id",
        ),
        (
            Chat,
            json!({"tools": [{"type": "custom", "custom": {}}]}),
            "tools: custom",
        ),
    ] {
        let to = if from == Messages { Chat } else { Messages };
        let refused = try_request(from, to, &body).expect_err("refused").to_string();
        assert!(refused.contains(named), "{refused}: {body}");
    }
    // What says nothing is not in the way.
    assert!(try_request(Chat, Messages, &json!({"n": 1, "logprobs": false, "functions": []})).is_ok());
    assert!(try_request(Responses, Chat, &json!({})).is_err());
    assert_eq!(
        translate(Chat, Messages, b"{", &TARGET).expect_err("refused"),
        Untranslatable::NotJson
    );
}

#[test]
fn tool_calls_that_arrive_in_any_order_become_blocks_one_after_another() {
    let call = |call: Value| json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]});
    let upstream = stream(&[
        call(json!({"index": 0, "id": "a.0", "function": {"arguments": "{\"p\""}})),
        call(json!({"index": 0, "function": {"name": "read"}})),
        call(json!({"index": 1, "id": "b", "function": {"name": "write", "arguments": ""}})),
        call(json!({"index": 1, "function": {"arguments": "{\"q\":2}"}})),
        call(json!({"index": 0, "function": {"arguments": ":1}"}})),
        json!({"choices": [{"index": 0, "delta": {"content": "done"}}]}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 4, "prompt_cache_hit_tokens": 8}}),
        json!("[DONE]"),
    ]);
    let message = assembled(&streamed(Messages, Chat, &upstream));
    let calls: Vec<_> = message["content"]
        .as_array()
        .expect("blocks")
        .iter()
        .filter(|it| it["type"] == "tool_use")
        .collect();
    assert_eq!(
        calls,
        [
            &json!({"type": "tool_use", "id": "akid_YS4w", "name": "read", "input": {"p": 1}}),
            &json!({"type": "tool_use", "id": "b", "name": "write", "input": {"q": 2}}),
        ]
    );
    assert_eq!(message["stop_reason"], "tool_use", "whatever the server calls it");
    assert_eq!(message["usage"]["cache_read_input_tokens"], 8);
}

#[test]
fn a_stream_of_messages_is_one_of_chat_completions() {
    let upstream = stream(&[
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude", "content": [],
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 90, "output_tokens": 1}}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hé"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1,
            "content_block": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20, "input_tokens": 0}}),
        json!({"type": "message_stop"}),
    ]);
    let out = streamed(Chat, Messages, &upstream.replace('\n', "\r"));
    assert!(out.ends_with("data: [DONE]\n\n"), "{out}");
    let chunks = data(&out);
    let deltas: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"].get(0))
        .map(|it| it["delta"].clone())
        .collect();
    assert_eq!(
        deltas,
        [
            json!({"role": "assistant", "content": ""}),
            json!({"content": "Hé"}),
            json!({"tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": ""}, "index": 0}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
            json!({}),
        ]
    );
    let usage = &chunks.last().expect("a chunk")["usage"];
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"]),
        (&json!(95), &json!(20))
    );
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 90);
}

#[test]
fn a_response_that_comes_whole_is_written_whole_and_as_a_stream_says_the_same() {
    let completion = json!({
        "id": "chatcmpl-1", "model": "llama",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "hi", "reasoning": "hm",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3},
    })
    .to_string();
    let whole: Value = serde_json::from_slice(
        &answer(Messages, Chat)
            .translate_whole(200, completion.as_bytes())
            .expect("whole"),
    )
    .expect("JSON");
    assert_eq!(whole["content"][1], json!({"type": "text", "text": "hi"}));
    assert_eq!(whole["content"][2]["input"], json!({"a": 1}));
    assert_eq!(assembled(&streamed(Messages, Chat, &completion)), whole);
    // And the other way about: a stream where the whole was asked for.
    let events = stream(&[serde_json::from_str(&completion).expect("JSON"), json!("[DONE]")]);
    let from_stream: Value = serde_json::from_slice(
        &answer(Messages, Chat)
            .translate_whole(200, events.as_bytes())
            .expect("whole"),
    )
    .expect("JSON");
    assert_eq!(from_stream, whole);

    let back = answer(Chat, Messages)
        .translate_whole(200, whole.to_string().as_bytes())
        .expect("whole");
    let back: Value = serde_json::from_slice(&back).expect("JSON");
    assert_eq!(back["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(
        back["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"],
        "{\"a\":1}"
    );
    assert_eq!(back["usage"]["total_tokens"], 12);
}

#[test]
fn errors_are_told_in_the_format_of_the_caller() {
    let error = |from, to, status, body: &str| -> Value {
        serde_json::from_slice(
            &answer(from, to)
                .translate_whole(status, body.as_bytes())
                .expect_err("an error"),
        )
        .expect("JSON")
    };
    assert_eq!(
        error(Messages, Chat, 429, r#"{"error":{"message":"slow down","type":"x"}}"#),
        json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})
    );
    assert_eq!(
        error(
            Chat,
            Messages,
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#
        )["error"]["type"],
        "server_error"
    );
    assert_eq!(
        error(Messages, Chat, 500, "<html>")["error"]["message"],
        "the provider gave no reason"
    );
    let none = answer(Messages, Chat)
        .translate_whole(200, b"{}")
        .expect_err("no response");
    assert!(String::from_utf8_lossy(&none).contains("ended early"));
    let in_stream = streamed(
        Messages,
        Chat,
        &stream(&[json!({"error": {"code": "rate_limit_exceeded", "message": "m"}})]),
    );
    assert_eq!(assembled(&in_stream)["error"]["type"], "rate_limit_error");
    let cut = stream(&[json!({"choices": [{"index": 0, "delta": {"content": "half"}}]})]);
    assert_eq!(
        assembled(&streamed(Messages, Chat, &cut))["error"]["type"],
        "api_error",
        "and no end of a turn"
    );
    let cut = streamed(
        Chat,
        Messages,
        &stream(&[json!({"type": "message_start", "message": {}})]),
    );
    assert!(cut.contains("ended early") && !cut.contains("[DONE]"), "{cut}");
}

#[test]
fn ten_megabytes_of_arguments_pass() {
    let text = "x".repeat(10 << 20);
    let half = |text: &str| {
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [
        {"index": 0, "id": "c", "function": {"name": "f", "arguments": text}}]}}]})
    };
    let events = stream(&[half("{\"a\":\""), half(&text), half("\"}"), json!("[DONE]")]);
    let mut answer = answer(Messages, Chat);
    let mut out: Vec<u8> = events
        .as_bytes()
        .chunks(1_000)
        .flat_map(|piece| answer.pass(piece))
        .collect();
    out.extend(answer.finish());
    let message = assembled(std::str::from_utf8(&out).expect("text"));
    assert_eq!(
        message["content"][0]["input"]["a"].as_str().map(str::len),
        Some(text.len())
    );
}

/// JSON of the fields that formats have, with values that do not belong there.
fn hostile() -> impl Strategy<Value = Value> {
    let names = [
        "type",
        "choices",
        "delta",
        "message",
        "content",
        "tool_calls",
        "index",
        "function",
        "name",
        "arguments",
        "id",
        "usage",
        "error",
        "finish_reason",
        "content_block",
        "text",
        "thinking",
        "partial_json",
        "item",
        "output",
        "output_index",
        "response",
        "summary",
        "role",
        "messages",
        "system",
        "tools",
        "source",
        "input",
    ];
    let words = [
        "text",
        "tool_use",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "message_delta",
        "thinking",
        "message_stop",
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
        "function_call",
        "reasoning",
        "error",
        "user",
        "assistant",
        "{\"a\":",
        "stop",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((proptest::sample::select(names.to_vec()), inner), 0..6).prop_map(|fields| {
                let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(fields.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_provider_sends_the_order_of_events_holds(events in proptest::collection::vec(hostile(), 0..12)) {
        let stream = stream(&events);
        for to in [Chat, Responses, Messages] {
            let mut answer = answer(Messages, to);
            let out = [answer.pass(stream.as_bytes()), answer.finish()].concat();
            let out = String::from_utf8(out).expect("text");
            if !out.contains("event: error") || out.contains("message_start") {
                assembled(&out);
            }
            let mut answer = self::answer(Chat, to);
            let _ = [answer.pass(stream.as_bytes()), answer.finish()];
        }
    }

    #[test]
    fn no_request_and_no_whole_response_is_too_odd(body in hostile()) {
        let bytes = body.to_string().into_bytes();
        for from in [Messages, Chat, Responses] {
            for to in [Messages, Chat, Responses] {
                let _ = translate(from, to, &bytes, &TARGET);
                if from != Responses {
                    let _ = answer(from, to).translate_whole(200, &bytes);
                    let _ = answer(from, to).translate_whole(400, &bytes);
                }
            }
        }
    }
}
