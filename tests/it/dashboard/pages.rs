//! What pages show of ledgers of all kinds.

use api_keys::domain::RecordedCost;

use super::*;

const NOW: &str = "2026-11-24T12:00:00Z";
const PAGES: [&str; 10] = [
    "overview", "usage", "sessions", "models", "keys", "routing", "gateway", "logs", "audit", "doctor",
];
const CONFIG: &str = "[vault]\nmaster_key = \"key-file\"\n";

#[tokio::test]
async fn every_page_is_there_without_a_ledger_or_a_vault() {
    let served = Served::new(CONFIG, NOW).await;
    let token = served.redeem(&served.ticket).await.unwrap();
    for page in PAGES {
        let answer = served.get(&token, &format!("/ui/v1/page/{page}")).await;
        assert_eq!(answer.status, 200, "{page}: {}", answer.body);
        assert!(answer.body.contains("<h1>"), "{page}");
    }
    assert!(!served.app.ledger().path().exists(), "looking makes nothing");
}

#[tokio::test]
async fn a_damaged_ledger_is_said_and_never_shown_as_empty() {
    let home = Home::new();
    crate::support::private_file(&home.path().join("ledger.db"), &[7; 8_192]);
    let served = Served::of(home, CONFIG, NOW).await;
    let token = served.redeem(&served.ticket).await.unwrap();
    for page in ["overview", "usage", "sessions", "models", "gateway", "logs"] {
        let answer = served.get(&token, &format!("/ui/v1/page/{page}")).await;
        assert_eq!(answer.status, 500, "{page}");
        assert!(answer.body.contains("ledger_damaged"), "{page}: {}", answer.body);
    }
    let snapshot: Value = serde_json::from_str(&served.get(&token, "/ui/v1/snapshot").await.body).unwrap();
    assert_eq!(snapshot["usage"]["error"]["code"], "ledger_damaged", "{snapshot}");
}

#[tokio::test]
async fn names_of_others_are_text() {
    let served = Served::new(CONFIG, NOW).await;
    let token = served.redeem(&served.ticket).await.unwrap();
    let hostile = "\"><script>alert(1)</script><img src=x onerror=alert(1)>";
    let turned = "abc\u{202e}gpj\u{1b}[2J";
    let mut records = vec![
        request("2026-11-24T10:00:00Z", hostile),
        request("2026-11-24T10:01:00Z", turned),
    ];
    records.push(UsageRecord {
        session: Some(hostile.to_owned()),
        agent: Some("'><b>".to_owned()),
        ..request("2026-11-24T10:02:00Z", "p")
    });
    served.record(&records);
    for path in [
        "overview?by=project",
        "usage?by=project",
        "usage?by=agent",
        "sessions",
        "logs",
        "usage?agent=%22%3E%3Cscript%3E",
    ] {
        let page = served.get(&token, &format!("/ui/v1/page/{path}")).await;
        assert_eq!(page.status, 200, "{path}");
        for markup in ["<script", "<img", "'><b>", "\u{202e}", "\u{1b}"] {
            assert!(!page.body.contains(markup), "{path} has {markup:?}");
        }
    }
}

#[tokio::test]
async fn ten_thousand_projects_are_a_page_that_is_read() {
    let served = Served::new(CONFIG, NOW).await;
    let token = served.redeem(&served.ticket).await.unwrap();
    let records: Vec<UsageRecord> = (0..10_000)
        .map(|at| UsageRecord {
            cost: RecordedCost::Unpriced,
            ..request("2026-11-24T10:00:00Z", &format!("project {at}"))
        })
        .collect();
    served.record(&records);
    for page in ["overview?by=project", "usage?by=project", "sessions"] {
        let answer = served.get(&token, &format!("/ui/v1/page/{page}")).await;
        assert_eq!(answer.status, 200, "{page}");
        assert!(answer.body.len() < 60_000, "{page} has {} bytes", answer.body.len());
        assert!(answer.body.contains("9993 others"), "{page} says how many there are");
        assert!(answer.body.contains("without a known price"), "{page}");
    }
}

#[tokio::test]
async fn days_are_those_of_the_budgets_time_zone_also_when_clocks_change() {
    let config = format!("{CONFIG}[budget]\ntime_zone = \"Europe/Berlin\"\n");
    let served = Served::new(&config, "2026-10-27T12:00:00Z").await;
    let token = served.redeem(&served.ticket).await.unwrap();
    // 25 October has 25 hours: clocks go back at 3 o'clock.
    let times = [
        "2026-10-24T21:59:00Z",
        "2026-10-24T22:00:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T22:59:00Z",
        "2026-10-25T23:00:00Z",
    ];
    served.record(&times.map(|at| request(at, "p")));
    let page = served
        .get(&token, "/ui/v1/page/usage?show=requests&from=2026-10-24&to=2026-10-26")
        .await;
    let counts: Vec<&str> = page
        .body
        .split("<tr data-from=")
        .skip(1)
        .filter_map(|row| row.split("<td class=\"num\">").nth(1)?.split('<').next())
        .collect();
    assert_eq!(counts, ["1", "4", "1"], "{}", page.body);
}

#[tokio::test]
async fn the_snapshot_is_made_of_the_tools_results() {
    let served = Served::new(CONFIG, NOW).await;
    let token = served.redeem(&served.ticket).await.unwrap();
    served.record(&[request("2026-11-24T10:00:00Z", "p")]);
    let answer = served.get(&token, "/ui/v1/snapshot?days=7&by=project").await;
    let snapshot: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&snapshot["version"], &snapshot["at"]), (&json!(1), &json!(NOW)));
    assert_eq!(snapshot["usage"]["groups"][0]["name"], "p");
    assert_eq!(snapshot["usage"]["period"]["days"], 7);
    for part in ["budget", "keys", "providers", "routing"] {
        assert!(
            snapshot[part].is_object() && snapshot[part]["error"].is_null(),
            "{part}: {}",
            snapshot[part]
        );
    }
}

#[tokio::test]
async fn a_page_is_told_that_something_changed_and_not_what() {
    let served = Served::new(CONFIG, NOW).await;
    let token = served.redeem(&served.ticket).await.unwrap();
    served.record(&[request("2026-11-24T10:00:00Z", "first")]);
    let mut stream = TcpStream::connect(&served.authority).await.unwrap();
    let head = format!(
        "GET /ui/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
        served.authority
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = String::new();
    let mut recorded = false;
    let read = async {
        let mut buffer = [0; 4_096];
        while !told.contains("event: changed") {
            let count = stream.read(&mut buffer).await.unwrap();
            told.push_str(&String::from_utf8_lossy(&buffer[..count]));
            if told.contains("retry: 3000") && !recorded {
                served.record(&[request("2026-11-24T10:00:01Z", "second")]);
                recorded = true;
            }
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, read).await.unwrap();
    assert!(told.contains("text/event-stream") && !told.contains("second"), "{told}");
}

#[tokio::test]
async fn a_report_has_no_secret_no_script_and_no_way_out() {
    let served = Served::new(CONFIG, NOW).await;
    served.record(&[request("2026-11-24T10:00:00Z", "<script>alert(1)</script>")]);
    let report = dashboard::report(&served.app, 30).unwrap();
    for part in ["<script", "href=", "src=", "http://", "<button", "<input"] {
        assert!(!report.contains(part), "{part}");
    }
    assert!(report.contains("LLM usage, 30 days") && report.contains("Cost by model"));
}
