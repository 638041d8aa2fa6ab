//! The dashboard, as browsers, other pages and attackers meet it.

use std::{sync::Arc, time::Duration};

use api_keys::{
    app::{App, Clock},
    dashboard::{self, DashboardOptions, Panels},
    domain::{RequestOutcome, UsageRecord},
    settings::{Environment, Settings},
    storage::ledger::Fold,
    tools::{View, view::Tone},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::Home;

mod gate;
mod pages;

/// A dashboard that serves, of a home of its own.
struct Served {
    _home: Home,
    app: Arc<App>,
    authority: String,
    ticket: String,
}

/// What it answered.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }
}

impl Served {
    async fn new(config: &str, now: &str) -> Self {
        Self::of(Home::new(), config, now).await
    }

    async fn of(home: Home, config: &str, now: &str) -> Self {
        home.config(config);
        let environment = Environment::of([("API_KEYS_HOME", home.path().to_str().unwrap())]);
        let settings = Settings::open(&environment).unwrap();
        let app = Arc::new(App::new(settings, Clock::Fixed(now.parse().unwrap())));
        let options = DashboardOptions {
            port: 0,
            idle: None,
            panels: Panels {
                audit: |_| View::line(Tone::Plain, "entries of the trail"),
                doctor: |_| View::line(Tone::Plain, "findings"),
            },
            live: None,
        };
        let listener = dashboard::listen(Arc::clone(&app), options).await.unwrap();
        let link = listener.link(Duration::from_mins(1)).unwrap();
        let (address, ticket) = link.split_once('#').unwrap();
        let authority = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let ticket = ticket.to_owned();
        tokio::spawn(listener.serve(std::future::pending()));
        Self {
            _home: home,
            app,
            authority,
            ticket,
        }
    }

    /// Sends `head`, with `{host}` filled in, and `body`.
    async fn send(&self, head: &str, body: &str) -> Answer {
        let head = head.replace("{host}", &self.authority).replace('\n', "\r\n");
        let mut stream = TcpStream::connect(&self.authority).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
        let _ = stream.write_all(body.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            head: head.replace("\r\n", "\n"),
            body: body.to_owned(),
        }
    }

    async fn redeem(&self, ticket: &str) -> Option<String> {
        let body = json!({"ticket": ticket}).to_string();
        let length = body.len();
        let head =
            format!("POST /ui/v1/session HTTP/1.1\nHost: {{host}}\nConnection: close\nContent-Length: {length}\n");
        let answer = self.send(&head, &body).await;
        let told: Value = serde_json::from_str(&answer.body).ok()?;
        Some(told["token"].as_str()?.to_owned())
    }

    /// A page or a result, with the token.
    async fn get(&self, token: &str, path: &str) -> Answer {
        let head = format!(
            "GET {path} HTTP/1.1\nHost: {{host}}\nConnection: close\nSec-Fetch-Site: same-origin\nAuthorization: Bearer {token}\n"
        );
        self.send(&head, "").await
    }

    /// Records all of `records` at once.
    fn record(&self, records: &[UsageRecord]) {
        let ended: Vec<&UsageRecord> = records.iter().collect();
        let now = self.app.now();
        let fold = Fold {
            holder: "test",
            ended: &ended,
            position: None,
            leases: &[],
            budgets: &[],
            until: now + jiff::SignedDuration::from_mins(1),
        };
        self.app.ledger().fold(&fold, now).unwrap();
    }
}

fn request(at: &str, project: &str) -> UsageRecord {
    UsageRecord {
        at: at.parse().unwrap(),
        project: Some(project.to_owned()),
        outcome: RequestOutcome {
            success: true,
            status_code: Some(200),
            latency_ms: Some(700),
        },
        ..crate::ledger::request()
    }
}
