//! Delivery: at least once, by one process at a time, not too often, and elsewhere where a destination is gone.

use std::sync::atomic::{AtomicUsize, Ordering};

use api_keys::domain::Notice;

use super::*;

/// A server that answers with each of `replies` in turn, and then with the last.
fn server(replies: Vec<Reply>) -> StandIn {
    let count = AtomicUsize::new(0);
    StandIn::start(move |_| {
        let at = count.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1);
        replies[at].clone()
    })
}

fn ok() -> Reply {
    Reply::json(200, &json!({}))
}

fn failure(attempts: &[Attempt]) -> &str {
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    attempts[0].verdict.as_text()
}

#[test]
fn a_message_is_tried_again_with_the_same_id_until_it_is_accepted() {
    let busy = Reply::json(429, &json!({})).header("retry-after", "90");
    let server = server(vec![Reply::json(500, &json!({})), busy, ok()]);
    let home = home_with_webhook(&server);
    raise(&home, "openai:default", 0);
    assert_eq!(failure(&turn(&home, 1)), "HTTP 500");
    assert!(turn(&home, 3).is_empty(), "not before 5 s");
    raise(&home, "openai:other", 4);
    assert_eq!(failure(&turn(&home, 7)), "HTTP 429");
    assert!(
        turn(&home, 60).is_empty(),
        "not before the 90 s that the server asks for"
    );
    assert_eq!(failure(&turn(&home, 100)), "accepted");
    assert_eq!(
        failure(&turn(&home, 140)),
        "accepted",
        "what came meanwhile comes after it"
    );
    let ids = ids(&server);
    assert_eq!((ids.len(), &ids[0], &ids[0]), (4, &ids[1], &ids[2]));
    assert_ne!(ids[0], ids[3]);
}

#[test]
fn a_dead_destination_is_given_up_and_reported_by_doctor_and_to_another_one() {
    let (dead, other) = (server(vec![Reply::new(404, b"no_service"), ok()]), server(vec![ok()]));
    let home = home_with_webhook(&dead);
    add(&home, &["webhook", "second"], &secret_address(&other));
    raise(&home, "openai:default", 0);
    assert_eq!(turn(&home, 1).len(), 2);
    turn(&home, 40);
    let told = other.requests();
    assert_eq!(sent_alerts(&told[1]), ["ops"], "{told:?}");
    raise(&home, "openai:other", 80);
    turn(&home, 90);
    assert_eq!((dead.requests().len(), other.requests().len()), (1, 3));
    let doctor = home.run(["doctor", "--offline"]);
    assert!(
        doctor
            .stdout
            .contains("alerts no longer reach ops: HTTP 404 no_service"),
        "{doctor:?}"
    );
    assert_eq!(home.run(["alerts", "test", "ops"]).code, Some(0));
    raise(&home, "openai:third", 130);
    turn(&home, 140);
    assert_eq!(dead.requests().len(), 3, "it is used again");
    expect_no_canary(&home, &[&doctor]);
}

#[test]
fn a_redirect_is_not_followed_and_a_reset_is_tried_again() {
    let target = server(vec![ok()]);
    let redirect = Reply::json(302, &json!({})).header("location", &target.url());
    let redirecting = server(vec![redirect]);
    let home = home_with_webhook(&redirecting);
    raise(&home, "openai:default", 0);
    assert!(failure(&turn(&home, 1)).contains("redirect"));
    assert!(target.requests().is_empty());
    let broken = StandIn::raw(b"no HTTP");
    let home = home_with_webhook(&broken);
    raise(&home, "openai:default", 0);
    assert!(matches!(turn(&home, 1)[0].verdict, SendVerdict::Retry { .. }));
}

#[test]
fn whatever_step_a_process_is_killed_at_the_message_arrives_once_or_twice() {
    let server = server(vec![ok()]);
    let home = home_with_webhook(&server);
    // Killed after the alert was raised.
    raise(&home, "one", 0);
    // Killed after it took the lease and decided where to send.
    let app = app_at(&home, 1);
    assert!(app.ledger().lead_sending("killed", app.now()).unwrap());
    app.ledger()
        .plan_notices(app.now(), |_: &Notice| vec!["ops".to_owned()])
        .unwrap();
    assert!(turn(&home, 2).is_empty(), "the lease lasts");
    // Killed after it made the message.
    let queue = app.ledger().queue("ops", app.now()).unwrap();
    let made = app
        .ledger()
        .make_message("ops", &queue.waiting, app.now())
        .unwrap()
        .unwrap();
    assert_eq!(turn(&home, 35).len(), 1);
    assert_eq!(ids(&server), std::slice::from_ref(&made.stable_id));
    // Killed after the server had it, before that was noted: the same again.
    raise(&home, "two", 70);
    let app = app_at(&home, 71);
    app.ledger()
        .plan_notices(app.now(), |_: &Notice| vec!["ops".to_owned()])
        .unwrap();
    let queue = app.ledger().queue("ops", app.now()).unwrap();
    let second = app
        .ledger()
        .make_message("ops", &queue.waiting, app.now())
        .unwrap()
        .unwrap();
    turn(&home, 72);
    app.ledger()
        .message_not_sent(second.id, "killed", Some(app.now()))
        .unwrap();
    turn(&home, 110);
    assert_eq!(
        ids(&server),
        [made.stable_id, second.stable_id.clone(), second.stable_id]
    );
    assert!(turn(&home, 200).is_empty());
}

#[test]
fn a_process_that_is_killed_while_it_sends_loses_nothing() {
    let server = server(vec![Reply::silence(), ok()]);
    let home = home_with_webhook(&server);
    raise(&home, "one", 0);
    let mut child = home.command(["alerts", "flush"]).spawn().unwrap();
    eventually(|| !server.requests().is_empty(), "the message is sent");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(failure(&turn(&home, 60)), "accepted");
    let ids = ids(&server);
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
}

#[test]
fn eight_processes_that_cross_a_threshold_make_one_message() {
    let server = server(vec![ok()]);
    let home = Arc::new(home_with_webhook(&server));
    let track = ["track", "openai", "test-large", "2000", "0"];
    let processes: Vec<_> = (0..8)
        .map(|_| {
            let home = Arc::clone(&home);
            std::thread::spawn(move || assert_eq!(home.run(track).code, Some(0)))
        })
        .collect();
    for process in processes {
        process.join().unwrap();
    }
    eventually(|| !server.requests().is_empty(), "a command has it sent when it ends");
    turn(&home, 60);
    turn(&home, 120);
    let requests = server.requests();
    let ids: std::collections::BTreeSet<String> = ids(&server).into_iter().collect();
    assert_eq!(ids.len(), 1, "{requests:?}");
    assert_eq!(sent_alerts(&requests[0]), ["daily"]);
}

#[test]
fn ten_thousand_alerts_are_at_most_twenty_messages_an_hour() {
    let server = server(vec![ok()]);
    let home = home_with_webhook(&server);
    let app = app_at(&home, 0);
    for number in 0..10_000 {
        let alert = NewAlert::new(AlertKind::KeyRefused, &format!("key {number}"), "it is refused", "");
        app.ledger().raise(&alert, app.now()).unwrap();
        if number % 1_000 == 0 {
            turn(&home, number / 1_000 * 6);
        }
    }
    for minute in 1..59 {
        raise(&home, &format!("later {minute}"), 60 * minute);
        turn(&home, 60 * minute);
    }
    let requests = server.requests();
    assert!((2..=20).contains(&requests.len()), "{}", requests.len());
    let largest = requests
        .iter()
        .map(|request| request.json()["count"].as_u64().unwrap())
        .max();
    assert!(largest.unwrap() > 4_000, "{largest:?}");
    assert!(requests.iter().all(|request| request.body.len() < 64 * 1024));
    turn(&home, 60 * 70);
    assert_eq!(server.requests().len(), requests.len() + 1, "the rest is one summary");
}

#[test]
fn a_clock_that_is_set_back_delays_nothing() {
    let server = server(vec![Reply::json(500, &json!({})), ok()]);
    let home = home_with_webhook(&server);
    raise(&home, "one", 0);
    assert_eq!(failure(&turn(&home, 1)), "HTTP 500");
    assert_eq!(failure(&turn(&home, -40 * 3_600)), "accepted");
    raise(&home, "two", -40 * 3_600);
    assert_eq!(
        failure(&turn(&home, -40 * 3_600 + 1)),
        "accepted",
        "messages from the future do not count"
    );
}

#[test]
fn a_server_sends_what_its_own_calls_raise_and_no_request_waits_for_it() {
    let server = server(vec![Reply::silence()]);
    let home = home_with_webhook(&server);
    let track = ["track", "openai", "test-large", "2000", "0"];
    let since = std::time::Instant::now();
    for _ in 0..3 {
        assert_eq!(home.run(track).code, Some(0));
    }
    // The server hangs for ten seconds and more.
    assert!(since.elapsed().as_secs() < 9, "{:?}", since.elapsed());
    let ended = home.run(["alerts", "history", "--json"]);
    assert_eq!(ended.json()["alerts"][0]["kind"], "budget");
    assert!(!alerts::needs_sender(&app_at(&home, 1)), "a process is at it");
}
