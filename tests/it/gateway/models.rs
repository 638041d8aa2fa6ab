//! Which model a name means: aliases, lists to fall back on, what a client may use, and models that no list knows.

use super::*;

fn ask(scene: &Scene, client: &str, path: &str, model: &str) -> Answer {
    let body = match path {
        "/v1/responses" => json!({"model": model, "input": "hi", "max_output_tokens": 100}),
        _ => json!({"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}),
    };
    scene.gateway.post(path, client, &body)
}

/// The model that answered, by the gateway's own header.
fn answered(answer: &Answer) -> (u16, String) {
    let model = answer.header("x-api-keys-model").unwrap_or_default();
    (answer.status, model.to_owned())
}

#[test]
fn a_model_that_no_list_knows_goes_where_its_name_points_to_and_is_recorded_without_a_price() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    for (path, model, goes_to) in [
        ("/v1/responses", "gpt-99-new", "openai/gpt-99-new"),
        ("/v1/chat/completions", "gpt-99-new", "openai/gpt-99-new"),
        ("/v1/messages", "claude-new-99", "anthropic/claude-new-99"),
        ("/v1/messages", "deepseek-new-99", "deepseek/deepseek-new-99"),
    ] {
        let answer = ask(&scene, &scene.client, path, model);
        assert_eq!(
            answered(&answer),
            (200, goes_to.to_owned()),
            "{path}: {}",
            answer.text()
        );
    }
    assert_eq!(scene.home.totals(4)["unpriced_requests"], 4);
    for (path, model) in [("/v1/chat/completions", "nobodys-99"), ("/v1/messages", "gpt-99-new")] {
        let answer = ask(&scene, &scene.client, path, model);
        let code = &answer.json()["error"]["code"];
        assert_eq!(answer.status, 404, "{path}: {code}");
    }
    let only_mine = scene.home.client(&["only-mine", "--provider", "mine"]);
    let answer = ask(&scene, &only_mine, "/v1/chat/completions", "nobodys-99");
    assert_eq!(answered(&answer), (200, "mine/nobodys-99".to_owned()));
}

#[test]
fn requests_of_unknown_cost_count_against_the_budget_at_their_cap() {
    let config = "[budget]\ndaily_limit = 0.35\nunpriced_cap = 0.1\n";
    let scene = Scene::with(StandIn::answering(Reply::json(200, &completion())), config, &[], &[]);
    for status in [200, 200, 200, 402] {
        let answer = ask(&scene, &scene.client, "/v1/chat/completions", "gpt-99-new");
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let known = ask(&scene, &scene.client, "/v1/chat/completions", "openai/m");
    assert_eq!(known.status, 200, "what has a price is not held up: {}", known.text());
}

#[test]
fn an_alias_names_the_models_that_answer_one_after_the_other() {
    let provider = StandIn::start(|request| match request.json()["model"].as_str() {
        Some("broken") => Reply::json(500, &json!({"error": {"message": "down"}})),
        _ => Reply::json(200, &completion()),
    });
    let config = "[gateway.models]\n\"claude-*\" = \"openai/m\"\nlist = [\"mine/broken\", \"openai/m\"]\n\
        \"gpt-6-sol\" = \"deepseek/m\"\n[[prices]]\nmodel = \"deepseek/m\"\ninput = 1.0\noutput = 1.0\n";
    let scene = Scene::with(provider, config, &[], &[]);
    for (path, model, goes_to) in [
        ("/v1/chat/completions", "claude-sonnet-5", "openai/m"),
        ("/v1/chat/completions", "list", "openai/m"),
        ("/v1/messages", "gpt-6-sol", "deepseek/m"),
    ] {
        let answer = ask(&scene, &scene.client, path, model);
        assert_eq!(
            answered(&answer),
            (200, goes_to.to_owned()),
            "{model}: {}",
            answer.text()
        );
    }
    let other_format = ask(&scene, &scene.client, "/v1/messages", "claude-sonnet-5");
    assert_eq!(other_format.status, 404, "{}", other_format.text());
}

#[test]
fn a_client_uses_the_models_that_it_was_added_for_and_no_others() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    let client = scene
        .home
        .client(&["narrow", "--model", "openai/m", "--model", "mine/*"]);
    for (model, status) in [("openai/m", 200), ("mine/x", 200), ("openai/gpt-6-sol", 403)] {
        let answer = ask(&scene, &client, "/v1/chat/completions", model);
        assert_eq!(answer.status, status, "{model}: {}", answer.text());
    }
    let listed = scene.gateway.get("/v1/models", &client).json();
    let listed = listed["data"].as_array().unwrap().iter();
    let ids: Vec<&str> = listed.filter_map(|it| it["id"].as_str()).collect();
    assert!(
        ids.iter().all(|id| *id == "openai/m" || id.starts_with("mine/")),
        "{ids:?}"
    );
}

#[test]
fn a_response_names_the_model_as_it_was_asked_for_where_that_is_set() {
    let stream = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m-2026\",\"choices\":[{\"index\":0,\"delta\":\
                  {\"content\":\"m-2026\"}}]}\n\ndata: [DONE]\n\n";
    let provider = || {
        StandIn::start(move |request| {
            if request.json()["stream"] == true {
                Reply::stream([stream])
            } else {
                Reply::json(200, &completion())
            }
        })
    };
    let aliases = "[gateway.models]\nbest = \"openai/m\"\n";
    for (config, plain, streamed) in [
        (aliases.to_owned(), "m-2026-01-01", "\"model\":\"m-2026\""),
        (
            format!("[gateway]\necho_model = true\n{aliases}"),
            "best",
            "\"model\":\"best\"",
        ),
    ] {
        let scene = Scene::with(provider(), &config, &[], &[]);
        let answer = ask(&scene, &scene.client, "/v1/chat/completions", "best");
        assert_eq!(answer.json()["model"], plain);
        assert_eq!(answered(&answer), (200, "openai/m".to_owned()));
        let body = json!({"model": "best", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        let answer = scene.gateway.post("/v1/chat/completions", &scene.client, &body);
        let text = answer.text();
        assert!(
            text.contains(streamed) && text.contains("\"content\":\"m-2026\""),
            "{text}"
        );
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    }
}
