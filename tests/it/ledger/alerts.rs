//! Alerts in the ledger: raised with what they are about, and sent from an outbox.

use api_keys::domain::{AlertChange, AlertKind, AlertSeverity, Billionths, BudgetWatch, Notice};

use super::*;

const HOUR: i64 = 3_600;

/// A daily budget of a hundred nano-dollars, from noon.
fn watched() -> [BudgetWatch; 1] {
    [BudgetWatch {
        window: Window::Day,
        span: span(0, DAY),
        limit: Usd::from_nano(100),
        threshold: Billionths(800_000_000),
    }]
}

fn key_refused(subject: &str) -> NewAlert {
    NewAlert::new(AlertKind::KeyRefused, subject, "a key is refused", "api-keys validate")
}

/// What is to be said, as it waits for the destination `ops`.
fn planned(ledger: &Ledger, second: i64) -> Vec<Notice> {
    ledger.plan_notices(at(second), |_| vec!["ops".to_owned()]).unwrap();
    ledger.queue("ops", at(second)).unwrap().waiting
}

fn changes(notices: &[Notice]) -> Vec<(AlertChange, AlertSeverity)> {
    notices.iter().map(|notice| (notice.change, notice.severity)).collect()
}

#[test]
fn a_threshold_is_noticed_once_by_whoever_crosses_it_first() {
    let (home, ledger) = ledger();
    let others: Vec<Ledger> = (0..8).map(|_| Ledger::new(home.path().join("data"))).collect();
    std::thread::scope(|scope| {
        for other in &others {
            scope.spawn(move || {
                for _ in 0..10 {
                    other.record_watched(&request(), &watched(), at(1)).unwrap();
                }
            });
        }
    });
    let notices = planned(&ledger, 2);
    assert_eq!(
        changes(&notices),
        [
            (AlertChange::Firing, AlertSeverity::Info),
            (AlertChange::Escalated, AlertSeverity::Warning),
            (AlertChange::Escalated, AlertSeverity::Critical)
        ]
    );
    assert_eq!(
        notices[2].text,
        "100% of the daily budget used ($0.0000001 of $0.0000001)"
    );
    assert_eq!(planned(&ledger, 3).len(), 3, "nothing new");
    expect_whole(&ledger);
}

#[test]
fn requests_of_a_gateway_raise_alerts_in_the_transaction_that_records_them() {
    let (_home, ledger) = ledger();
    let record = request();
    let ended = [&record; 6];
    let fold = Fold {
        ended: &ended,
        budgets: &watched(),
        ..fold("somebody")
    };
    ledger.fold(&fold, at(1)).unwrap();
    let notices = planned(&ledger, 2);
    assert_eq!(changes(&notices), [(AlertChange::Firing, AlertSeverity::Info)]);
    // A tool's result still reports it, once.
    let alert = watched()[0].alert(Usd::from_nano(60)).unwrap();
    assert!(ledger.alert_once(&alert, at(3)).unwrap());
    assert!(!ledger.alert_once(&alert, at(3)).unwrap());
    assert_eq!(planned(&ledger, 4).len(), 1);
}

#[test]
fn an_alert_that_lasts_is_reminded_of_daily_and_its_end_is_noticed() {
    let (_home, ledger) = ledger();
    let alert = key_refused("openai:default");
    assert!(ledger.raise(&alert, at(0)).unwrap());
    assert!(!ledger.raise(&alert, at(HOUR)).unwrap());
    assert!(ledger.raise(&alert, at(24 * HOUR)).unwrap());
    ledger
        .resolve_others(AlertKind::KeyRefused, &["openai:default"], at(25 * HOUR))
        .unwrap();
    ledger
        .resolve_others(AlertKind::KeyRefused, &[], at(25 * HOUR))
        .unwrap();
    ledger
        .resolve_others(AlertKind::KeyRefused, &[], at(26 * HOUR))
        .unwrap();
    let changes: Vec<_> = planned(&ledger, 0).into_iter().map(|notice| notice.change).collect();
    assert_eq!(
        changes,
        [AlertChange::Firing, AlertChange::Reminder, AlertChange::Resolved]
    );
}

#[test]
fn an_alert_that_lasts_less_than_five_minutes_ends_without_a_message() {
    let (_home, ledger) = ledger();
    ledger.raise(&key_refused("openai:default"), at(0)).unwrap();
    ledger.resolve_others(AlertKind::KeyRefused, &[], at(299)).unwrap();
    assert_eq!(planned(&ledger, 300).len(), 1);
}

#[test]
fn a_kind_that_is_muted_is_sent_nowhere() {
    let (_home, ledger) = ledger();
    ledger.mute_alerts(AlertKind::KeyRefused, Some(at(60))).unwrap();
    ledger.raise(&key_refused("one"), at(0)).unwrap();
    assert_eq!(planned(&ledger, 1).len(), 0);
    ledger.raise(&key_refused("two"), at(60)).unwrap();
    assert_eq!(planned(&ledger, 61).len(), 1);
    assert_eq!(ledger.alert_history(10).unwrap().len(), 2);
}

#[test]
fn a_message_keeps_its_id_over_attempts_and_a_dead_destination_is_reported() {
    let (home, ledger) = ledger();
    ledger.raise(&key_refused("one"), at(0)).unwrap();
    let waiting = planned(&ledger, 1);
    let message = ledger.make_message("ops", &waiting, at(1)).unwrap().unwrap();
    assert_eq!((message.notices.len(), message.attempts), (1, 0));
    ledger.message_not_sent(message.id, "500", Some(at(6))).unwrap();
    // Another process goes on.
    let other = Ledger::new(home.path().join("data"));
    let again = other.queue("ops", at(6)).unwrap().pending.unwrap();
    assert_eq!(
        (&again.stable_id, again.attempts, again.next_at),
        (&message.stable_id, 1, at(6))
    );
    let dead = NewAlert::new(
        AlertKind::DestinationDead,
        "ops",
        "ops is dead",
        "api-keys alerts test ops",
    );
    other.give_up_destination("ops", "404", &dead, at(7)).unwrap();
    assert!(other.queue("ops", at(8)).unwrap().pending.is_none());
    let route = |_: &Notice| vec!["ops".to_owned(), "mail".to_owned()];
    other.plan_notices(at(8), route).unwrap();
    assert_eq!(other.queue("ops", at(8)).unwrap().waiting.len(), 0);
    assert_eq!(
        other.queue("mail", at(8)).unwrap().waiting[0].kind,
        AlertKind::DestinationDead
    );
    assert_eq!(
        other.dead_destinations().unwrap(),
        [("ops".to_owned(), "404".to_owned())]
    );
    other.revive_destination("ops", at(9)).unwrap();
    assert!(other.dead_destinations().unwrap().is_empty());
}

#[test]
fn one_process_sends_at_a_time_whatever_the_clock_does() {
    let (_home, ledger) = ledger();
    assert!(ledger.lead_sending("one", at(0)).unwrap());
    assert!(!ledger.lead_sending("two", at(29)).unwrap());
    assert!(ledger.lead_sending("one", at(29)).unwrap());
    assert!(
        ledger.lead_sending("two", at(59)).unwrap(),
        "the first was not heard of for 30 s"
    );
    assert!(ledger.lead_sending("one", at(-HOUR)).unwrap(), "the clock was set back");
    ledger.stop_sending("one").unwrap();
    assert!(ledger.lead_sending("two", at(-HOUR)).unwrap());
}

#[test]
fn what_is_looked_at_is_due_once_in_its_interval() {
    let (_home, ledger) = ledger();
    let hour = SignedDuration::from_hours(1);
    assert!(
        !ledger.is_check_due("budgets", hour, at(0)).unwrap(),
        "there is no ledger"
    );
    ledger.record(&request()).unwrap();
    assert!(ledger.is_check_due("budgets", hour, at(0)).unwrap());
    assert!(!ledger.is_check_due("budgets", hour, at(HOUR - 1)).unwrap());
    assert!(ledger.is_check_due("budgets", hour, at(HOUR)).unwrap());
    assert!(
        ledger.is_check_due("budgets", hour, at(-DAY)).unwrap(),
        "the clock was set back"
    );
}
