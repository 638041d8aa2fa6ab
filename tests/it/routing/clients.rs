//! Routing as clients see it, and servers on this machine.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{
    Home, PATIENCE, eventually,
    mcp_client::{LEGACY, MODERN, McpClient},
    stand_in::{Reply, StandIn},
};

const KEYS: [(&str, &str); 2] = [
    ("anthropic", "sk-ant-api03-0123456789abcdefghijklmnop"),
    ("openai", "sk-proj-0123456789abcdefghijklmnopqrst"),
];

fn open(home: &Home, revision: &str) -> McpClient {
    McpClient::open(home.command(["serve"]), revision, json!({}))
}

/// A home with keys of two providers, and a server for local models at `local`, or none.
fn home(local: Option<&str>, more: &str) -> Home {
    let local = local.map_or_else(|| "enabled = false".to_owned(), |url| format!("base_url = \"{url}\""));
    let home = Home::new();
    home.config(&format!(
        "[vault]\nmaster_key = \"key-file\"\nkeys_in_chat = \"allow\"\n[providers.local]\n{local}\n{more}"
    ));
    let mut client = open(&home, LEGACY);
    for (provider, key) in KEYS {
        client.structured("add_api_key", json!({"provider": provider, "api_key": key}));
    }
    home
}

fn ollama(models: &Value) -> StandIn {
    StandIn::routes([("GET /api/tags", Reply::json(200, &json!({ "models": models })))])
}

/// An address where nothing listens.
fn nowhere() -> String {
    let gone = StandIn::answering(Reply::html(200));
    gone.url()
}

fn route(client: &mut McpClient, more: &Value) -> Value {
    let mut arguments = json!({"task_type": "chat"});
    arguments
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    client.structured("route_request", arguments)
}

/// Sets the clock forward, as far as keys are left alone.
fn cooldowns_are_over(home: &Home) {
    let ledger = rusqlite::Connection::open(home.path().join("ledger.db")).expect("a ledger");
    let changed = ledger.execute("UPDATE health SET until = since", []).expect("written");
    assert!(changed > 0);
}

fn track(client: &mut McpClient, more: &Value) {
    let mut arguments =
        json!({"provider": "anthropic", "model": "claude-opus-4-8", "input_tokens": 10, "output_tokens": 10});
    arguments
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    client.structured("track_request", arguments);
}

#[test]
fn servers_share_a_cooldown_and_its_one_attempt_and_a_new_server_knows_of_it() {
    let home = home(None, "");
    let (mut one, mut other) = (open(&home, LEGACY), open(&home, MODERN));
    assert_eq!(route(&mut one, &json!({}))["provider"], "anthropic");
    assert_eq!(route(&mut other, &json!({}))["provider"], "anthropic");
    track(
        &mut one,
        &json!({"success": false, "status_code": 429, "retry_after_seconds": 600}),
    );
    for client in [&mut one, &mut other, &mut open(&home, LEGACY)] {
        let route = route(client, &json!({}));
        assert_eq!(
            (&route["provider"], &route["is_fallback"]),
            (&json!("openai"), &json!(true))
        );
        assert_eq!(route["original_provider"], "anthropic");
        let anthropic = route["considered"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["provider"] == "anthropic")
            .unwrap();
        assert_eq!(anthropic["verdict"], "rate_limited");
        assert!(
            anthropic["until"].is_string() && anthropic["other_models"].as_u64() > Some(5),
            "{anthropic}"
        );
    }
    // Ten minutes later it is over by itself, for one request of whichever server asks first.
    cooldowns_are_over(&home);
    let mut firsts = 0;
    let comes_back = || {
        for client in [&mut one, &mut other] {
            firsts += usize::from(route(client, &json!({}))["provider"] == "anthropic");
        }
        firsts > 0
    };
    eventually(comes_back, "it comes back");
    assert_eq!(firsts, 1);
    assert_eq!(route(&mut one, &json!({}))["provider"], "openai");
    let stats = other.structured("get_provider_stats", json!({"provider": "anthropic"}));
    let health = &stats["providers"][0]["health"];
    assert_eq!(
        (&health["status"], &health["circuit"]),
        (&json!("probing"), &json!("half_open"))
    );
    track(&mut other, &json!({"latency_ms": 700}));
    for client in [&mut one, &mut other] {
        assert_eq!(route(client, &json!({}))["provider"], "anthropic");
    }
    let stats = one.structured("get_provider_stats", json!({}));
    let of = stats["providers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["provider"] == "anthropic")
        .unwrap();
    assert_eq!(of["health"]["status"], "healthy");
    assert_eq!(of["latency"], json!({"p50_ms": 700, "p95_ms": 700, "samples": 1}));
    assert_eq!((&of["requests"], &of["success_rate"]), (&json!(2), &json!(0.5)));
    assert!(
        of["health"]["last_error"]
            .as_str()
            .unwrap()
            .starts_with("HTTP status 429 at "),
        "{of}"
    );
}

#[test]
fn local_models_are_asked_for_once_and_only_those_that_are_there_are_routed_to() {
    let server = ollama(&json!([
        {"name": "llama3.2:latest", "details": {"family": "llama"}},
        {"name": "nomic-embed-text:latest", "details": {"family": "nomic-bert"}},
    ]));
    let home = home(Some(&server.url()), "");
    let mut client = open(&home, MODERN);
    let embeddings = route(&mut client, &json!({"task_type": "embeddings"}));
    assert_eq!(
        (&embeddings["provider"], &embeddings["model"]),
        (&json!("local"), &json!("nomic-embed-text:latest"))
    );
    assert_eq!(
        (&embeddings["estimated_cost_usd"], &embeddings["label"]),
        (&json!(0), &Value::Null)
    );
    let chat = route(&mut client, &json!({"preferred_provider": "ollama"}));
    assert_eq!(
        (&chat["provider"], &chat["model"]),
        (&json!("local"), &json!("llama3.2:latest"))
    );
    let named = route(&mut client, &json!({"model": "llama3.2"}));
    assert_eq!(named["model"], "llama3.2:latest", "without its tag");
    let code = client.failure(
        "route_request",
        json!({"task_type": "chat", "model": "mistral", "preferred_provider": "local"}),
    );
    assert_eq!(code, "unknown_model");
    let asked = server.requests().iter().filter(|it| it.path == "/api/tags").count();
    assert_eq!(asked, 1, "once in half a minute");
}

#[test]
fn a_local_server_that_does_not_answer_holds_nobody_up() {
    let silent = StandIn::answering(Reply::silence());
    for address in [nowhere(), silent.url()] {
        let home = home(Some(&address), "");
        let mut client = open(&home, LEGACY);
        // Shorter than the silence.
        let since = Instant::now();
        let route = route(&mut client, &json!({"task_type": "embeddings"}));
        assert!(since.elapsed() < PATIENCE / 2);
        assert_eq!(route["provider"], "openai");
        let local = route["considered"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["provider"] == "local")
            .unwrap();
        assert_eq!(
            (&local["verdict"], &local["model"]),
            (&json!("unreachable"), &Value::Null)
        );
    }
}

#[test]
fn other_servers_on_this_machine_work_as_configured_providers() {
    let server = StandIn::routes([(
        "GET /v1/models",
        Reply::json(
            200,
            &json!({"object": "list", "data": [{"id": "qwen3-8b"}, {"id": "bge-m3"}]}),
        ),
    )]);
    let more = format!(
        "[providers.lm-studio]\nkind = \"openai-compatible\"\nbase_url = \"{}/v1\"\n[routing.tasks]\nchat = \"lm-studio\"\n",
        server.url()
    );
    let home = home(None, &more);
    let mut client = open(&home, LEGACY);
    let chat = route(&mut client, &json!({}));
    assert_eq!(
        (&chat["provider"], &chat["model"], &chat["is_fallback"]),
        (&json!("lm-studio"), &json!("qwen3-8b"), &json!(false))
    );
    assert_eq!(
        route(
            &mut client,
            &json!({"task_type": "embeddings", "preferred_provider": "lm-studio"})
        )["model"],
        "bge-m3"
    );
    let vision = route(&mut client, &json!({"needs": ["vision"]}));
    assert_ne!(vision["provider"], "lm-studio", "nobody says that it sees");
    // One elsewhere is not asked, and taken at the caller's word.
    let more = "[providers.far]\nkind = \"openai-compatible\"\nbase_url = \"https://far.example/v1\"\n";
    let home = self::home(None, more);
    let mut client = open(&home, LEGACY);
    let far = route(
        &mut client,
        &json!({"preferred_provider": "far", "model": "their-model"}),
    );
    assert_eq!(
        (&far["provider"], &far["model"], &far["estimated_cost_usd"]),
        (&json!("far"), &json!("their-model"), &Value::Null)
    );
}

#[test]
fn what_cannot_be_asked_is_refused_with_a_hint() {
    let home = home(None, "");
    let mut client = open(&home, LEGACY);
    for (more, code, says) in [
        (json!({"task_type": "cooking"}), "invalid_argument", "task_type"),
        (json!({"preferred_provider": "nobody"}), "unknown_provider", "nobody"),
        (json!({"model": "no-such-model"}), "unknown_model", "no-such-model"),
        (
            json!({"model": "claude-opus-4-8", "preferred_provider": "openai"}),
            "unknown_model",
            "anthropic has it",
        ),
        (
            json!({"model": "anthropic/claude-opus-4-8", "preferred_provider": "openai"}),
            "unknown_model",
            "anthropic has it",
        ),
        (json!({"objective": "best"}), "invalid_argument", "objective"),
        (json!({"needs": ["wings"]}), "invalid_argument", "needs"),
        (json!({"input_tokens": -1}), "invalid_argument", "input_tokens"),
        (
            json!({"output_tokens": 1_000_000_000_001_u64}),
            "invalid_argument",
            "output_tokens",
        ),
        (json!({"colour": "red"}), "invalid_argument", "colour"),
        (json!({"session": "a\nb"}), "invalid_argument", "session"),
    ] {
        let mut arguments = json!({"task_type": "chat"});
        arguments
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let result = client.call("route_request", arguments);
        let error = &result["structuredContent"]["error"];
        assert_eq!(error["code"], code, "{more}: {error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{more}: {error}");
        assert!(!error["hint"].as_str().unwrap().is_empty(), "{more}");
    }
    assert_eq!(
        client.failure("get_provider_stats", json!({"provider": "nobody"})),
        "unknown_provider"
    );
}

#[test]
fn where_nothing_can_be_used_the_error_has_every_verdict_and_a_way_out() {
    let home = Home::new();
    home.config(&format!("[vault]\nmaster_key = \"key-file\"\n[providers.local]\nbase_url = \"{}\"\n[providers.openai]\nenabled = false\n", nowhere()));
    for revision in [LEGACY, MODERN] {
        let mut client = open(&home, revision);
        let result = client.call("route_request", json!({"task_type": "chat"}));
        let error = &result["structuredContent"]["error"];
        assert_eq!((&result["isError"], &error["code"]), (&json!(true), &json!("no_route")));
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("no provider can take this chat request: anthropic has no key; openai is disabled in config.toml; google has no key; local does not answer on this machine"), "{message}");
        assert_eq!(error["hint"], "store a key with `api-keys add anthropic`");
        let of = |provider: &str| {
            error["considered"]
                .as_array()
                .unwrap()
                .iter()
                .find(|it| it["provider"] == provider)
                .unwrap()["verdict"]
                .clone()
        };
        for (provider, verdict) in [
            ("anthropic", "no_key"),
            ("openai", "disabled"),
            ("local", "unreachable"),
            ("groq", "no_key"),
        ] {
            assert_eq!(of(provider), verdict);
        }
    }
    let ended = home.run(["route", "chat"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("hint: store a key with `api-keys add anthropic`"),
        "{}",
        ended.stderr
    );
    assert_eq!(home.run(["route", "chat", "--json"]).error_code(), "no_route");
}

#[test]
fn a_locked_vault_is_not_taken_for_an_empty_one() {
    let home = Home::new();
    home.config(&format!(
        "[vault]\nmaster_key = \"passphrase\"\n[providers.local]\nbase_url = \"{}\"\n",
        nowhere()
    ));
    let mut add = home.command(["add", "anthropic", "--stdin"]);
    add.env("API_KEYS_PASSPHRASE", "correct horse battery staple");
    let ended = home.run_with(add, &format!("{}\n", KEYS[0].1));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut client = open(&home, LEGACY);
    let result = client.call("route_request", json!({"task_type": "chat"}));
    let error = &result["structuredContent"]["error"];
    assert_eq!(error["code"], "no_route");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("anthropic may have a key, but the vault cannot be opened"),
        "{error}"
    );
    assert!(
        error["hint"].as_str().unwrap().contains("API_KEYS_PASSPHRASE"),
        "{error}"
    );
    let advice = client.structured("get_routing_recommendations", json!({}));
    assert!(
        advice["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|note| note["type"] == "vault_closed"),
        "{advice}"
    );
    let stats = client.structured("get_provider_stats", json!({"provider": "anthropic"}));
    assert_eq!(
        (&stats["providers"][0]["keys"], &stats["providers"][0]["status"]),
        (&Value::Null, &json!("vault_closed"))
    );
}

fn resource(client: &mut McpClient, uri: &str) -> Value {
    let read = client.result("resources/read", json!({ "uri": uri }));
    serde_json::from_str(read["contents"][0]["text"].as_str().unwrap()).unwrap()
}

#[test]
fn the_routing_resource_shows_the_decision_for_every_task_and_its_news_come() {
    let home = home(None, "");
    let mut client = open(&home, LEGACY);
    let routing = resource(&mut client, "api://routing");
    assert_eq!(routing["decisions"].as_object().unwrap().len(), 7);
    assert_eq!(routing["decisions"]["code_generation"]["provider"], "anthropic");
    assert_eq!(routing["decisions"]["data_extraction"]["provider"], "openai");
    assert_eq!(routing["decisions"]["embeddings"]["is_fallback"], true);
    assert_eq!(
        (&routing["routing_health"], &routing["available_providers"]),
        (&json!("healthy"), &json!(["anthropic", "openai"]))
    );
    let providers = resource(&mut client, "api://providers");
    let of = providers["providers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["provider"] == "anthropic")
        .unwrap();
    assert_eq!(
        (&of["available"], &of["keys"], &of["labels"]),
        (&json!(true), &json!(1), &json!(["default"]))
    );
    assert_eq!(of["health"]["status"], "unknown");
    assert!(
        of["models"].as_array().unwrap().len() > 5 && of["price"]["input_per_million"].is_number(),
        "{of}"
    );
    for uri in ["api://routing", "api://providers"] {
        client.result("resources/subscribe", json!({ "uri": uri }));
    }
    // Another process learns something, and a second later a cooldown is over though nothing was written.
    let ended = home.run([
        "track",
        "anthropic",
        "claude-opus-4-8",
        "1",
        "1",
        "--success",
        "false",
        "--status-code",
        "429",
        "--retry-after-seconds",
        "3",
    ]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut heard = |count: usize| {
        let mut uris: Vec<String> = Vec::new();
        while uris.len() < count {
            let news = client.next();
            assert_eq!(news["method"], "notifications/resources/updated");
            uris.push(news["params"]["uri"].as_str().unwrap().to_owned());
        }
        uris.sort();
        uris
    };
    assert_eq!(heard(2), ["api://providers", "api://routing"]);
    assert_eq!(
        heard(2),
        ["api://providers", "api://routing"],
        "the end of the cooldown"
    );
    let routing = resource(&mut client, "api://routing");
    assert_eq!(routing["decisions"]["chat"]["provider"], "anthropic");
}

#[test]
fn the_commands_show_people_what_matters() {
    let home = home(None, "");
    let shown = home.run([
        "route",
        "code_generation",
        "--needs",
        "tools,json_schema",
        "--objective",
        "quality",
    ]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for part in [
        "anthropic/claude-",
        " with the key default",
        "anthropic is set for code_generation, and ",
        "CANDIDATE",
        "outranked",
        "shown with `--all-candidates --json`",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    let shown = home.run(["stats"]);
    for part in ["2 of ", " providers available", "anthropic", "more without a key"] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    let shown = home.run(["stats", "openai"]);
    assert!(
        shown.stdout.contains("key default: ready") && shown.stdout.contains("models: "),
        "{}",
        shown.stdout
    );
    let shown = home.run(["recommend"]);
    for part in [
        "Routing is healthy",
        "few fallbacks",
        "`api-keys validate anthropic:default`",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    let json = home.run(["route", "chat", "--json"]).json();
    assert!(
        json["considered"].as_array().unwrap().len() <= 100 && json.to_string().len() < 16_000,
        "models read it"
    );
}
