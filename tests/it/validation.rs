//! Validation through the server: all keys at once, in bounded time, and written down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    Home, eventually, is_quick,
    mcp_client::{LEGACY, McpClient},
    stand_in::{Reply, StandIn},
};

fn start(home: &Home, keys: usize) -> McpClient {
    let mut client = McpClient::open(home.command(["serve"]), LEGACY, json!({}));
    for number in 0..keys {
        client.structured(
            "add_api_key",
            json!({"provider": "openai", "label": format!("key-{number}"), "api_key": format!("sk-proj-{number}-0123456789abcdefghij")}),
        );
    }
    client
}

#[test]
fn all_keys_are_checked_within_twelve_seconds_even_if_every_provider_hangs() {
    let provider = StandIn::answering(Reply::silence());
    // Four are checked at a time, each for ten seconds: without an end to the round it would take twenty.
    let round = || {
        let home = Home::with_openai(&provider);
        let mut client = start(&home, 6);
        let since = Instant::now();
        let result = client.structured("validate_all_keys", json!({}));
        let took = since.elapsed();
        assert_eq!(
            (&result["total"], &result["undetermined"]),
            (&json!(6), &json!(6)),
            "{result}"
        );
        let mut results = result["results"].as_array().unwrap().iter();
        assert!(results.all(|one| one["is_valid"].is_null() && one["status"] == "unreachable"));
        took
    };
    assert!(is_quick(Duration::from_secs(12), round), "no round ended in time");
}

/// A process that was stopped while writing: it holds the vault's lock.
fn stopped_writer(home: &Home) -> std::fs::File {
    let lock = std::fs::File::open(home.path().join("vault.lock")).expect("the lock file");
    lock.lock().expect("nobody else writes");
    lock
}

#[test]
fn a_stopped_process_that_holds_the_vault_delays_nobody_for_long() {
    let provider = StandIn::answering(Reply::json(200, &json!({"object": "list", "data": []})));
    let home = Home::with_openai(&provider);
    let mut client = start(&home, 6);
    let held = stopped_writer(&home);
    let all = client.request("tools/call", json!({"name": "validate_all_keys", "arguments": {}}));
    let listed = client.structured("list_api_keys", json!({}));
    assert_eq!(listed["total_count"], 6);
    let is_answered = client.aside.iter().any(|message| message["id"] == all);
    assert!(!is_answered, "others are answered meanwhile");
    let answer = client.answer(all);
    let result = &answer["result"]["structuredContent"];
    assert_eq!(result["undetermined"], 6, "{answer}");
    assert!(provider.requests().is_empty(), "no audit line, no use");

    drop(held);
    assert_eq!(client.structured("validate_all_keys", json!({}))["valid"], 6);
    // At the end of input, the server does not wait long for it.
    let held = stopped_writer(&home);
    client.request(
        "tools/call",
        json!({"name": "remove_api_key", "arguments": {"provider": "openai", "label": "key-0"}}),
    );
    let goodbye = client.hang_up();
    assert!(goodbye.status.success());
    drop(held);
    assert_eq!(home.run(["list", "--json"]).json()["total_count"], 6);
}

#[test]
fn the_providers_verdict_is_reported_even_if_it_cannot_be_stored() {
    let provider = StandIn::answering(Reply::json(200, &json!({"object": "list", "data": []})));
    let home = Home::with_openai(&provider);
    let file = home.path().join("vault.json");
    let add = |label: &str, key: &str| {
        let ended = home.run_with(home.command(["add", "openai", "--stdin", "--label", label]), key);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    };
    add("one", "sk-proj-one0123456789abcdef");
    let old = std::fs::read(&file).expect("the vault");
    add("two", "sk-proj-two0123456789abcdef");
    std::fs::write(&file, old).expect("an old vault in its place");

    let one = home.run(["validate", "openai:one", "--json"]).json();
    assert_eq!(one["status"], "valid", "{one}");
    assert!(one["warnings"].to_string().contains("older than"), "{one}");
    let all = home.run(["validate", "--all", "--json"]).json();
    assert_eq!(all["valid"], 1, "{all}");
    assert!(all["warnings"].to_string().contains("older than"), "{all}");
    let doctor = home.run(["doctor", "--json"]);
    assert_eq!(doctor.code, Some(1));
    let findings = doctor.json()["findings"].to_string();
    assert!(
        findings.contains("older than") && findings.contains("openai:one works"),
        "{findings}"
    );
}

#[test]
fn a_command_asks_anew_and_a_client_at_most_once_a_minute() {
    let provider = StandIn::answering(Reply::json(200, &json!({"object": "list", "data": []})));
    let home = Home::with_openai(&provider);
    let mut client = start(&home, 1);
    let asked = |times: usize| assert_eq!(provider.requests().len(), times);
    for _ in 0..2 {
        client.structured("validate_key", json!({"provider": "openai", "label": "key-0"}));
        client.structured("validate_all_keys", json!({}));
    }
    asked(1);
    for (times, command) in [
        (2, &["validate", "openai:key-0"][..]),
        (3, &["validate", "--all"]),
        (4, &["doctor"]),
    ] {
        assert_eq!(home.run(command).code, Some(0), "{command:?}");
        asked(times);
    }
    client.structured("validate_all_keys", json!({}));
    asked(4);
}

#[test]
fn whatever_doctor_finds_about_a_key_comes_with_its_fix() {
    for (status, code, mend) in [
        (401, "invalid_api_key", "api-keys rotate openai"),
        (402, "no_credit", "add credit"),
        (403, "forbidden", "more permissions"),
        (429, "slow_down", "nothing to do"),
        (500, "broken", "check the network"),
    ] {
        let provider = StandIn::answering(Reply::json(status, &json!({"error": {"code": code}})));
        let home = Home::with_openai(&provider);
        let added = home.run_with(
            home.command(["add", "openai", "--stdin"]),
            "sk-proj-one0123456789abcdef",
        );
        assert_eq!(added.code, Some(0), "{added:?}");
        let mend_of = || {
            let said = home.run(["doctor", "--json"]).json();
            let mut findings = said["findings"].as_array().expect("findings").iter();
            let found = findings.find(|finding| finding["check"] == "provider");
            found.expect("a finding")["mend"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        assert!(mend_of().contains(mend), "{status}: {}", mend_of());
        home.config("[vault]\nmaster_key = \"key-file\"\n[providers.openai]\nbase_url = \"http://127.0.0.1:9/v1\"\n");
        assert!(mend_of().contains("set `base_url` of openai back"), "{}", mend_of());
    }
}

#[test]
fn four_keys_are_checked_at_a_time_and_progress_is_reported() {
    let (arrived, released) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, gate) = (Arc::clone(&arrived), Arc::clone(&released));
    let provider = StandIn::start(move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        eventually(|| gate.load(Ordering::SeqCst), "the test lets the requests go on");
        let key = request.header("authorization").unwrap_or_default();
        if key.contains("-3-") {
            Reply::json(401, &json!({"error": {"code": "invalid_api_key"}}))
        } else {
            Reply::json(200, &json!({"object": "list", "data": []}))
        }
    });
    let home = Home::with_openai(&provider);
    let mut client = start(&home, 9);
    let id = client.request(
        "tools/call",
        json!({"name": "validate_all_keys", "arguments": {}, "_meta": {"progressToken": "round"}}),
    );
    eventually(|| arrived.load(Ordering::SeqCst) >= 4, "four at a time");
    // The server has done everything it can do now when it answers the next call.
    client.structured("list_api_keys", json!({}));
    assert_eq!(arrived.load(Ordering::SeqCst), 4, "a fifth waits");
    released.store(true, Ordering::SeqCst);
    let answer = client.answer(id);
    let result = &answer["result"]["structuredContent"];
    assert_eq!(
        (&result["total"], &result["valid"], &result["invalid"]),
        (&json!(9), &json!(8), &json!(1)),
        "{answer}"
    );
    let told: Vec<_> = client
        .aside
        .iter()
        .filter(|message| message["method"] == "notifications/progress")
        .collect();
    assert_eq!(told.len(), 9, "{told:?}");
    assert_eq!(told[8]["params"]["progress"].as_f64(), Some(9.0));
    assert_eq!(told[8]["params"]["total"].as_f64(), Some(9.0));

    // Written down, for this process and the next.
    let listed = home.run(["list", "--json"]).json();
    let refused = listed["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["label"] == "key-3")
        .unwrap();
    assert_eq!(refused["validation"]["status"], "invalid");
    assert!(refused["attention"].to_string().contains("invalid"), "{refused}");
}

#[test]
fn a_server_without_keys_can_be_asked_about_without_one() {
    let ollama = StandIn::routes([("GET /api/version", Reply::json(200, &json!({"version": "0.9.0"})))]);
    let home = Home::new();
    home.config(&format!("[providers.local]\nbase_url = \"{}\"\n", ollama.url()));
    let ended = home.run(["validate", "ollama", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.json()["status"], "valid");
    assert!(!home.path().join("vault.json").exists(), "asking made no vault");
}

#[test]
fn the_exit_code_says_whether_a_provider_refuses_a_key() {
    for (reply, code) in [
        (Reply::json(200, &json!({"object": "list", "data": []})), 0),
        (Reply::json(401, &json!({"error": {"code": "invalid_api_key"}})), 1),
        (Reply::json(503, &json!({})), 0),
    ] {
        let provider = StandIn::answering(reply);
        let home = Home::with_openai(&provider);
        let key = "sk-proj-0123456789abcdefghij";
        home.run_with(home.command(["add", "openai", "--stdin"]), key);
        for arguments in [
            &["validate", "openai"][..],
            &["validate", "openai", "--json"],
            &["validate", "--all"],
        ] {
            let ended = home.run(arguments);
            assert_eq!(ended.code, Some(code), "{ended:?}");
            assert!(!ended.stdout.is_empty(), "{ended:?}");
        }
    }
}
