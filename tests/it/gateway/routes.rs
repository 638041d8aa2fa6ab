//! Which paths and methods reach a provider, and as what.

use super::*;

#[test]
fn a_method_that_no_provider_should_see_is_refused_with_those_that_are_taken() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &json!({}))));
    let headers = [("x-api-key", scene.client.as_str())];
    for (method, path, allowed) in [
        ("TRACE", "/p/openai/v1/user", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("OPTIONS", "/p/openai/v1/user", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("PROPFIND", "/p/openai/v1/user", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("TRACE", "/nothing", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/models", "GET, HEAD"),
    ] {
        let refused = scene.gateway.send(method, path, &headers, b"");
        assert_eq!(
            (refused.status, refused.header("allow")),
            (405, Some(allowed)),
            "{method} {path}"
        );
        assert_eq!(refused.json()["error"]["code"], "method_not_allowed", "{method} {path}");
    }
    for path in ["/p/openai/%252e%252e/secret", "/p/openai/..;/secret", "/p/openai/a%00b"] {
        assert_eq!(scene.gateway.send("GET", path, &headers, b"").status, 400, "{path}");
    }
    assert!(scene.provider.requests().is_empty());
}

#[test]
fn the_query_of_a_request_reaches_the_provider_without_a_key() {
    let scene = Scene::new(of_every_format());
    let body = json!({"model": "anthropic/m", "max_tokens": 5, "messages": []});
    scene
        .gateway
        .post("/v1/messages?beta=true&key=akc_x", &scene.client, &body);
    assert_eq!(scene.provider.requests()[0].path, "/v1/messages?beta=true");
}

#[test]
fn an_upgrade_is_refused_at_once_wherever_it_is_asked_for() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &json!({}))));
    for path in ["/v1/responses", "/", "/p/openai/realtime", "/none"] {
        let headers = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
        ];
        let refused = scene.gateway.send("GET", path, &headers, b"");
        assert_eq!(refused.status, 426, "{path}");
        assert_eq!(refused.json()["error"]["code"], "upgrade_refused", "{path}");
        assert_eq!(refused.header("upgrade"), Some("HTTP/1.1"), "{path}");
    }
    assert!(scene.provider.requests().is_empty());
}

#[test]
fn agents_find_the_gateway_alive_without_a_key() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &json!({}))));
    for (method, path) in [
        ("HEAD", "/"),
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/healthz"),
        ("HEAD", "/readyz"),
    ] {
        assert_eq!(
            scene.gateway.send(method, path, &[], b"").status,
            200,
            "{method} {path}"
        );
    }
}

#[test]
fn a_base_url_with_or_without_a_version_is_the_same() {
    let scene = Scene::new(of_every_format());
    let chat = json!({"model": "openai/m", "input": [], "max_output_tokens": 5});
    let messages = json!({"model": "anthropic/m", "messages": [], "max_tokens": 5});
    for (path, body) in [
        ("/responses", &chat),
        ("/v1/v1/responses", &chat),
        ("/messages", &messages),
    ] {
        let answer = scene.gateway.post(path, &scene.client, body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let paths: Vec<String> = scene
        .provider
        .requests()
        .iter()
        .map(|request| request.path.clone())
        .collect();
    assert_eq!(paths, ["/v1/responses", "/v1/responses", "/v1/messages"]);
}

#[test]
fn what_was_stored_is_asked_for_where_it_was_made_and_with_the_same_key() {
    let provider = StandIn::start(|request| {
        let key = request.header("authorization").unwrap_or_default();
        let made = if key.contains("Second") {
            "resp_second"
        } else {
            "resp_first"
        };
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/responses") => Reply::json(
                200,
                &json!({"id": made, "object": "response", "status": "completed", "output": [],
                    "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}}),
            ),
            (_, path) if path.contains(made) => Reply::json(200, &json!({"id": made})),
            _ => Reply::json(404, &json!({"error": {"message": "not found"}})),
        }
    });
    let scene = Scene::with(provider, "", &[], &[]);
    scene.home.key(&["openai", "--label", "second"], SECOND);
    let ask = |session: &str| {
        let key = format!("Bearer {}", scene.client);
        let headers = [("authorization", key.as_str()), ("x-api-keys-session", session)];
        let body = json!({"model": "openai/m", "input": "hi", "max_output_tokens": 5}).to_string();
        let answer = scene.gateway.send("POST", "/v1/responses", &headers, body.as_bytes());
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let mut made = std::collections::BTreeSet::new();
    for number in 0..20 {
        made.insert(ask(&format!("session-{number}")));
    }
    assert_eq!(made.len(), 2, "both keys are used");
    let headers = [("x-api-key", scene.client.as_str())];
    for id in &made {
        for (method, rest) in [
            ("GET", ""),
            ("GET", "/input_items?limit=5"),
            ("POST", "/cancel"),
            ("DELETE", ""),
        ] {
            let path = format!("/v1/responses/{id}{rest}");
            let answer = scene.gateway.send(method, &path, &headers, b"");
            assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        }
    }
}

#[test]
fn the_rest_of_an_api_goes_to_the_provider_that_the_model_names_or_the_client_has() {
    let price = "[[prices]]\nmodel = \"mine/whisper\"\ninput = 1.0\noutput = 1.0\n";
    let provider = StandIn::answering(Reply::json(200, &json!({"id": "x-1"})));
    let scene = Scene::with(provider, price, &[], &[]);
    let form = "--x1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmine/whisper\r\n--x1--\r\n";
    let key = [("x-api-key", scene.client.as_str())];
    for (path, body) in [
        ("/v1/moderations", r#"{"model":"mine/omni","input":"x"}"#),
        ("/v1/responses/input_tokens", r#"{"model":"mine/m","input":"x"}"#),
        (
            "/v1/files",
            "--x1\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--x1--\r\n",
        ),
    ] {
        let answer = scene.gateway.send("POST", path, &key, body.as_bytes());
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let answer = scene
        .gateway
        .send("POST", "/v1/audio/transcriptions", &key, form.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen: Vec<(String, String)> = scene
        .provider
        .requests()
        .iter()
        .map(|request| {
            (
                request.path.clone(),
                String::from_utf8_lossy(&request.body).into_owned(),
            )
        })
        .collect();
    assert_eq!(
        seen[0],
        (
            "/v1/moderations".to_owned(),
            r#"{"model":"omni","input":"x"}"#.to_owned()
        )
    );
    assert_eq!(seen[1].0, "/v1/responses/input_tokens");
    assert_eq!(seen[2].0, "/v1/files");
    assert_eq!(seen[3].1, form.replace("mine/whisper", "whisper"));
}

#[test]
fn a_body_that_comes_compressed_is_read_and_passed_on_as_it_was() {
    let scene = Scene::new(of_every_format());
    let body = json!({"model": "openai/m", "input": [], "max_output_tokens": 5}).to_string();
    let packed = ruzstd::encoding::compress_to_vec(body.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    let headers = [("x-api-key", scene.client.as_str()), ("content-encoding", "zstd")];
    let answer = scene.gateway.send("POST", "/v1/responses", &headers, &packed);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = &scene.provider.requests()[0];
    assert_eq!(sent.header("content-encoding"), None);
    assert_eq!(String::from_utf8_lossy(&sent.body), body.replace("openai/m", "m"));
    let refused = scene.gateway.send("POST", "/v1/responses", &headers, b"{}");
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (400, &json!("invalid_argument"))
    );
}

#[test]
fn models_are_listed_in_the_form_of_the_callers_library() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &json!({}))));
    let key = ("x-api-key", scene.client.as_str());
    let of = |path: &str, more: (&str, &str)| scene.gateway.send("GET", path, &[key, more], b"").json();
    let openai = of("/v1/models", ("accept", "*/*"));
    assert_eq!(
        (&openai["object"], &openai["data"][0]["object"]),
        (&json!("list"), &json!("model"))
    );
    let anthropic = of("/models", ("anthropic-version", "2023-06-01"));
    assert_eq!(
        (&anthropic["has_more"], &anthropic["data"][0]["type"]),
        (&json!(false), &json!("model"))
    );
    for gemini in [
        of("/v1beta/models", ("accept", "*/*")),
        of("/v1/models", ("x-goog-api-key", "x")),
    ] {
        let first = gemini["models"][0]["name"].as_str().unwrap();
        assert!(
            first.starts_with("models/gemini") || first.starts_with("models/"),
            "{first}"
        );
        assert!(!first.contains("google/"), "{first}");
    }
}
