//! Answers that are given again without asking the provider.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const ON: &str = "[gateway.cache]\nenabled = true\n";

/// A chat request that has one answer.
fn certain() -> Value {
    let mut body = chat();
    body["temperature"] = 0.into();
    body
}

/// A provider that answers each request with another text, of so many bytes.
fn never_the_same(length: usize) -> StandIn {
    let count = AtomicUsize::new(0);
    StandIn::start(move |_| {
        let mut answer = completion();
        answer["id"] = format!("chatcmpl-{}", count.fetch_add(1, Ordering::SeqCst)).into();
        answer["choices"][0]["message"]["content"] = "x".repeat(length).into();
        Reply::json(200, &answer).header("x-ratelimit-remaining-requests", "9")
    })
}

fn cache_said(answer: &Answer) -> Option<&str> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-api-keys-cache")
}

/// Sends a chat request with a header more.
fn chat_with(scene: &Scene, name: &str, value: &str) -> Answer {
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str()), (name, value)];
    let body = certain().to_string();
    scene
        .gateway
        .send("POST", "/v1/chat/completions", &headers, body.as_bytes())
}

#[test]
fn the_same_question_gets_the_same_answer_for_nothing() {
    let scene = Scene::with(never_the_same(5), ON, &[], &[]);
    let first = scene.chat(certain());
    assert_eq!(
        (cache_said(&first), first.header("x-api-keys-cost-usd")),
        (Some("miss"), Some("0.00096"))
    );
    let again = scene.chat(certain());
    assert_eq!(
        (cache_said(&again), again.header("x-api-keys-cost-usd")),
        (Some("hit"), Some("0"))
    );
    assert_eq!(again.body, first.body, "byte for byte");
    let head = |answer: &Answer, name| answer.header(name).map(str::to_owned);
    for name in ["content-type", "x-api-keys-provider", "x-api-keys-model"] {
        assert!(head(&again, name).is_some(), "{name}");
        assert_eq!(head(&again, name), head(&first, name), "{name}");
    }
    assert_ne!(
        head(&again, "x-api-keys-request-id"),
        head(&first, "x-api-keys-request-id")
    );
    assert_eq!(
        head(&again, "x-api-keys-attempts").as_deref(),
        Some("0"),
        "nobody was asked"
    );
    assert!(head(&again, "age").is_some() && head(&first, "age").is_none());
    assert_eq!(
        head(&again, "x-ratelimit-remaining-requests"),
        None,
        "that was another time"
    );

    assert_eq!(scene.provider.requests().len(), 1);
    // A third that is asked anew, so that all that came before is written.
    let mut other = certain();
    other["user"] = "other".into();
    assert_eq!(cache_said(&scene.chat(other)), Some("miss"));
    assert_eq!(
        scene.home.totals(2)["cost_usd"],
        0.00192,
        "what was given again is in no record"
    );
    let metrics = scene.gateway.get("/metrics", "").text();
    for line in [
        "api_keys_gateway_cache_requests_total{result=\"hit\"} 1",
        "api_keys_gateway_cache_requests_total{result=\"miss\"} 2",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line}\n{metrics}");
    }
}

#[test]
fn nothing_is_kept_unless_somebody_wants_it() {
    let scene = Scene::new(never_the_same(5));
    for _ in 0..2 {
        assert_eq!(cache_said(&scene.chat(certain())), None);
    }
    assert_eq!(scene.provider.requests().len(), 2);
    // Turned on, and off again, while the gateway runs.
    let path = scene.home.path().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let on = format!("{config}{ON}");
    for (text, said) in [
        (&on, Some("miss")),
        (&on, Some("hit")),
        (&config, None),
        (&on, Some("miss")),
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(cache_said(&scene.chat(certain())), said);
    }
}

#[test]
fn only_answers_that_are_the_same_each_time_are_kept() {
    let with = |field: &str, value: Value| {
        let mut body = certain();
        body[field] = value;
        body
    };
    let without_budget = format!("{ON}[budget]\nenabled = false\n");
    let scene = Scene::with(of_every_format(), &without_budget, &[], &[]);
    let (gateway, client) = (&scene.gateway, &scene.client);
    let kept = |path: &str, body: &Value| {
        let said = [(); 2].map(|()| {
            let answer = gateway.post(path, client, body);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            answer.header("x-api-keys-cache").map(str::to_owned)
        });
        assert!(
            said == [None, None] || said == [Some("miss".to_owned()), Some("hit".to_owned())],
            "{path} {body}: {said:?}"
        );
        said[0].is_some()
    };
    let input = json!({"model": "openai/m", "input": "hi", "temperature": 0.0});
    let without = |field: &str| {
        let mut body = input.clone();
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let of_responses = |field: &str, value: Value| {
        let mut body = input.clone();
        body[field] = value;
        body
    };
    assert!(kept("/v1/responses", &input));
    assert!(kept("/v1/responses", &of_responses("background", false.into())));
    assert!(kept("/v1/embeddings", &without("temperature")));
    let message = json!({"model": "anthropic/m", "max_tokens": 5, "messages": [], "temperature": 0});
    assert!(kept("/v1/messages", &message));
    for body in [
        without("temperature"),
        of_responses("temperature", 1e-9.into()),
        of_responses("temperature", "0".into()),
        of_responses("temperature", Value::Null),
        of_responses("background", true.into()),
        of_responses("conversation", "conv_1".into()),
    ] {
        assert!(!kept("/v1/responses", &body), "{body}");
    }
    assert!(!kept("/v1/messages/count_tokens", &message));
    let native = "/p/google/v1beta/models/m:generateContent?alt=json";
    assert!(!kept(
        native,
        &json!({"temperature": 0, "generationConfig": {"temperature": 0}})
    ));

    for reply in [
        Reply::stream(["data: {\"choices\":[]}\n\n", "data: [DONE]\n\n"]),
        Reply::html(200),
        Reply::new(200, b""),
        Reply::json(200, &json!({"no": "counts"})),
        Reply::json(200, &json!({"error": {"message": "x"}})),
        Reply::json(201, &completion()),
        Reply::json(400, &completion()),
        Reply::json(500, &completion()),
    ] {
        let scene = Scene::with(StandIn::answering(reply.clone()), ON, &[], &[]);
        for _ in 0..2 {
            assert_ne!(
                scene.chat(certain()).header("x-api-keys-cache"),
                Some("hit"),
                "{reply:?}"
            );
        }
        assert_eq!(scene.provider.requests().len(), 2, "{reply:?}");
    }
    let streamed = with("stream", true.into());
    let scene = Scene::with(StandIn::answering(Reply::json(200, &completion())), ON, &[], &[]);
    for _ in 0..2 {
        assert_eq!(cache_said(&scene.chat(streamed.clone())), None);
    }
}

#[test]
fn no_client_sees_what_another_has_asked() {
    let scene = Scene::with(never_the_same(5), ON, &[], &[]);
    let ask = |client: &str| {
        let answer = scene.gateway.post("/v1/chat/completions", client, &certain());
        cache_said(&answer).map(str::to_owned)
    };
    assert_eq!(ask(&scene.client).as_deref(), Some("miss"));
    let other = scene.home.client(&["other"]);
    assert_eq!(ask(&other).as_deref(), Some("miss"));
    assert_eq!(ask(&other).as_deref(), Some("hit"));
    let removed = scene.home.run(["client", "remove", "other", "--json"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    let successor = scene.home.client(&["other"]);
    assert_eq!(ask(&successor).as_deref(), Some("miss"), "of the same name");
    // What a client may no longer use it is no longer given.
    let only = scene.home.client(&["only", "--provider", "anthropic"]);
    assert_eq!(
        scene.gateway.post("/v1/chat/completions", &only, &certain()).status,
        403
    );
}

#[test]
fn another_question_gets_another_answer() {
    let scene = Scene::with(never_the_same(5), ON, &[], &[]);
    assert_eq!(cache_said(&scene.chat(certain())), Some("miss"));
    for (name, value, said) in [
        ("user-agent", "another", "hit"),
        ("x-stainless-retry-count", "1", "hit"),
        ("x-request-id", "7", "hit"),
        ("openai-organization", "org-1", "miss"),
        ("openai-organization", "org-2", "miss"),
        ("openai-organization", "org-1", "hit"),
    ] {
        assert_eq!(
            cache_said(&chat_with(&scene, name, value)),
            Some(said),
            "{name}: {value}"
        );
    }
    let mut other = certain();
    other["messages"][0]["content"] = "hi!".into();
    assert_eq!(cache_said(&scene.chat(other)), Some("miss"));
    let ask = |model: &str| {
        let mut body = certain();
        body["model"] = model.into();
        cache_said(&scene.chat(body)).map(str::to_owned)
    };
    for (model, said) in [
        ("openai/gpt-6-sol", "miss"),
        ("gpt-6-sol", "hit"),
        ("mine/m", "miss"),
        ("mine/m", "hit"),
    ] {
        assert_eq!(ask(model).as_deref(), Some(said), "{model}");
    }
    // Another server under the same name gives answers of its own.
    let elsewhere = never_the_same(5);
    let path = scene.home.path().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let of_mine = |url: &str| format!("kind = \"openai-compatible\"\nbase_url = \"{url}/v1\"");
    let moved = config.replace(&of_mine(&scene.provider.url()), &of_mine(&elsewhere.url()));
    std::fs::write(&path, moved).unwrap();
    assert_eq!(ask("mine/m").as_deref(), Some("miss"));
    assert_eq!(elsewhere.requests().len(), 1);
}

#[test]
fn a_client_can_want_a_new_answer_or_leave_no_trace() {
    let scene = Scene::with(never_the_same(5), ON, &[], &[]);
    let ask = |value: &str| chat_with(&scene, "cache-control", value);
    assert_eq!(cache_said(&ask("no-store")), None);
    let first = ask("max-age=60");
    assert_eq!(cache_said(&first), Some("miss"), "the one before was not kept");
    assert_eq!(cache_said(&ask("No-Store, x")), None, "nor what is there given");
    let anew = ask("private, no-cache");
    assert_eq!(cache_said(&anew), Some("miss"));
    assert_ne!(anew.body, first.body);
    let last = ask("private");
    assert_eq!(cache_said(&last), Some("hit"));
    assert_eq!(last.body, anew.body, "the new one is kept in its place");
}

#[test]
fn what_is_kept_has_an_end_in_size_and_in_time() {
    let numbered = |number: u32| {
        let mut body = certain();
        body["seed"] = number.into();
        body
    };
    let small = Scene::with(never_the_same(400_000), &format!("{ON}max_size = 1\n"), &[], &[]);
    for (number, said) in [
        (1, "miss"),
        (2, "miss"),
        (1, "hit"),
        // The second was not used for the longest time.
        (3, "miss"),
        (1, "hit"),
        (2, "miss"),
        (2, "hit"),
    ] {
        assert_eq!(cache_said(&small.chat(numbered(number))), Some(said), "{number}");
    }
    let tiny = Scene::with(never_the_same(2_000_000), &format!("{ON}max_size = 1\n"), &[], &[]);
    for _ in 0..2 {
        assert_eq!(
            cache_said(&tiny.chat(certain())),
            Some("miss"),
            "longer than all may be"
        );
    }
    let brief = Scene::with(never_the_same(5), &format!("{ON}ttl = 1\n"), &[], &[]);
    assert_eq!(cache_said(&brief.chat(certain())), Some("miss"));
    eventually(|| cache_said(&brief.chat(certain())) == Some("miss"), "it grows old");
    assert_eq!(brief.provider.requests().len(), 2);
}

#[test]
fn what_costs_nothing_is_given_when_the_budget_is_spent_and_the_provider_gone() {
    let config = format!("{ON}[budget]\ndaily_limit = 0.0015\nmonthly_limit = 1.0\n");
    let scene = Scene::with(never_the_same(5), &config, &[], &[]);
    assert_eq!(cache_said(&scene.chat(certain())), Some("miss"));
    scene.home.totals(1);
    assert_eq!(scene.chat(chat()).status, 402);
    let Scene {
        gateway,
        client,
        provider,
        ..
    } = scene;
    assert_eq!(provider.requests().len(), 1);
    drop(provider);
    let again = gateway.post("/v1/chat/completions", &client, &certain());
    assert_eq!(cache_said(&again), Some("hit"));
}
