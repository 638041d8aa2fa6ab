//! A ledger of each version of the format, as that version wrote it: never edited, always readable.

use std::{fs, path::PathBuf};

use super::*;
use api_keys::{
    domain::ProviderId,
    storage::ledger::{Dimension, Health, Limit, Reserve, Reserved},
};

/// The newest version's file.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ledger-1/ledger.db")
}

fn records() -> Vec<UsageRecord> {
    let openai = UsageRecord {
        at: at(-40 * DAY),
        model: "openai/gpt-made-up".parse().unwrap(),
        label: Some("work".parse().unwrap()),
        task: Some(Task::CodeReview),
        project: None,
        session: None,
        client: Some("an editor".to_owned()),
        source: Source::Gateway,
        service: Service::Batch,
        cost: RecordedCost::Estimated {
            cost: Usd::from_nano(1_234_567_890),
            price: "of that day".to_owned(),
        },
        request_id: Some("req_golden".to_owned()),
        ..request()
    };
    let failed = UsageRecord {
        at: at(1),
        label: None,
        tokens: Tokens::default(),
        outcome: Outcome {
            success: false,
            status_code: Some(529),
            latency_ms: None,
        },
        cost: RecordedCost::Unpriced,
        ..request()
    };
    vec![openai, request(), failed]
}

fn health() -> (ProviderId, Label, Health) {
    let health = Health {
        trouble: Some("rate_limited".to_owned()),
        since: at(0),
        until: at(30),
        strikes: 2,
        probe_until: Some(at(90)),
    };
    ("openai".parse().unwrap(), "work".parse().unwrap(), health)
}

/// Makes the golden ledger of the newest version: once, when there is none.
fn make(folder: &Path) {
    let ledger = Ledger::new(folder);
    record_all(&ledger, &records());
    let (provider, label, health) = health();
    ledger
        .change_health(&provider, &[label], |_, _| Some(health.clone()))
        .unwrap();
    assert!(ledger.alert_once("daily", at(-DAY / 2), 80, at(2)).unwrap());
    let ask = Reserve {
        amount: Usd::from_nano(77),
        limits: Vec::new(),
        until: at(DAY),
        request: records().remove(0),
    };
    assert!(matches!(ledger.reserve(&ask, at(3)), Ok(Reserved::Granted(_))));
}

#[test]
fn the_first_version_is_read_and_written_on() {
    let golden = golden();
    if !golden.exists() {
        make(golden.parent().unwrap());
        panic!("made {}: look at it, and commit it", golden.display());
    }
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    put(&folder, &fs::read(&golden).unwrap());
    let ledger = Ledger::new(&folder);
    expect_whole(&ledger);
    let records = records();
    let kept: Vec<_> = exported(&ledger).into_iter().map(|exported| exported.record).collect();
    assert_eq!(kept, records);
    assert_eq!(total(&ledger), sum(&records));
    let models: Vec<_> = ledger
        .grouped(always(), &Filter::default(), Dimension::Model)
        .unwrap()
        .into_iter()
        .map(|(model, totals)| (model.unwrap(), totals.requests))
        .collect();
    assert_eq!(
        models,
        [
            ("anthropic/claude-made-up".to_owned(), 2),
            ("openai/gpt-made-up".to_owned(), 1)
        ]
    );
    assert_eq!(ledger.health().unwrap(), [health()]);
    assert_eq!(alerts(&folder).len(), 1);
    assert!(!ledger.alert_once("daily", at(-DAY / 2), 80, at(5)).unwrap());
    let budget = [span(0, 900)];
    assert_eq!(
        ledger.spent(Some("an editor"), &budget, at(4)).unwrap()[0].reserved,
        Usd::from_nano(77)
    );
    assert!(ledger.record(&records[0]).unwrap().duplicate);
    assert_eq!(ledger.record(&request()).unwrap().id, 4);
    let limit = Limit {
        span: span(0, 900),
        of_client: false,
        most: Usd::from_nano(10 + 10 + 77),
    };
    let ask = |amount| Reserve {
        amount: Usd::from_nano(amount),
        limits: vec![limit],
        until: at(DAY),
        request: request(),
    };
    assert!(matches!(ledger.reserve(&ask(1), at(4)), Ok(Reserved::Refused { .. })));
    assert!(matches!(ledger.reserve(&ask(0), at(4)), Ok(Reserved::Granted(_))));
    expect_whole(&ledger);
}
