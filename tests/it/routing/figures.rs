//! Which model is chosen by figures: of what is current, what is there to stay, and what is long enough.

use serde_json::{Value, json};

use crate::support::{
    Home,
    stand_in::{Reply, StandIn},
};

/// A home with one key, and no server on this machine.
fn home(provider: &str, config: &str) -> Home {
    let home = Home::new();
    home.config(&format!(
        "[vault]\nmaster_key = \"key-file\"\n[providers.local]\nenabled = false\n{config}"
    ));
    home.key(&[provider], &format!("{provider}-0123456789abcdef0123456789abcdef"));
    home
}

fn route(home: &Home, arguments: &[&str]) -> Value {
    let ended = home.run([&["route", "--json"], arguments].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.json()
}

#[test]
fn with_one_key_of_anthropic_a_model_of_the_current_generation_is_chosen() {
    let home = home("anthropic", "");
    for task in ["chat", "code_generation", "code_review"] {
        let route = route(&home, &[task]);
        let model = route["model"].as_str().unwrap();
        let is_current = model.contains("-5-5") || model.starts_with("claude-fable-5");
        assert!(is_current, "{task}: {model}: {}", route["reason"]);
    }
}

#[test]
fn a_provider_of_the_public_layer_alone_is_routed_to_by_what_is_measured() {
    let home = home("together", "");
    let route = route(&home, &["code_generation", "--objective", "quality"]);
    assert_eq!(route["provider"], "together");
    assert!(route["estimated_cost_usd"].as_f64().unwrap() > 0.0, "{route}");
}

#[test]
fn the_users_own_figure_decides() {
    let config = "[[quality]]\nmodel = \"claude-haiku-5-5\"\ntask = \"chat\"\npoints = 99.5\n";
    let home = home("anthropic", config);
    let chosen = |task: &str| {
        route(&home, &[task, "--objective", "quality"])["model"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(chosen("chat"), "claude-haiku-5-5");
    assert_ne!(chosen("code_generation"), "claude-haiku-5-5");
}

#[test]
fn newer_figures_are_taken_in_and_older_ones_are_not() {
    let home = home("anthropic", "");
    let file = home.beside("quality.json");
    let figures = |as_of: &str, points: u32| {
        json!({
            "format": "api-keys quality", "version": 1, "source": "A bench", "as_of": as_of,
            "tasks": {"chat": ["language"]},
            "models": [{"names": ["claude-haiku-5-5"], "figures": [{
                "row": "haiku", "coding": points, "agentic_coding": points, "data_analysis": points,
                "language": points, "instruction_following": points,
            }]}],
            "families": [],
        })
    };
    let update = ["prices", "update", "--json", "--from", file.to_str().unwrap()];
    for (as_of, points, code) in [("2026-01", 9_900, 1), ("2026-12", 10_001, 1), ("2026-12", 9_900, 0)] {
        std::fs::write(&file, figures(as_of, points).to_string()).unwrap();
        let ended = home.run(update);
        assert_eq!(ended.code, Some(code), "{as_of}: {ended:?}");
    }
    let chosen = route(&home, &["chat", "--objective", "quality"]);
    assert_eq!(chosen["model"], "claude-haiku-5-5");
    assert!(
        chosen["quality_source"]
            .as_str()
            .unwrap()
            .starts_with("A bench 2026-12"),
        "{chosen}"
    );
    assert_eq!(home.run(["prices", "reset", "--json"]).json(), json!({"reset": true}));
    assert!(!home.path().join("quality.json").exists());
}

#[test]
fn what_is_longer_than_any_known_context_window_is_refused() {
    let home = home("together", "[providers.together]\nmodels = [\"nobody/knows-me\"]\n");
    let ask = |tokens: &str| {
        home.run([
            "route",
            "chat",
            "--json",
            "--input-tokens",
            tokens,
            "--output-tokens",
            "10",
        ])
    };
    assert_eq!(ask("900000").code, Some(0));
    let refused = ask("90000000");
    assert_eq!(refused.error_code(), "no_route", "{refused:?}");
    assert!(refused.stdout.contains("context_too_small"), "{refused:?}");
}

/// A server on this machine whose list does not say how long a prompt may be.
fn server<const N: usize>(config: impl Fn(&str) -> String, answers: [(&'static str, Reply); N]) -> (StandIn, Home) {
    let server = StandIn::routes(answers);
    let home = Home::new();
    home.config(&format!(
        "[vault]\nmaster_key = \"key-file\"\n[budget]\nenabled = false\n{}",
        config(&server.url())
    ));
    (server, home)
}

#[test]
fn a_local_model_takes_what_its_server_says_and_little_where_it_does_not_say() {
    let tags = json!({"models": [{"name": "llama3.3:latest", "details": {"family": "llama"}}]});
    let show = json!({"model_info": {"general.architecture": "llama", "llama.context_length": 20_000}});
    let local = |url: &str| format!("[providers.local]\nbase_url = \"{url}\"\n");
    let ask = |home: &Home, tokens: &str| {
        home.run([
            "route",
            "chat",
            "--json",
            "--input-tokens",
            tokens,
            "--output-tokens",
            "10",
        ])
    };
    let (_server, home) = server(
        local,
        [
            ("GET /api/tags", Reply::json(200, &tags)),
            ("POST /api/show", Reply::json(200, &show)),
        ],
    );
    assert_eq!(ask(&home, "19000").json()["model"], "llama3.3:latest");
    assert_eq!(ask(&home, "21000").error_code(), "no_route");

    let (_server, home) = server(local, [("GET /api/tags", Reply::json(200, &tags))]);
    let short = ask(&home, "8000").json();
    assert!(
        short["reason"].as_str().unwrap().contains("8192 tokens are assumed"),
        "{short}"
    );
    assert_eq!(ask(&home, "9000").error_code(), "no_route");

    let own = |url: &str| {
        format!(
            "[providers.local]\nenabled = false\n[providers.mine]\nkind = \"openai-compatible\"\nbase_url = \"{url}/v1\"\n"
        )
    };
    let list = json!({"data": [{"id": "qwen"}]});
    let props = json!({"default_generation_settings": {"n_ctx": 16_384}});
    let (_server, home) = server(
        own,
        [
            ("GET /v1/models", Reply::json(200, &list)),
            ("GET /props", Reply::json(200, &props)),
        ],
    );
    assert_eq!(ask(&home, "16000").json()["model"], "qwen");
    assert_eq!(ask(&home, "17000").error_code(), "no_route");
}
