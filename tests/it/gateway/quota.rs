//! What providers say is left of their quotas steers the choice before they have to refuse.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const OPENAI: [&str; 2] = ["x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];

/// An answer that says `left` in one header, and when that is over in another.
fn saying(names: [&str; 2], left: &str, reset: &str) -> Reply {
    Reply::json(200, &completion())
        .header(names[0], left)
        .header(names[1], reset)
}

/// Whether the last request came with the second key.
fn second_was_asked(scene: &Scene) -> bool {
    let asked = scene.provider.requests().pop().unwrap();
    let shown = ["authorization", "x-api-key"].map(|name| asked.header(name).unwrap_or_default().to_owned());
    shown.iter().any(|value| value.contains("Second"))
}

#[test]
fn a_key_with_too_little_left_for_a_request_is_tried_after_one_with_more() {
    let hence = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5);
    let date = hence.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for (names, left, reset, path, model) in [
        (OPENAI, "99", "6m0s", "/v1/chat/completions", "openai/m"),
        (
            [
                "anthropic-ratelimit-tokens-remaining",
                "anthropic-ratelimit-tokens-reset",
            ],
            "99",
            &date,
            "/v1/messages",
            "anthropic/m",
        ),
        (
            [
                "anthropic-ratelimit-output-tokens-remaining",
                "anthropic-ratelimit-output-tokens-reset",
            ],
            "99",
            &date,
            "/v1/messages",
            "anthropic/m",
        ),
        (
            [
                "anthropic-ratelimit-input-tokens-remaining",
                "anthropic-ratelimit-input-tokens-reset",
            ],
            "5",
            &date,
            "/v1/messages",
            "anthropic/m",
        ),
    ] {
        let (left, reset) = (left.to_owned(), reset.to_owned());
        let scene = Scene::with_two_keys("", move || saying(names, &left, &reset));
        // It may use a hundred tokens.
        let mut body = chat();
        body["model"] = model.into();
        for (number, is_second) in [(1, false), (2, true)] {
            let answer = scene.gateway.post(path, &scene.client, &body);
            assert_eq!(
                (answer.status, answer.header("x-api-keys-attempts")),
                (200, Some("1")),
                "{}",
                answer.text()
            );
            assert_eq!(second_was_asked(&scene), is_second, "{}: {number}", names[0]);
        }
        // Ten of them are there.
        body["max_tokens"] = 10.into();
        scene.gateway.post(path, &scene.client, &body);
        assert_eq!(
            second_was_asked(&scene),
            names[0].contains("input"),
            "{}: enough",
            names[0]
        );
    }
}

#[test]
fn a_key_with_nothing_left_waits_until_its_reset() {
    let names = ["x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
    let scene = Scene::new(StandIn::start(move |request| {
        let reset = if request.json()["user"] == "long" {
            "6m0s"
        } else {
            "600ms"
        };
        saying(names, "0", reset)
    }));
    assert_eq!(scene.chat(chat()).status, 200);
    let refused = scene.chat(chat());
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("1")),
        "{}",
        refused.text()
    );
    assert_eq!(refused.json()["error"]["code"], "rate_limited");
    let mut other = chat();
    other["model"] = "openai/out".into();
    let asked = scene.provider.requests().len();
    assert_eq!(asked, 1, "it was left alone");
    // A provider limits each model apart.
    scene.home.config(&format!(
        "{}[budget]\nenabled = false\n",
        std::fs::read_to_string(scene.home.path().join("config.toml")).unwrap()
    ));
    assert_eq!(scene.chat(other).status, 200);
    let mut long = chat();
    long["user"] = "long".into();
    eventually(|| scene.chat(long.clone()).status == 200, "the reset is over");
    let wait: u64 = scene.chat(chat()).header("retry-after").unwrap().parse().unwrap();
    assert!((300..=360).contains(&wait), "{wait}");
}

#[test]
fn keys_of_one_account_share_what_is_left() {
    let pool = "[providers.openai.keys.default]\npool = \"acme\"\n[providers.openai.keys.second]\npool = \"acme\"\n";
    for (config, status) in [(pool, 429), ("", 200)] {
        let scene = Scene::with_two_keys(config, || saying(OPENAI, "0", "6m0s"));
        assert_eq!(scene.chat(chat()).status, 200);
        assert_eq!(scene.chat(chat()).status, status, "{config}");
        let limited = Scene::with_two_keys(config, || {
            Reply::json(429, &json!({"error": {"message": "slow down"}})).header("retry-after", "30")
        });
        // The second key is not asked where it is of the same account.
        assert_eq!(limited.chat(chat()).status, status, "{config}");
        assert_eq!(
            limited.provider.requests().len(),
            if status == 200 { 2 } else { 1 },
            "{config}"
        );
    }
}

#[test]
fn a_refusal_that_says_only_what_is_left_tells_how_long_to_wait() {
    let scene = Scene::new(StandIn::answering(
        Reply::json(429, &json!({"error": {"message": "slow down"}}))
            .header("x-ratelimit-limit-tokens", "1000")
            .header("x-ratelimit-remaining-tokens", "0")
            .header("x-ratelimit-reset-tokens", "1m40s"),
    ));
    let first = scene.chat(chat());
    let wait: u64 = first.header("retry-after").unwrap().parse().unwrap();
    // It may use some hundred and thirty tokens, and ten come back in a second.
    assert!((10..=20).contains(&wait), "{wait}");
    assert_eq!(scene.chat(chat()).json()["error"]["code"], "rate_limited");
    assert_eq!(scene.provider.requests().len(), 1);
}

#[test]
fn what_no_provider_would_say_does_no_harm() {
    let requests = ["x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
    for (names, left, reset) in [
        (OPENAI, "-1", "6m0s"),
        (OPENAI, "99999999999999999999999", "6m0s"),
        (OPENAI, "18446744073709551615", "99999999999h"),
        (OPENAI, "0", "-6m0s"),
        (OPENAI, "0", "soon"),
        (OPENAI, "none", "6m0s"),
        (requests, "0", ""),
        (
            [
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
            ],
            "0",
            "1925-01-01T00:00:00Z",
        ),
    ] {
        let scene = Scene::new(StandIn::answering(saying(names, left, reset)));
        for _ in 0..2 {
            assert_eq!(scene.chat(chat()).status, 200, "{left} {reset}");
        }
    }
    for reset in ["876000h", "2126-01-01T00:00:00Z", "999999999"] {
        let scene = Scene::new(StandIn::answering(saying(requests, "0", reset)));
        assert_eq!(scene.chat(chat()).status, 200);
        let wait: u64 = scene.chat(chat()).header("retry-after").unwrap().parse().unwrap();
        assert!(wait <= 3_600, "{reset}: an hour is believed, {wait} s are not");
    }
}

#[test]
fn a_wait_that_was_told_holds_for_every_process_and_after_a_restart() {
    let mut scene = Scene::new(StandIn::answering(
        Reply::json(429, &json!({"error": {"message": "slow down"}})).header("retry-after", "600"),
    ));
    assert_eq!(scene.chat(chat()).json()["error"]["message"], "slow down");
    scene.home.totals(1);
    let knows = || scene.home.run(["stats", "openai", "--json"]).stdout.contains("cooling");
    eventually(knows, "the ledger knows");
    ask_to_end(&scene.gateway);
    scene.gateway.child.wait().unwrap();
    // Of another provider somebody tells who has asked it by himself.
    let mut track = vec!["track", "deepseek", "m", "0", "0", "--success", "false", "--json"];
    track.extend(["--status-code", "429", "--retry-after-seconds", "600"]);
    let told = scene.home.run(track);
    assert_eq!(told.code, Some(0), "{told:?}");

    scene.gateway = scene.home.gateway(&[]);
    for model in ["openai/m", "deepseek/deepseek-chat"] {
        let mut body = chat();
        body["model"] = model.into();
        let refused = scene.chat(body);
        assert_eq!(
            refused.json()["error"]["code"],
            "rate_limited",
            "{model}: {}",
            refused.text()
        );
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((500..=601).contains(&wait), "{wait}");
    }
    // `stats` asks servers on this machine for their models.
    let asked = scene.provider.requests();
    let posted = asked.iter().filter(|asked| asked.method == "POST").count();
    assert_eq!(posted, 1, "they are left alone");
}

#[test]
fn a_provider_that_does_not_say_how_long_is_asked_again() {
    let count = AtomicUsize::new(0);
    let scene = Scene::new(StandIn::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::json(429, &json!({"error": {"message": "slow down"}})),
        _ => Reply::json(200, &completion()),
    }));
    assert_eq!(scene.chat(chat()).status, 429);
    let knows = || scene.home.run(["stats", "openai", "--json"]).stdout.contains("cooling");
    eventually(knows, "the ledger knows");
    // What is known of the keys' health is not older than a second.
    let until = std::time::Instant::now() + std::time::Duration::from_millis(1_200);
    let mut is_known = false;
    while !is_known {
        is_known = std::time::Instant::now() > until;
        assert_eq!(scene.chat(chat()).status, 200);
    }
}
