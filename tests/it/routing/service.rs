//! Routes as the service gives them, at times of our choosing.

use std::future::Future;

use api_keys::{
    app::{App, Clock},
    domain::{ModelRef, Objective, RequestOutcome, Secret, Task, TokenCounts, Tokens, Usd},
    error::{Code, Result},
    services::{
        keys::{self, NewKey, NewSecretSource},
        routing::{self, Advice, Note, Route, RoutingHealth, RoutingSnapshot, Wanted},
        usage_tracking::{self, ReportedRequest},
        validation,
    },
    settings::{Environment, Settings},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::{
    Home,
    caller::Silent,
    stand_in::{Reply, StandIn},
};

/// Two providers with one model each at prices of our own, and nothing on this machine.
const CONFIG: &str = r#"
[vault]
master_key = "key-file"
[providers.local]
enabled = false
[providers.anthropic]
models = ["claude-test"]
[providers.openai]
models = ["gpt-test"]
[routing]
fallback_order = ["anthropic", "openai"]
[routing.tasks]
analysis = "anthropic"
[[prices]]
model = "anthropic/claude-test"
input = 3
output = 15
[[prices]]
model = "openai/gpt-test"
input = 1
output = 5
"#;

struct World {
    home: Home,
}

impl World {
    /// With a key for each of `keys`, spelled `provider:label`, from the start.
    fn new(config: &str, keys: &[&str]) -> Self {
        let home = Home::new();
        home.config(config);
        let world = Self { home };
        for key in keys {
            world.add(0, key, None);
        }
        world
    }

    /// The program as it finds things so many seconds after the start: each time another process.
    fn at(&self, second: i64) -> App {
        let environment = Environment::of([("API_KEYS_HOME", self.home.path().to_str().unwrap())]);
        App::new(Settings::open(&environment).unwrap(), Clock::Fixed(moment(second)))
    }

    fn add(&self, second: i64, key: &str, expires_at: Option<Timestamp>) {
        let (provider, label) = key.split_once(':').unwrap();
        let app = self.at(second);
        let new = NewKey {
            provider: app.settings().current().provider(provider).unwrap(),
            label: label.parse().unwrap(),
            description: None,
            expires_at,
            source: NewSecretSource::Argument(Secret::new(&format!(
                "abcdefghij0123456789-{provider}-{label}-{second}"
            ))),
        };
        wait(keys::add(&app, &Silent, new)).unwrap();
    }

    fn route(&self, second: i64, change: impl FnOnce(&mut Wanted)) -> Result<Route> {
        let mut wanted = Wanted {
            lists_all: true,
            ..Wanted::of(Task::Chat)
        };
        change(&mut wanted);
        wait(routing::route(&self.at(second), &wanted)).map(std::sync::Arc::unwrap_or_clone)
    }

    /// Where a chat would go, as `provider:label`.
    fn way(&self, second: i64) -> String {
        match self.route(second, |_| {}) {
            Ok(route) => format!("{}:{}", route.provider, route.label.unwrap_or_default()),
            Err(error) => error.code().as_str().to_owned(),
        }
    }

    /// Tells of a request that ended with `status`.
    fn tell(&self, second: i64, key: &str, status: u16, retry_after: Option<i64>) {
        let (provider, label) = key.split_once(':').unwrap();
        let model = if provider == "anthropic" {
            "claude-test"
        } else {
            "gpt-test"
        };
        self.used(
            second,
            &format!("{provider}/{model}"),
            Some(label),
            status,
            retry_after,
            (100, 10),
        );
    }

    fn used(
        &self,
        second: i64,
        model: &str,
        label: Option<&str>,
        status: u16,
        retry_after: Option<i64>,
        tokens: (u64, u64),
    ) {
        let counts = TokenCounts {
            input: tokens.0,
            output: tokens.1,
            ..TokenCounts::default()
        };
        let reported = ReportedRequest {
            model: model.parse::<ModelRef>().unwrap(),
            occurred_at: None,
            service: api_keys::domain::Service::Standard,
            cost: None,
            label: label.map(|label| label.parse().unwrap()),
            task: Some(Task::Chat),
            project: None,
            tokens: Tokens::new(counts).unwrap(),
            outcome: RequestOutcome {
                success: status < 400,
                status_code: Some(status),
                latency_ms: Some(500),
            },
            retry_after: retry_after.map(SignedDuration::from_secs),
            request_id: None,
        };
        wait(usage_tracking::track(&self.at(second), reported)).unwrap();
    }

    fn advice(&self, second: i64) -> Advice {
        let app = self.at(second);
        let state = wait(RoutingSnapshot::of(&app)).unwrap();
        routing::recommend(&app, &state).unwrap()
    }
}

fn moment(second: i64) -> Timestamp {
    "2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn verdict<'r>(route: &'r Route, provider: &str) -> &'r str {
    let found = route.considered.iter().find(|it| it.provider == provider);
    found.map_or("not there", |it| it.verdict)
}

#[test]
fn a_limited_provider_is_skipped_until_it_said_and_comes_back_by_one_request() {
    let world = World::new(CONFIG, &["anthropic:default", "openai:default"]);
    assert_eq!(world.way(0), "anthropic:default");
    world.tell(0, "anthropic:default", 429, Some(100));
    assert_eq!(world.way(1), "openai:default");
    world.tell(10, "anthropic:default", 429, Some(20));
    assert_eq!(world.way(99), "openai:default", "a shorter wait shortens nothing");
    world.tell(99, "anthropic:default", 429, Some(60));
    assert_eq!(world.way(158), "openai:default", "a longer one extends");
    // The wait is over: one request may try, and the next only once the first has told, or its time is up.
    assert_eq!(world.way(159), "anthropic:default");
    assert_eq!(world.way(160), "openai:default");
    assert_eq!(
        world.way(160 + 60),
        "anthropic:default",
        "whoever tried did not come back"
    );
    world.tell(221, "anthropic:default", 200, None);
    assert_eq!(world.way(222), "anthropic:default");
    assert_eq!(world.way(222), "anthropic:default");
}

#[test]
fn to_look_is_not_to_try() {
    let world = World::new(CONFIG, &["anthropic:default", "openai:default"]);
    world.tell(0, "anthropic:default", 429, Some(10));
    for _ in 0..2 {
        let app = world.at(11);
        let state = wait(RoutingSnapshot::of(&app)).unwrap();
        assert_eq!(routing::look(&state, Task::Chat).unwrap().provider, "anthropic");
        world.advice(11);
    }
    assert_eq!(world.way(11), "anthropic:default", "the one attempt is still there");
    assert_eq!(world.way(11), "openai:default");
}

#[test]
fn a_failing_provider_is_left_alone_for_half_a_minute() {
    let world = World::new(CONFIG, &["anthropic:default", "openai:default"]);
    for second in 0..4 {
        world.tell(second, "anthropic:default", 503, None);
        assert_eq!(world.way(second), "anthropic:default", "few say nothing");
    }
    world.tell(4, "anthropic:default", 500, None);
    let route = world.route(5, |_| {}).unwrap();
    assert_eq!(
        (route.provider.as_str(), verdict(&route, "anthropic")),
        ("openai", "unhealthy")
    );
    assert!(
        route
            .reason
            .contains("since anthropic is failing and will be retried at 12:00:34 UTC"),
        "{}",
        route.reason
    );
    assert!(route.is_fallback);
    assert_eq!(route.original_provider, "anthropic");
    assert_eq!(world.way(34), "anthropic:default");
    world.tell(35, "anthropic:default", 200, None);
    world.tell(36, "anthropic:default", 500, None);
    assert_eq!(world.way(37), "anthropic:default", "what was before counts no more");
}

#[test]
fn a_refused_key_is_out_until_it_is_found_valid_or_changed() {
    let provider = StandIn::answering(Reply::json(200, &json!({"data": []})));
    let config = CONFIG.replace(
        "models = [\"claude-test\"]",
        &format!("models = [\"claude-test\"]\nbase_url = \"{}\"", provider.url()),
    );
    let world = World::new(&config, &["anthropic:default", "openai:default"]);
    for (second, status, word) in [(10, 401, "key_refused"), (100, 402, "no_credit")] {
        world.tell(second, "anthropic:default", status, None);
        let route = world.route(second + 80, |_| {}).unwrap();
        assert_eq!(verdict(&route, "anthropic"), word);
        let app = world.at(second + 85);
        let anthropic = app.settings().current().provider("anthropic").unwrap();
        let report = wait(validation::validate(
            &app,
            &Silent,
            &anthropic,
            &"default".parse().unwrap(),
        ))
        .unwrap();
        assert_eq!(report.validation.status.as_str(), "valid");
        assert_eq!(world.way(second + 86), "anthropic:default");
    }
    world.tell(300, "anthropic:default", 401, None);
    assert_eq!(world.way(301), "openai:default");
    world.add(302, "anthropic:default", None);
    assert_eq!(world.way(303), "anthropic:default", "another key may be a good one");
}

#[test]
fn what_the_provider_said_of_a_key_when_asked_counts_too() {
    for (status, word) in [(401, "key_refused"), (402, "no_credit")] {
        let provider = StandIn::answering(Reply::json(
            status,
            &json!({"type": "error", "error": {"type": if status == 401 { "authentication_error" } else { "billing_error" }, "message": "no"}}),
        ));
        let config = CONFIG.replace(
            "models = [\"claude-test\"]",
            &format!("models = [\"claude-test\"]\nbase_url = \"{}\"", provider.url()),
        );
        let world = World::new(&config, &["anthropic:default", "openai:default"]);
        let app = world.at(5);
        let anthropic = app.settings().current().provider("anthropic").unwrap();
        wait(validation::validate(
            &app,
            &Silent,
            &anthropic,
            &"default".parse().unwrap(),
        ))
        .unwrap();
        let route = world.route(6, |_| {}).unwrap();
        assert_eq!(
            (route.provider.as_str(), verdict(&route, "anthropic")),
            ("openai", word)
        );
    }
}

#[test]
fn keys_of_one_account_cool_down_together_and_those_of_another_do_not() {
    let pools = "[providers.anthropic.keys.a]\npool = \"acme\"\n[providers.anthropic.keys.b]\npool = \"acme\"\n";
    let world = World::new(
        &format!("{CONFIG}{pools}"),
        &["anthropic:a", "anthropic:b", "anthropic:c", "openai:default"],
    );
    assert_eq!(world.way(0), "anthropic:a");
    world.tell(0, "anthropic:a", 429, Some(100));
    for _ in 0..3 {
        assert_eq!(world.way(1), "anthropic:c");
    }
    world.tell(2, "anthropic:c", 401, None);
    assert_eq!(world.way(3), "openai:default");
    // One attempt for the whole account, and its answer is for all of it.
    let first = world.way(101);
    assert!(first == "anthropic:a" || first == "anthropic:b", "{first}");
    assert_eq!(world.way(102), "openai:default");
    world.tell(103, &first, 200, None);
    let stats = |second| {
        let app = world.at(second);
        let state = wait(RoutingSnapshot::of(&app)).unwrap();
        let anthropic = app.settings().current().provider("anthropic").unwrap();
        let stats = routing::stats(&app, &state, Some(&anthropic)).unwrap();
        stats.providers[0]
            .key_states
            .iter()
            .map(|key| key.state)
            .collect::<Vec<_>>()
    };
    assert_eq!(stats(104), ["ready", "ready", "key_refused"]);
}

#[test]
fn the_configured_requests_per_minute_are_kept() {
    let world = World::new(
        &CONFIG.replace(
            "models = [\"claude-test\"]",
            "models = [\"claude-test\"]\nrate_limit = 3",
        ),
        &["anthropic:default", "openai:default"],
    );
    for second in [0, 10, 20] {
        assert_eq!(world.way(second), "anthropic:default");
        world.tell(second, "anthropic:default", 200, None);
    }
    let route = world.route(30, |_| {}).unwrap();
    let anthropic = route.considered.iter().find(|it| it.provider == "anthropic").unwrap();
    assert_eq!((route.provider.as_str(), anthropic.verdict), ("openai", "rate_limited"));
    assert_eq!(
        anthropic.until.as_deref(),
        Some("2026-11-24T12:01:00Z"),
        "when the first of the three is a minute ago"
    );
    assert_eq!(world.way(60), "anthropic:default");
}

#[test]
fn a_key_that_is_gone_or_expired_is_not_routed_to() {
    let world = World::new(CONFIG, &["openai:default"]);
    world.add(0, "anthropic:default", Some(moment(3_600)));
    assert_eq!(world.way(3_599), "anthropic:default");
    let route = world.route(3_600, |_| {}).unwrap();
    assert_eq!(
        (route.provider.as_str(), verdict(&route, "anthropic")),
        ("openai", "key_expired")
    );
    let error = world
        .route(3_601, |wanted| wanted.allows_fallback = false)
        .expect_err("no other may stand in");
    assert_eq!(error.code(), Code::NoRoute);
    assert_eq!(
        error.message(),
        "no provider can take this chat request: anthropic has only keys that have expired"
    );
    assert!(error.hint_text().unwrap().contains("`api-keys rotate anthropic`"));
}

#[test]
fn an_address_that_changed_does_not_get_the_key() {
    let world = World::new(CONFIG, &["anthropic:default", "openai:default"]);
    world.home.config(&CONFIG.replace(
        "models = [\"claude-test\"]",
        "models = [\"claude-test\"]\nbase_url = \"https://elsewhere.example\"",
    ));
    let route = world.route(1, |_| {}).unwrap();
    assert_eq!(
        (route.provider.as_str(), verdict(&route, "anthropic")),
        ("openai", "other_address")
    );
}

#[test]
fn a_spent_budget_stops_what_costs_and_never_what_is_free() {
    let server = StandIn::routes([("GET /v1/models", Reply::json(200, &json!({"data": [{"id": "qwen3"}]})))]);
    let config = format!(
        "{CONFIG}[budget]\ndaily_limit = 0.01\n[providers.my-vllm]\nkind = \"openai-compatible\"\nbase_url = \"{}/v1\"\n",
        server.url()
    );
    let world = World::new(&config, &["anthropic:default", "openai:default"]);
    let route = world
        .route(0, |wanted| {
            (wanted.input_tokens, wanted.output_tokens) = (Some(2_000), Some(100));
        })
        .unwrap();
    assert_eq!(route.provider, "anthropic");
    assert_eq!(route.estimated_cost_usd, Some(Usd::from_nano(7_500_000)));
    world.used(0, "openai/gpt-test", None, 200, None, (9_000, 100));
    let route = world.route(1, |_| {}).unwrap();
    assert_eq!((route.provider.as_str(), route.model.as_str()), ("my-vllm", "qwen3"));
    assert_eq!(
        (verdict(&route, "anthropic"), verdict(&route, "openai")),
        ("over_budget", "over_budget")
    );
    assert_eq!(route.estimated_cost_usd, Some(Usd::ZERO));
    let advice = world.advice(1);
    assert!(types(&advice.warnings).contains(&"budget_low"), "{advice:?}");
    world.used(2, "openai/gpt-test", None, 200, None, (9_000, 100));
    assert_eq!(world.route(3, |_| {}).unwrap().provider, "my-vllm");
    let advice = world.advice(3);
    let spent = advice
        .warnings
        .iter()
        .find(|note| note.r#type == "budget_spent")
        .unwrap();
    assert!(
        !spent.fix.contains("objective"),
        "no objective makes a model free: {spent:?}"
    );
}

#[test]
fn a_model_that_the_provider_keeps_not_finding_is_passed_over_for_an_hour() {
    let world = World::new(
        &CONFIG.replace("\"claude-test\"]", "\"claude-old\", \"claude-test\"]"),
        &["anthropic:default", "openai:default"],
    );
    assert_eq!(
        world.route(0, |_| {}).unwrap().model,
        "claude-old",
        "the first of the list"
    );
    for second in [1, 2] {
        world.used(second, "anthropic/claude-old", None, 404, None, (1, 0));
    }
    let route = world.route(3, |_| {}).unwrap();
    assert_eq!(
        (route.provider.as_str(), route.model.as_str()),
        ("anthropic", "claude-test")
    );
    assert!(
        route
            .considered
            .iter()
            .any(|it| it.model.as_deref() == Some("claude-old") && it.verdict == "not_served")
    );
    assert_eq!(
        world.route(3_700, |_| {}).unwrap().model,
        "claude-old",
        "it may be back"
    );
}

#[test]
fn a_session_stays_with_its_key_and_others_spread() {
    let world = World::new(CONFIG, &["anthropic:a", "anthropic:b", "anthropic:c"]);
    let mut keys = std::collections::BTreeSet::new();
    for number in 0..20 {
        let session = format!("conversation {number}");
        let label = |second| {
            world
                .route(second, |it| it.session = Some(session.clone()))
                .unwrap()
                .label
                .unwrap()
        };
        let first = label(0);
        world.tell(0, &format!("anthropic:{first}"), 200, None);
        assert_eq!(label(1), first);
        keys.insert(first);
    }
    assert_eq!(keys.len(), 3);
    let world = World::new(CONFIG, &["anthropic:a", "anthropic:b"]);
    let mut ways = Vec::new();
    for second in 0..4 {
        let way = world.way(second);
        world.tell(second, &way, 200, None);
        ways.push(way);
    }
    assert_eq!(ways, ["anthropic:a", "anthropic:b", "anthropic:a", "anthropic:b"]);
}

#[test]
fn an_objective_that_is_asked_for_changes_the_answer_and_the_cost_is_that_of_the_tokens_asked_about() {
    let world = World::new(
        "[vault]\nmaster_key = \"key-file\"\n[providers.local]\nenabled = false\n",
        &["anthropic:default"],
    );
    let of = |objective| {
        world
            .route(0, |wanted| {
                wanted.objective = Some(objective);
                (wanted.input_tokens, wanted.output_tokens) = (Some(10_000), Some(2_000));
            })
            .unwrap()
    };
    let (quality, cost) = (of(Objective::Quality), of(Objective::Cost));
    assert_ne!(quality.model, cost.model);
    assert!(cost.estimated_cost_usd < quality.estimated_cost_usd);
    assert!(
        quality.reason.contains("has the highest quality (") && quality.reason.contains("LiveBench 2026-07"),
        "{}",
        quality.reason
    );
    assert!(quality.effort.is_some() && quality.reasoning.is_some_and(|it| it.tokens >= 2_000));
    assert!(!quality.tokens.typical);
    assert!(
        of(Objective::Balanced)
            .considered
            .iter()
            .all(|it| it.quality.is_none() || it.expected_cost_usd.is_some() || it.provider != "anthropic")
    );
}

fn types(notes: &[Note]) -> Vec<&'static str> {
    notes.iter().map(|note| note.r#type).collect()
}

#[test]
fn without_any_key_routing_is_down_and_says_what_to_do() {
    let world = World::new(CONFIG, &[]);
    let advice = world.advice(0);
    assert_eq!(advice.routing_health, RoutingHealth::Down);
    assert!(advice.available_providers.is_empty());
    assert_eq!(types(&advice.warnings), ["no_provider", "no_key", "no_key"]);
    assert_eq!(advice.warnings[0].tasks.len(), Task::ALL.len());
    assert_eq!(advice.warnings[1].fix, "`api-keys add anthropic`");
}

#[test]
fn recommendations_name_what_is_wrong_and_what_mends_it() {
    let config = CONFIG
        .replace("models = [\"gpt-test\"]", "models = [\"gpt-test\", \"o1\", \"gpt-5\"]")
        .replace(
            "analysis = \"anthropic\"",
            "analysis = \"anthropic\"\nembeddings = \"openai/text-embedding-3-small\"",
        );
    let world = World::new(&config, &["openai:default"]);
    world.add(0, "anthropic:work", Some(moment(5 * 24 * 3_600)));
    world.tell(0, "openai:default", 429, Some(600));
    world.used(1, "openai/model-of-tomorrow", None, 200, None, (1, 1));
    let advice = world.advice(2);
    assert_eq!(advice.routing_health, RoutingHealth::Degraded);
    assert_eq!(advice.available_providers, ["anthropic"]);
    let warnings: Vec<(&str, &str)> = advice
        .warnings
        .iter()
        .map(|note| (note.r#type, note.fix.as_str()))
        .collect();
    for expected in [
        (
            "no_provider",
            "pull an embedding model into Ollama (`ollama pull nomic-embed-text`), or `api-keys add openai`",
        ),
        ("key_expiring", "`api-keys rotate anthropic:work`"),
        ("model_retired", "name another model in config.toml"),
        ("model_retiring", "name another model in config.toml"),
        (
            "unpriced_model",
            "add its price as [[prices]] with model = \"openai/model-of-tomorrow\" in config.toml",
        ),
    ] {
        assert!(warnings.contains(&expected), "{expected:?} in {warnings:?}");
    }
    assert!(types(&advice.warnings).contains(&"provider_failing"), "{warnings:?}");
    let kinds = types(&advice.recommendations);
    assert!(
        kinds.contains(&"few_fallbacks") && kinds.contains(&"key_never_validated"),
        "{kinds:?}"
    );
    for note in advice.warnings.iter().chain(&advice.recommendations) {
        assert!(!note.message.ends_with('.') && !note.fix.is_empty(), "{note:?}");
    }
}

#[test]
fn a_cheaper_model_of_equal_figures_is_named_with_what_it_saves() {
    let config = "[vault]\nmaster_key = \"key-file\"\n[providers.local]\nenabled = false\n[providers.anthropic]\nmodels = [\"claude-opus-4-8\", \"claude-sonnet-4-6\"]\n[providers.openai]\nmodels = [\"gpt-5.5\", \"gpt-5.4\"]\n";
    let world = World::new(config, &["anthropic:default", "openai:default"]);
    // 10 million tokens in and 2 out at 5 and 30 dollars a million.
    for second in 0..10 {
        world.used(second, "openai/gpt-5.5", None, 200, None, (1_000_000 / 5, 200_000 / 5));
    }
    assert!(
        !types(&world.advice(20).recommendations).contains(&"cheaper_model"),
        "for a chat none is as good"
    );
    let world = World::new(config, &["anthropic:default", "openai:default"]);
    for second in 0..10 {
        world.used(second, "anthropic/claude-opus-4-8", None, 200, None, (200_000, 40_000));
    }
    let advice = world.advice(20);
    let note = advice
        .recommendations
        .iter()
        .find(|note| note.r#type == "cheaper_model")
        .expect("gpt-5.4 is better and cheaper");
    assert_eq!(note.model.as_deref(), Some("openai/gpt-5.4"));
    // Ten requests at 200,000 × 5 + 40,000 × 25 against 200,000 × 2.5 + 40,000 × 15 a million.
    assert_eq!(
        note.saving_usd_per_month,
        Some(Usd::from_nano(9_000_000_000)),
        "{note:?}"
    );
    assert!(note.fix.contains("openai/gpt-5.4"), "{note:?}");
}

#[test]
fn no_list_of_candidates_is_longer_than_a_model_can_read() {
    let models = |name: &str, count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("\"{name}-{number}\"")).collect();
        format!("models = [{}]", names.join(", "))
    };
    let many = CONFIG
        .replace("models = [\"claude-test\"]", &models("claude-made-up", 150))
        .replace("models = [\"gpt-test\"]", &models("gpt-made-up", 120));
    let keys = ["anthropic:default", "openai:default"];

    let route = World::new(&many, &keys).route(1, |_| {}).unwrap();
    assert_eq!(route.considered.len(), 100);
    let usable = ["chosen", "outranked"];
    let others = route.considered.iter().filter(|it| !usable.contains(&it.verdict));
    assert_eq!(route.considered_omitted, Some(150 + 120 + others.count() - 100));

    let no_money = format!("{many}[budget]\ndaily_limit = 0\n");
    let a_free_one = "[[prices]]\nmodel = \"openai/gpt-made-up-7\"\ninput = 0\noutput = 0\n";
    let route = World::new(&format!("{no_money}{a_free_one}"), &keys)
        .route(1, |_| {})
        .unwrap();
    let listed = route
        .considered
        .iter()
        .filter(|it| keys.iter().any(|key| key.starts_with(&it.provider)));
    let listed: Vec<_> = listed
        .map(|it| (it.provider.as_str(), it.verdict, it.other_models))
        .collect();
    assert_eq!(
        listed,
        [
            ("openai", "chosen", None),
            ("anthropic", "unpriced", Some(149)),
            ("openai", "unpriced", Some(118))
        ]
    );
    assert_eq!(route.considered_omitted, None);

    let error = World::new(&no_money, &keys).route(1, |_| {}).unwrap_err().to_json();
    let listed = error["error"]["considered"].as_array().unwrap();
    let unpriced = listed.iter().filter(|it| it["verdict"] == "unpriced");
    assert_eq!(unpriced.count(), 2, "{listed:?}");
}
