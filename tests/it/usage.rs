//! Usage and cost as clients and people see them.

use api_keys::{
    app::{App, Clock},
    domain::Usd,
    error::{Code, Error},
    services::{budget_claim, budget_status},
    settings::{Environment, Settings},
    storage::ledger::{Fold, Granted, LeaseChange},
};
use serde_json::{Value, json};

use crate::support::{
    Home, days_that_last,
    mcp_client::{LEGACY, MODERN, McpClient},
};

/// Prices of our own, so that no change of a provider's changes a test.
const CONFIG: &str = r#"
[budget]
daily_limit = 1.0
monthly_limit = 4.0
alert_threshold = 0.8
[[prices]]
model = "openai/test-large"
input = 3
output = 15
cache_read = 0.3
cache_write = 3.75
batch_input = 1.5
batch_output = 7.5
[[prices]]
model = "google/test-small"
input = 0.02
output = 0.1
"#;

fn home() -> Home {
    let home = Home::new();
    home.config(&CONFIG.replace("[budget]\n", &days_that_last()));
    home
}

fn open(home: &Home, revision: &str) -> McpClient {
    McpClient::open(home.command(["serve"]), revision, json!({}))
}

fn track(client: &mut McpClient, more: Value) -> Value {
    let mut arguments =
        json!({"provider": "openai", "model": "test-large", "input_tokens": 1000, "output_tokens": 500});
    merge(&mut arguments, more);
    client.structured("track_request", arguments)
}

fn merge(into: &mut Value, more: Value) {
    let (Value::Object(into), Value::Object(more)) = (into, more) else {
        panic!("not objects");
    };
    into.extend(more);
}

#[test]
fn a_request_is_costed_to_the_nano_dollar() {
    let home = home();
    let mut client = open(&home, LEGACY);
    let plain = track(&mut client, json!({}));
    assert_eq!(plain["cost_usd"], json!(0.0105));
    assert_eq!((&plain["priced"], &plain["duplicate"]), (&json!(true), &json!(false)));
    let cached = track(
        &mut client,
        json!({"cache_read_tokens": 600, "cache_write_tokens": 300}),
    );
    // 100 × 3 + 600 × 0.3 + 300 × 3.75 + 500 × 15, a million to the dollar.
    assert_eq!(cached["cost_usd"], json!(0.009_105));
    let tiny = client.structured(
        "track_request",
        json!({"provider": "google", "model": "test-small", "input_tokens": 7, "output_tokens": 0}),
    );
    assert_eq!(tiny["cost_usd"], json!(1.4e-7));
    assert_eq!(tiny["provider_total_usd"], json!(1.4e-7));
    let usage = client.structured("get_usage", json!({"group_by": "model"}));
    assert_eq!(usage["totals"]["cost_usd"], json!(0.019_605_14));
    assert_eq!(usage["groups"][0]["name"], "openai/test-large");
    assert_eq!(usage["groups"][0]["cost_usd"], json!(0.019_605));
    assert_eq!(usage["totals"]["cache_read_tokens"], 600);
}

#[test]
fn a_repeated_request_id_counts_once_and_says_so() {
    let home = home();
    let mut client = open(&home, MODERN);
    let first = track(&mut client, json!({"request_id": "r-1"}));
    let again = track(&mut client, json!({"request_id": "r-1", "input_tokens": 9}));
    assert_eq!((&again["duplicate"], &again["id"]), (&json!(true), &first["id"]));
    assert_eq!(again["cost_usd"], first["cost_usd"], "the first one counts");
    let elsewhere = client.structured(
        "track_request",
        json!({"provider": "google", "model": "test-small", "input_tokens": 1, "output_tokens": 1, "request_id": "r-1"}),
    );
    assert_eq!(elsewhere["duplicate"], false, "another provider's ids are its own");
    assert_eq!(client.structured("get_usage", json!({}))["totals"]["requests"], 2);
}

/// As random as keys, and none: ids of requests and sessions as providers make them.
const IDS: [&str; 5] = [
    "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "resp_67ccd2bed1ec8190B14f964aBc0542670bb6A6b452d3795b",
    "gen-1732450000-Xk3pQ9vB2nM7pL4tR8wY",
    "msg_vrtx_01Hk3pQ9vB2nM7pL4tR8wY1c",
    "session_01Hk3pQ9vB2nM7pL4tR8wY1c",
];

#[test]
fn ids_of_requests_and_sessions_may_be_as_random_as_keys() {
    let home = home();
    let mut client = open(&home, MODERN);
    let route = |session: &str| json!({"task_type": "chat", "preferred_provider": "local", "session": session});
    for id in IDS {
        assert_eq!(track(&mut client, json!({"request_id": id}))["duplicate"], false);
        assert_ne!(client.failure("route_request", route(id)), "key_in_wrong_place", "{id}");
        for request_id in [&["--request-id", id][..], &[&format!("--request-id={id}")]] {
            let ended = home.run([&["track", "openai", "test-large", "1000", "500", "--json"], request_id].concat());
            assert_eq!(ended.json()["duplicate"], true, "{ended:?}");
        }
        let ended = home.run(["route", "chat", "--session", id, "--json"]);
        assert_ne!(ended.error_code(), "key_in_wrong_place", "{id}");
    }
    let key = "sk-proj-0123456789abcdefghijklmnopqrstuv";
    assert_eq!(client.failure("route_request", route(key)), "key_in_wrong_place");
    for arguments in [
        &["track", "openai", "test-large", "1", "1", "--request-id", key][..],
        &["route", "chat", &format!("--session={key}")],
        &["route", "chat", "--request-id", IDS[0]],
        &["track", "openai", IDS[0], "1", "1"],
        &["track", "openai", "test-large", "1", "1", "--project", IDS[0]],
    ] {
        let ended = home.run([arguments, &["--json"]].concat());
        assert_eq!(ended.error_code(), "key_in_wrong_place", "{arguments:?}");
    }
    let mut of_a_session = home.command(["track", "openai", "test-large", "1", "1"]);
    of_a_session.env("CLAUDE_CODE_SESSION_ID", IDS[4]);
    home.run_with(of_a_session, "");
    assert!(home.run(["usage", "--export", "jsonl"]).stdout.contains(IDS[4]));
}

#[test]
fn what_has_no_price_is_counted_and_never_costs_nothing() {
    let home = home();
    let mut client = open(&home, LEGACY);
    let unknown = track(&mut client, json!({"model": "model-of-tomorrow"}));
    assert_eq!(
        (&unknown["priced"], &unknown["cost_usd"]),
        (&json!(false), &Value::Null)
    );
    assert!(
        unknown["warnings"][0].as_str().expect("said").contains("no price"),
        "{unknown}"
    );
    let free = client.structured(
        "track_request",
        json!({"provider": "ollama", "model": "llama3", "input_tokens": 5, "output_tokens": 5}),
    );
    assert_eq!(
        (&free["priced"], &free["cost_usd"], &free["provider"]),
        (&json!(true), &json!(0), &json!("local"))
    );
    let totals = client.structured("get_usage", json!({}))["totals"].clone();
    assert_eq!(
        (&totals["requests"], &totals["unpriced_requests"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        client.structured("check_budget", json!({}))["daily"]["unpriced_requests"],
        1
    );
}

#[test]
fn a_model_may_be_named_with_its_provider_in_front() {
    let home = home();
    let mut client = open(&home, LEGACY);
    let spelled = track(&mut client, json!({"model": "openai/test-large"}));
    assert_eq!(
        (&spelled["model"], &spelled["cost_usd"]),
        (&json!("test-large"), &json!(0.0105))
    );
    for (provider, model, named) in [
        ("openai", "openai/model-of-tomorrow", "model-of-tomorrow"),
        ("claude", "anthropic/model-of-tomorrow", "model-of-tomorrow"),
        ("openai", "google/test-small", "google/test-small"),
        ("groq", "openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        ("groq", "groq/openai/gpt-oss-20b", "openai/gpt-oss-20b"),
    ] {
        let asked = json!({"provider": provider, "model": model, "input_tokens": 1, "output_tokens": 1});
        assert_eq!(client.structured("track_request", asked)["model"], named, "{model}");
    }
    let ask = json!({"provider": "openai", "model": "openai/test-large", "input_tokens": 1000, "output_tokens": 500});
    let estimate = client.structured("estimate_cost", ask);
    assert_eq!(
        (&estimate["model"], &estimate["cost"]["total_usd"]),
        (&json!("test-large"), &json!(0.0105))
    );
}

#[test]
fn what_cannot_be_true_is_refused_and_nothing_is_recorded() {
    let home = home();
    let mut client = open(&home, LEGACY);
    for (wrong, code, named) in [
        (json!({"input_tokens": -1}), "invalid_argument", "input_tokens"),
        (json!({"output_tokens": -5}), "invalid_argument", "output_tokens"),
        (json!({"input_tokens": 1.5}), "invalid_argument", "input_tokens"),
        (json!({"input_tokens": "many"}), "invalid_argument", "input_tokens"),
        (
            json!({"input_tokens": 1_000_000_000_001_u64}),
            "invalid_argument",
            "input_tokens",
        ),
        (json!({"input_tokens": 1e30}), "invalid_argument", "input_tokens"),
        (
            json!({"cache_read_tokens": 1001}),
            "invalid_argument",
            "cache_read_tokens",
        ),
        (
            json!({"cache_read_tokens": 600, "cache_write_tokens": 401}),
            "invalid_argument",
            "cache_write_tokens",
        ),
        (json!({"reasoning_tokens": 501}), "invalid_argument", "reasoning_tokens"),
        (json!({"provider": "nobody"}), "unknown_provider", "nobody"),
        (json!({"provider": ""}), "unknown_provider", "provider"),
        (json!({"model": ""}), "invalid_argument", "model"),
        (json!({"model": "two words"}), "invalid_argument", "model"),
        (json!({"model": "m".repeat(201)}), "invalid_argument", "model"),
        (json!({"task_type": "poetry"}), "invalid_argument", "task_type"),
        (json!({"status_code": 99}), "invalid_argument", "status_code"),
        (json!({"status_code": 600}), "invalid_argument", "status_code"),
        (json!({"latency_ms": -1}), "invalid_argument", "latency_ms"),
        (
            json!({"retry_after_seconds": 604_801}),
            "invalid_argument",
            "retry_after_seconds",
        ),
        (json!({"success": "yes"}), "invalid_argument", "success"),
        (json!({"label": "two words"}), "invalid_argument", "label"),
        (json!({"request_id": " "}), "invalid_argument", "request_id"),
        (json!({"request_id": "a\u{7}b"}), "invalid_argument", "request_id"),
        (
            json!({"request_id": "sk-proj-0123456789abcdefghijklmnopqrstuv"}),
            "key_in_wrong_place",
            "request_id",
        ),
        (json!({"project": "p".repeat(101)}), "invalid_argument", "project"),
        (
            json!({"project": "sk-proj-0123456789abcdefghijklmnopqrstuv"}),
            "key_in_wrong_place",
            "project",
        ),
        (json!({"costs": 1}), "invalid_argument", "costs"),
    ] {
        let mut arguments =
            json!({"provider": "openai", "model": "test-large", "input_tokens": 1000, "output_tokens": 500});
        merge(&mut arguments, wrong.clone());
        let result = client.call("track_request", arguments);
        let error = &result["structuredContent"]["error"];
        assert_eq!(error["code"], code, "{wrong}: {result}");
        assert!(error.to_string().contains(named), "{wrong}: {error}");
        assert!(!error["hint"].as_str().expect("a hint").is_empty(), "{wrong}");
    }
    for missing in ["provider", "model", "input_tokens", "output_tokens"] {
        let mut arguments =
            json!({"provider": "openai", "model": "test-large", "input_tokens": 1000, "output_tokens": 500});
        arguments.as_object_mut().expect("an object").remove(missing);
        assert_eq!(
            client.failure("track_request", arguments),
            "invalid_argument",
            "{missing}"
        );
    }
    for (wrong, code) in [
        (json!({"days": 0}), "invalid_argument"),
        (json!({"days": 100_000}), "invalid_argument"),
        (json!({"days": -3}), "invalid_argument"),
        (json!({"days": "all"}), "invalid_argument"),
        (json!({"group_by": "colour"}), "invalid_argument"),
        (json!({"provider": "nobody"}), "unknown_provider"),
        (json!({"since": "2026"}), "invalid_argument"),
    ] {
        assert_eq!(client.failure("get_usage", wrong.clone()), code, "{wrong}");
    }
    assert_eq!(client.structured("get_usage", json!({}))["totals"]["requests"], 0);
    assert!(!home.path().join("ledger.db").exists(), "looking makes nothing");
}

#[test]
fn groups_add_up_whatever_they_are_made_by() {
    let home = home();
    let mut client = open(&home, LEGACY);
    for at in 0..20 {
        let more = json!({
            "input_tokens": 1000 + at, "success": at % 5 != 0, "label": if at % 2 == 0 { "work" } else { "home" },
            "task_type": if at % 3 == 0 { "chat" } else { "analysis" }, "project": format!("p{}", at % 4),
        });
        track(&mut client, more);
    }
    client.structured(
        "track_request",
        json!({"provider": "google", "model": "test-small", "input_tokens": 7, "output_tokens": 3}),
    );
    let totals = client.structured("get_usage", json!({"days": 1}))["totals"].clone();
    assert_eq!((&totals["requests"], &totals["errors"]), (&json!(21), &json!(4)));
    assert_eq!(totals["success_rate"], json!(0.8095));
    for (group_by, names) in [
        ("provider", vec!["google", "openai"]),
        ("model", vec!["google/test-small", "openai/test-large"]),
        ("task", vec!["", "analysis", "chat"]),
        ("project", vec!["", "p0", "p1", "p2", "p3"]),
        ("key", vec!["google", "openai:home", "openai:work"]),
    ] {
        let usage = client.structured("get_usage", json!({"days": 1, "group_by": group_by}));
        let groups = usage["groups"].as_array().expect("groups");
        let mut seen: Vec<&str> = groups
            .iter()
            .map(|group| group["name"].as_str().unwrap_or_default())
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, names, "{group_by}");
        for field in ["requests", "errors", "input_tokens", "output_tokens"] {
            let sum: u64 = groups.iter().map(|group| group[field].as_u64().expect("a count")).sum();
            assert_eq!(json!(sum), totals[field], "{group_by}: {field}");
        }
        let nano = |value: &Value| (value.as_f64().expect("a number") * 1e9).round();
        let cost: f64 = groups.iter().map(|group| nano(&group["cost_usd"])).sum();
        assert!((cost - nano(&totals["cost_usd"])).abs() < 0.5, "{group_by}");
    }
    for group_by in ["day", "month"] {
        let usage = client.structured("get_usage", json!({"days": 40, "group_by": group_by}));
        assert_eq!(usage["groups"].as_array().expect("groups").len(), 1, "{group_by}");
        assert_eq!(usage["groups"][0]["requests"], 21);
        assert_eq!(usage["daily"].as_array().expect("days").len(), 40);
    }
    let google = client.structured("get_usage", json!({"provider": "gemini"}));
    assert_eq!(
        (&google["provider"], &google["totals"]["requests"]),
        (&json!("google"), &json!(1))
    );
}

#[test]
fn an_alert_is_given_once_over_all_processes() {
    let home = home();
    let (mut one, mut other) = (open(&home, LEGACY), open(&home, MODERN));
    let spend = |client: &mut McpClient, cents: u64| {
        track(client, json!({"input_tokens": 0, "output_tokens": cents * 10_000 / 15}))
    };
    assert_eq!(spend(&mut one, 40).get("alerts"), None, "40 % of the day");
    let crossed = spend(&mut one, 15);
    assert_eq!(crossed["alerts"][0]["budget"], "daily");
    assert_eq!(crossed["alerts"][0]["threshold_percent"], 50);
    assert_eq!(spend(&mut other, 5).get("alerts"), None, "told already");
    let crossed = spend(&mut other, 45);
    assert_eq!(
        crossed["alerts"][0]["threshold_percent"], 100,
        "the highest one is told"
    );
    assert!(
        crossed["alerts"][0]["message"]
            .as_str()
            .expect("words")
            .contains("exceeded")
    );
    assert_eq!(
        crossed["budget"],
        json!({"daily_exceeded": true, "monthly_exceeded": false, "alert": true})
    );
    assert_eq!(spend(&mut one, 1).get("alerts"), None);
    let budget = one.structured("check_budget", json!({}));
    assert_eq!(budget["daily"]["limit_usd"], 1);
    assert_eq!(budget["enforcement"], "gateway");
    assert_eq!(
        (&budget["daily"]["exceeded"], &budget["daily"]["remaining_usd"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(budget["daily"]["percent"], 105);
    assert_eq!(budget["monthly"]["exceeded"], false);
    let over = home.run(["budget", "--check"]);
    assert_eq!(over.code, Some(1), "{}", over.stdout);
    assert!(
        over.stdout.contains("105%") && over.stderr.contains("exceeded"),
        "{}",
        over.stdout
    );
    assert_eq!(home.run(["budget"]).code, Some(0), "looking is no failure");
}

#[test]
fn limits_that_are_not_in_force_alert_nobody() {
    let home = Home::new();
    home.config(&CONFIG.replace("[budget]", "[budget]\nenabled = false"));
    let mut client = open(&home, LEGACY);
    let tracked = track(&mut client, json!({"output_tokens": 1_000_000}));
    assert_eq!(
        tracked["budget"],
        json!({"daily_exceeded": false, "monthly_exceeded": false, "alert": false})
    );
    assert_eq!(tracked.get("alerts"), None);
    let budget = client.structured("check_budget", json!({}));
    assert_eq!(
        (
            &budget["enabled"],
            &budget["enforcement"],
            &budget["daily"]["spent_usd"],
        ),
        (&json!(false), &json!("advisory"), &json!(15.003))
    );
    assert_eq!(home.run(["budget", "--check"]).code, Some(0));
}

#[test]
fn the_text_of_an_estimate_may_hold_anything() {
    let home = home();
    let mut client = open(&home, LEGACY);
    for text in [
        r#""integrity": "sha512-Zx3kQ9vB2nM7pL4tR8wY1cF6hJ5dS0aGZx3kQ9vB2nM7pL4tR8wY1cF6hJ5dS0aG==""#,
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
        "the client said: invalid key sk-proj-0123456789abcdefghijklmnopqrstuv",
    ] {
        let ask = json!({"provider": "openai", "model": "test-large", "output_tokens": 0, "text": text});
        let counted = client.structured("estimate_cost", ask)["input_tokens"].clone();
        let arguments = [
            "estimate",
            "openai",
            "0",
            "--model",
            "test-large",
            "--json",
            "--text",
            text,
        ];
        assert_eq!(home.run(arguments).json()["input_tokens"], counted, "{text}");
    }
}

#[test]
fn an_estimate_names_its_price_and_what_others_ask() {
    let home = home();
    let mut client = open(&home, LEGACY);
    let ask = json!({"provider": "openai", "model": "test-large", "input_tokens": 1000, "output_tokens": 500});
    let estimate = client.structured("estimate_cost", ask.clone());
    assert_eq!(estimate["cost"]["total_usd"], json!(0.0105));
    assert_eq!(
        (&estimate["cost"]["input_usd"], &estimate["cost"]["output_usd"]),
        (&json!(0.003), &json!(0.0075))
    );
    assert_eq!(
        (&estimate["price"]["source"], &estimate["price"]["as_of"]),
        (&json!("config.toml"), &Value::Null)
    );
    let with = |more: Value| {
        let mut ask = ask.clone();
        merge(&mut ask, more);
        ask
    };
    let batch = client.structured("estimate_cost", with(json!({"batch": true})));
    assert_eq!(batch["cost"]["total_usd"], json!(0.00525));
    let cached = client.structured("estimate_cost", with(json!({"cache_read_tokens": 1000})));
    assert_eq!(cached["cost"]["total_usd"], json!(0.0078));
    let compared = client.structured("estimate_cost", with(json!({"compare": true})));
    let totals: Vec<f64> = compared["alternatives"]
        .as_array()
        .expect("others")
        .iter()
        .map(|other| other["total_usd"].as_f64().expect("a number"))
        .collect();
    assert!(totals.len() > 10 && totals.is_sorted(), "{totals:?}");
    let text =
        json!({"provider": "openai", "model": "test-large", "output_tokens": 0, "text": "How much would this be?"});
    let counted = client.structured("estimate_cost", text);
    assert_eq!(counted["input_tokens"], 6);
    assert_eq!(
        counted["counted"],
        json!({"method": "counted with o200k_base", "margin_percent": 2})
    );
    let local = client.structured(
        "estimate_cost",
        json!({"provider": "local", "input_tokens": 9, "output_tokens": 9}),
    );
    assert_eq!(local["cost"]["total_usd"], 0);
    let usual = client.structured(
        "estimate_cost",
        json!({"provider": "claude", "input_tokens": 9, "output_tokens": 9}),
    );
    assert_eq!(usual["model_chosen"], "typical");
    for (wrong, code) in [
        (with(json!({"model": "test-larg"})), "unknown_model"),
        (with(json!({"text": "both"})), "invalid_argument"),
        (
            json!({"provider": "openai", "model": "test-large", "input_tokens": 5000, "text": "no output"}),
            "invalid_argument",
        ),
        (with(json!({"input_tokens": -1})), "invalid_argument"),
        (with(json!({"cache_read_tokens": 1001})), "invalid_argument"),
        (json!({"provider": "openai", "output_tokens": 1}), "invalid_argument"),
        (
            json!({"provider": "google", "model": "test-small", "input_tokens": 1, "output_tokens": 1, "batch": true}),
            "invalid_argument",
        ),
        (
            json!({"provider": "nobody", "input_tokens": 1, "output_tokens": 1}),
            "unknown_provider",
        ),
    ] {
        assert_eq!(client.failure("estimate_cost", wrong.clone()), code, "{wrong}");
    }
}

#[test]
fn the_most_used_model_is_the_one_that_is_meant() {
    let home = home();
    let mut client = open(&home, LEGACY);
    track(&mut client, json!({}));
    let estimate = client.structured(
        "estimate_cost",
        json!({"provider": "openai", "input_tokens": 1, "output_tokens": 1}),
    );
    assert_eq!(
        (&estimate["model"], &estimate["model_chosen"]),
        (&json!("test-large"), &json!("most_used"))
    );
}

#[test]
fn no_model_is_meant_that_cannot_answer_or_has_no_price() {
    let home = home();
    let mut client = open(&home, LEGACY);
    let ask = json!({"provider": "openai", "input_tokens": 1000, "output_tokens": 500});
    for model in ["model-of-tomorrow", "text-embedding-3-small"] {
        for _ in 0..2 {
            track(&mut client, json!({"model": model, "output_tokens": 0}));
        }
    }
    let typical = client.structured("estimate_cost", ask.clone());
    assert_eq!(typical["model_chosen"], "typical", "{typical}");
    track(&mut client, json!({}));
    let used = client.structured("estimate_cost", ask);
    assert_eq!(
        (&used["model"], &used["model_chosen"]),
        (&json!("test-large"), &json!("most_used"))
    );
    let prompt = json!({"provider": "openai", "input_tokens": 1000, "output_tokens": 0});
    let used = client.structured("estimate_cost", prompt);
    assert_eq!(
        used["model"], "text-embedding-3-small",
        "what is asked of it has no answer"
    );
}

#[test]
fn usage_of_a_provider_that_is_configured_no_more_can_be_asked_for() {
    let home = Home::new();
    home.config("[providers.my-vllm]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:9/v1\"\n");
    home.run(["track", "my-vllm", "m", "10", "1"]);
    home.config("");
    let ended = home.run(["usage", "my-vllm", "--json"]);
    assert_eq!(ended.json()["totals"]["requests"], 1, "{ended:?}");
    assert_eq!(home.run(["usage", "nobody", "--json"]).error_code(), "unknown_provider");
}

#[test]
fn subscribers_hear_of_usage_that_another_process_records() {
    let home = home();
    let uri = "api://usage";
    for revision in [LEGACY, MODERN] {
        let mut client = open(&home, revision);
        client.result("tools/list", json!({}));
        if client.is_modern() {
            client.request(
                "subscriptions/listen",
                json!({"notifications": {"resourceSubscriptions": [uri]}}),
            );
            assert_eq!(client.next()["method"], "notifications/subscriptions/acknowledged");
        } else {
            client.result("resources/subscribe", json!({"uri": uri}));
        }
        let ended = home.run(["track", "openai", "test-large", "1000", "500"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let news = client.next();
        assert_eq!(news["method"], "notifications/resources/updated", "{revision}");
        assert_eq!(news["params"]["uri"], uri);
        let read = client.result("resources/read", json!({"uri": uri}));
        let text = read["contents"][0]["text"].as_str().expect("text");
        let usage: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(usage["today"]["by_provider"][0]["provider"], "openai");
        assert_eq!(usage["this_month"]["requests"], usage["today"]["requests"]);
        assert_eq!(usage["budget"]["daily"]["limit_usd"], 1);
    }
}

#[cfg(unix)]
#[test]
fn a_local_zone_without_a_name_is_not_called_utc() {
    let home = Home::new();
    home.config("[budget]\ntime_zone = \"local\"\n");
    let in_zone = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("TZ", "<+05>-5");
        command
    };
    let budget = home.run_with(in_zone(&["budget", "--json"]), "").json();
    assert!(
        budget["daily"]["resets_at"].as_str().unwrap().ends_with("T19:00:00Z"),
        "{budget}"
    );
    assert_eq!(budget["time_zone"], "local (+05:00)");
    let usage = home.run_with(in_zone(&["usage", "--json"]), "").json();
    assert_eq!(usage["period"]["time_zone"], "local (+05:00)");
    let mut client = McpClient::open(in_zone(&["serve"]), LEGACY, json!({}));
    let read = client.result("resources/read", json!({"uri": "api://providers"}));
    let text = read["contents"][0]["text"].as_str().unwrap();
    let providers: Value = serde_json::from_str(text).unwrap();
    assert_eq!(providers["budget"]["time_zone"], "local (+05:00)");
}

#[test]
fn the_shell_has_the_same_numbers_and_tables_for_people() {
    let home = home();
    let none = home.run(["usage"]);
    assert!(
        none.stdout.starts_with("No requests recorded since 20"),
        "{}",
        none.stdout
    );
    let tracked = home.run([
        "track",
        "openai",
        "test-large",
        "1000",
        "500",
        "--request-id=r1",
        "--json",
    ]);
    assert_eq!(tracked.json()["cost_usd"], json!(0.0105), "{}", tracked.stderr);
    let again = home.run(["track", "openai", "test-large", "1000", "500", "--request-id=r1"]);
    assert!(again.stdout.starts_with("Already recorded as "), "{}", again.stdout);
    let wrong = home.run(["track", "openai", "test-large", "-5", "500", "--json"]);
    assert_eq!(
        (wrong.code, wrong.error_code()),
        (Some(2), "invalid_argument".to_owned())
    );
    let usage = home.run(["usage", "--group-by", "model"]).stdout;
    let row = usage
        .lines()
        .find(|line| line.starts_with("openai/test-large"))
        .expect("a row");
    assert!(row.ends_with("$0.01") && row.contains("1,000"), "{usage}");
    assert!(usage.contains("▕") && !usage.contains('\u{1b}'), "{usage}");
    let budget = home.run(["budget"]).stdout;
    assert!(
        budget.contains("today") && budget.contains('█') && budget.contains("$1.00"),
        "{budget}"
    );
    let estimate = home.run([
        "estimate",
        "openai",
        "1000",
        "500",
        "--model",
        "test-large",
        "--compare",
    ]);
    assert!(
        estimate.stdout.starts_with("openai/test-large: $0.0105\n"),
        "{}",
        estimate.stdout
    );
    let from_text = home.run([
        "estimate",
        "openai",
        "500",
        "--model",
        "test-large",
        "--text",
        "How much would this be?",
        "--json",
    ]);
    assert_eq!(
        (
            from_text.json()["input_tokens"].clone(),
            from_text.json()["output_tokens"].clone()
        ),
        (json!(6), json!(500))
    );
}

#[test]
fn the_first_day_of_a_report_is_the_one_of_the_zone() {
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"] {
        let home = Home::new();
        home.config(&format!("[budget]\ntime_zone = \"{zone}\""));
        home.run(["track", "local", "m", "1", "1"]);
        for days in ["1", "3"] {
            let told = || home.run(["usage", "--days", days, "--json"]).json()["daily"][0]["date"].clone();
            // Midnight may come in between.
            let (before, shown, after) = (told(), home.run(["usage", "--days", days]).stdout, told());
            let is_told = |day: &Value| shown.contains(&format!("since {} ", day.as_str().expect("a day")));
            assert!(is_told(&before) || is_told(&after), "{before}: {shown}");
        }
    }
}

#[test]
fn a_reported_request_has_its_service_its_time_and_what_the_provider_charged() {
    let home = home();
    let track = |arguments: &[&str]| {
        home.run([&["track", "openai", "test-large", "1000", "500", "--json"], arguments].concat())
    };
    let stated = track(&["--cost-usd", "0.02", "--occurred-at", "2026-11-01T12:00:00Z"]);
    let stated = stated.json();
    assert_eq!(
        (&stated["cost_usd"], &stated["cost_source"], &stated["own_cost_usd"]),
        (&json!(0.02), &json!("provider"), &json!(0.0105)),
        "{stated}"
    );
    let unpriced = track(&[
        "--service-tier",
        "flex",
        "--cache-write-tokens",
        "10",
        "--cache-write-1h-tokens",
        "4",
    ])
    .json();
    assert_eq!(
        (&unpriced["priced"], &unpriced["cost_source"]),
        (&json!(false), &Value::Null),
        "{unpriced}"
    );
    for wrong in [
        ["--cost-usd", "-1"],
        ["--cost-usd", "1000000000"],
        ["--occurred-at", "2099-01-01T00:00:00Z"],
        ["--occurred-at", "1999-01-01T00:00:00Z"],
        ["--occurred-at", "yesterday"],
        ["--service-tier", "golden"],
        ["--cache-write-1h-tokens", "4"],
    ] {
        let ended = track(&wrong);
        assert!(ended.code == Some(1) || ended.code == Some(2), "{wrong:?}: {ended:?}");
    }
    let exported = home.run(["usage", "--days", "3660", "--export", "jsonl"]).stdout;
    let rows: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(rows.len(), 2, "{exported}");
    assert_eq!(
        (&rows[0]["at"], &rows[0]["cost_source"]),
        (&json!("2026-11-01T12:00:00Z"), &json!("provider"))
    );
    assert_eq!(
        (&rows[1]["service"], &rows[1]["cache_write_1h_tokens"]),
        (&json!("flex"), &json!(4))
    );

    let mut client = open(&home, MODERN);
    let told = json!({"provider": "openai", "model": "test-large", "input_tokens": 1, "output_tokens": 1, "cost_usd": 0.5,
        "service_tier": "priority", "occurred_at": "2026-11-02"});
    assert_eq!(client.structured("track_request", told)["cost_source"], "provider");
}

#[test]
fn every_record_can_be_exported() {
    let home = home();
    for (id, project) in [("r1", "a,\"b\""), ("r2", "c")] {
        let request = format!("--request-id={id}");
        let project = format!("--project={project}");
        home.run([
            "track",
            "openai",
            "test-large",
            "1000",
            "500",
            request.as_str(),
            project.as_str(),
        ]);
    }
    home.run(["track", "openai", "unknown-model", "1", "1"]);
    let lines = home.run(["usage", "--export", "jsonl"]).stdout;
    let rows: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(
        (&rows[0]["request_id"], &rows[0]["cost_usd"], &rows[0]["estimated"]),
        (&json!("r1"), &json!(0.0105), &json!(false))
    );
    assert_eq!(rows[2]["cost_usd"], Value::Null);
    let csv = home.run(["usage", "--export", "csv"]).stdout;
    let mut table = csv::Reader::from_reader(csv.as_bytes());
    let columns = table.headers().expect("a head").clone();
    let at = |name| columns.iter().position(|column| column == name).expect("a column");
    let rows: Vec<csv::StringRecord> = table.records().map(|row| row.expect("a row")).collect();
    assert_eq!(
        (rows.len(), &rows[0][at("project")], &rows[1][at("cost_usd")]),
        (3, "a,\"b\"", "0.0105")
    );
    assert_eq!(home.run(["usage", "--export", "xml"]).code, Some(2));
}

#[test]
fn a_damaged_ledger_is_an_error_and_stays_as_it_is() {
    let home = home();
    home.run(["track", "openai", "test-large", "1000", "500"]);
    let file = home.path().join("ledger.db");
    let mut bytes = std::fs::read(&file).expect("a ledger");
    bytes.iter_mut().skip(100).for_each(|byte| *byte = 0x5a);
    std::fs::write(&file, &bytes).expect("written");
    for command in [
        vec!["usage"],
        vec!["budget"],
        vec!["track", "openai", "test-large", "1", "1"],
    ] {
        let mut command = command;
        command.push("--json");
        let ended = home.run(command);
        assert_eq!(
            (ended.code, ended.error_code()),
            (Some(1), "ledger_damaged".to_owned()),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
    }
    assert_eq!(std::fs::read(&file).expect("still there"), bytes);
    assert_eq!(home.run(["list"]).code, Some(0), "keys don't need it");
}

#[test]
fn money_is_set_aside_only_for_what_costs_and_never_for_nothing() {
    let home = home();
    let app = |config: &str| {
        home.config(config);
        let environment = Environment::of([("API_KEYS_HOME", home.path().to_str().expect("a path"))]);
        let settings = Settings::open(&environment).expect("settings");
        App::new(settings, Clock::Fixed("2026-11-24T12:00:00Z".parse().expect("a time")))
    };
    let until = "2026-11-24T12:05:00Z".parse().expect("a time");
    let code = |outcome: Result<bool, Error>| outcome.map_err(|why| why.code());
    // Whether there was anything to set aside.
    let reserve = |app: &App, most| {
        let claim = budget_claim::claim(&app.settings().current().budget, None, most, app.now())?;
        let lease = LeaseChange {
            id: None,
            client: None,
            limits: &claim.limits,
            keep: Usd::ZERO,
            asks: &[claim.amount],
            slice: Usd::ZERO,
        };
        let fold = Fold {
            holder: "somebody",
            ended: &[],
            position: None,
            leases: &[lease],
            budgets: &[],
            until,
        };
        if let Granted::No { limit, spent } = app.ledger().fold(&fold, app.now())?.leases[0].asks[0] {
            return Err(claim.refusal(limit, spent, None));
        }
        Ok(!claim.limits.is_empty())
    };
    let usual = app(&CONFIG.replace("[budget]", "[budget]\nunpriced_cap = 0"));
    assert_eq!(code(reserve(&usual, Some(Usd::ZERO))), Ok(false), "free");
    assert_eq!(code(reserve(&usual, None)), Err(Code::PriceUnknown));
    let most = Usd::from_nano(600_000_000);
    assert_eq!(code(reserve(&usual, Some(most))), Ok(true), "it fits");
    assert_eq!(
        code(reserve(&usual, Some(most))),
        Err(Code::OverBudget),
        "two do not fit into the day"
    );
    let capped = app(&CONFIG.replace("[budget]", "[budget]\nunpriced_cap = 0.3"));
    assert_eq!(code(reserve(&capped, None)), Ok(true), "it fits");
    assert_eq!(
        code(reserve(&capped, None)),
        Err(Code::OverBudget),
        "it is counted at the cap"
    );
    let standing = budget_status::check(&capped).expect("readable").daily;
    assert_eq!(
        (standing.reserved, standing.spent),
        (Usd::from_nano(900_000_000), Usd::ZERO)
    );
    let off = app(&CONFIG.replace("[budget]", "[budget]\nenabled = false"));
    assert_eq!(code(reserve(&off, None)), Ok(false), "not in force");
}

#[test]
fn a_request_to_be_recorded_while_another_process_writes_holds_up_no_other_call() {
    let home = home();
    let mut client = open(&home, MODERN);
    track(&mut client, json!({}));
    let other = rusqlite::Connection::open(home.path().join("ledger.db")).expect("a ledger");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    let request = json!({"provider": "openai", "model": "test-large", "input_tokens": 1000, "output_tokens": 500});
    let waiting = client.request("tools/call", json!({"name": "track_request", "arguments": request}));
    client.structured("estimate_cost", request);
    assert_eq!(client.aside, Vec::<Value>::new(), "it waits");
    other.execute_batch("ROLLBACK").expect("it goes on");
    let tracked = client.answer(waiting);
    assert_eq!(tracked["result"]["structuredContent"]["priced"], true, "{tracked}");
    assert_eq!(home.run(["usage", "--json"]).json()["totals"]["requests"], 2);
}

#[test]
fn old_records_can_go_and_their_sums_stay() {
    let home = home();
    home.run(["track", "openai", "test-large", "10", "10"]);
    let ledger = rusqlite::Connection::open(home.path().join("ledger.db")).expect("a ledger");
    ledger
        .execute("UPDATE record SET at = at - 10 * 24 * 3600 * 1000", [])
        .expect("older");
    home.run(["track", "openai", "test-large", "1", "1"]);
    let before = home.run(["usage", "--json"]).json();
    assert_eq!(before["totals"]["requests"], 2);
    assert_eq!(home.run(["prune"]).code, Some(2), "never without an age");
    assert_eq!(home.run(["prune", "--older-than", "0"]).code, Some(2));
    let kept = home.run(["prune", "--older-than", "11", "--json"]).json();
    assert_eq!(kept, json!({"removed": 0}));
    let pruned = home.run(["prune", "--older-than", "9", "--json"]).json();
    assert_eq!(pruned, json!({"removed": 1}));
    assert_eq!(home.run(["usage", "--json"]).json()["totals"], before["totals"]);
    let exported = home.run(["usage", "--days", "30", "--export", "jsonl"]).stdout;
    assert_eq!(exported.lines().count(), 1);
}

#[test]
fn doctor_tells_of_budgets_and_of_what_nobody_can_count() {
    let home = home();
    home.run(["track", "openai", "test-large", "0", "60000"]);
    home.run(["track", "openai", "no-such-model", "1", "1"]);
    let ended = home.run(["doctor", "--offline", "--json"]);
    let findings = ended.json()["findings"].as_array().expect("findings").clone();
    let said: Vec<&str> = findings
        .iter()
        .filter(|finding| finding["check"] == "budget")
        .map(|finding| finding["message"].as_str().expect("words"))
        .collect();
    assert_eq!(
        said,
        [
            "80% of the daily budget used ($0.90 of $1.00)",
            "the cost of 1 request this month is unknown"
        ]
    );
}
