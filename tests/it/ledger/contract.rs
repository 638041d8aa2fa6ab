//! What any store of the accounts must do, whatever it is made of: each test of [`contract!`] is one sentence of it.

use super::*;
use api_keys::storage::ledger::{Folded, Granted, LeaseId, Position, Spent};

/// A store that several processes share, as the gateway uses it.
trait Store {
    /// An empty one, with what must outlive it.
    fn new() -> (TempDir, Self);

    fn fold(&self, fold: &Fold<'_>, now: Timestamp) -> Folded;

    fn spent(&self, client: Option<&str>, now: Timestamp) -> Spent;

    fn recorded(&self) -> Vec<UsageRecord>;

    fn close(&self, holder: &str);
}

impl Store for Ledger {
    fn new() -> (TempDir, Self) {
        ledger()
    }

    fn fold(&self, fold: &Fold<'_>, now: Timestamp) -> Folded {
        self.fold(fold, now).unwrap()
    }

    fn spent(&self, client: Option<&str>, now: Timestamp) -> Spent {
        self.spent(client, &[span(0, DAY)], now).unwrap()[0]
    }

    fn recorded(&self) -> Vec<UsageRecord> {
        exported(self).into_iter().map(|exported| exported.record).collect()
    }

    fn close(&self, holder: &str) {
        self.close_journal(holder).unwrap();
    }
}

/// Makes each of the tests below one of `store`.
macro_rules! contract {
    ($store:ty: $($name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                let (_home, store) = <$store as Store>::new();
                super::$name(&store);
            }
        )+
    };
}

mod of_the_ledger {
    use super::{Ledger, Store};

    contract!(
        Ledger: leases_of_several_holders_together_fit_into_every_limit,
        near_a_limit_a_lease_is_exactly_what_was_asked_for,
        asks_of_one_fold_are_granted_in_their_order_as_far_as_they_fit,
        whoever_is_refused_learns_by_which_limit_and_what_is_spent_of_it,
        what_is_given_back_is_there_for_others_in_the_same_step,
        an_ended_request_is_recorded_and_its_lease_reduced_in_one_step,
        a_request_id_counts_once_for_each_provider,
        a_fold_that_is_repeated_records_nothing_twice,
        the_lease_of_a_holder_that_is_never_heard_of_again_expires,
        a_holder_that_was_asleep_gets_its_own_lease_again,
        a_lease_that_would_count_for_longer_than_an_hour_does_not,
        a_holder_that_ends_gives_everything_back,
        a_lease_of_a_client_counts_for_it_and_for_all,
    );
}

/// What the process `holder` asks for.
fn ask(store: &impl Store, holder: &str, change: LeaseChange<'_>, second: i64) -> LeaseState {
    let fold = Fold {
        leases: &[change],
        until: at(second + 60),
        ..fold(holder)
    };
    store.fold(&fold, at(second)).leases.remove(0)
}

/// A new lease for one request of `amount`.
fn one<'a>(amount: &'a [Usd; 1], limits: &'a [SpendingLimit]) -> LeaseChange<'a> {
    LeaseChange {
        asks: amount,
        ..new_lease(limits)
    }
}

fn usd(nano: i64) -> Usd {
    Usd::from_nano(nano)
}

/// What is recorded and leased.
fn sums(store: &impl Store, client: Option<&str>, second: i64) -> (i64, i64) {
    let spent = store.spent(client, at(second));
    (spent.recorded.nano(), spent.reserved.nano())
}

fn named(name: &str, nano: i64) -> UsageRecord {
    UsageRecord {
        request_id: Some(name.to_owned()),
        cost: cost(nano),
        ..request()
    }
}

fn leases_of_several_holders_together_fit_into_every_limit(store: &impl Store) {
    let limits = [limit(1000), limit(650)];
    let mut granted = 0;
    for number in 0..64 {
        let holder = ["one", "two", "three"][number % 3];
        granted += usize::from(ask(store, holder, one(&[usd(100)], &limits), 0).asks == [Granted::Yes]);
    }
    assert_eq!(granted, 6);
    assert_eq!(sums(store, None, 1), (0, 600));
}

fn near_a_limit_a_lease_is_exactly_what_was_asked_for(store: &impl Store) {
    let (limits, amount) = ([limit(1000)], [usd(100)]);
    let change = LeaseChange {
        slice: usd(6400),
        ..one(&amount, &limits)
    };
    let state = ask(store, "one", change, 0);
    assert_eq!((state.amount, state.left), (usd(100), usd(900)));
    assert_eq!(ask(store, "two", one(&[usd(900)], &limits), 0).asks, [Granted::Yes]);
    assert_ne!(ask(store, "two", one(&[usd(1)], &limits), 0).asks, [Granted::Yes]);
    let far = [limit(1_000_000)];
    let change = LeaseChange {
        slice: usd(6400),
        ..one(&amount, &far)
    };
    assert_eq!(ask(store, "one", change, 0).amount, usd(6500), "there is much left");
}

fn asks_of_one_fold_are_granted_in_their_order_as_far_as_they_fit(store: &impl Store) {
    let limits = [limit(100)];
    let change = LeaseChange {
        asks: &[usd(60), usd(50), usd(40), usd(1)],
        ..new_lease(&limits)
    };
    let state = ask(store, "one", change, 0);
    let granted: Vec<_> = state.asks.iter().map(|granted| *granted == Granted::Yes).collect();
    assert_eq!((granted, state.amount), (vec![true, false, true, false], usd(100)));
}

fn whoever_is_refused_learns_by_which_limit_and_what_is_spent_of_it(store: &impl Store) {
    let records = [
        &named("req_1", 30),
        &UsageRecord {
            cost: RecordedCost::Unpriced,
            ..request()
        },
    ];
    let recording = Fold {
        ended: &records,
        ..fold("one")
    };
    store.fold(&recording, at(0));
    let limits = [limit(1000), limit(100)];
    assert_eq!(ask(store, "one", one(&[usd(50)], &limits), 0).asks, [Granted::Yes]);
    let spent = Spent {
        recorded: usd(30),
        reserved: usd(50),
        unpriced_requests: 1,
    };
    let refused = ask(store, "two", one(&[usd(21)], &limits), 0);
    assert_eq!(refused.asks, [Granted::No { limit: 1, spent }]);
    assert_eq!((refused.id, refused.amount), (None, Usd::ZERO));
}

fn what_is_given_back_is_there_for_others_in_the_same_step(store: &impl Store) {
    let limits = [limit(100)];
    let first = ask(store, "one", one(&[usd(100)], &limits), 0);
    let given_back = LeaseChange {
        id: first.id,
        keep: usd(30),
        ..new_lease(&limits)
    };
    // Also to one that is named before it.
    let amount = [usd(70)];
    let changes = [one(&amount, &limits), given_back];
    let both = Fold {
        leases: &changes,
        ..fold("one")
    };
    let states = store.fold(&both, at(0)).leases;
    assert_eq!(states[0].asks, [Granted::Yes]);
    assert_eq!((states[1].id, states[1].amount), (first.id, usd(30)));
    assert_eq!(sums(store, None, 1), (0, 100));
}

fn settled<'a>(ended: &'a [&'a UsageRecord], change: &'a [LeaseChange<'a>], offset: u64) -> Fold<'a> {
    Fold {
        ended,
        position: Some(Position { segment: 1, offset }),
        leases: change,
        ..fold("one")
    }
}

fn kept(id: Option<LeaseId>, keep: i64) -> [LeaseChange<'static>; 1] {
    [LeaseChange {
        id,
        keep: usd(keep),
        ..new_lease(&[])
    }]
}

fn an_ended_request_is_recorded_and_its_lease_reduced_in_one_step(store: &impl Store) {
    let limits = [limit(100)];
    let two = [usd(50), usd(50)];
    let both = LeaseChange {
        asks: &two,
        ..new_lease(&limits)
    };
    let id = ask(store, "one", both, 0).id;
    let record = named("req_1", 20);
    let folded = store.fold(&settled(&[&record], &kept(id, 50), 1), at(1));
    assert!(!folded.recorded[0].duplicate);
    assert_eq!(folded.leases[0].amount, usd(50));
    assert_eq!(sums(store, None, 1), (20, 50));
    assert_ne!(ask(store, "two", one(&[usd(31)], &limits), 1).asks, [Granted::Yes]);
    assert_eq!(ask(store, "two", one(&[usd(30)], &limits), 1).asks, [Granted::Yes]);
    assert_eq!(store.recorded(), [record]);
}

fn a_request_id_counts_once_for_each_provider(store: &impl Store) {
    let (first, again) = (named("req_1", 20), named("req_1", 70));
    let elsewhere = UsageRecord {
        model: "openai/gpt-made-up".parse().unwrap(),
        ..again.clone()
    };
    let recorded = store
        .fold(&settled(&[&first, &again, &elsewhere], &[], 1), at(0))
        .recorded;
    let duplicates: Vec<_> = recorded.iter().map(|recorded| recorded.duplicate).collect();
    assert_eq!(duplicates, [false, true, false]);
    assert_eq!((recorded[1].id, recorded[1].cost), (recorded[0].id, Some(usd(20))));
    assert_eq!(sums(store, None, 1), (90, 0));
}

fn a_fold_that_is_repeated_records_nothing_twice(store: &impl Store) {
    let id = ask(store, "one", one(&[usd(50)], &[]), 0).id;
    let (first, second) = (named("req_1", 20), named("req_2", 30));
    let before = store.fold(&settled(&[&first], &kept(id, 0), 1), at(0));
    // Its answer was lost, and another request has ended meanwhile.
    let after = store.fold(&settled(&[&first, &second], &kept(id, 0), 2), at(0));
    assert_eq!(
        (after.recorded[0].duplicate, after.recorded[0].id),
        (true, before.recorded[0].id)
    );
    assert!(!after.recorded[1].duplicate);
    assert_eq!(after.leases[0].id, None);
    assert_eq!(sums(store, None, 1), (50, 0));
    assert_eq!(store.recorded(), [first, second]);
}

fn the_lease_of_a_holder_that_is_never_heard_of_again_expires(store: &impl Store) {
    let limits = [limit(100)];
    ask(store, "dead", one(&[usd(100)], &limits), 0);
    assert_ne!(ask(store, "one", one(&[usd(1)], &limits), 59).asks, [Granted::Yes]);
    assert_eq!(sums(store, None, 59), (0, 100));
    assert_eq!(sums(store, None, 60), (0, 0));
    assert_eq!(ask(store, "one", one(&[usd(100)], &limits), 60).asks, [Granted::Yes]);
}

fn a_holder_that_was_asleep_gets_its_own_lease_again(store: &impl Store) {
    let limits = [limit(100)];
    let own = ask(store, "one", one(&[usd(60)], &limits), 0).id;
    let again = LeaseChange {
        id: own,
        keep: usd(60),
        ..new_lease(&limits)
    };
    let state = ask(store, "one", again.clone(), 100);
    assert_eq!((state.id, state.amount, state.left), (own, usd(60), usd(40)));
    // Others had the money meanwhile: its requests are under way all the same, and nothing more is granted.
    assert_eq!(ask(store, "two", one(&[usd(100)], &limits), 200).asks, [Granted::Yes]);
    let more = LeaseChange {
        asks: &[usd(1)],
        ..again
    };
    let state = ask(store, "one", more, 201);
    assert!(matches!(state.asks[..], [Granted::No { limit: 0, .. }]));
    assert_eq!((state.amount, state.left), (usd(60), Usd::ZERO));
    assert_eq!(sums(store, None, 202), (0, 160));
}

/// The clock was an hour and more ahead when it was taken, and has been set right.
fn a_lease_that_would_count_for_longer_than_an_hour_does_not(store: &impl Store) {
    let limits = [limit(100)];
    ask(store, "dead", one(&[usd(60)], &limits), DAY / 2 - 60);
    ask(store, "one", one(&[usd(1)], &limits), 0);
    assert_eq!(sums(store, None, 3599), (0, 60), "that of the other has expired");
    assert_eq!(sums(store, None, 3600), (0, 0));
    let amount = [usd(60)];
    let forever = Fold {
        leases: &[one(&amount, &limits)],
        until: Timestamp::MAX,
        ..fold("one")
    };
    store.fold(&forever, at(4000));
    assert_eq!(sums(store, None, 7599), (0, 60));
    assert_eq!(sums(store, None, 7600), (0, 0));
}

fn a_holder_that_ends_gives_everything_back(store: &impl Store) {
    ask(store, "one", one(&[usd(60)], &[]), 0);
    ask(store, "one", one(&[usd(10)], &[]), 0);
    ask(store, "two", one(&[usd(7)], &[]), 0);
    store.close("one");
    assert_eq!(sums(store, None, 1), (0, 7));
}

fn a_lease_of_a_client_counts_for_it_and_for_all(store: &impl Store) {
    let limits = [
        SpendingLimit {
            of_client: true,
            ..limit(50)
        },
        limit(100),
    ];
    let of = |client, amount: &[Usd; 1]| {
        let change = LeaseChange {
            client: Some(client),
            ..one(amount, &limits)
        };
        ask(store, "one", change, 0).asks.remove(0)
    };
    assert_eq!(of("editor", &[usd(50)]), Granted::Yes);
    assert!(matches!(of("editor", &[usd(1)]), Granted::No { limit: 0, .. }));
    assert_eq!(of("agent", &[usd(45)]), Granted::Yes);
    assert!(matches!(of("third", &[usd(10)]), Granted::No { limit: 1, .. }));
    assert_eq!(sums(store, Some("editor"), 1), (0, 50));
    assert_eq!(sums(store, Some("agent"), 1), (0, 45));
    assert_eq!(sums(store, None, 1), (0, 95));
}
