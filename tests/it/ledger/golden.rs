//! A ledger of each version of the format, as that version wrote it: never edited, always readable.

use std::{fs, path::PathBuf};

use super::*;
use api_keys::{
    domain::ProviderId,
    storage::ledger::{Dimension, Granted, Position, StoredHealth},
};

/// The newest version.
const NEWEST: u32 = 6;

fn golden(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/ledger-{version}/ledger.db"))
}

/// What is in the ledger of that version.
fn records(version: u32) -> Vec<UsageRecord> {
    let mut openai = UsageRecord {
        at: at(-40 * DAY),
        model: "openai/gpt-made-up".parse().unwrap(),
        label: Some("work".parse().unwrap()),
        task: Some(Task::CodeReview),
        project: None,
        session: None,
        client: Some("an editor".to_owned()),
        source: UsageSource::Gateway,
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
        outcome: RequestOutcome {
            success: false,
            status_code: Some(529),
            latency_ms: None,
        },
        cost: RecordedCost::Unpriced,
        ..request()
    };
    if version >= 4 {
        openai.agent = Some("claude-code".to_owned());
        openai.tags = "team=search,ticket=K-7".parse().unwrap();
    }
    if version >= 5 {
        openai.upstream_id = Some("chatcmpl-golden".to_owned());
        openai.billing = Billing::Plan;
    }
    let mut stated = request();
    if version >= 3 {
        stated.cost = RecordedCost::Stated {
            cost: Usd::from_nano(10),
            own: Some(OwnCost {
                cost: Usd::from_nano(8),
                price: "of that day".to_owned(),
            }),
        };
    }
    vec![openai, stated, failed]
}

fn health() -> (ProviderId, Label, StoredHealth) {
    let health = StoredHealth {
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
    record_all(&ledger, &records(NEWEST));
    let (provider, label, health) = health();
    ledger
        .change_health(&provider, &[label], |_, _| Some(health.clone()))
        .unwrap();
    assert!(
        ledger
            .alert_once(&budget_alert("daily", at(-DAY / 2), 80), at(2))
            .unwrap()
    );
    // The first version held a reservation instead, of a request that it had a record of.
    let leased = LeaseChange {
        client: Some("an editor"),
        asks: &[Usd::from_nano(77)],
        ..new_lease(&[])
    };
    let fold = Fold {
        position: Some(Position { segment: 1, offset: 32 }),
        leases: &[leased],
        until: at(DAY),
        ..fold("0123456789abcdef")
    };
    assert_eq!(ledger.fold(&fold, at(3)).unwrap().leases[0].asks, [Granted::Yes]);
}

/// The ledger as it was then, in a folder of its own.
fn opened(version: u32) -> (TempDir, Ledger) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    put(&folder, &fs::read(golden(version)).unwrap());
    (home, Ledger::new(folder))
}

#[test]
fn every_version_is_read_and_written_on() {
    let newest = golden(NEWEST);
    if !newest.exists() {
        make(newest.parent().unwrap());
        panic!("made {}: look at it, and commit it", newest.display());
    }
    for (version, leased) in [(1, 0), (2, 77), (3, 77), (4, 77), (5, 77), (NEWEST, 77)] {
        expect_readable(version, leased);
    }
}

fn expect_readable(version: u32, leased: i64) {
    let (home, ledger) = opened(version);
    let condition = ledger.check(Depth::Whole).unwrap().unwrap();
    assert_eq!(condition.version, NEWEST);
    let records = records(version);
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
    assert_eq!(alerts_of(&home.path().join("data")).len(), 1);
    assert!(
        !ledger
            .alert_once(&budget_alert("daily", at(-DAY / 2), 80), at(5))
            .unwrap()
    );
    let spent = ledger.spent(Some("an editor"), &[span(0, 900)], at(4)).unwrap()[0];
    assert_eq!(spent.reserved, Usd::from_nano(leased));
    assert!(ledger.record(&records[0]).unwrap().duplicate);
    assert_eq!(ledger.record(&request()).unwrap().id, 4);
    let limits = [SpendingLimit {
        span: span(0, 900),
        ..limit(10 + 10 + leased)
    }];
    let refused = lease(&ledger, "another", (1, &limits), 4);
    assert!(
        matches!(refused.asks[..], [Granted::No { limit: 0, .. }]),
        "{refused:?}"
    );
    assert_eq!(lease(&ledger, "another", (0, &limits), 4).asks, [Granted::Yes]);
    expect_whole(&ledger);
}

/// Those under way when the program was replaced: their end is never recorded.
#[test]
fn reservations_of_the_first_version_become_failed_requests_by_their_prompts_once() {
    let (_home, ledger) = opened(1);
    let sql = rusqlite::Connection::open(ledger.path()).unwrap();
    let priced = UsageRecord {
        at: at(-40 * DAY),
        tokens: Tokens::new(TokenCounts {
            input: 5,
            ..TokenCounts::default()
        })
        .unwrap(),
        outcome: RequestOutcome {
            success: false,
            status_code: None,
            latency_ms: None,
        },
        cost: RecordedCost::Estimated {
            cost: Usd::from_nano(11),
            price: "of that day".to_owned(),
        },
        request_id: Some("req_under_way".to_owned()),
        ..records(1).remove(0)
    };
    let unpriced = UsageRecord {
        cost: RecordedCost::Unpriced,
        request_id: None,
        ..priced.clone()
    };
    for (name, cost) in [("'req_under_way'", "11, price"), ("NULL", "NULL, 0")] {
        let copied = format!(
            "INSERT INTO reservation
                SELECT NULL, (SELECT client FROM series WHERE series.id = record.series), at, at, 77, series, session,
                    service, 5, {cost}, provider, {name}
                FROM record WHERE request_id = 'req_golden'"
        );
        assert_eq!(sql.execute(&copied, []).unwrap(), 1);
    }
    drop(sql);
    expect_whole(&ledger);
    let all = [records(1), vec![priced.clone(), unpriced]].concat();
    let kept: Vec<_> = exported(&ledger).into_iter().map(|exported| exported.record).collect();
    assert_eq!(kept, all);
    assert_eq!(total(&ledger), sum(&all));
    let of_client = Filter {
        client: Some("an editor".to_owned()),
        ..Filter::default()
    };
    assert_eq!(
        ledger.totals(always(), &of_client).unwrap(),
        sum([&all[0], &all[3], &all[4]])
    );
    let spent = ledger.spent(Some("an editor"), &[always()], at(0)).unwrap()[0];
    assert_eq!(
        (spent.recorded.nano(), spent.unpriced_requests),
        (1_234_567_890 + 11, 1)
    );
    assert!(ledger.record(&priced).unwrap().duplicate);
    assert_eq!(ledger.record(&request()).unwrap().id, 6);
    expect_whole(&ledger);
}
