//! Providers that refuse, fail, or say what they should not.

use std::{
    io::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime},
};

use flate2::{Compression, write::GzEncoder};

use super::*;

#[test]
fn another_key_answers_where_one_has_to_wait_or_fails() {
    for status in [429, 500, 503, 529, 401, 402, 403] {
        let scene = Scene::with_two_keys("", move || {
            Reply::json(status, &json!({"error": {"message": "no"}})).header("retry-after", "30")
        });
        let answer = scene.chat(chat());
        assert_eq!(
            (answer.status, answer.header("x-api-keys-attempts")),
            (200, Some("2")),
            "{status}"
        );
        assert_eq!(answer.body, completion().to_string().into_bytes());
        let totals = scene.home.totals(2);
        assert_eq!(
            (&totals["errors"], &totals["cost_usd"]),
            (&json!(1), &json!(0.00096)),
            "{status}"
        );
        let again = scene.chat(chat());
        assert_eq!(
            again.header("x-api-keys-attempts"),
            Some("1"),
            "{status}: what has to wait is not asked"
        );
    }
}

#[test]
fn a_session_stays_with_its_key_and_sessions_share_the_keys() {
    let scene = Scene::with_two_keys("", || Reply::json(200, &completion()));
    let bearer = format!("Bearer {}", scene.client);
    let mut of_second = 0;
    for number in 0..16 {
        let session = format!("session-{number}");
        let headers = [("authorization", bearer.as_str()), ("x-api-keys-session", &session)];
        let body = chat().to_string();
        for _ in 0..2 {
            let answer = scene
                .gateway
                .send("POST", "/v1/chat/completions", &headers, body.as_bytes());
            assert_eq!(answer.status, 200);
        }
        let asked = scene.provider.requests();
        let keys: Vec<_> = asked
            .iter()
            .rev()
            .take(2)
            .map(|it| it.header("authorization"))
            .collect();
        assert_eq!(keys[0], keys[1], "{session}");
        of_second += usize::from(keys[0].is_some_and(|key| key.contains("Second")));
    }
    assert!((1..16).contains(&of_second), "{of_second} of 16 sessions");
}

#[test]
fn an_error_in_place_of_a_streams_first_words_is_one() {
    let error =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";
    let scene = Scene::with_two_keys("", move || Reply::stream([": ping\n\n", error]));
    let mut body = chat();
    body["stream"] = true.into();
    let answer = scene.chat(body);
    assert_eq!(
        (answer.status, answer.header("x-api-keys-attempts")),
        (200, Some("2")),
        "{}",
        answer.text()
    );
    assert!(!answer.text().contains("overloaded"));
}

#[test]
fn when_every_key_has_to_wait_the_client_is_told_for_how_long() {
    let scene = Scene::new(StandIn::answering(
        Reply::json(429, &json!({"error": {"message": "slow down"}})).header("retry-after", "600"),
    ));
    let first = scene.chat(chat());
    assert_eq!(
        (first.status, first.header("retry-after")),
        (429, Some("600")),
        "as the provider says"
    );
    assert_eq!(first.json()["error"]["message"], "slow down");
    let second = scene.chat(chat());
    assert_eq!(
        (second.status, &second.json()["error"]["code"]),
        (429, &json!("rate_limited"))
    );
    let wait: u64 = second.header("retry-after").unwrap().parse().unwrap();
    assert!((400..=600).contains(&wait), "{wait}");
    assert_eq!(scene.provider.requests().len(), 1, "it is left alone");
    scene.home.totals(1);
}

#[test]
fn a_wait_is_understood_however_the_provider_says_it() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_mins(10));
    for (name, value) in [
        ("retry-after", date.as_str()),
        ("retry-after", "599.5"),
        ("retry-after-ms", "599500"),
    ] {
        let busy = Reply::json(429, &json!({"error": {"message": "slow down"}})).header(name, value);
        let scene = Scene::new(StandIn::answering(busy));
        let first = scene.chat(chat());
        assert_eq!(
            (first.status, first.header(name)),
            (429, Some(value)),
            "as the provider says"
        );
        let second = scene.chat(chat());
        let wait: u64 = second.header("retry-after").unwrap().parse().unwrap();
        assert!((400..=600).contains(&wait), "{name}: {value}: {wait}");
        assert_eq!(scene.provider.requests().len(), 1, "{name}: {value}: it is left alone");
    }
}

#[test]
fn a_provider_that_does_not_answer_is_told_apart_from_one_that_is_slow() {
    let scene = Scene::with(
        StandIn::answering(Reply::silence()),
        "",
        &["--first-byte-timeout", "1"],
        &[],
    );
    let slow = scene.chat(chat());
    assert_eq!(
        (slow.status, &slow.json()["error"]["code"]),
        (504, &json!("provider_too_slow"))
    );
    let totals = scene.home.totals(1);
    assert!(
        totals["cost_usd"].as_f64().unwrap() > 0.0,
        "it may have been paid for: {totals}"
    );

    let gone = Scene::new(StandIn::raw(b"SSH-2.0-OpenSSH_9.9\r\n"));
    let answer = gone.chat(chat());
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (502, &json!("provider_unreachable"))
    );
    assert_eq!(gone.home.totals(1)["cost_usd"], 0);
}

#[test]
fn an_answer_that_tells_no_use_passes_and_is_estimated() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &json!({"no": "counts"}))));
    assert_eq!(scene.chat(chat()).status, 200);
    assert!(scene.home.totals(1)["input_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn a_compressed_answer_that_nobody_asked_for_is_decoded_and_counted_or_refused() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(completion().to_string().as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let reply = |encoding| {
        Reply::new(200, &packed)
            .header("content-type", "application/json")
            .header("content-encoding", encoding)
    };
    let scene = Scene::new(StandIn::answering(reply("gzip")));
    let answer = scene.chat(chat());
    assert_eq!((answer.status, answer.json()), (200, completion()));
    assert_eq!(answer.header("content-encoding"), None);
    let used = &completion()["usage"];
    assert_eq!(scene.home.totals(1)["output_tokens"], used["completion_tokens"]);

    let scene = Scene::new(StandIn::answering(reply("br")));
    let answer = scene.chat(chat());
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (502, &json!("provider_unreachable"))
    );
}

#[test]
fn what_is_no_answer_of_a_model_costs_nothing_and_is_no_success() {
    for (reply, status) in [
        (Reply::html(200), 200),
        (Reply::new(200, b"").header("content-type", "application/json"), 200),
        (Reply::new(204, b""), 204),
        (Reply::new(302, b"").header("location", "http://192.0.2.1/"), 302),
        (Reply::stream([r#"data: {"error": {"message": "no"}}"#, "\n\n"]), 200),
    ] {
        let scene = Scene::new(StandIn::answering(reply));
        assert_eq!(scene.chat(chat()).status, status);
        let totals = scene.home.totals(1);
        assert_eq!(
            (&totals["errors"], &totals["input_tokens"], &totals["cost_usd"]),
            (&json!(1), &json!(0), &json!(0)),
            "{status}"
        );
    }
}

#[test]
fn a_400_that_is_about_the_key_is_taken_for_what_it_means() {
    let wrong = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid.",
        "details": [{"reason": "API_KEY_INVALID"}]}});
    let first = wrong.clone();
    let provider = StandIn::start(move |request| match request.header("x-goog-api-key") {
        Some(key) if key.contains("Second") => Reply::json(200, &completion()),
        _ => Reply::json(400, &first),
    });
    let scene = Scene::new(provider);
    let ask = || {
        scene
            .gateway
            .post("/p/google/v1beta/models/m:generateContent", &scene.client, &json!({}))
    };
    let alone = ask();
    assert_eq!((alone.status, alone.json()), (400, wrong), "as the provider says it");
    scene.home.key(
        &["google", "--label", "second"],
        "google-Second0123456789abcdef0123456789",
    );
    let answer = ask();
    assert_eq!(
        (answer.status, answer.header("x-api-keys-attempts")),
        (200, Some("1")),
        "the first is out"
    );
}

#[test]
fn the_key_is_nowhere_but_in_the_request_to_its_provider() {
    let count = AtomicUsize::new(0);
    let scene = Scene::new(StandIn::start(move |request| {
        let told = request.header("authorization").unwrap_or_default().to_owned();
        let said = json!({"error": {"message": format!("wrong key: {told}"), "again": told}});
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::json(401, &said).header("x-echo", &told),
            1 => Reply::json(500, &said).header("www-authenticate", &told),
            2 => Reply::json(200, &completion()).header("x-echo", &told),
            _ => Reply::stream([format!("data: {said}\n\n")]).broken_off(),
        }
    }));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = scene.chat(chat());
        seen.push(format!("{:?} {}", answer.headers, answer.text()));
    }
    seen.push(scene.gateway.get("/metrics", &scene.client).text());
    seen.push(scene.gateway.get("/v1/models", &scene.client).text());
    scene.home.totals(4);
    seen.push(scene.home.gateway_log());
    assert!(
        seen.iter().any(|text| text.contains("wrong key: Bearer ****")),
        "{seen:?}"
    );
    for text in &seen {
        assert!(!text.contains("CanaryJ7x2Qm9ZtVbW4kHsR8"), "{text}");
    }
    for text in &seen[..seen.len() - 1] {
        assert!(!text.contains(&scene.client), "{text}");
    }
    assert!(!scene.home.gateway_log().contains(&scene.client));
    let told = scene.home.run(["audit", "--json"]).json();
    let revealed = told["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["actor"] == "gateway")
        .count();
    assert!(revealed >= 1, "{told}");
}

#[test]
fn metrics_have_the_names_of_the_conventions() {
    let scene = Scene::new(StandIn::answering(
        Reply::json(200, &completion()).after(Duration::from_millis(15)),
    ));
    scene.chat(chat());
    scene.gateway.send("GET", "/v1/models", &[], b"");
    let text = scene.gateway.get("/metrics", "").text();
    let labels = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"m\"";
    for line in [
        format!("gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type=\"input\"}} 1000"),
        format!("gen_ai_client_token_usage_bucket{{{labels},gen_ai_token_type=\"output\",le=\"64\"}} 1"),
        format!("gen_ai_client_operation_duration_seconds_bucket{{{labels},le=\"0.010\"}} 0"),
        format!("gen_ai_client_operation_duration_seconds_count{{{labels}}} 1"),
        format!("api_keys_cost_usd_total{{{labels}}} 0.00096"),
        "api_keys_gateway_refused_total{status=\"401\"} 1".to_owned(),
        "api_keys_gateway_requests_under_way 0".to_owned(),
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
}

#[test]
fn a_request_that_waits_for_the_vault_holds_up_no_other() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    assert_eq!(scene.chat(chat()).status, 200, "its key is held from now on");
    let lock = std::fs::File::open(scene.home.path().join("vault.lock")).unwrap();
    lock.lock().unwrap();
    let waiting: Vec<_> = (0..16)
        .map(|_| {
            let body = json!({"model": "anthropic/m", "messages": [], "max_tokens": 100}).to_string();
            let headers = [("x-api-key", scene.client.as_str())];
            scene.gateway.begin("POST", "/v1/messages", &headers, body.as_bytes())
        })
        .collect();
    assert_eq!(scene.gateway.get("/healthz", "").status, 200);
    assert_eq!(scene.chat(chat()).status, 200);
    for stream in &waiting {
        stream.set_nonblocking(true).unwrap();
        let answered = stream.peek(&mut [0]);
        assert!(answered.is_err(), "the others were answered after those that wait");
        stream.set_nonblocking(false).unwrap();
    }
    drop(lock);
    for stream in waiting {
        assert_eq!(Answer::read(stream).status, 200);
    }
    let trail = scene.home.run(["audit", "--json"]).stdout;
    assert_eq!(trail.matches("reveal_key").count(), 2, "once for each key: {trail}");
}
