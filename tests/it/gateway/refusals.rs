//! What a provider refuses, and which key, provider or model is tried next.

use std::time::Duration;

use super::*;

/// Asks a provider whose first key is answered with `reply`.
fn with_second_key(reply: Reply) -> (Scene, Answer) {
    let scene = Scene::with_two_keys("", move || reply.clone());
    let answer = scene.chat(chat());
    (scene, answer)
}

fn json_reply(status: u16, text: &str) -> Reply {
    Reply::new(status, text.as_bytes()).header("content-type", "application/json")
}

/// What is known of the first key, as `stats` shows it.
fn health(scene: &Scene) -> String {
    scene.home.run(["stats", "openai", "--json"]).stdout
}

#[test]
fn an_empty_balance_is_one_with_whatever_status_and_another_key_is_tried() {
    for (status, text) in [
        (
            429,
            r#"{"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}"#,
        ),
        (
            400,
            r#"{"error": {"code": "billing_hard_limit_reached", "message": "x"}}"#,
        ),
        (403, r#"{"error": {"code": "billing_not_active", "message": "x"}}"#),
        (500, r#"{"error": {"code": "insufficient_balance", "message": "x"}}"#),
        (200, r#"{"error": {"code": "insufficient_quota", "message": "x"}}"#),
    ] {
        let (scene, answer) = with_second_key(json_reply(status, text));
        let attempts = answer.header("x-api-keys-attempts");
        assert_eq!((answer.status, attempts), (200, Some("2")), "{text}: {}", answer.text());
        scene.home.totals(2);
        eventually(|| health(&scene).contains("no_credit"), "the key is without credit");
        let again = scene.chat(chat());
        assert_eq!(
            again.header("x-api-keys-attempts"),
            Some("1"),
            "{text}: it is not tried again"
        );
    }
}

#[test]
fn an_error_in_a_200_is_a_failure_and_another_key_is_tried() {
    for text in [
        r#"{"error": {"code": 502, "message": "upstream"}}"#,
        r#"{"choices": [{"finish_reason": "error", "message": {"content": ""}}]}"#,
        r#"{"base_resp": {"status_code": 1000, "status_msg": "unknown error"}}"#,
    ] {
        let (scene, answer) = with_second_key(json_reply(200, text));
        let attempts = answer.header("x-api-keys-attempts");
        assert_eq!((answer.status, attempts), (200, Some("2")), "{text}: {}", answer.text());
        assert_eq!(answer.json(), completion(), "{text}");
        assert_eq!(scene.home.totals(2)["errors"], 1, "{text}");
    }
    for event in [
        r#"{"choices": [{"finish_reason": "error", "delta": {}}]}"#,
        r#"{"error": {"code": "insufficient_quota", "message": "x"}}"#,
    ] {
        let (scene, answer) = with_second_key(Reply::stream([format!("data: {event}\n\n")]));
        assert_eq!(answer.header("x-api-keys-attempts"), Some("2"), "{event}");
        assert_eq!(scene.home.totals(2)["errors"], 1, "{event}");
    }
}

#[test]
fn what_is_wrong_with_the_request_is_asked_of_no_other_key() {
    for (status, text) in [
        (
            400,
            r#"{"error": {"code": "context_length_exceeded", "message": "too long"}}"#,
        ),
        (404, r#"{"error": {"message": "no such path"}}"#),
        (200, r#"{"error": {"type": "invalid_request_error", "message": "x"}}"#),
    ] {
        let (scene, answer) = with_second_key(json_reply(status, text));
        assert_eq!((answer.status, answer.text().as_str()), (status, text));
        assert_eq!(answer.header("x-api-keys-attempts"), Some("1"), "{text}");
        assert_eq!(scene.home.totals(1)["errors"], 1, "{text}");
    }
}

#[test]
fn a_region_block_says_nothing_about_the_key() {
    let text = r#"{"error": {"code": "unsupported_country_region_territory", "message": "not here"}}"#;
    let (scene, answer) = with_second_key(json_reply(403, text));
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (403, text),
        "no other key helps"
    );
    for _ in 0..6 {
        scene.chat(chat());
    }
    scene.home.totals(7);
    let asked = scene.provider.requests();
    let posted = asked.iter().filter(|asked| asked.method == "POST");
    let first = posted.filter(|asked| asked.header("authorization").is_some_and(|it| it.contains(KEY)));
    assert_eq!(first.count(), 7, "the first key is still the first");
    let known = health(&scene);
    assert!(
        !["no_credit", "cooling", "refused"]
            .iter()
            .any(|state| known.contains(state)),
        "{known}"
    );
}

#[test]
fn a_wait_in_an_error_body_counts_like_the_header() {
    let text = r#"{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "599.5s"}]}}"#;
    let scene = Scene::new(StandIn::answering(json_reply(429, text)));
    let ask = || {
        let path = "/p/google/v1beta/models/m:generateContent";
        scene.gateway.post(path, &scene.client, &json!({"contents": []}))
    };
    let first = ask();
    assert_eq!(
        (first.status, first.header("retry-after")),
        (429, Some("600")),
        "{}",
        first.text()
    );
    let second = ask();
    assert_eq!(second.status, 429);
    let wait: u64 = second.header("retry-after").unwrap().parse().unwrap();
    assert!((400..=600).contains(&wait), "{wait}");
    assert_eq!(
        scene.provider.requests().len(),
        1,
        "the provider is not asked meanwhile"
    );
}

#[test]
fn an_error_whose_body_does_not_end_is_decided_by_its_status() {
    let slow = Reply::pieces("application/json", [r#"{"error": "#, "\"x\"}"]).pausing(Duration::from_secs(15));
    let scene = Scene::with_two_keys("", move || slow.clone().with_status(503));
    let began = std::time::Instant::now();
    let answer = scene.chat(chat());
    assert_eq!((answer.status, answer.header("x-api-keys-attempts")), (200, Some("2")));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[test]
fn a_model_that_is_gone_or_a_region_that_is_not_served_is_left_for_the_next_provider() {
    for (status, text, asked_again) in [
        (
            404,
            r#"{"error": {"code": "model_not_found", "message": "The model does not exist"}}"#,
            1,
        ),
        (
            403,
            r#"{"error": {"code": "unsupported_country_region_territory", "message": "not here"}}"#,
            2,
        ),
    ] {
        let provider = StandIn::start(move |request| {
            if request.path.starts_with("/v1beta/openai") {
                Reply::json(200, &completion())
            } else {
                json_reply(status, text)
            }
        });
        let config = "[routing]\nfallback_order = [\"openai\", \"google\"]\n[routing.tasks]\n\
                      code_review = \"openai/gpt-6-sol\"\n[budget]\nenabled = false\n";
        let scene = Scene::with(provider, config, &[], &[]);
        let mut body = chat();
        body["model"] = "auto:code_review".into();
        for _ in 0..2 {
            let answer = scene.chat(body.clone());
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("x-api-keys-provider"), Some("google"), "{text}");
        }
        let asked = scene.provider.requests();
        let of_model = asked
            .iter()
            .filter(|asked| asked.path == "/v1/chat/completions" && asked.json()["model"] == "gpt-6-sol");
        assert_eq!(of_model.count(), asked_again, "{text}");
    }
}

#[test]
fn abandoned_streams_say_nothing_about_the_key() {
    let event =
        |content: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n");
    let provider = StandIn::start(move |request| {
        if request.json()["stream"] == true {
            Reply::stream([event("one"), event("two"), event("three")])
                .pausing(Duration::from_millis(150))
                .broken_off()
        } else {
            Reply::json(200, &completion())
        }
    });
    let scene = Scene::with(
        provider,
        "[routing.tasks]\ncode_review = \"openai/gpt-6-sol\"\n",
        &[],
        &[],
    );
    let mut body = chat();
    body["stream"] = true.into();
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str())];
    let streams: Vec<_> = (0..6)
        .map(|_| {
            let text = body.to_string();
            scene
                .gateway
                .begin("POST", "/v1/chat/completions", &headers, text.as_bytes())
        })
        .map(|mut stream| {
            std::io::Read::read_exact(&mut stream, &mut [0; 100]).unwrap();
            stream
        })
        .collect();
    drop(streams);
    let totals = scene.home.totals(6);
    assert_eq!(totals["errors"], 6, "they did not end: {totals}");
    let known = health(&scene);
    assert!(
        !["cooling", "unhealthy"].iter().any(|state| known.contains(state)),
        "{known}"
    );
    let routed = scene.home.run(["route", "code_review", "--json"]).json();
    assert_eq!(routed["provider"], "openai", "{routed}");
    assert_eq!(scene.chat(chat()).header("x-api-keys-attempts"), Some("1"));
}

#[test]
fn counts_that_cannot_be_true_make_the_record_an_estimate() {
    for usage in [
        json!({"prompt_tokens": -5, "completion_tokens": 50}),
        json!({"prompt_tokens": 10, "completion_tokens": 2_000_000_000_u64}),
        json!({"prompt_tokens": 10.5, "completion_tokens": 50}),
        json!({"prompt_tokens": "many", "completion_tokens": 50}),
    ] {
        let mut absurd = completion();
        absurd["usage"] = usage.clone();
        let scene = Scene::new(StandIn::answering(Reply::json(200, &absurd)));
        assert_eq!(scene.chat(chat()).json(), absurd, "it passes as it came");
        scene.home.totals(1);
        let record = scene.home.run(["usage", "--export", "jsonl"]).json();
        assert_eq!(record["estimated"], true, "{usage}: {record}");
        assert!(record["cost_usd"].as_f64().unwrap() < 0.01, "{usage}: {record}");
    }
}
