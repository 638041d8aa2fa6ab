//! Requests in one provider's format that another provider answers in its own.

use super::*;

const TRANSLATING: &str = "[[prices]]\nmodel = \"mine/m\"\ninput = 1.0\noutput = 10.0\n[gateway]\ntranslate = true\n";

/// With a provider that offers OpenAI's chat completions and nothing else.
fn scene(provider: StandIn, config: &str) -> Scene {
    let scene = Scene::with(provider, config, &[], &[]);
    scene.home.key(&["mine"], KEY);
    scene
}

impl Scene {
    fn message(&self, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.client);
        let headers = [
            ("authorization", bearer.as_str()),
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", "fine-grained-tool-streaming-2025-05-14"),
        ];
        self.gateway
            .send("POST", "/v1/messages", &headers, body.to_string().as_bytes())
    }
}

fn question(is_stream: bool) -> Value {
    json!({
        "model": "mine/m", "max_tokens": 100, "stream": is_stream, "top_k": 3,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "read", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": "hi"}],
    })
}

/// An answer that calls a tool, and says the key back.
fn stream() -> StandIn {
    let chunk = |rest: &str| format!("data: {{\"id\":\"1\",\"model\":\"m-1\",{rest}}}\n\n");
    let events = [
        chunk(&format!(
            r#""choices":[{{"index":0,"delta":{{"content":"the key is {KEY}"}}}}]"#
        )),
        chunk(
            r#""choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"read","arguments":"{\"p\":"}}]}}]"#,
        ),
        chunk(r#""choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]"#),
        chunk(r#""choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]"#),
        chunk(
            r#""choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,"prompt_tokens_details":{"cached_tokens":600}}"#,
        ),
        "data: [DONE]\n\n".to_owned(),
    ];
    let all = events.concat().into_bytes();
    StandIn::answering(Reply::stream(all.chunks(11).map(<[u8]>::to_vec).collect::<Vec<_>>()))
}

#[test]
fn a_message_is_answered_by_a_provider_of_chat_completions_event_by_event() {
    let scene = scene(stream(), TRANSLATING);
    let answer = scene.message(&question(true));
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(
        answer.header("x-api-keys-translated"),
        Some("anthropic-messages>openai-chat; dropped=cache_control,top_k")
    );
    assert!(
        text.starts_with("event: message_start\n") && text.ends_with("\"message_stop\"}\n\n"),
        "{text}"
    );
    assert!(
        text.contains(r#""partial_json":"{\"p\":"#) && text.contains(r#""stop_reason":"tool_use""#),
        "{text}"
    );
    assert!(text.contains(r#""cache_read_input_tokens":600"#), "{text}");
    assert!(!text.contains(&KEY[8..]) && text.contains("the key is "), "{text}");

    let sent = &scene.provider.requests()[0];
    assert_eq!(sent.path, "/v1/chat/completions");
    assert_eq!(sent.header("anthropic-beta"), None);
    let body = sent.json();
    assert_eq!(body["model"], "m");
    assert_eq!(body["messages"][0], json!({"role": "system", "content": "Be brief."}));
    assert_eq!(body["stream_options"]["include_usage"], true);
    // As the provider counted.
    let totals = scene.home.totals(1);
    assert_eq!(
        (&totals["input_tokens"], &totals["output_tokens"]),
        (&json!(1000), &json!(50))
    );
}

#[test]
fn a_whole_answer_and_an_error_are_told_in_the_callers_format() {
    let scene = scene(
        StandIn::start(|request| {
            let asked = request.json()["messages"][1]["content"].clone();
            match asked.as_str() {
                Some("fail") => Reply::json(400, &json!({"error": {"message": "bad request", "type": "x"}})),
                Some("nonsense") => Reply::json(200, &json!({"object": "list"})),
                _ => Reply::json(200, &completion()),
            }
        }),
        TRANSLATING,
    );
    let answer = scene.message(&question(false));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-api-keys-cost-usd"), Some("0.0015"));
    let message = answer.json();
    assert_eq!(message["content"], json!([{"type": "text", "text": "hello"}]));
    assert_eq!(message["usage"]["input_tokens"], 400);

    for (asked, status) in [("fail", 400), ("nonsense", 502)] {
        let mut body = question(false);
        body["messages"][0]["content"] = asked.into();
        let refused = scene.message(&body);
        assert_eq!(
            (refused.status, &refused.json()["type"]),
            (status, &json!("error")),
            "{}",
            refused.text()
        );
    }
}

#[test]
fn a_provider_of_messages_answers_a_chat_request() {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "hello"}],
        "usage": {"input_tokens": 400, "cache_read_input_tokens": 600, "output_tokens": 50},
    });
    let scene = scene(StandIn::answering(Reply::json(200, &message)), TRANSLATING);
    let mut body = chat();
    body["model"] = "anthropic/m".into();
    let answer = scene.chat(body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "hello");
    assert_eq!(answer.json()["usage"]["prompt_tokens"], 1000);
    let sent = &scene.provider.requests()[0];
    assert_eq!(sent.path, "/v1/messages");
    assert_eq!(sent.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(scene.home.totals(1)["cost_usd"], 0.00096);
}

#[test]
fn tokens_are_counted_here_where_the_provider_counts_none() {
    let scene = scene(StandIn::answering(Reply::json(404, &json!({}))), TRANSLATING);
    let mut body = question(false);
    body.as_object_mut().expect("an object").remove("max_tokens");
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str())];
    let path = "/v1/messages/count_tokens";
    let answer = scene.gateway.send("POST", path, &headers, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let counted = answer.json()["input_tokens"].as_u64().expect("a count");
    assert!((5..200).contains(&counted), "{counted}");
    assert!(scene.provider.requests().is_empty());
}

#[test]
fn what_cannot_be_translated_is_refused_and_nothing_is_without_the_setting() {
    let translating = scene(stream(), TRANSLATING);
    let mut body = question(false);
    body["tools"] = json!([{"type": "web_search_20250305", "name": "web_search"}]);
    let refused = translating.message(&body);
    assert_eq!(refused.status, 400);
    let text = refused.json()["error"]["message"].as_str().expect("text").to_owned();
    assert!(text.contains("web_search_20250305"), "{text}");
    assert!(translating.provider.requests().is_empty());

    let plain = Scene::new(stream());
    plain.home.key(&["groq"], "gsk_0123456789abcdefghijABCDEFGHIJ");
    let mut body = question(false);
    body["model"] = "groq/llama-3.3-70b-versatile".into();
    let refused = plain.message(&body);
    assert_eq!(refused.status, 404, "{}", refused.text());
    assert!(refused.text().contains("translate = true"), "{}", refused.text());
}
