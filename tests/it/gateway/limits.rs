//! Limits of requests per minute, of clients and of providers' keys.

use std::{ops::RangeInclusive, time::Instant};

use super::*;
use crate::support::private_file;

/// The least time after which one of `limit` requests per minute comes back, in whole seconds.
fn seconds_between(limit: u64) -> u64 {
    60_u64.div_ceil(limit)
}

/// How many requests `limit` allows from `since` on, at least and at most: some come back on a machine that is slow.
fn allowed(limit: u64, since: Instant) -> RangeInclusive<usize> {
    let come_back = since.elapsed().as_secs() * limit / 60;
    let count = |count: u64| usize::try_from(count).unwrap();
    count(limit)..=count(limit + come_back)
}

fn wait(answer: &Answer) -> u64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[test]
fn a_client_that_has_sent_its_requests_of_the_minute_is_refused_in_its_own_format() {
    let scene = Scene::with(of_every_format(), "", &[], &["--requests-per-minute", "1"]);
    let (gateway, client) = (&scene.gateway, &scene.client);
    let message = json!({"model": "anthropic/m", "max_tokens": 5, "messages": []});
    assert_eq!(gateway.post("/v1/messages", client, &message).status, 200);
    let theirs = gateway.post("/v1/messages", client, &message);
    assert_eq!(
        (theirs.status, &theirs.json()["error"]["type"]),
        (429, &json!("rate_limit_error"))
    );
    assert!(
        (1..=seconds_between(1)).contains(&wait(&theirs)),
        "{:?}",
        theirs.headers
    );
    let message = theirs.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("client tester") && message.contains(" 1 request"),
        "{message}"
    );
    let openai = gateway.post("/v1/responses", client, &json!({"model": "openai/m", "input": "hi"}));
    assert_eq!(
        (openai.status, &openai.json()["error"]["code"]),
        (429, &json!("rate_limited"))
    );
    let google = gateway.post("/p/google/v1beta/models/m:generateContent?alt=json", client, &json!({}));
    assert_eq!(google.json()["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(scene.provider.requests().len(), 1);

    assert_eq!(gateway.get("/v1/models", client).status, 200, "asks no provider");
    let other = scene.home.client(&["other"]);
    let asked = gateway.post("/v1/responses", &other, &json!({"model": "openai/m", "input": "hi"}));
    assert_eq!(asked.status, 200, "has no limit");
}

#[test]
fn of_many_requests_at_once_so_many_reach_the_provider_as_are_configured() {
    let scene = Scene::with(
        StandIn::answering(Reply::json(200, &completion())),
        "[providers.openai.keys.default]\nrate_limit = 5\n",
        &[],
        &[],
    );
    let since = Instant::now();
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..32).map(|_| scope.spawn(|| scene.chat(chat()).status)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!(allowed(5, since).contains(&served), "{served}");
    assert_eq!(statuses, [vec![200; served], vec![429; 32 - served]].concat());
    assert_eq!(scene.provider.requests().len(), served);
    // What was refused set nothing aside.
    scene.home.totals(u64::try_from(served).unwrap());
    let reserved = || scene.home.run(["budget", "--json"]).json()["daily"]["reserved_usd"] == 0;
    eventually(reserved, "nothing is set aside");
}

#[test]
fn each_key_has_the_limit_of_its_account() {
    let limit = |key: &str, rest: &str| format!("[providers.openai.keys.{key}]\nrate_limit = 1\n{rest}\n");
    let pool = "pool = \"acme\"";
    for (config, requests) in [
        (limit("default", "") + &limit("second", ""), 2),
        (limit("default", pool) + &limit("second", pool), 1),
    ] {
        let scene = Scene::with_two_keys(&config, || Reply::json(200, &completion()));
        for number in 0..requests {
            let answer = scene.chat(chat());
            let attempts = answer.header("x-api-keys-attempts");
            assert_eq!((answer.status, attempts), (200, Some("1")), "{config}: {number}");
        }
        assert_eq!(scene.chat(chat()).status, 429, "{config}");
        assert_eq!(scene.provider.requests().len(), requests, "{config}");
    }
}

#[test]
fn who_would_wait_is_served_when_the_limit_allows_it() {
    let scene = Scene::with(
        StandIn::answering(Reply::json(200, &completion())),
        "[providers.openai.keys.default]\nrate_limit = 40\n[gateway]\nmax_wait = 60\n",
        &[],
        &[],
    );
    for _ in 0..40 {
        assert_eq!(scene.chat(chat()).status, 200);
    }
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str()), ("x-api-keys-wait", "60")];
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = || {
            let body = chat().to_string();
            scene
                .gateway
                .send("POST", "/v1/chat/completions", &headers, body.as_bytes())
                .status
        };
        let asking: Vec<_> = (0..2).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200, 200], "one comes back in one and a half seconds");
}

#[test]
fn a_limit_holds_for_a_provider_without_keys_and_until_the_configuration_changes() {
    let scene = Scene::with(StandIn::answering(Reply::json(200, &completion())), "", &[], &[]);
    let path = scene.home.path().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let of_mine = "[providers.mine]\n";
    let ask = || scene.chat(json!({"model": "mine/any", "messages": []})).status;
    std::fs::write(&path, config.replace(of_mine, &format!("{of_mine}rate_limit = 1\n"))).unwrap();
    assert_eq!((ask(), ask()), (200, 429));
    std::fs::write(&path, config.replace(of_mine, &format!("{of_mine}rate_limit = 2\n"))).unwrap();
    assert_eq!((ask(), ask(), ask()), (200, 200, 429));
    std::fs::write(&path, &config).unwrap();
    assert_eq!((ask(), ask()), (200, 200));
}

#[test]
fn a_clients_limit_is_shown_and_must_be_a_number() {
    let home = Home::new();
    home.client(&["editor", "--requests-per-minute", "30"]);
    home.client(&["tester"]);
    let listed = home.run(["client", "list", "--json"]).json();
    assert_eq!(
        (
            &listed["clients"][0]["requests_per_minute"],
            &listed["clients"][1]["requests_per_minute"]
        ),
        (&json!(30), &Value::Null)
    );
    let shown = home.run(["client", "list"]).stdout;
    assert!(shown.contains("PER MINUTE") && shown.contains(" 30 "), "{shown}");
    for wrong in ["0", "-1", "1.5", "many", "1000001"] {
        let told = home.run(["client", "add", "other", "--json", "--requests-per-minute", wrong]);
        assert_eq!(told.error_code(), "invalid_argument", "{wrong}");
    }
}

#[test]
fn a_list_of_clients_that_was_written_once_is_read_for_ever() {
    let golden = include_bytes!("../../data/clients-1.json");
    let home = Home::new();
    let file = home.path().join("clients.json");
    private_file(&file, golden);
    let listed = home.run(["client", "list", "--json"]).json();
    let client = &listed["clients"][0];
    assert_eq!(
        (&client["name"], &client["providers"], &client["requests_per_minute"]),
        (&json!("editor"), &json!(["anthropic", "openai"]), &json!(30))
    );
    assert_eq!(
        (&client["daily_limit_usd"], &client["monthly_limit_usd"]),
        (&json!(2.5), &json!(40))
    );
    let other = &listed["clients"][1];
    assert_eq!(
        (&other["name"], &other["expires_at"]),
        (&json!("tester"), &json!("2126-11-24T00:00:00Z"))
    );
    assert_eq!(std::fs::read(&file).unwrap(), golden, "reading changes nothing");
    let known = home
        .gateway(&[])
        .get("/v1/models", "akc_Q3-WBGdvHSQqNzgawXaQ26j97FipIyiME2kIa-m5Fhk");
    assert_eq!(known.status, 200, "the key is known");

    let newer = json!({"format": "api-keys clients", "version": 2, "clients": [], "more": 1});
    private_file(&file, newer.to_string().as_bytes());
    let told = home.run(["client", "list", "--json"]);
    assert_eq!(told.error_code(), "clients_damaged");
    assert!(told.stdout.contains("newer version"), "{told:?}");
}
