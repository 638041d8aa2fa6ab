//! Requests that wait for a key, as long as their callers would.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::*;
use crate::support::PATIENCE;

/// A provider that has to be left alone for `seconds` after the first request.
fn busy_for(seconds: &str) -> StandIn {
    let first = AtomicBool::new(true);
    let seconds = seconds.to_owned();
    StandIn::start(move |_| {
        if first.swap(false, Ordering::SeqCst) {
            Reply::json(429, &json!({"error": {"message": "slow down"}})).header("retry-after", &seconds)
        } else {
            Reply::json(200, &completion())
        }
    })
}

/// Sends a chat request with a header more.
fn chat_with(scene: &Scene, name: &str, value: &str) -> Answer {
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str()), (name, value)];
    let body = chat().to_string();
    scene
        .gateway
        .send("POST", "/v1/chat/completions", &headers, body.as_bytes())
}

/// A chat request whose caller would wait for an hour, unanswered.
fn begun(scene: &Scene) -> std::net::TcpStream {
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str()), ("x-api-keys-wait", "3600")];
    let body = chat().to_string();
    let begun = scene
        .gateway
        .begin("POST", "/v1/chat/completions", &headers, body.as_bytes());
    let waits = || scene.home.gateway_log().contains("waiting for a key to be free");
    eventually(waits, "it waits");
    begun
}

#[test]
fn a_request_waits_for_the_first_key_that_is_free_as_long_as_its_caller_would() {
    for (name, value) in [
        ("x-api-keys-wait", "60"),
        ("x-stainless-timeout", "600"),
        ("x-stainless-read-timeout", "600.0"),
    ] {
        let scene = Scene::with(busy_for("1"), "[gateway]\nmax_wait = 60\n", &[], &[]);
        let began = Instant::now();
        let answer = chat_with(&scene, name, value);
        assert_eq!(
            (answer.status, answer.header("x-api-keys-attempts")),
            (200, Some("2")),
            "{name}"
        );
        assert!(
            began.elapsed() >= Duration::from_secs(1),
            "{name}: the provider was left alone"
        );
        let totals = scene.home.totals(2);
        assert_eq!((&totals["errors"], &totals["cost_usd"]), (&json!(1), &json!(0.00096)));
        let client = scene.provider.requests().pop().unwrap();
        assert_eq!(
            client.header("x-api-keys-wait"),
            None,
            "what is for the gateway stays there"
        );
    }
}

#[test]
fn who_would_not_wait_long_enough_is_told_at_once_how_long_it_takes() {
    for (name, value, max_wait) in [
        ("accept", "*/*", 3600),
        ("x-api-keys-wait", "300.5", 3600),
        ("x-api-keys-wait", "0", 3600),
        ("x-api-keys-wait", "-3600", 3600),
        ("x-api-keys-wait", "for ever", 3600),
        // As much time again is left for the answer.
        ("x-stainless-timeout", "700", 3600),
        ("x-api-keys-wait", "3600", 300),
        ("x-stainless-timeout", "3600", 0),
    ] {
        let config = format!("[gateway]\nmax_wait = {max_wait}\n");
        let scene = Scene::with(busy_for("600"), &config, &[], &[]);
        let began = Instant::now();
        let first = chat_with(&scene, name, value);
        assert_eq!(
            (first.status, first.header("retry-after")),
            (429, Some("600")),
            "{name}: {value}"
        );
        assert_eq!(
            first.json()["error"]["message"],
            "slow down",
            "{name}: {value}: the provider's own words"
        );
        let second = chat_with(&scene, name, value);
        assert_eq!(
            (second.status, &second.json()["error"]["code"]),
            (429, &json!("rate_limited"))
        );
        let wait: u64 = second.header("retry-after").unwrap().parse().unwrap();
        let precise: u64 = second.header("retry-after-ms").unwrap().parse().unwrap();
        assert!(
            (400..=600).contains(&wait) && (400_000..=600_000).contains(&precise),
            "{wait}, {precise}"
        );
        assert!(began.elapsed() < PATIENCE, "{name}: {value}: at once");
        assert_eq!(scene.provider.requests().len(), 1, "{name}: {value}");
    }
}

#[test]
fn who_waits_holds_no_money_and_who_hangs_up_waits_no_longer() {
    let config = "[gateway]\nmax_wait = 3600\n[budget]\ndaily_limit = 1.0\nmonthly_limit = 1.0\n";
    let scene = Scene::with(busy_for("600"), config, &[], &[]);
    let waits = |count: u32| {
        let line = format!("api_keys_gateway_requests_waiting {count}");
        let text = scene.gateway.get("/metrics", "").text();
        text.lines().any(|known| known == line)
    };
    let waiting = begun(&scene);
    scene.home.totals(1);
    let budget = || scene.home.run(["budget", "--json"]).json();
    eventually(|| budget()["daily"]["reserved_usd"] == 0, "nothing is set aside");
    assert!(waits(1));
    drop(waiting);
    eventually(|| waits(0), "it waits no longer");
    assert_eq!(scene.provider.requests().len(), 1);
}

#[test]
fn the_gateway_does_not_wait_for_requests_that_wait() {
    let mut scene = Scene::with(busy_for("600"), "[gateway]\nmax_wait = 3600\n", &[], &[]);
    let waiting = begun(&scene);
    let began = Instant::now();
    ask_to_end(&scene.gateway);
    let answer = Answer::read(waiting);
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (429, &json!("rate_limited"))
    );
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((400..=600).contains(&wait), "{wait}");
    assert_eq!(scene.gateway.child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn of_several_keys_the_one_that_is_free_first_is_waited_for() {
    let second = AtomicBool::new(true);
    let provider = StandIn::start(move |request| {
        let shown = request.header("authorization").unwrap_or_default();
        let seconds = match shown.contains(SECOND) {
            false => "600",
            true if second.swap(false, Ordering::SeqCst) => "1",
            true => return Reply::json(200, &completion()),
        };
        Reply::json(429, &json!({"error": {"message": "slow down"}})).header("retry-after", seconds)
    });
    let scene = Scene::with(provider, "[gateway]\nmax_wait = 60\n", &[], &[]);
    scene.home.key(&["openai", "--label", "second"], SECOND);
    let answer = chat_with(&scene, "x-api-keys-wait", "60");
    assert_eq!(
        (answer.status, answer.header("x-api-keys-attempts")),
        (200, Some("3")),
        "{}",
        answer.text()
    );
}
