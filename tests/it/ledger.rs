//! The ledger: what is recorded is counted, once, and shared.

use api_keys::{
    domain::{Label, Outcome, RecordedCost, Service, Source, Span, Task, TokenCounts, Tokens, UsageRecord, Usd},
    storage::ledger::Ledger,
};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

mod life;

/// The time in these tests: noon of a day.
pub(crate) const NOON: &str = "2026-11-24T12:00:00Z";

/// An empty ledger in a folder of its own.
pub(crate) fn ledger() -> (TempDir, Ledger) {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(home.path().join("data"));
    (home, ledger)
}

/// A time, in seconds after noon.
pub(crate) fn at(seconds: i64) -> Timestamp {
    NOON.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// From noon on, in seconds.
pub(crate) fn span(from: i64, to: i64) -> Span {
    Span {
        from: at(from),
        to: at(to),
    }
}

/// A successful request at noon that cost ten nano-dollars.
pub(crate) fn request() -> UsageRecord {
    UsageRecord {
        at: at(0),
        model: "anthropic/claude-made-up".parse().unwrap(),
        label: Some(Label::default()),
        task: Some(Task::Chat),
        project: Some("a project".to_owned()),
        session: Some("a session".to_owned()),
        client: None,
        source: Source::Reported,
        service: Service::Standard,
        tokens: Tokens::new(TokenCounts {
            input: 100,
            output: 20,
            cache_read: 30,
            cache_write: 10,
            cache_write_1h: 5,
            reasoning: 7,
        })
        .unwrap(),
        outcome: Outcome {
            success: true,
            status_code: Some(200),
            latency_ms: Some(1234),
        },
        cost: RecordedCost::Computed {
            cost: Usd::from_nano(10),
            price: "of today".to_owned(),
        },
        request_id: None,
    }
}
