//! Who is let in, and what is refused in the client's own words.

use std::{io::Write, net::TcpStream};

use super::*;

#[test]
fn who_has_no_client_key_gets_nothing() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    let body = chat().to_string();
    let wrong = format!("Bearer {}x", scene.client);
    for headers in [
        vec![],
        vec![("authorization", wrong.as_str())],
        vec![("x-api-key", KEY)],
        vec![("authorization", "Basic abc")],
    ] {
        let answer = scene
            .gateway
            .send("POST", "/v1/chat/completions", &headers, body.as_bytes());
        assert_eq!(answer.status, 401, "{headers:?}");
        assert_eq!(answer.json()["error"]["code"], "client_key_invalid");
        let theirs = scene.gateway.send("POST", "/v1/messages", &headers, body.as_bytes());
        assert_eq!(theirs.json()["error"]["type"], "authentication_error");
        assert_eq!(theirs.json()["type"], "error");
        let native = scene
            .gateway
            .send("POST", "/p/google/v1beta/models/m:generateContent", &headers, b"{}");
        assert_eq!(native.json()["error"]["status"], "UNAUTHENTICATED");
        assert_eq!(scene.gateway.send("GET", "/v1/models", &headers, b"").status, 401);
    }
    assert!(scene.provider.requests().is_empty());
    assert_eq!(scene.gateway.send("GET", "/healthz", &[], b"").text(), "ok\n");
    let head = scene.gateway.send("HEAD", "/healthz", &[], b"");
    assert_eq!((head.status, head.text().as_str()), (200, ""));

    let removed = scene.home.run(["client", "remove", "tester", "--json"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert_eq!(scene.chat(chat()).status, 401, "at once, without a restart");
}

#[test]
fn the_key_of_a_client_is_shown_once_and_nowhere_kept() {
    let home = Home::new();
    let key = home.client(&[
        "editor",
        "--daily-limit",
        "2.50",
        "--provider",
        "openai",
        "--provider",
        "claude",
    ]);
    assert!(key.starts_with("akc_") && key.len() > 40, "{key}");
    let file = std::fs::read_to_string(home.path().join("clients.json")).unwrap();
    assert!(!file.contains(&key), "{file}");
    let listed = home.run(["client", "list", "--json"]).json();
    assert_eq!(listed["clients"][0]["providers"], json!(["anthropic", "openai"]));
    assert_eq!(listed["clients"][0]["daily_limit_usd"], 2.5);
    assert_eq!(
        home.run(["client", "add", "editor", "--json"]).error_code(),
        "client_exists"
    );
    assert_eq!(
        home.run(["client", "remove", "other", "--json"]).error_code(),
        "client_not_found"
    );
    assert_eq!(
        home.run(["client", "add", "two words", "--json"]).error_code(),
        "invalid_argument"
    );

    std::fs::write(home.path().join("clients.json"), file.replace("\"name\"", "\"nam\"")).unwrap();
    assert_eq!(home.run(["client", "list", "--json"]).error_code(), "clients_damaged");
    assert_eq!(
        home.run(["client", "add", "new", "--json"]).error_code(),
        "clients_damaged",
        "and not begun anew"
    );
}

#[test]
fn a_request_for_another_host_is_refused() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    let bearer = format!("Bearer {}", scene.client);
    for host in [
        "evil.example",
        "evil.example:8787",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "",
        "localhost.evil",
    ] {
        let headers = [("host", host), ("authorization", bearer.as_str())];
        for path in ["/v1/models", "/healthz", "/metrics"] {
            assert_eq!(
                scene.gateway.send("GET", path, &headers, b"").status,
                403,
                "{host} {path}"
            );
        }
    }
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "127.1.2.3:9",
        "[::1]:8787",
        "[::1]",
    ] {
        let headers = [
            ("host", host),
            ("authorization", bearer.as_str()),
            ("origin", "http://evil.example"),
        ];
        let answer = scene.gateway.send("GET", "/v1/models", &headers, b"");
        assert_eq!(answer.status, 200, "{host}");
        assert!(
            !answer
                .headers
                .iter()
                .any(|(name, _)| name.starts_with("access-control"))
        );
    }
}

#[test]
fn what_is_no_request_is_told_so_in_the_clients_own_words() {
    let scene = Scene::with(
        StandIn::answering(Reply::json(200, &completion())),
        "",
        &[],
        &["--provider", "openai"],
    );
    let bearer = format!("Bearer {}", scene.client);
    let send = |path: &str, body: &[u8]| {
        let answer = scene.gateway.send("POST", path, &[("authorization", &bearer)], body);
        let error = answer.json()["error"].clone();
        (answer.status, error["code"].as_str().unwrap_or_default().to_owned())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(
        send("/v1/chat/completions", b"{\"model\":"),
        is(400, "invalid_argument")
    );
    assert_eq!(send("/v1/chat/completions", b"[]"), is(400, "invalid_argument"));
    assert_eq!(
        send("/v1/chat/completions", b" [\"openai/m\", true]"),
        is(400, "invalid_argument"),
        "a list is not taken for the fields in their order"
    );
    assert_eq!(
        send("/v1/chat/completions", b"{\"model\":7}"),
        is(400, "invalid_argument")
    );
    assert_eq!(
        send("/v1/chat/completions", b"{\"messages\":[]}"),
        is(400, "invalid_argument")
    );
    assert_eq!(
        send("/v1/messages", b"{\"model\":\"anthropic/m\"}"),
        is(403, "provider_not_allowed")
    );
    assert_eq!(send("/v1/nothing", b"{}"), is(404, "no_such_route"));
    assert_eq!(send("/p/nobody/x", b"{}"), is(404, "unknown_provider"));
    assert_eq!(send("/", b"{}"), is(405, "method_not_allowed"));
    let long = vec![b' '; (32 << 20) + 1];
    let headers = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: {bearer}\r\ncontent-length: {}\r\n\r\n",
        long.len()
    );
    let mut stream = TcpStream::connect(&scene.gateway.address).unwrap();
    stream.write_all(headers.as_bytes()).unwrap();
    let refused = Answer::read(stream);
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (413, &json!("request_too_large"))
    );
    assert!(scene.provider.requests().is_empty());
}

#[test]
fn other_machines_are_let_in_only_where_somebody_says_so() {
    let home = Home::new();
    let run = |options: &[&str]| home.run([&["gateway", "--json", "--listen", "0.0.0.0:0"], options].concat());
    assert_eq!(run(&[]).error_code(), "invalid_argument");
    let nobody = run(&["--allow-remote"]);
    assert_eq!(nobody.error_code(), "invalid_argument");
    assert!(nobody.stdout.contains("client add"), "{nobody:?}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(
        home.run(["gateway", "--json", "--listen", &address]).error_code(),
        "address_unavailable"
    );
}
