//! Destinations by the command line, and what each channel gets.

use super::*;

/// A server that takes everything.
fn server() -> StandIn {
    StandIn::answering(Reply::json(200, &json!({"ok": true})))
}

#[test]
fn a_destination_is_added_tested_listed_and_removed_and_its_secret_shows_nowhere() {
    let server = server();
    let home = home();
    let added = add(
        &home,
        &["slack", "ops", "--min-severity", "warning"],
        &secret_address(&server),
    );
    assert!(
        added.stdout.contains("Added ops (slack): http://127.0.0.1/…PATH"),
        "{added:?}"
    );
    let listed = home.run(["alerts", "list", "--json"]);
    let ops = &listed.json()["destinations"][0];
    assert_eq!(
        (&ops["kind"], &ops["min_severity"]),
        (&json!("slack"), &json!("warning"))
    );
    assert_eq!(ops["masked"], "http://127.0.0.1/…PATH");
    let tested = home.run(["alerts", "test", "ops"]);
    assert_eq!(
        (tested.code, tested.stdout.trim()),
        (Some(0), "ops: accepted"),
        "{tested:?}"
    );
    let body = server.requests()[0].json();
    assert!(body["text"].as_str().unwrap().starts_with("Test of ops"), "{body}");
    let keys = home.run(["list", "--json"]);
    assert_eq!(keys.json()["keys"].as_array().map(Vec::len), Some(0), "{keys:?}");
    let history = home.run(["alerts", "history", "--json"]);
    let audit = home.run(["audit", "--json"]);
    expect_no_canary(&home, &[&added, &listed, &tested, &keys, &history, &audit]);
    let removed = home.run(["alerts", "remove", "ops", "--json"]);
    assert_eq!(removed.json()["removed"], true, "{removed:?}");
    assert_eq!(home.run(["alerts", "list", "--json"]).json()["destinations"], json!([]));
    let unknown = home.run(["alerts", "test", "ops", "--json"]);
    assert_eq!(unknown.error_code(), "destination_not_found");
}

#[test]
fn a_wrong_secret_is_refused_and_nothing_is_changed() {
    let home = home();
    let before = std::fs::read_to_string(home.path().join("config.toml")).unwrap();
    let command = home.command(["alerts", "add", "slack", "ops", "--stdin", "--json"]);
    let refused = home.run_with(command, &format!("ftp://{CANARY}\n"));
    assert_eq!(refused.error_code(), "malformed_key", "{refused:?}");
    assert!(!refused.stdout.contains(CANARY) && !refused.stderr.contains(CANARY));
    assert_eq!(
        std::fs::read_to_string(home.path().join("config.toml")).unwrap(),
        before
    );
}

#[test]
fn every_channel_gets_an_alert_in_its_own_form() {
    let server = server();
    let home = home();
    let file = home.beside("received.json");
    let address = secret_address(&server);
    for kind in ["slack", "discord", "teams", "ntfy", "webhook"] {
        add(&home, &[kind, kind], &format!("{address}/{kind}"));
    }
    let url = server.url();
    let token = format!("123456:{CANARY}aaaaaaaaaaaaaaaaaaaa");
    add(&home, &["telegram", "telegram", "--chat", "42", "--url", &url], &token);
    let events = format!("{url}/v2/enqueue");
    add(&home, &["pagerduty", "pager", "--url", &events], &"k".repeat(32));
    let script = format!("cat > {}", file.display());
    let command = [
        "alerts",
        "add",
        "command",
        "own",
        "--program",
        "sh",
        "--program=-c",
        "--program",
        &script,
    ];
    assert_eq!(home.run(command).code, Some(0));
    raise(&home, "openai:default", 0);
    let attempts = turn(&home, 1);
    assert_eq!(attempts.len(), 8, "{attempts:?}");
    assert!(
        attempts.iter().all(|attempt| attempt.verdict == SendVerdict::Accepted),
        "{attempts:?}"
    );
    let requests = server.requests();
    let of = |end: &str| {
        requests
            .iter()
            .find(|request| request.path.ends_with(end))
            .unwrap()
            .json()
    };
    assert!(
        of("/slack")["blocks"][0]["text"]["text"]
            .as_str()
            .unwrap()
            .contains("openai:default")
    );
    assert_eq!(of("/discord")["allowed_mentions"]["parse"], json!([]));
    assert_eq!(of("/teams")["attachments"][0]["content"]["type"], "AdaptiveCard");
    assert_eq!(of(CANARY)["topic"], "ntfy");
    assert_eq!(of("/sendMessage")["chat_id"], "42");
    assert_eq!(of("/enqueue")["event_action"], "trigger");
    assert_eq!(of("/webhook")["alerts"][0]["kind"], "key_refused");
    let own: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(own["alerts"][0]["subject"], "openai:default");
    assert!(turn(&home, 2).is_empty(), "once");
    let history = home.run(["alerts", "history", "--json"]);
    expect_no_canary(&home, &[&history]);
}

#[test]
fn a_muted_kind_is_not_sent_and_the_timer_is_printed() {
    let server = server();
    let home = home_with_webhook(&server);
    let muted = home.run(["alerts", "mute", "key_refused", "--for", "2h", "--json"]);
    assert!(muted.json()["muted_until"].is_string(), "{muted:?}");
    raise(&home, "openai:default", 0);
    assert!(turn(&home, 1).is_empty());
    assert_eq!(home.run(["alerts", "mute", "key_refused", "--off"]).code, Some(0));
    raise(&home, "openai:other", 2);
    assert_eq!(turn(&home, 3).len(), 1);
    if cfg!(target_os = "linux") {
        let printed = home.run(["alerts", "install", "--dry-run"]);
        assert!(printed.stdout.contains("OnUnitActiveSec=5min"), "{printed:?}");
    }
}
