//! Alerts arrive, once, whatever happens on the way.

use std::sync::Arc;

use api_keys::{
    alerts::SendVerdict,
    app::{App, Clock},
    domain::{AlertKind, NewAlert},
    services::alerts::{self, AlertSender, Attempt},
    settings::{Environment, HOME, Settings},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{
    Ended, Home, eventually,
    stand_in::{Received, Reply, StandIn},
};

mod channels;
mod conditions;
mod delivery;

/// A part of every secret address in these tests, which must show nowhere.
const CANARY: &str = "T0CANARY0SECRET0PATH";

/// A budget that one request of test-large exceeds.
const CONFIG: &str = "
[vault]
master_key = \"key-file\"
[budget]
daily_limit = 1.0
monthly_limit = 1000.0
[[prices]]
model = \"openai/test-large\"
input = 1000
output = 1000
";

fn home() -> Home {
    let home = Home::new();
    home.config(CONFIG);
    home
}

/// One that has the destination `ops`, a webhook at `server`.
fn home_with_webhook(server: &StandIn) -> Home {
    let home = home();
    add(&home, &["webhook", "ops"], &secret_address(server));
    home
}

fn secret_address(server: &StandIn) -> String {
    format!("{}/hooks/{CANARY}", server.url())
}

fn add(home: &Home, arguments: &[&str], secret: &str) -> Ended {
    let command = home.command(["alerts", "add"].iter().chain(arguments).chain(&["--stdin"]));
    let added = home.run_with(command, &format!("{secret}\n"));
    assert_eq!(added.code, Some(0), "{added:?}");
    added
}

/// The program's parts as they are at some second after now.
fn app_at(home: &Home, second: i64) -> App {
    let path = home.path();
    let environment = Environment::of([(HOME.name, path.to_str().unwrap())]);
    let at = Timestamp::now() + SignedDuration::from_secs(second);
    App::new(Settings::open(&environment).unwrap(), Clock::Fixed(at))
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work)
}

/// A turn of another process that sends, at some second after now.
fn turn(home: &Home, second: i64) -> Vec<Attempt> {
    let app = app_at(home, second);
    let sender = AlertSender::new(&app).unwrap();
    let attempts = wait(sender.turn(&app)).unwrap();
    sender.stop(&app).unwrap();
    attempts
}

fn raise(home: &Home, subject: &str, second: i64) {
    let app = app_at(home, second);
    let text = format!("the key {subject} is refused by its provider");
    let alert = NewAlert::new(AlertKind::KeyRefused, subject, &text, "api-keys validate");
    app.ledger().raise(&alert, app.now()).unwrap();
}

/// The ids of the messages that a webhook has received.
fn ids(server: &StandIn) -> Vec<String> {
    let id = |received: &Received| received.header("webhook-id").unwrap_or_default().to_owned();
    server.requests().iter().map(id).collect()
}

fn sent_alerts(received: &Received) -> Vec<String> {
    let body = received.json();
    let alerts = body["alerts"].as_array().unwrap();
    alerts
        .iter()
        .map(|alert| alert["subject"].as_str().unwrap().to_owned())
        .collect()
}

/// Fails where the secret of a destination is in a file of the program as it is.
fn expect_no_canary(home: &Home, outputs: &[&Ended]) {
    for ended in outputs {
        assert!(
            !ended.stdout.contains(CANARY) && !ended.stderr.contains(CANARY),
            "{ended:?}"
        );
    }
    let mut files = 0;
    let mut folders = vec![home.path()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let is_found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            assert!(!is_found, "{}", path.display());
        }
    }
    assert!(files > 3, "the check sees the files, found {files}");
}
