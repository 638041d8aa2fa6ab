//! What is looked at besides the thresholds of budgets.

use api_keys::{
    domain::{Label, ProviderId},
    storage::ledger::StoredHealth,
};

use super::*;
use crate::support::private_file;

const HOUR: i64 = 3_600;

/// Looks, and returns the kinds and subjects of the alerts that last, sorted.
fn firing(home: &Home, second: i64) -> Vec<(&'static str, String)> {
    let app = app_at(home, second);
    wait(alerts::look(&app));
    let history = app.ledger().alert_history(100).unwrap();
    let mut firing: Vec<_> = history
        .into_iter()
        .filter(|alert| alert.is_firing)
        .map(|alert| (alert.kind.as_str(), alert.subject))
        .collect();
    firing.sort();
    firing
}

fn texts(home: &Home) -> Vec<String> {
    let history = app_at(home, 0).ledger().alert_history(100).unwrap();
    history.into_iter().map(|alert| alert.text).collect()
}

/// Notes what is wrong with the key `openai:work`, from one second to another.
fn set_trouble(home: &Home, trouble: Option<&str>, (since, until): (i64, i64)) {
    let app = app_at(home, 0);
    let at = |second| app.now() + SignedDuration::from_secs(second);
    let health = StoredHealth {
        trouble: trouble.map(str::to_owned),
        since: at(since),
        until: at(until),
        strikes: 1,
        probe_until: None,
    };
    let (provider, label): (ProviderId, Label) = ("openai".parse().unwrap(), "work".parse().unwrap());
    app.ledger()
        .change_health(&provider, &[label], |_, _| Some(health.clone()))
        .unwrap();
}

#[test]
fn a_key_that_is_refused_is_reported_until_it_is_not() {
    let home = home();
    set_trouble(&home, Some("refused"), (0, 60));
    assert_eq!(firing(&home, 60), [("key_refused", "openai:work".to_owned())]);
    set_trouble(&home, None, (0, 0));
    assert!(firing(&home, HOUR).is_empty());
    assert_eq!(texts(&home), ["the key openai:work is refused by its provider"]);
}

#[test]
fn a_provider_is_down_after_five_minutes_and_recovers() {
    let home = home();
    set_trouble(&home, Some("failing"), (0, 200));
    assert!(firing(&home, 120).is_empty());
    assert_eq!(firing(&home, 400), [("provider_down", "openai".to_owned())]);
    set_trouble(&home, None, (0, 0));
    assert!(firing(&home, 2 * HOUR).is_empty());
}

#[test]
fn a_request_without_a_price_is_reported_once_for_its_model_and_day() {
    let home = home();
    let track = ["track", "openai", "no-such-model-9", "1000", "0"];
    assert_eq!(home.run(track).code, Some(0));
    assert_eq!(
        firing(&home, 60),
        [("unpriced_requests", "openai/no-such-model-9".to_owned())]
    );
    assert_eq!(home.run(track).code, Some(0));
    assert_eq!(firing(&home, 180).len(), 1);
}

#[test]
fn a_key_that_expires_is_reported_in_steps_and_an_unused_one_after_90_days() {
    let home = home();
    let in_ten_days = (Timestamp::now() + SignedDuration::from_hours(240)).to_string();
    let add = home.command(["add", "openai", "--stdin", "--expiration-date", &in_ten_days[..10]]);
    let added = home.run_with(add, "sk-0123456789abcdefghijklmnop\n");
    assert_eq!(added.code, Some(0), "{added:?}");
    assert_eq!(home.run(["track", "openai", "test-large", "1", "0"]).code, Some(0));
    assert_eq!(firing(&home, 60), [("key_expiring", "openai:default".to_owned())]);
    firing(&home, 5 * 24 * HOUR);
    firing(&home, 12 * 24 * HOUR);
    let app = app_at(&home, 12 * 24 * HOUR);
    app.ledger()
        .plan_notices(app.now(), |_| vec!["ops".to_owned()])
        .unwrap();
    let said: Vec<_> = app.ledger().queue("ops", app.now()).unwrap().waiting;
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[2].text.contains("has expired"), "{said:?}");
    let later = firing(&home, 100 * 24 * HOUR);
    assert!(
        later.contains(&("key_unused", "openai:default".to_owned())),
        "{later:?}"
    );
}

#[test]
fn keys_of_30_days_without_a_verified_backup_are_reported_until_there_is_one() {
    let home = home();
    let added = home.run_with(
        home.command(["add", "openai", "--stdin"]),
        "sk-0123456789abcdefghijklmnop\n",
    );
    assert_eq!(added.code, Some(0), "{added:?}");
    assert_eq!(home.run(["track", "openai", "test-large", "1", "0"]).code, Some(0));
    let overdue = ("backup_overdue", "backup".to_owned());
    assert!(!firing(&home, 29 * 24 * HOUR).contains(&overdue));
    assert!(firing(&home, 31 * 24 * HOUR).contains(&overdue));
    let made = app_at(&home, 31 * 24 * HOUR).now().to_string();
    let event = json!({"at": made, "backup_id": "00", "created_at": made, "file": "/backups/made-up.akb"});
    let history = json!({"format": "api-keys backups 1", "made": [], "verified": [event]});
    private_file(&home.path().join("backups.json"), history.to_string().as_bytes());
    assert!(!firing(&home, 32 * 24 * HOUR).contains(&overdue));
    assert!(firing(&home, 62 * 24 * HOUR).contains(&overdue));
    let texts = texts(&home);
    assert!(
        texts
            .iter()
            .any(|text| text == "the newest verified backup is 31 days old"),
        "{texts:?}"
    );
}

#[test]
fn a_vault_that_is_put_back_is_reported() {
    let home = home();
    let add = |provider: &str, key: &str| {
        let added = home.run_with(home.command(["add", provider, "--stdin"]), &format!("{key}\n"));
        assert_eq!(added.code, Some(0), "{added:?}");
    };
    add("openai", "sk-0123456789abcdefghijklmnop");
    let old = std::fs::read(home.path().join("vault.json")).unwrap();
    add("anthropic", "sk-ant-api03-0123456789abcdefghijklmnop");
    std::fs::write(home.path().join("vault.json"), old).unwrap();
    assert_eq!(home.run(["track", "openai", "test-large", "1", "0"]).code, Some(0));
    let found = firing(&home, 60);
    assert!(found.contains(&("vault_tampered", "vault".to_owned())), "{found:?}");
}

#[test]
fn a_digest_has_the_figures_of_the_day_before_and_is_raised_once() {
    let server = StandIn::answering(Reply::json(200, &json!({})));
    let home = home();
    add(
        &home,
        &["webhook", "ops", "--digest", "daily"],
        &secret_address(&server),
    );
    assert_eq!(home.run(["track", "openai", "test-large", "100", "0"]).code, Some(0));
    firing(&home, 24 * HOUR);
    firing(&home, 24 * HOUR + 120);
    let digests: Vec<_> = texts(&home)
        .into_iter()
        .filter(|text| text.starts_with("Yesterday"))
        .collect();
    assert_eq!(digests, ["Yesterday: $0.10, 1 request; openai/test-large $0.10"]);
}
