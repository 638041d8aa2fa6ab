//! Who is let in, and what a browser may do with what it gets.

use api_keys::dashboard::{RouteAccess, routes};

use super::*;

const NOW: &str = "2026-11-24T12:00:00Z";

#[tokio::test]
async fn without_the_token_no_route_with_data_answers() {
    let mut with_data = 0;
    for (method, path, access) in routes() {
        // One of its own for each: wrong tokens become slow.
        let served = Served::new("", NOW).await;
        for authorization in [
            "",
            "Authorization: Bearer\n",
            "Authorization: Bearer AAAA\n",
            "Cookie: token=AAAA\n",
        ] {
            let head = format!("{method} {path} HTTP/1.1\nHost: {{host}}\nConnection: close\n{authorization}");
            let answer = served.send(&head, "").await;
            let expected = match access {
                RouteAccess::Shell => 200,
                RouteAccess::Token | RouteAccess::Ticket => 401,
            };
            assert_eq!(answer.status, expected, "{method} {path} {authorization}");
        }
        with_data += usize::from(access == RouteAccess::Token);
    }
    assert!(with_data >= 13, "every page and result needs it: {with_data}");
}

#[tokio::test]
async fn other_hosts_origins_and_forms_of_requests_get_nothing() {
    let served = Served::new("", NOW).await;
    let token = served.redeem(&served.ticket).await.unwrap();
    let port = served.authority.rsplit(':').next().unwrap();
    let get = |target: &str, headers: &str| {
        format!("GET {target} HTTP/1.1\n{headers}\nConnection: close\nAuthorization: Bearer {token}\n")
    };
    let usage = "/ui/v1/page/usage";
    for (target, headers) in [
        // A name that resolves to this machine.
        (usage, format!("Host: evil.example:{port}")),
        (usage, format!("Host: 127.0.0.1.evil.example:{port}")),
        (usage, "Host: 127.0.0.1".to_owned()),
        (usage, format!("Host: user@127.0.0.1:{port}")),
        (usage, format!("Host: 127.0.0.1:{port}, evil.example")),
        (usage, format!("Host: 127.0.0.1:{port}\nHost: 127.0.0.1:{port}")),
        (usage, format!("Host: LOCALHOST.:{port}")),
        (
            &format!("http://127.0.0.1:{port}{usage}"),
            format!("Host: 127.0.0.1:{port}"),
        ),
        (
            &format!("http://evil.example{usage}"),
            format!("Host: 127.0.0.1:{port}"),
        ),
        // A page of another origin.
        (usage, format!("Host: 127.0.0.1:{port}\nOrigin: http://evil.example")),
        (usage, format!("Host: 127.0.0.1:{port}\nOrigin: null")),
        (usage, format!("Host: 127.0.0.1:{port}\nOrigin: http://127.0.0.1:1")),
        (
            usage,
            format!("Host: 127.0.0.1:{port}\nOrigin: http://localhost:{port}"),
        ),
        (usage, format!("Host: 127.0.0.1:{port}\nSec-Fetch-Site: same-site")),
        (usage, format!("Host: 127.0.0.1:{port}\nSec-Fetch-Site: cross-site")),
        (
            usage,
            format!("Host: 127.0.0.1:{port}\nSec-Fetch-Site: same-origin\nSec-Fetch-Site: none"),
        ),
        // The shell in a frame.
        (
            "/",
            format!(
                "Host: 127.0.0.1:{port}\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe"
            ),
        ),
    ] {
        let answer = served.send(&get(target, &headers), "").await;
        assert_eq!(answer.status, 403, "{target} {headers}");
        assert!(!answer.body.contains("Usage"), "{headers}");
    }
    for target in [
        "/x/../ui/v1/page/usage",
        "/ui/v1/page/%75sage",
        "//ui/v1/page/usage",
        "/ui/v1/page/usage/",
        "/%2e/",
        "/v1/models",
    ] {
        let answer = served.send(&get(target, &format!("Host: 127.0.0.1:{port}")), "").await;
        assert_eq!(answer.status, 404, "{target}");
    }
    assert_eq!(
        served
            .send(&get(usage, &format!("Host: localhost:{port}")), "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_ticket_works_once_and_a_wrong_one_never() {
    let served = Served::new("", NOW).await;
    assert_eq!(served.redeem("").await, None);
    assert_eq!(served.redeem(&served.ticket[1..]).await, None);
    let token = served.redeem(&served.ticket).await.unwrap();
    assert_eq!(served.redeem(&served.ticket).await, None);
    assert_eq!(served.get(&token, "/ui/v1/snapshot").await.status, 200);
}

#[tokio::test]
async fn guessing_becomes_slow() {
    let served = Served::new("", NOW).await;
    for _ in 0..5 {
        served.redeem("guess").await;
    }
    let since = std::time::Instant::now();
    served.redeem("guess").await;
    assert!(since.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_page_may_run_our_script_and_nothing_else() {
    let served = Served::new("", NOW).await;
    let shell = served
        .send("GET / HTTP/1.1\nHost: {host}\nConnection: close\n", "")
        .await;
    let policy = shell.header("content-security-policy").unwrap();
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(shell.header(name), Some(value), "{name}");
    }
    assert_eq!(shell.header("access-control-allow-origin"), None);
    assert_eq!(shell.header("set-cookie"), None);
    assert!(
        !shell.body.contains("style=") && !shell.body.contains("<script>"),
        "{}",
        shell.body
    );
}

#[tokio::test]
async fn no_get_changes_anything() {
    let served = Served::new("", NOW).await;
    let token = served.redeem(&served.ticket).await.unwrap();
    for path in ["/ui/v1/key-page", "/ui/v1/session"] {
        let answer = served.get(&token, path).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{path}");
    }
}
