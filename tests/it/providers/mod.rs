//! Every provider's answers, as its documentation gives them, and answers that no documentation gives.

use std::{process::Command, time::Duration};

use api_keys::{
    domain::{ApiKey, KeyStatus, Secret},
    providers::{Account, Checked, Checker, PROVIDERS, Provider, ProviderDef, ProviderResponse},
    settings::Config,
};
use serde_json::json;

use crate::support::{
    PATIENCE,
    stand_in::{Reply, StandIn},
};

mod answers;
mod tls;
mod upstream;

use answers::{REQUESTS, rows};

const GOOD: &str = "Zk3q9Lw7Xv2Nb8Ty4Rm6Pc1Hd5Jf0GsGood";
const WRONG: &str = "Zk3q9Lw7Xv2Nb8Ty4Rm6Pc1Hd5Jf0GsWrong";

fn key(text: &str) -> ApiKey {
    ApiKey::parse(&Secret::new(text)).expect("well formed")
}

fn def(id: &str) -> &'static ProviderDef {
    PROVIDERS.iter().find(|def| def.id == id).expect(id)
}

/// The provider `id`, moved to `url` with the path that its own address has.
fn moved(id: &str, url: &str) -> Provider {
    let path = def(id)
        .base_url
        .unwrap_or_default()
        .splitn(4, '/')
        .nth(3)
        .unwrap_or_default();
    let url = format!("{url}/{path}");
    let text = format!("[providers.{id}]\nbase_url = \"{url}\"\n");
    Config::parse(&text)
        .expect("a good configuration")
        .provider(id)
        .expect(id)
}

async fn check(provider: &Provider, text: &str) -> Checked {
    let key = key(text);
    let checked = Checker::new().check(provider, Some(&key), &provider.origin).await;
    assert!(!format!("{checked:?}").contains(text), "the key is not repeated");
    checked
}

async fn answered(id: &str, reply: Reply) -> Checked {
    let stand_in = StandIn::answering(reply);
    check(&moved(id, &stand_in.url()), GOOD).await
}

#[tokio::test]
async fn every_documented_answer_means_what_the_documentation_says() {
    for row in rows() {
        let checked = answered(row.provider, Reply::json(row.http_status, &row.body)).await;
        let what = format!("{} {} {}", row.provider, row.http_status, row.body);
        assert_eq!(checked.status, row.means, "{what}");
        assert_eq!(checked.http_status, Some(row.http_status), "{what}");
        assert_eq!(checked.missing_scopes, row.missing, "{what}");
        assert_eq!(checked.restricted, !row.missing.is_empty(), "{what}");
        assert!(
            checked.message.starts_with(def(row.provider).title),
            "{what}: {}",
            checked.message
        );
    }
}

#[tokio::test]
async fn every_provider_is_asked_as_its_documentation_says_with_the_key_only_in_a_header() {
    for (id, asked, header) in REQUESTS {
        let stand_in = StandIn::answering(Reply::json(200, &json!({})));
        check(&moved(id, &stand_in.url()), GOOD).await;
        let requests = stand_in.requests();
        assert_eq!(requests.len(), 1, "{id}");
        let request = &requests[0];
        assert_eq!(format!("{} {}", request.method, request.path), *asked, "{id}");
        let (name, value) = header.split_once(": ").expect("a header");
        assert_eq!(request.header(name), Some(value.replace("KEY", GOOD).as_str()), "{id}");
        let elsewhere = request.headers.iter().filter(|(other, _)| other != name);
        assert!(elsewhere.into_iter().all(|(_, value)| !value.contains(GOOD)), "{id}");
        assert!(!String::from_utf8_lossy(&request.body).contains(GOOD), "{id}");
        let agent = concat!("api-keys/", env!("CARGO_PKG_VERSION"));
        assert_eq!(request.header("user-agent"), Some(agent), "{id}");
        let is_post = request.method == "POST";
        assert_eq!(request.json().is_object(), is_post, "{id}: a body where one is posted");
    }
    let anthropic = StandIn::answering(Reply::json(200, &json!({})));
    check(&moved("anthropic", &anthropic.url()), GOOD).await;
    assert_eq!(anthropic.requests()[0].header("anthropic-version"), Some("2023-06-01"));
}

#[tokio::test]
async fn a_wrong_key_of_the_right_form_is_invalid_at_every_provider() {
    let rows = rows();
    let reply = |id: &str, means| {
        let row = rows
            .iter()
            .find(|row| row.provider == id && row.means == means && row.missing.is_empty())
            .expect(id);
        Reply::json(row.http_status, &row.body)
    };
    for (id, _, _) in REQUESTS {
        let (good, wrong) = (reply(id, KeyStatus::Valid), reply(id, KeyStatus::Invalid));
        let stand_in = StandIn::start(move |request| {
            let knows = request.headers.iter().any(|(_, value)| value.ends_with(GOOD));
            if knows { good.clone() } else { wrong.clone() }
        });
        let provider = moved(id, &stand_in.url());
        assert_eq!(check(&provider, GOOD).await.status, KeyStatus::Valid, "{id}");
        assert_eq!(check(&provider, WRONG).await.status, KeyStatus::Invalid, "{id}");
    }
}

#[tokio::test]
async fn every_provider_is_either_asked_or_says_that_it_cannot_be() {
    for def in PROVIDERS {
        let has_row = REQUESTS.iter().any(|(id, ..)| *id == def.id) || def.id == "local";
        assert_eq!(def.check.is_some(), has_row, "{}", def.id);
        if def.check.is_none() {
            let stand_in = StandIn::answering(Reply::json(200, &json!({})));
            let checked = check(&moved(def.id, &stand_in.url()), GOOD).await;
            assert_eq!(checked.status, KeyStatus::Unreachable, "{}", def.id);
            assert_eq!(checked.http_status, None);
            assert_eq!(stand_in.connections(), 0, "{}: the key stays here", def.id);
        }
    }
}

#[tokio::test]
async fn trouble_and_limits_never_make_a_key_invalid() {
    for (id, _, _) in REQUESTS {
        for http_status in [403, 408, 418, 429, 500, 502, 503, 504, 529] {
            for reply in [
                Reply::json(http_status, &json!({"error": {"message": "no"}})),
                Reply::html(http_status),
                Reply::new(http_status, b""),
            ] {
                let checked = answered(id, reply).await;
                assert_ne!(
                    checked.status.is_valid(),
                    Some(false),
                    "{id} {http_status}: {checked:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_page_for_browsers_says_nothing_of_the_key() {
    for (id, _, _) in REQUESTS {
        for http_status in [200, 400, 401, 402, 403, 404, 422, 500] {
            let checked = answered(id, Reply::html(http_status)).await;
            assert_eq!(checked.status, KeyStatus::Unreachable, "{id} {http_status}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_goes_nowhere_else() {
    let elsewhere = StandIn::answering(Reply::json(200, &json!({"data": []})));
    for http_status in [301, 302, 303, 307, 308] {
        let reply = Reply::new(http_status, b"").header("location", &format!("{}/v1/models", elsewhere.url()));
        let checked = answered("openai", reply).await;
        assert_eq!(checked.status, KeyStatus::Unreachable);
        assert_eq!(checked.http_status, Some(http_status));
        assert!(checked.message.contains("redirect"), "{}", checked.message);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_in_time_is_unreachable() {
    for reply in [Reply::silence(), Reply::json(200, &json!({"data": []})).after(PATIENCE)] {
        let stand_in = StandIn::answering(reply);
        let provider = moved("openai", &stand_in.url());
        let impatient = Checker::with_patience(Duration::from_millis(200));
        let checked = impatient.check(&provider, Some(&key(GOOD)), &provider.origin).await;
        assert_eq!(checked.status, KeyStatus::Unreachable);
        assert!(checked.message.contains("in time"), "{}", checked.message);
        assert!(checked.latency_ms >= 200);
        assert!(u128::from(checked.latency_ms) < PATIENCE.as_millis() / 2);
    }
}

#[tokio::test]
async fn a_ten_megabyte_body_is_read_only_to_the_cap() {
    let megabyte = vec![b'x'; 1 << 20];
    for (start, means) in [
        (&b"{\"data\":[\""[..], KeyStatus::Valid),
        (&b"xxxxxxxxxxxxx"[..], KeyStatus::Unreachable),
        (&b"<html><body>"[..], KeyStatus::Unreachable),
    ] {
        let mut body = start.to_vec();
        body.extend_from_slice(&megabyte);
        let stand_in = StandIn::answering(Reply::new(200, &body).repeated(64));
        let checked = check(&moved("openai", &stand_in.url()), GOOD).await;
        assert_eq!(checked.status, means);
        drop(checked);
        assert!(stand_in.written() < 64 << 20, "{} bytes were taken", stand_in.written());
    }
    // Where the body decides, a part of it does not.
    let mut body = b"{\"pad\":\"".to_vec();
    body.extend_from_slice(&megabyte);
    for id in ["xai", "cohere", "openrouter"] {
        let checked = answered(id, Reply::new(200, &body)).await;
        assert_eq!(checked.status, KeyStatus::Unreachable, "{id}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_gets_no_key() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\n\r\n{}"[..],
        &b"\x15\x03\x03\x00\x02\x02\x28"[..],
        &b""[..],
    ] {
        let stand_in = StandIn::raw(bytes);
        let url = format!("https://127.0.0.1:{}", stand_in.port());
        let checked = check(&moved("openai", &url), GOOD).await;
        assert_eq!(checked.status, KeyStatus::Unreachable);
        assert_eq!(checked.http_status, None);
    }
}

#[tokio::test]
async fn what_is_not_http_says_nothing_of_the_key() {
    for bytes in [
        &b"220 mail.example.com ESMTP\r\n"[..],
        &b"\x00\x01\x02\x03"[..],
        &b""[..],
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"data\":["[..],
        &b"HTTP/1.1 401"[..],
    ] {
        let stand_in = StandIn::raw(bytes);
        let checked = check(&moved("openai", &stand_in.url()), GOOD).await;
        assert_eq!(checked.status, KeyStatus::Unreachable, "{bytes:?}");
    }
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
    for http_status in [200, 401, 403] {
        let checked = answered(
            "openai",
            Reply::new(http_status, gzip).header("content-encoding", "gzip"),
        )
        .await;
        assert_eq!(checked.status, KeyStatus::Unreachable, "{http_status}");
    }
}

#[tokio::test]
async fn an_answer_that_echoes_the_key_leaves_no_trace_of_it() {
    for id in [
        "openai",
        "anthropic",
        "google",
        "elevenlabs",
        "xai",
        "openrouter",
        "cohere",
        "huggingface",
        "replicate",
    ] {
        for http_status in [200, 400, 401, 403, 429, 500] {
            let echo = format!("Missing scopes: {GOOD}, ok.scope. missing the permission {GOOD} {GOOD}");
            let body = json!({
                "error": {"message": echo, "code": GOOD}, "message": echo, "valid": true,
                "team_id": GOOD, "user_id": GOOD, "organization_id": GOOD, "id": GOOD, "name": GOOD, "username": GOOD,
                "data": {"creator_user_id": GOOD, "workspace_id": GOOD.get(4..28)},
                "detail": {"status": "missing_permissions", "message": echo},
            });
            let reply = Reply::json(http_status, &body)
                .header("openai-organization", GOOD)
                .header("anthropic-organization-id", GOOD)
                .header("x-echo", GOOD);
            let checked = answered(id, reply).await;
            let shown = format!(
                "{checked:?} {:?}",
                checked.account.as_ref().map(|account| account.as_str().to_owned())
            );
            for at in 0..GOOD.len() - 8 {
                let piece = GOOD.get(at..at + 8).expect("ASCII");
                assert!(
                    !shown.to_lowercase().contains(&piece.to_lowercase()),
                    "{id} {http_status}: {shown}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_account_is_told_where_the_answer_names_it() {
    for (id, reply, account) in [
        (
            "anthropic",
            Reply::json(200, &json!({"data": []})).header("anthropic-organization-id", "org-7"),
            "org-7",
        ),
        (
            "openai",
            Reply::json(200, &json!({"data": []})).header("openai-organization", "user-abc"),
            "user-abc",
        ),
        (
            "xai",
            Reply::json(200, &json!({"team_id": "t-1", "user_id": "u-1"})),
            "t-1",
        ),
        (
            "cohere",
            Reply::json(200, &json!({"valid": true, "organization_id": "o-1"})),
            "o-1",
        ),
        (
            "openrouter",
            Reply::json(200, &json!({"data": {"creator_user_id": "c-1"}})),
            "c-1",
        ),
        (
            "huggingface",
            Reply::json(200, &json!({"id": "h-1", "name": "someone"})),
            "h-1",
        ),
        (
            "replicate",
            Reply::json(200, &json!({"username": "someone"})),
            "someone",
        ),
        ("elevenlabs", Reply::json(200, &json!({"user_id": "e-1"})), "e-1"),
    ] {
        let checked = answered(id, reply).await;
        assert_eq!(checked.account.as_ref().map(Account::as_str), Some(account), "{id}");
        assert!(
            !format!("{checked:?}").contains(account),
            "{id}: an account is personal data"
        );
    }
    assert_eq!(
        answered("mistral", Reply::json(200, &json!({"data": []})))
            .await
            .account,
        None
    );
}

#[tokio::test]
async fn a_key_that_the_provider_lets_expire_comes_with_the_date() {
    let body = json!({"data": {"limit_remaining": null, "expires_at": "2027-01-31T00:00:00Z"}});
    let checked = answered("openrouter", Reply::json(200, &body)).await;
    assert_eq!(checked.expires_at, "2027-01-31T00:00:00Z".parse().ok());
}

#[tokio::test]
async fn ollama_needs_no_key_and_is_found_by_either_of_its_addresses() {
    for stand_in in [
        StandIn::routes([("GET /api/version", Reply::json(200, &json!({"version": "0.12.0"})))]),
        StandIn::routes([("GET /api/tags", Reply::json(200, &json!({"models": []})))]),
    ] {
        let provider = moved("local", &stand_in.url());
        let checked = Checker::new().check(&provider, None, &provider.origin).await;
        assert_eq!(checked.status, KeyStatus::Valid);
        assert!(
            stand_in
                .requests()
                .iter()
                .all(|request| request.header("authorization").is_none())
        );
    }
    let nowhere = StandIn::answering(Reply::silence());
    let provider = moved("local", &nowhere.url());
    drop(nowhere);
    let checked = Checker::new().check(&provider, None, &provider.origin).await;
    assert_eq!((checked.status, checked.http_status), (KeyStatus::Unreachable, None));
}

#[tokio::test]
async fn an_endpoint_of_ones_own_is_asked_for_its_models() {
    let stand_in = StandIn::routes([("GET /v1/models", Reply::json(200, &json!({"data": []})))]);
    let text = format!(
        "[providers.my-vllm]\nkind = \"openai-compatible\"\nbase_url = \"http://localhost:{}/v1\"\n",
        stand_in.port()
    );
    let provider = Config::parse(&text)
        .expect("good")
        .provider("my-vllm")
        .expect("configured");
    assert_eq!(check(&provider, GOOD).await.status, KeyStatus::Valid);
    let checked = Checker::new().check(&provider, None, &provider.origin).await;
    assert_eq!(checked.status, KeyStatus::Valid);
    assert_eq!(stand_in.requests().len(), 2);
    assert_eq!(stand_in.requests()[1].header("authorization"), None);
}

#[tokio::test]
async fn a_key_is_sent_only_to_the_origin_it_was_added_for() {
    let stand_in = StandIn::answering(Reply::json(200, &json!({"data": []})));
    let provider = moved("openai", &stand_in.url());
    for origin in [
        "https://api.openai.com",
        "",
        &format!("http://localhost:{}", stand_in.port()),
        &format!("https://127.0.0.1:{}", stand_in.port()),
    ] {
        let checked = Checker::new().check(&provider, Some(&key(GOOD)), origin).await;
        assert_eq!(checked.status, KeyStatus::Unreachable, "{origin}");
    }
    let checked = Checker::new().check(&provider, None, &provider.origin).await;
    assert_eq!(checked.status, KeyStatus::Unreachable, "no key, no question");
    assert_eq!(stand_in.connections(), 0);

    let azure = Config::default().provider("azure-openai").expect("built in");
    let checked = Checker::new().check(&azure, Some(&key(GOOD)), &azure.origin).await;
    assert_eq!(checked.status, KeyStatus::Unreachable);
    assert!(checked.message.contains("base_url"), "{}", checked.message);
}

#[tokio::test]
async fn a_check_on_loopback_reaches_the_stand_in() {
    let checked = answered("openai", Reply::json(200, &json!({"data": []}))).await;
    assert_eq!(checked.status, KeyStatus::Valid);
}

#[test]
fn a_proxy_never_sees_what_stays_on_this_machine() {
    let proxy = StandIn::answering(Reply::json(401, &json!({"error": "proxy"})));
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "providers::a_check_on_loopback_reaches_the_stand_in"]);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        command.env(name, proxy.url());
    }
    let output = command.output().expect("the test runs again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert_eq!(proxy.connections(), 0);
}

proptest::proptest! {
    /// What the fuzz target does at length, on every build.
    #[test]
    fn any_answer_is_read_and_nothing_of_the_key_comes_out(
        row in 0..PROVIDERS.len(),
        http_status in 100u16..1000,
        is_cut: bool,
        start in proptest::sample::select(vec!["", "{", "[", "<", "{\"error\":{\"message\":\"Missing scopes: ", "{\"data\":{\"creator_user_id\":\""]),
        middle in "[ -~]{0,60}",
        echo: bool,
        end in proptest::sample::select(vec!["", "}", "\"}", "\"}}", "]"]),
    ) {
        let body = format!("{start}{middle}{}{end}", if echo { GOOD } else { "" });
        let key = key(GOOD);
        let def = &PROVIDERS[row];
        let verdict = (def.read)(&ProviderResponse::new(def.title, http_status, body.as_bytes(), is_cut, Some(&key)));
        let shown = format!("{verdict:?} {:?}", verdict.account.as_ref().map(Account::as_str));
        proptest::prop_assert!(!shown.to_lowercase().contains(&GOOD.to_lowercase()), "{}", shown);
        proptest::prop_assert!(verdict.message.starts_with(def.title));
        if matches!(http_status, 403 | 429 | 500..) && def.id != "voyage" {
            proptest::prop_assert_ne!(verdict.status, KeyStatus::Invalid);
        }
    }
}

#[tokio::test]
async fn servers_of_models_on_this_machine_are_found_by_how_they_answer() {
    let port = |server: &StandIn| -> u16 {
        let url = server.url();
        url.rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .expect("a port")
    };
    let listed = json!({"object": "list", "data": [{"id": "qwen3", "owned_by": "vllm"}]});
    let vllm = StandIn::routes([("GET /v1/models", Reply::json(200, &listed))]);
    let ollama = StandIn::routes([("GET /api/version", Reply::json(200, &json!({"version": "0.12.0"})))]);
    let other = StandIn::answering(Reply::json(200, &json!("<html>")));
    let silent = StandIn::answering(Reply::silence());
    let ports = [&vllm, &ollama, &other, &silent].map(port);
    let found = Checker::new().local_servers(&ports).await;
    let of = |port: u16| {
        let address = format!("http://127.0.0.1:{port}");
        let at = found
            .iter()
            .find(|server| server.provider.base_url.starts_with(&address));
        at.map(|server| (server.title, server.models))
    };
    assert_eq!(of(ports[0]), Some(("vLLM", 1)));
    assert_eq!(of(ports[1]), Some(("Ollama", 0)));
    assert_eq!((of(ports[2]), of(ports[3])), (None, None));
}
