//! Budgets are kept by the gateway, whatever comes at the same time, and whoever is killed.

use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

use super::*;

/// Costs 0.001 at most: 100 tokens out at 10 dollars a million, and some in for nothing.
const PRICE: &str = "[[prices]]\nmodel = \"openai/out\"\ninput = 0.0\noutput = 10.0\n";

fn ask() -> Value {
    let mut body = chat();
    body["model"] = "openai/out".into();
    body
}

/// An answer that uses all that was set aside.
fn whole_use() -> Reply {
    Reply::json(200, &json!({"usage": {"prompt_tokens": 5, "completion_tokens": 100}}))
}

#[test]
fn of_sixty_four_requests_at_once_a_budget_for_six_admits_exactly_six() {
    let scene = Scene::with(
        StandIn::answering(whole_use().after(Duration::from_millis(200))),
        &format!("{PRICE}[budget]\ndaily_limit = 0.006\nmonthly_limit = 1.0\n"),
        &[],
        &[],
    );
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..64).map(|_| scope.spawn(|| scene.chat(ask()).status)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        6,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 402).count(),
        58,
        "{statuses:?}"
    );
    assert_eq!(scene.home.totals(6)["cost_usd"], 0.006);
    assert_eq!(scene.provider.requests().len(), 6);

    let refused = scene.chat(ask());
    assert_eq!(refused.json()["error"]["code"], "over_budget");
    assert_eq!(refused.json()["error"]["type"], "insufficient_quota");
    let free = scene.chat(json!({"model": "mine/any", "messages": []}));
    assert_eq!(free.status, 200, "what costs nothing goes on");
}

#[test]
fn an_attempt_that_costs_something_leaves_less_for_the_next() {
    let role = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n";
    let asked = |daily_limit: &str| {
        let config = format!(
            "[[prices]]\nmodel = \"openai/in\"\ninput = 1000.0\noutput = 0.0\n[budget]\ndaily_limit = {daily_limit}\n"
        );
        let scene = Scene::with_two_keys(&config, move || Reply::stream([role]).broken_off());
        let prompt = "word ".repeat(600);
        let body = json!({"model": "openai/in", "stream": true, "messages": [{"role": "user", "content": prompt}]});
        (scene.chat(body).status, scene.provider.requests().len())
    };
    // About 1000 tokens, so about a dollar for each attempt.
    assert_eq!(asked("1.5"), (402, 1), "the second would exceed the budget");
    assert_eq!(asked("9.0"), (200, 2));
}

#[test]
fn a_client_has_limits_of_its_own() {
    let scene = Scene::with(
        StandIn::answering(whole_use()),
        &format!("{PRICE}[budget]\nenabled = false\n"),
        &[],
        &["--daily-limit", "0.002"],
    );
    let other = scene.home.client(&["other"]);
    for (number, status) in [(1, 200), (2, 200), (3, 402)] {
        let answer = scene.chat(ask());
        assert_eq!(answer.status, status, "{number}: {}", answer.text());
    }
    let told = scene.chat(ask()).json();
    assert!(
        told["error"]["message"].as_str().unwrap().contains("client tester"),
        "{told}"
    );
    assert_eq!(scene.gateway.post("/v1/chat/completions", &other, &ask()).status, 200);
}

#[test]
fn a_request_of_unknown_price_is_refused_where_a_budget_is_kept() {
    let scene = Scene::with(
        StandIn::answering(whole_use()),
        "[budget]\nunpriced_cap = 0\n",
        &[],
        &[],
    );
    let mut body = chat();
    body["model"] = "openai/never-heard-of".into();
    let refused = scene.chat(body.clone());
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (402, &json!("price_unknown"))
    );
    // The configuration is read again while the gateway runs.
    let path = scene.home.path().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("unpriced_cap = 0", "unpriced_cap = 0.01")).unwrap();
    assert_eq!(scene.chat(body).status, 200);
    assert_eq!(scene.home.totals(1)["unpriced_requests"], 1);
}

#[test]
fn usage_that_is_reported_only_later_is_not_taken_for_none() {
    let queued = json!({"id": "resp_1", "status": "queued", "usage": null});
    let scene = Scene::with(
        StandIn::answering(Reply::json(200, &queued)),
        "[budget]\nunpriced_cap = 0\n",
        &[],
        &[],
    );
    let ask = json!({"model": "openai/m", "input": "hi", "background": true});
    let batch = json!({"requests": [{"custom_id": "1", "params": {"model": "m", "max_tokens": 1}}]});
    let in_background = [
        ("/v1/responses", &ask),
        ("/p/openai/responses", &ask),
        ("/p/anthropic/v1/messages/batches", &batch),
    ];
    for (path, body) in in_background {
        let refused = scene.gateway.post(path, &scene.client, body);
        assert_eq!(refused.status, 402, "{path}: {}", refused.text());
    }
    assert!(scene.provider.requests().is_empty());
    let path = scene.home.path().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("unpriced_cap = 0", "enabled = false")).unwrap();
    for (path, body) in in_background {
        assert_eq!(scene.gateway.post(path, &scene.client, body).status, 200, "{path}");
    }
    assert_eq!(scene.home.totals(3)["unpriced_requests"], 3, "the cost is unknown");
}

#[test]
fn the_most_that_any_limit_allows_is_set_aside() {
    let scene = Scene::with(StandIn::answering(whole_use()), PRICE, &[], &["--daily-limit", "0.01"]);
    let mut body = ask();
    body["max_completion_tokens"] = 1.into();
    body["max_tokens"] = 100_000.into();
    assert_eq!(
        scene.chat(body.clone()).status,
        402,
        "the provider may know that one only"
    );
    body["max_tokens"] = 1.into();
    assert_eq!(scene.chat(body).status, 200);
}

#[test]
fn a_request_to_a_providers_own_api_is_paid_for_as_the_model_that_gets_it() {
    let scene = Scene::with(
        StandIn::answering(Reply::json(200, &json!({}))),
        "[[prices]]\nmodel = \"google/expensive\"\ninput = 1000\noutput = 1000\n",
        &[],
        &["--daily-limit", "0.5"],
    );
    let post = |path: &str, body: &Value| scene.gateway.post(path, &scene.client, body);
    for (path, body, status) in [
        ("/p/google/v1beta/models/expensive:generateContent", json!({}), 402),
        ("/p/google/v1beta/models/%65xpensive:generateContent", json!({}), 402),
        ("/p/google/v1beta/mod%65ls%2Fexpensive:generateContent", json!({}), 402),
        ("/p/google/v1beta/models/m/../expensive:generateContent", json!({}), 400),
        (
            "/p/google/v1beta/models/m/%2e%2E/expensive:generateContent",
            json!({}),
            400,
        ),
        (
            "/p/google/v1beta/models/m:generateContent",
            json!({"model": "expensive"}),
            400,
        ),
        ("/p/google/../secret", json!({}), 400),
        (
            "/p/google/v1beta/models/m:embedContent",
            json!({"model": "models/m"}),
            200,
        ),
    ] {
        let answer = post(path, &body);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    assert_eq!(scene.provider.requests().len(), 1);

    let only = Scene::with(StandIn::answering(whole_use()), "[budget]\nenabled = false\n", &[], &[]);
    let path = only.home.path().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        config.replace("[providers.google]\n", "[providers.google]\nmodels = [\"m\"]\n"),
    )
    .unwrap();
    for (path, status) in [
        ("/p/google/v1beta/models/m:generateContent", 200),
        ("/p/google/v1beta/models/other:generateContent", 403),
        ("/p/google/v1beta/tunedModels/other:generateContent", 403),
        ("/p/google/v1beta/models/other:countTokens", 403),
    ] {
        let answer = only.gateway.post(path, &only.client, &json!({}));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    assert_eq!(only.gateway.get("/p/google/v1beta/files", &only.client).status, 200);
}

#[test]
fn a_gateway_that_is_killed_loses_no_request_counts_none_twice_and_holds_no_money() {
    let mut scene = Scene::with(
        StandIn::start(|request| {
            if request.json()["user"] == "slow" {
                Reply::silence()
            } else {
                whole_use()
            }
        }),
        &format!("{PRICE}[budget]\ndaily_limit = 1.0\nmonthly_limit = 1.0\n"),
        &[],
        &[],
    );
    assert_eq!(scene.chat(ask()).status, 200);
    assert_eq!(scene.home.totals(1)["cost_usd"], 0.001);
    let mut slow = ask();
    slow["user"] = "slow".into();
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str())];
    let waiting = scene
        .gateway
        .begin("POST", "/v1/chat/completions", &headers, slow.to_string().as_bytes());
    eventually(
        || scene.provider.requests().len() == 2,
        "the provider has both requests",
    );
    scene.gateway.child.kill().unwrap();
    scene.gateway.child.wait().unwrap();
    drop(waiting);
    // Whoever looks next finds what its journal says.
    let budget = scene.home.run(["budget", "--json"]).json();
    assert_eq!(
        (&budget["daily"]["spent_usd"], &budget["daily"]["reserved_usd"]),
        (&json!(0.001), &json!(0)),
        "its prompt costs nothing"
    );
    assert_eq!(scene.home.totals(2)["errors"], 1, "the one that was under way");
    scene.gateway = scene.home.gateway(&[]);
    assert_eq!(scene.chat(ask()).status, 200);
    scene.gateway.child.kill().unwrap();
    scene.gateway.child.wait().unwrap();
    let totals = scene.home.totals(3);
    assert_eq!((&totals["errors"], &totals["cost_usd"]), (&json!(1), &json!(0.002)));
}

#[test]
fn what_a_program_says_of_its_requests_is_recorded_with_them_and_a_key_is_not() {
    let scene = Scene::new(StandIn::answering(whole_use()));
    let bearer = format!("Bearer {}", scene.client);
    let session = "session_01Hk3pQ9vB2nM7pL4tR8wY1c";
    for (project, requests) in [("shop", 1), (KEY, 2)] {
        let headers = [
            ("authorization", bearer.as_str()),
            ("x-api-keys-project", project),
            ("x-api-keys-session", session),
        ];
        let body = chat().to_string();
        let answer = scene
            .gateway
            .send("POST", "/v1/chat/completions", &headers, body.as_bytes());
        assert_eq!(answer.status, 200);
        scene.home.totals(requests);
    }
    let exported = scene.home.run(["usage", "--export", "jsonl"]).stdout;
    let records: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |name: &str| {
        records
            .iter()
            .map(|record| record[name].clone())
            .collect::<Vec<Value>>()
    };
    assert_eq!(of("project"), [json!("shop"), Value::Null]);
    assert_eq!(of("session"), [session, session]);
    assert_eq!(of("client"), ["tester", "tester"]);
}

/// A gateway with one request under way at a provider, which answers it when told to.
fn with_one_under_way() -> (Scene, std::net::TcpStream, mpsc::Sender<()>) {
    let (answer, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let scene = Scene::new(StandIn::start(move |_| {
        let _ = wait.lock().unwrap().recv();
        Reply::json(200, &completion())
    }));
    let headers = [("x-api-key", scene.client.as_str())];
    let body = chat().to_string();
    let asked = scene
        .gateway
        .begin("POST", "/v1/chat/completions", &headers, body.as_bytes());
    eventually(|| scene.provider.requests().len() == 1, "it is asked");
    (scene, asked, answer)
}

#[test]
fn what_a_request_used_is_recorded_however_long_the_ledger_takes_nothing() {
    let (scene, asked, answer) = with_one_under_way();
    let (ledger, away) = (scene.home.path().join("ledger.db"), scene.home.beside("ledger.db"));
    std::fs::rename(&ledger, &away).unwrap();
    answer.send(()).unwrap();
    assert_eq!(Answer::read(asked).status, 200);
    eventually(
        || scene.home.gateway_log().contains("could not record usage"),
        "it is said",
    );
    assert_eq!(scene.chat(chat()).status, 503, "no money is set aside");
    std::fs::rename(&away, &ledger).unwrap();
    assert_eq!(scene.home.totals(1)["cost_usd"], 0.00096);
}

#[test]
fn a_request_that_a_machine_has_slept_through_is_recorded_as_it_ended() {
    let (scene, asked, answer) = with_one_under_way();
    let ledger = rusqlite::Connection::open(scene.home.path().join("ledger.db")).unwrap();
    let expire = "UPDATE lease SET until = 0";
    assert_eq!(ledger.execute(expire, []).unwrap(), 1);
    let headers = [("x-api-key", scene.client.as_str())];
    let body = chat().to_string();
    let other = scene
        .gateway
        .begin("POST", "/v1/chat/completions", &headers, body.as_bytes());
    eventually(|| scene.provider.requests().len() == 2, "it is asked");
    for _ in 0..2 {
        answer.send(()).unwrap();
    }
    assert_eq!((Answer::read(asked).status, Answer::read(other).status), (200, 200));
    let totals = scene.home.totals(2);
    assert_eq!(
        (&totals["errors"], &totals["cost_usd"]),
        (&json!(0), &json!(0.00192)),
        "{totals}"
    );
}

#[test]
fn who_needs_the_ledger_while_another_process_writes_is_refused_in_the_same_time_and_others_go_on() {
    let (scene, asked, answer) = with_one_under_way();
    let other = rusqlite::Connection::open(scene.home.path().join("ledger.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    answer.send(()).unwrap();
    assert_eq!(Answer::read(asked).status, 200);
    // More than is leased.
    let mut large = chat();
    large["max_tokens"] = 400_000.into();
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| scene.chat(large.clone()))).collect();
        answer.send(()).unwrap();
        assert_eq!(scene.chat(chat()).status, 200, "of the money that is leased");
        for one in asking {
            let refused = one.join().unwrap();
            assert_eq!(
                (refused.status, &refused.json()["error"]["code"]),
                (503, &json!("busy")),
                "{}",
                refused.text()
            );
        }
    });
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(scene.home.totals(2)["cost_usd"], 0.00192);
}

/// A provider that bills what each request says in `user`: tokens in, and tokens out.
fn billing() -> StandIn {
    StandIn::start(|request| {
        let body = request.json();
        let counts = body["user"].as_str().and_then(|user| user.split_once(' ')).unwrap();
        let (input, output): (u64, u64) = (counts.0.parse().unwrap(), counts.1.parse().unwrap());
        let usage = if request.path.contains(":generateContent") {
            json!({"usageMetadata": {"promptTokenCount": input, "candidatesTokenCount": output}})
        } else if request.path.ends_with("/responses") {
            json!({"object": "response", "usage": {"input_tokens": input, "output_tokens": output}})
        } else {
            json!({"usage": {"prompt_tokens": input, "completion_tokens": output}})
        };
        Reply::json(200, &usage).after(Duration::from_millis(50))
    })
}

const CHAT: &str = "/v1/chat/completions";
const GEMINI: &str = "/p/google/v1beta/models/m:generateContent";

/// What is asked and where, what of it is billed, the client's limit, and how many of 32 requests fit into that.
fn tricks() -> Vec<(&'static str, Value, &'static str, &'static str, usize)> {
    let part = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let images = json!([{"role": "user", "content": vec![part; 100]}]);
    // No words in it, and true tokens of two thirds of its bytes.
    let long = "q8ZtVbW4kHsR".repeat(1 << 16);
    let say = |text: &str| json!([{"role": "user", "content": text}]);
    vec![
        (
            CHAT,
            json!({"messages": say("hi"), "max_tokens": 100}),
            "10 100",
            "0.10",
            32,
        ),
        (
            CHAT,
            json!({"messages": say(&long), "max_tokens": 1}),
            "524288 1",
            "0.10",
            0,
        ),
        (CHAT, json!({"messages": images, "max_tokens": 1}), "76500 1", "0.10", 0),
        (
            "/v1/responses",
            json!({"previous_response_id": "resp_1", "input": "hi", "max_output_tokens": 1}),
            "250000 1",
            "0.10",
            0,
        ),
        (
            CHAT,
            json!({"messages": say("hi"), "best_of": 20, "max_tokens": 100}),
            "10 2000",
            "0.065",
            3,
        ),
        (
            CHAT,
            json!({"messages": say("hi"), "max_output_tokens": 1}),
            "10 1000",
            "0.065",
            0,
        ),
        (
            CHAT,
            json!({"messages": say("hi"), "generationConfig": {"maxOutputTokens": 1}}),
            "10 1000",
            "0.065",
            0,
        ),
        (
            CHAT,
            json!({"messages": say("hi"), "n": 6.0, "max_tokens": 100}),
            "10 600",
            "0.065",
            10,
        ),
        (
            CHAT,
            json!({"messages": say("hi"), "n": "6", "max_tokens": "100"}),
            "10 600",
            "0.065",
            10,
        ),
        (
            GEMINI,
            json!({"generationConfig": {"candidateCount": 8, "maxOutputTokens": 200}}),
            "10 1600",
            "0.17",
            10,
        ),
        (
            GEMINI,
            json!({"generation_config": {"candidate_count": 4, "max_output_tokens": "1000"}}),
            "10 4000",
            "0.17",
            4,
        ),
        (
            GEMINI,
            json!({"generationConfig": {"maxOutputTokens": "60000"}}),
            "10 60000",
            "0.17",
            0,
        ),
        (GEMINI, json!({"max_tokens": 1}), "10 60000", "0.17", 0),
    ]
}

#[test]
fn no_way_of_asking_lets_a_client_through_its_limit() {
    let scene = Scene::with(billing(), "[budget]\nenabled = false\n", &[], &[]);
    for (number, (path, mut body, billed, limit, fitting)) in tricks().into_iter().enumerate() {
        let name = format!("trick-{number}");
        let client = scene.home.client(&[&name, "--daily-limit", limit]);
        body["user"] = billed.into();
        if path != GEMINI {
            body["model"] = "openai/m".into();
        }
        let ask = || scene.gateway.post(path, &client, &body).status;
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..32).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let trick: String = body.to_string().chars().take(200).collect();
        let admitted = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(admitted, fitting, "{trick}: {statuses:?}");
        assert_eq!(
            statuses.iter().filter(|status| **status == 402).count(),
            32 - fitting,
            "{trick}: {statuses:?}"
        );
        let spent = || {
            let listed = scene.home.run(["client", "list", "--json"]).json();
            let clients = listed["clients"].as_array().unwrap();
            let own = clients.iter().find(|client| client["name"] == name.as_str()).unwrap();
            own["spent_today_usd"].as_f64().unwrap()
        };
        assert!(spent() <= limit.parse().unwrap(), "{trick}: {}", spent());
    }
}

#[test]
fn a_service_tier_without_a_price_is_refused_where_a_budget_is_kept() {
    let scene = Scene::with(
        StandIn::answering(whole_use()),
        "[budget]\nunpriced_cap = 0\n",
        &[],
        &[],
    );
    for tier in ["priority", "flex", "scale", "no-such-tier"] {
        let mut body = chat();
        body["service_tier"] = tier.into();
        let refused = scene.chat(body);
        assert_eq!(
            (refused.status, &refused.json()["error"]["code"]),
            (402, &json!("price_unknown")),
            "{tier}"
        );
    }
    assert!(scene.provider.requests().is_empty());
    for tier in ["auto", "default"] {
        let mut body = chat();
        body["service_tier"] = tier.into();
        assert_eq!(scene.chat(body).status, 200, "{tier}");
    }
}
