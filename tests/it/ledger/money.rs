//! Budgets: what is spent, and money set aside for requests under way.

use std::collections::BTreeSet;

use super::*;
use api_keys::storage::ledger::{Dimension, Entries, Limit, Recorded, ReservationId, Reserve, Reserved, Spent};

/// Ten dollars' worth of the smallest unit, so that sums are easy to see.
const LIMIT: i64 = 100;

fn limit(most: i64) -> Limit {
    Limit {
        span: span(0, DAY),
        of_client: false,
        most: Usd::from_nano(most),
    }
}

fn ask(amount: i64, limits: &[Limit]) -> Reserve {
    Reserve {
        amount: Usd::from_nano(amount),
        limits: limits.to_vec(),
        until: at(60),
        request: UsageRecord {
            cost: cost(7),
            ..request()
        },
    }
}

fn granted(reserved: Reserved) -> ReservationId {
    match reserved {
        Reserved::Granted(id) => id,
        refused @ Reserved::Refused { .. } => panic!("{refused:?}"),
    }
}

/// Records what a reservation became.
fn settle(ledger: &Ledger, id: ReservationId, record: &UsageRecord) -> Recorded {
    let entries = Entries {
        ended: vec![(Some(id), record)],
        ..Entries::default()
    };
    ledger.keep(&entries, at(0)).unwrap().recorded[0]
}

fn release(ledger: &Ledger, id: ReservationId) {
    let entries = Entries {
        released: &[id],
        ..Entries::default()
    };
    ledger.keep(&entries, at(0)).unwrap();
}

/// What is recorded and reserved at some second.
fn spent(ledger: &Ledger, client: Option<&str>, second: i64) -> (i64, i64) {
    let spent = ledger.spent(client, &[span(0, DAY)], at(second)).unwrap()[0];
    (spent.recorded.nano(), spent.reserved.nano())
}

#[test]
fn a_reservation_is_granted_as_far_as_every_limit_goes() {
    let (_home, ledger) = ledger();
    ledger
        .record(&UsageRecord {
            cost: cost(30),
            ..request()
        })
        .unwrap();
    ledger
        .record(&UsageRecord {
            cost: RecordedCost::Unpriced,
            ..request()
        })
        .unwrap();
    let limits = [limit(LIMIT), limit(90)];
    granted(ledger.reserve(&ask(50, &limits), at(1)).unwrap());
    let refused = ledger.reserve(&ask(11, &limits), at(2)).unwrap();
    let expected = Reserved::Refused {
        limit: 1,
        spent: Spent {
            recorded: Usd::from_nano(30),
            reserved: Usd::from_nano(50),
            unpriced_requests: 1,
        },
    };
    assert_eq!(refused, expected);
    granted(ledger.reserve(&ask(10, &limits), at(2)).unwrap());
    granted(ledger.reserve(&ask(0, &limits), at(2)).unwrap());
    assert_eq!(spent(&ledger, None, 3), (30, 60));
    let tomorrow = Limit {
        span: span(DAY, 2 * DAY),
        ..limit(LIMIT)
    };
    granted(ledger.reserve(&ask(LIMIT, &[tomorrow]), at(3)).unwrap());
}

#[test]
fn a_reservation_ends_when_it_is_settled_released_or_too_old() {
    let (_home, ledger) = ledger();
    let limits = [limit(LIMIT)];
    let settled = granted(ledger.reserve(&ask(40, &limits), at(0)).unwrap());
    let released = granted(ledger.reserve(&ask(30, &limits), at(0)).unwrap());
    granted(ledger.reserve(&ask(20, &limits), at(0)).unwrap());
    assert_eq!(spent(&ledger, None, 59), (0, 90));
    let record = UsageRecord {
        cost: cost(25),
        request_id: Some("req_1".to_owned()),
        ..request()
    };
    let first = settle(&ledger, settled, &record);
    assert_eq!(spent(&ledger, None, 59), (25, 50));
    release(&ledger, released);
    assert_eq!(spent(&ledger, None, 59), (25, 20));
    assert_eq!(spent(&ledger, None, 60), (25, 0), "given up");

    let again = settle(&ledger, settled, &record);
    assert_eq!((again.id, again.duplicate, again.cost), (first.id, true, first.cost));
    release(&ledger, settled);
    release(&ledger, released);
    assert!(settle(&ledger, settled, &record).duplicate, "also after a release");
    assert_eq!(spent(&ledger, None, 60), (25, 0));
}

#[test]
fn a_request_that_nobody_says_the_end_of_is_recorded_by_its_input_once() {
    let (_home, ledger) = ledger();
    let named = |name: &str| Reserve {
        request: UsageRecord {
            request_id: Some(name.to_owned()),
            tokens: Tokens::new(TokenCounts {
                input: 3,
                ..TokenCounts::default()
            })
            .unwrap(),
            cost: RecordedCost::Estimated {
                cost: Usd::from_nano(6),
                price: "of that day".to_owned(),
            },
            ..request()
        },
        ..ask(40, &[])
    };
    granted(ledger.reserve(&named("req_lost"), at(0)).unwrap());
    let renewed = granted(ledger.reserve(&named("req_long"), at(0)).unwrap());
    granted(ledger.reserve(&named("req_known"), at(0)).unwrap());
    ledger.record(&named("req_known").request).unwrap();
    ledger.renew([renewed], at(1000)).unwrap();
    granted(ledger.reserve(&ask(0, &[]), at(61)).unwrap());
    let records = exported(&ledger);
    let names: Vec<_> = records.iter().map(|kept| kept.record.request_id.as_deref()).collect();
    assert_eq!(names, [Some("req_known"), Some("req_lost")]);
    let lost = UsageRecord {
        outcome: Outcome {
            success: false,
            status_code: None,
            latency_ms: None,
        },
        ..named("req_lost").request
    };
    assert_eq!(records[1].record, lost);
    let sum = total(&ledger);
    assert_eq!((sum.requests, sum.input_tokens, sum.cost.nano()), (2, 6, 12));
    assert!(ledger.record(&lost).unwrap().duplicate);
    assert!(!settle(&ledger, renewed, &named("req_long").request).duplicate);
}

#[test]
fn the_end_of_a_request_that_was_given_up_stands_in_the_place_of_what_was_supposed() {
    let (_home, ledger) = ledger();
    let of = |label: &str| UsageRecord {
        label: Some(label.parse().unwrap()),
        client: Some("editor".to_owned()),
        request_id: Some("req_late".to_owned()),
        ..request()
    };
    let asked = Reserve {
        request: UsageRecord {
            cost: cost(7),
            ..of("first")
        },
        ..ask(40, &[])
    };
    let late = granted(ledger.reserve(&asked, at(0)).unwrap());
    granted(ledger.reserve(&ask(0, &[]), at(100)).unwrap());
    assert_eq!((total(&ledger).errors, total(&ledger).cost.nano()), (1, 7), "given up");
    assert!(ledger.record(&of("first")).unwrap().duplicate, "told by somebody else");

    // Sent with another key in the end.
    assert!(!settle(&ledger, late, &of("second")).duplicate);
    assert!(settle(&ledger, late, &of("second")).duplicate, "once");
    let kept: Vec<_> = exported(&ledger).into_iter().map(|kept| kept.record).collect();
    assert_eq!(kept, [of("second")]);
    assert_eq!(total(&ledger), Totals::of(&of("second")));
    assert_eq!(spent(&ledger, Some("editor"), 1), (10, 0));
    let by_key = ledger.grouped(always(), &Filter::default(), Dimension::Key).unwrap();
    assert_eq!(by_key, [(Some("anthropic:second".to_owned()), total(&ledger))]);
    expect_whole(&ledger);
}

#[test]
fn a_process_gives_up_none_of_its_own_requests() {
    let (_home, ledger) = ledger();
    let limits = [limit(LIMIT)];
    let own = BTreeSet::from([granted(ledger.reserve(&ask(30, &limits), at(0)).unwrap())]);
    granted(ledger.reserve(&ask(40, &limits), at(0)).unwrap());
    let entries = Entries {
        asked: &[Reserve {
            until: at(160),
            ..ask(20, &limits)
        }],
        under_way: Some(&own),
        ..Entries::default()
    };
    granted(ledger.keep(&entries, at(100)).unwrap().reserved[0]);
    assert_eq!(spent(&ledger, None, 101), (7, 50), "that of the other is");
    assert_eq!(spent(&ledger, None, 160), (7, 0));
}

#[test]
fn a_settled_request_that_was_reported_before_counts_once() {
    let (_home, ledger) = ledger();
    let record = UsageRecord {
        request_id: Some("req_1".to_owned()),
        ..request()
    };
    let first = ledger.record(&record).unwrap();
    let id = granted(ledger.reserve(&ask(40, &[]), at(0)).unwrap());
    let settled = settle(&ledger, id, &record);
    assert_eq!((settled.id, settled.duplicate), (first.id, true));
    assert_eq!(spent(&ledger, None, 1), (10, 0));
}

#[test]
fn a_clients_budget_is_its_own_and_everybodys_is_everybodys() {
    let (_home, ledger) = ledger();
    let of = |client: &str, amount, limits| Reserve {
        request: UsageRecord {
            client: Some(client.to_owned()),
            ..request()
        },
        ..ask(amount, limits)
    };
    let own = [
        Limit {
            of_client: true,
            ..limit(50)
        },
        limit(LIMIT),
    ];
    let editor = granted(ledger.reserve(&of("editor", 50, &own), at(0)).unwrap());
    let refused = ledger.reserve(&of("editor", 1, &own), at(0)).unwrap();
    assert!(matches!(refused, Reserved::Refused { limit: 0, .. }), "{refused:?}");
    granted(ledger.reserve(&of("agent", 45, &own), at(0)).unwrap());
    let refused = ledger.reserve(&of("third", 10, &own), at(0)).unwrap();
    assert!(matches!(refused, Reserved::Refused { limit: 1, .. }), "{refused:?}");
    let record = UsageRecord {
        client: Some("editor".to_owned()),
        cost: cost(20),
        ..request()
    };
    settle(&ledger, editor, &record);
    assert_eq!(spent(&ledger, Some("editor"), 1), (20, 0));
    assert_eq!(spent(&ledger, Some("agent"), 1), (0, 45));
    assert_eq!(spent(&ledger, Some("nobody"), 1), (0, 0));
    assert_eq!(spent(&ledger, None, 1), (20, 45));
}

/// As many as fit, and no more: an amount too large to add is not a small one.
#[test]
fn absurd_amounts_do_not_wrap_around() {
    let (_home, ledger) = ledger();
    let limits = [limit(i64::MAX - 1)];
    let refused = ledger.reserve(&ask(i64::MAX, &limits), at(0)).unwrap();
    assert!(matches!(refused, Reserved::Refused { .. }));
    granted(ledger.reserve(&ask(i64::MAX - 1, &limits), at(0)).unwrap());
    let refused = ledger.reserve(&ask(i64::MAX - 1, &limits), at(0)).unwrap();
    assert!(matches!(refused, Reserved::Refused { .. }));
}
