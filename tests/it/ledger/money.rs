//! Budgets: what is spent, and money leased for requests under way.

use super::*;
use api_keys::storage::ledger::{Folded, Granted, LeaseId, Spent};

/// Ten dollars' worth of the smallest unit, so that sums are easy to see.
const LIMIT: i64 = 100;

/// The id of a lease that was granted.
fn granted(state: &LeaseState) -> LeaseId {
    assert_eq!(state.asks, [Granted::Yes], "{state:?}");
    state.id.unwrap()
}

fn expect_refused(state: &LeaseState, by: usize) -> Spent {
    match state.asks[..] {
        [Granted::No { limit, spent }] if limit == by => spent,
        _ => panic!("{state:?}"),
    }
}

/// Records what has ended, and keeps so much of a lease, at some second.
fn settle(ledger: &Ledger, (id, keep): (LeaseId, i64), ended: &[&UsageRecord], second: i64) -> Folded {
    let change = LeaseChange {
        id: Some(id),
        keep: Usd::from_nano(keep),
        ..new_lease(&[])
    };
    let fold = Fold {
        ended,
        leases: &[change],
        ..fold("one")
    };
    ledger.fold(&fold, at(second)).unwrap()
}

/// What is recorded and leased at some second.
fn spent(ledger: &Ledger, client: Option<&str>, second: i64) -> (i64, i64) {
    let spent = ledger.spent(client, &[span(0, DAY)], at(second)).unwrap()[0];
    (spent.recorded.nano(), spent.reserved.nano())
}

#[test]
fn a_lease_is_granted_as_far_as_every_limit_goes() {
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
    granted(&lease(&ledger, "one", (50, &limits), 1));
    let refused = expect_refused(&lease(&ledger, "two", (11, &limits), 2), 1);
    let expected = Spent {
        recorded: Usd::from_nano(30),
        reserved: Usd::from_nano(50),
        unpriced_requests: 1,
    };
    assert_eq!(refused, expected);
    granted(&lease(&ledger, "two", (10, &limits), 2));
    let nothing = lease(&ledger, "three", (0, &limits), 2);
    assert_eq!((nothing.id, &nothing.asks[..]), (None, &[Granted::Yes][..]));
    assert_eq!(spent(&ledger, None, 3), (30, 60));
    let tomorrow = SpendingLimit {
        span: span(DAY, 2 * DAY),
        ..limit(LIMIT)
    };
    granted(&lease(&ledger, "one", (LIMIT, &[tomorrow]), 3));
}

#[test]
fn a_lease_ends_when_it_is_given_back_or_too_old() {
    let (_home, ledger) = ledger();
    let limits = [limit(LIMIT)];
    let settled = granted(&lease(&ledger, "one", (40, &limits), 0));
    let given_back = granted(&lease(&ledger, "one", (30, &limits), 0));
    granted(&lease(&ledger, "two", (20, &limits), 0));
    assert_eq!(spent(&ledger, None, 59), (0, 90));
    let record = UsageRecord {
        cost: cost(25),
        request_id: Some("req_1".to_owned()),
        ..request()
    };
    let first = settle(&ledger, (settled, 0), &[&record], 0).recorded[0];
    assert_eq!(spent(&ledger, None, 59), (25, 50));
    settle(&ledger, (given_back, 5), &[], 0);
    assert_eq!(spent(&ledger, None, 59), (25, 25));
    assert_eq!(settle(&ledger, (given_back, 0), &[], 0).leases[0].id, None);
    assert_eq!(spent(&ledger, None, 59), (25, 20));
    assert_eq!(spent(&ledger, None, 60), (25, 0), "given up");

    let again = settle(&ledger, (settled, 0), &[&record], 61).recorded[0];
    assert_eq!((again.id, again.duplicate, again.cost), (first.id, true, first.cost));
    assert_eq!(spent(&ledger, None, 61), (25, 0));
    expect_whole(&ledger);
}

#[test]
fn a_process_that_was_asleep_has_its_own_lease_again_and_others_may_have_it_until_then() {
    let (_home, ledger) = ledger();
    let limits = [limit(LIMIT)];
    let own = granted(&lease(&ledger, "one", (60, &limits), 0));
    expect_refused(&lease(&ledger, "two", (41, &limits), 59), 0);
    granted(&lease(&ledger, "two", (41, &limits), 60));
    // Its requests are under way all the same: what they may cost counts again.
    let change = LeaseChange {
        id: Some(own),
        keep: Usd::from_nano(60),
        ..new_lease(&limits)
    };
    let fold = Fold {
        leases: &[change],
        until: at(200),
        ..fold("one")
    };
    let state = ledger.fold(&fold, at(100)).unwrap().leases.remove(0);
    assert_eq!((state.amount, state.left), (Usd::from_nano(60), Usd::from_nano(40)));
    assert_eq!(spent(&ledger, None, 101), (0, 60));
    assert_eq!(spent(&ledger, None, 200), (0, 0));
}

#[test]
fn a_request_that_was_reported_before_counts_once_and_its_lease_ends() {
    let (_home, ledger) = ledger();
    let record = UsageRecord {
        request_id: Some("req_1".to_owned()),
        ..request()
    };
    let first = ledger.record(&record).unwrap();
    let id = granted(&lease(&ledger, "one", (40, &[]), 0));
    let settled = settle(&ledger, (id, 0), &[&record], 0).recorded[0];
    assert_eq!((settled.id, settled.duplicate), (first.id, true));
    assert_eq!(spent(&ledger, None, 1), (10, 0));
}

#[test]
fn a_clients_budget_is_its_own_and_everybodys_is_everybodys() {
    let (_home, ledger) = ledger();
    let of = |client: &str, amount, limits: &[SpendingLimit]| {
        let change = LeaseChange {
            client: Some(client),
            asks: &[Usd::from_nano(amount)],
            ..new_lease(limits)
        };
        let fold = Fold {
            leases: &[change],
            ..fold("one")
        };
        ledger.fold(&fold, at(0)).unwrap().leases.remove(0)
    };
    let own = [
        SpendingLimit {
            of_client: true,
            ..limit(50)
        },
        limit(LIMIT),
    ];
    let editor = granted(&of("editor", 50, &own));
    expect_refused(&of("editor", 1, &own), 0);
    granted(&of("agent", 45, &own));
    expect_refused(&of("third", 10, &own), 1);
    let record = UsageRecord {
        client: Some("editor".to_owned()),
        cost: cost(20),
        ..request()
    };
    settle(&ledger, (editor, 0), &[&record], 0);
    assert_eq!(spent(&ledger, Some("editor"), 1), (20, 0));
    assert_eq!(spent(&ledger, Some("agent"), 1), (0, 45));
    assert_eq!(spent(&ledger, Some("nobody"), 1), (0, 0));
    assert_eq!(spent(&ledger, None, 1), (20, 45));
}

#[test]
fn a_slice_is_added_only_where_much_is_left() {
    let (_home, ledger) = ledger();
    let with_slice = |most, ask, slice| {
        let limits = [limit(most)];
        let change = LeaseChange {
            asks: &[Usd::from_nano(ask)],
            slice: Usd::from_nano(slice),
            ..new_lease(&limits)
        };
        let fold = Fold {
            leases: &[change],
            ..fold("one")
        };
        let state = ledger.fold(&fold, at(0)).unwrap().leases.remove(0);
        let (amount, left) = (state.amount.nano(), state.left.nano());
        settle(&ledger, (state.id.unwrap(), 0), &[], 0);
        (amount, left)
    };
    assert_eq!(with_slice(100_000, 10, 640), (650, 99_350));
    assert_eq!(with_slice(1_610, 10, 640), (110, 1_500), "a sixteenth of what is left");
    assert_eq!(with_slice(169, 10, 640), (10, 159), "less than one request like it");
    assert_eq!(with_slice(10, 10, 640), (10, 0));
    assert_eq!(spent(&ledger, None, 1), (0, 0));
}

/// As many as fit, and no more: an amount too large to add is not a small one.
#[test]
fn absurd_amounts_do_not_wrap_around() {
    let (_home, ledger) = ledger();
    let limits = [limit(i64::MAX - 1)];
    expect_refused(&lease(&ledger, "one", (i64::MAX, &limits), 0), 0);
    granted(&lease(&ledger, "one", (i64::MAX - 1, &limits), 0));
    expect_refused(&lease(&ledger, "one", (i64::MAX - 1, &limits), 0), 0);
}
