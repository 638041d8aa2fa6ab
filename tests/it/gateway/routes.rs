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
