//! The gateway as programs use it: a real process, real requests, and providers that are stand-ins.

use serde_json::{Value, json};

use crate::support::{
    Home, eventually,
    gateway::{Answer, Gateway},
    stand_in::{Reply, StandIn},
};

mod admission;
mod cache;
mod crowd;
mod everyone;
mod failures;
mod kills;
mod limits;
mod models;
mod money;
mod operation;
mod quota;
mod refusals;
mod routes;
mod scrubbing;
mod streams;
mod translation;
mod trouble;
mod usage_cases;
mod waiting;

/// The provider's key, of a form of its own.
const KEY: &str = "sk-proj-CanaryJ7x2Qm9ZtVbW4kHsR8wxyz";

const SECOND: &str = "sk-proj-SecondKeyJ7x2Qm9ZtVbW4kHsR8abcd";

/// A gateway with one client, before a provider that answers with `provider`.
struct Scene {
    home: Home,
    provider: StandIn,
    gateway: Gateway,
    client: String,
}

impl Scene {
    fn new(provider: StandIn) -> Self {
        Self::with(provider, "", &[], &[])
    }

    /// With more in the configuration, options of the gateway, and options of the client.
    fn with(provider: StandIn, config: &str, options: &[&str], client: &[&str]) -> Self {
        let home = Home::new();
        let url = provider.url();
        home.config(&format!(
            "[vault]\nmaster_key = \"key-file\"\n\
             [providers.openai]\nbase_url = \"{url}/v1\"\n[providers.anthropic]\nbase_url = \"{url}\"\n\
             [providers.google]\nbase_url = \"{url}\"\n[providers.deepseek]\nbase_url = \"{url}\"\n\
             [providers.mine]\nkind = \"openai-compatible\"\nbase_url = \"{url}/v1\"\n\
             [[prices]]\nmodel = \"openai/m\"\ninput = 1.0\noutput = 10.0\ncache_read = 0.1\n\
             [[prices]]\nmodel = \"anthropic/m\"\ninput = 1.0\noutput = 10.0\ncache_read = 0.1\ncache_write = 1.25\n\
             [[prices]]\nmodel = \"google/m\"\ninput = 1.0\noutput = 10.0\n{config}"
        ));
        for provider in ["openai", "anthropic", "google", "deepseek"] {
            // Of an unknown shape, which is a warning and no more; the same everywhere.
            let key = match provider {
                "openai" => KEY.to_owned(),
                "anthropic" => format!("sk-ant-api03-{provider}0123456789abcdef"),
                _ => format!("{provider}-0123456789abcdef0123456789"),
            };
            home.key(&[provider], &key);
        }
        let client = home.client(&[&["tester"], client].concat());
        let gateway = home.gateway(options);
        Self {
            home,
            provider,
            gateway,
            client,
        }
    }

    /// With a second key of the provider, which answers with `reply` to the first only.
    fn with_two_keys(config: &str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> Self {
        let provider = StandIn::start(move |request| {
            let shown = ["authorization", "x-api-key"].map(|name| request.header(name).unwrap_or_default());
            if shown.iter().any(|value| value.contains("Second")) {
                Reply::json(200, &completion())
            } else {
                reply()
            }
        });
        let scene = Self::with(provider, config, &[], &[]);
        scene.home.key(&["openai", "--label", "second"], SECOND);
        scene.home.key(
            &["anthropic", "--label", "second"],
            "sk-ant-api03-Second0123456789abcdef",
        );
        scene
    }

    fn chat(&self, body: Value) -> Answer {
        self.gateway.post("/v1/chat/completions", &self.client, &body)
    }
}

fn ask_to_end(gateway: &Gateway) {
    let id = gateway.child.id().to_string();
    let asked = std::process::Command::new("kill").arg(id).status().unwrap();
    assert!(asked.success());
}

/// A chat request in OpenAI's format.
fn chat() -> Value {
    json!({"model": "openai/m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100})
}

/// An answer to it, of 1,000 tokens in, 600 of them cached, and 50 out.
fn completion() -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "m-2026-01-01",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050,
            "prompt_tokens_details": {"cached_tokens": 600},
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
    })
}

#[test]
fn a_program_without_a_key_is_answered_and_what_it_used_is_recorded() {
    let scene = Scene::new(StandIn::routes([(
        "POST /v1/chat/completions",
        Reply::json(200, &completion())
            .header("set-cookie", "a=b")
            .header("x-request-id", "req_of_the_provider"),
    )]));
    let answer = scene.chat(chat());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.body, completion().to_string().into_bytes(), "byte for byte");
    assert_eq!(answer.header("x-api-keys-provider"), Some("openai"));
    assert_eq!(answer.header("x-api-keys-model"), Some("openai/m"));
    assert_eq!(answer.header("x-api-keys-attempts"), Some("1"));
    assert_eq!(
        answer.header("x-api-keys-cost-usd"),
        Some("0.00096"),
        "400 at 1, 600 at 0.1, 50 at 10"
    );
    assert!(answer.header("x-api-keys-request-id").is_some());
    assert_eq!(
        (
            answer.header("set-cookie"),
            answer.header("access-control-allow-origin")
        ),
        (None, None)
    );

    let asked = &scene.provider.requests()[0];
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(asked.json()["model"], "m", "by the provider's own name");
    assert!(!String::from_utf8_lossy(&asked.body).contains(&scene.client));

    let totals = scene.home.totals(1);
    assert_eq!(
        (
            &totals["input_tokens"],
            &totals["output_tokens"],
            &totals["cache_read_tokens"]
        ),
        (&json!(1000), &json!(50), &json!(600))
    );
    assert_eq!(
        (&totals["reasoning_tokens"], &totals["cost_usd"]),
        (&json!(20), &json!(0.00096))
    );
    let exported = scene.home.run(["usage", "--export", "jsonl"]).stdout;
    assert!(
        exported.contains("\"upstream_id\":\"req_of_the_provider\""),
        "{exported}"
    );
    let by_key = scene.home.run(["usage", "--group-by", "key", "--json"]).json();
    assert_eq!(by_key["groups"][0]["name"], "openai:default", "{by_key}");
    let listed = scene.home.run(["client", "list", "--json"]).json();
    assert_eq!(listed["clients"][0]["spent_today_usd"], 0.00096, "{listed}");
}

/// A provider that answers in the format of each API, with its way of counting.
fn of_every_format() -> StandIn {
    StandIn::routes([
        (
            "POST /v1/messages",
            Reply::json(
                200,
                &json!({"type": "message", "usage": {
                    "input_tokens": 100, "cache_read_input_tokens": 300, "cache_creation_input_tokens": 600,
                    "output_tokens": 10,
                }}),
            ),
        ),
        (
            "POST /v1/messages/count_tokens",
            Reply::json(200, &json!({"input_tokens": 5})),
        ),
        (
            "POST /v1/responses",
            Reply::json(
                200,
                &json!({"object": "response", "error": null, "usage": {
                    "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4},
                    "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 13,
                }}),
            ),
        ),
        (
            "POST /v1/embeddings",
            Reply::json(
                200,
                &json!({"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}),
            ),
        ),
        (
            "POST /v1beta/models/m:generateContent?alt=json",
            Reply::json(
                200,
                &json!({"usageMetadata": {
                    "promptTokenCount": 7, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "totalTokenCount": 12,
                }}),
            ),
        ),
        ("GET /v1beta/models", Reply::json(200, &json!({"models": []}))),
    ])
}

#[test]
fn every_format_reaches_a_provider_that_speaks_it_with_its_own_key() {
    let scene = Scene::new(of_every_format());
    let (gateway, client) = (&scene.gateway, &scene.client);
    let message = json!({"model": "anthropic/m", "max_tokens": 5, "messages": []}).to_string();
    let asked = gateway.send(
        "POST",
        "/v1/messages",
        &[
            ("x-api-key", client),
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", "x"),
        ],
        message.as_bytes(),
    );
    assert_eq!(asked.status, 200, "{}", asked.text());
    assert_eq!(
        asked.header("x-api-keys-cost-usd"),
        Some("0.00098"),
        "100 at 1, 300 at 0.1, 600 at 1.25, 10 at 10"
    );
    let seen = scene.provider.requests().pop().unwrap();
    assert_eq!(seen.header("x-api-key"), Some("sk-ant-api03-anthropic0123456789abcdef"));
    assert_eq!(
        (seen.header("anthropic-version"), seen.header("anthropic-beta")),
        (Some("2023-06-01"), Some("x"))
    );

    for (path, body) in [
        (
            "/v1/messages/count_tokens",
            json!({"model": "anthropic/m", "messages": []}),
        ),
        ("/v1/responses", json!({"model": "openai/m", "input": "hi"})),
        ("/v1/embeddings", json!({"model": "openai/m", "input": "hi"})),
    ] {
        let answer = gateway.post(path, client, &body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let native = gateway.send(
        "POST",
        "/p/gemini/v1beta/models/m:generateContent?alt=json&key=wrong",
        &[("x-goog-api-key", client)],
        b"{\"contents\":[]}",
    );
    assert_eq!(native.status, 200, "{}", native.text());
    assert_eq!(
        native.header("x-api-keys-cost-usd"),
        Some("0.000057"),
        "7 at 1, 5 at 10"
    );
    let seen = scene.provider.requests().pop().unwrap();
    assert_eq!(seen.header("x-goog-api-key"), Some("google-0123456789abcdef0123456789"));
    let list = gateway.get("/p/google/v1beta/models", client);
    assert_eq!((list.status, list.text().as_str()), (200, "{\"models\":[]}"));

    // What counts or lists uses nothing and is not recorded.
    let totals = scene.home.totals(4);
    assert_eq!(
        (&totals["input_tokens"], &totals["output_tokens"]),
        (&json!(1000 + 10 + 8 + 7), &json!(10 + 3 + 5)),
        "cached input included, thoughts included"
    );
    assert_eq!(totals["cache_write_tokens"], 600);
}

#[test]
fn models_are_found_by_the_catalogs_names_and_a_wrong_name_gets_suggestions() {
    let scene = Scene::with(
        StandIn::answering(Reply::json(200, &completion())),
        "[budget]\nenabled = false\n",
        &[],
        &[],
    );
    let ask = |model: &str| {
        let mut body = chat();
        body["model"] = model.into();
        scene.chat(body)
    };
    let bare = ask("gpt-6-sol");
    assert_eq!(
        bare.header("x-api-keys-model"),
        Some("openai/gpt-6-sol"),
        "{}",
        bare.text()
    );
    let own = ask("mine/whatever-1");
    assert_eq!(
        (own.status, own.header("x-api-keys-cost-usd")),
        (200, Some("0")),
        "it runs here"
    );
    for (model, status, code, said) in [
        ("gtp-6-sol", 404, "unknown_model", "gpt-6-sol"),
        ("auto:nonsense", 400, "invalid_argument", "code_review"),
        ("huggingface/x", 404, "unknown_model", "/p/huggingface/"),
        ("groq/x", 503, "key_not_found", "api-keys add groq"),
    ] {
        let answer = ask(model);
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["code"]), (status, &json!(code)), "{model}");
        assert!(error["message"].as_str().unwrap().contains(said), "{model}: {error}");
    }
    let listed = scene.gateway.get("/v1/models", &scene.client).json();
    let ids: Vec<&str> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|model| model["id"].as_str())
        .collect();
    assert!(
        ids.contains(&"openai/gpt-6-sol") && !ids.iter().any(|id| id.starts_with("groq/")),
        "{ids:?}"
    );
    let one = scene.gateway.get("/v1/models/openai/gpt-6-sol", &scene.client);
    assert_eq!(one.json()["object"], "model");
    let theirs = scene.gateway.send(
        "GET",
        "/v1/models",
        &[("x-api-key", &scene.client), ("anthropic-version", "2023-06-01")],
        b"",
    );
    assert_eq!(theirs.json()["has_more"], false);
}

#[test]
fn a_request_for_whichever_model_is_routed_by_its_task_and_falls_back() {
    let scene = Scene::with(
        StandIn::start(|request| {
            if request.path.starts_with("/v1beta/openai") {
                Reply::json(200, &completion())
            } else {
                Reply::json(503, &json!({"error": {"message": "busy"}}))
            }
        }),
        "[routing]\nfallback_order = [\"openai\", \"google\"]\n[routing.tasks]\ncode_review = \"openai\"\n\
         [budget]\nenabled = false\n",
        &[],
        &[],
    );
    let mut body = chat();
    body["model"] = "auto:code_review".into();
    let answer = scene.chat(body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("x-api-keys-provider"),
        Some("google"),
        "{:?}",
        answer.headers
    );
    let attempts: usize = answer.header("x-api-keys-attempts").unwrap().parse().unwrap();
    assert!(attempts >= 2, "openai was asked first");
    // Servers of models on this machine are also asked which they have.
    let asked = scene
        .provider
        .requests()
        .into_iter()
        .find(|asked| asked.method == "POST")
        .unwrap();
    assert!(
        asked.json()["model"].as_str().unwrap().starts_with("gpt"),
        "{}",
        asked.json()
    );
    scene.home.totals(attempts as u64);
    let by_task = scene.home.run(["usage", "--group-by", "task", "--json"]).json();
    assert_eq!(by_task["groups"][0]["name"], "code_review", "{by_task}");

    // Only a provider that speaks the client's own format is asked.
    let before = scene.provider.requests().len();
    let body = json!({"model": "auto", "max_tokens": 5, "messages": []});
    let theirs = scene.gateway.post("/v1/messages", &scene.client, &body);
    assert_eq!(theirs.json()["error"]["message"], "busy", "{}", theirs.text());
    let asked = scene.provider.requests().split_off(before);
    let mut posted = asked.iter().filter(|asked| asked.method == "POST").peekable();
    assert!(
        posted.peek().is_some() && posted.all(|asked| asked.path.ends_with("/v1/messages")),
        "{asked:?}"
    );
}
