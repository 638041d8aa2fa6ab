//! What one process sees of its ledger.

use std::fs;

use super::*;
use api_keys::{
    domain::{ProviderId, Window, last_days},
    storage::ledger::{Dimension, Recorded, StoredHealth},
};
use jiff::tz::TimeZone;

#[test]
fn reading_where_there_is_no_ledger_finds_nothing_and_makes_nothing() {
    let (home, ledger) = ledger();
    let all = Filter::default();
    assert_eq!(ledger.totals(always(), &all).unwrap(), Totals::default());
    assert_eq!(ledger.windows(&[always(); 2], &all).unwrap(), [Totals::default(); 2]);
    assert_eq!(ledger.grouped(always(), &all, Dimension::Model).unwrap(), []);
    assert_eq!(ledger.spent(None, &[always()], at(0)).unwrap().len(), 1);
    assert_eq!(ledger.outcomes(at(-DAY)).unwrap().iter().count(), 0);
    assert_eq!(ledger.health().unwrap(), []);
    assert_eq!(ledger.check(Depth::Whole).unwrap(), None);
    assert_eq!(ledger.prune(at(DAY)).unwrap(), 0);
    assert_eq!(exported(&ledger), []);
    assert_eq!(ledger.stamp(), "");
    assert!(!home.path().join("data").exists());
}

#[test]
fn a_record_is_counted_and_reads_back_as_it_was() {
    let (_home, ledger) = ledger();
    let first = ledger.record(&request()).unwrap();
    let expected = Recorded {
        id: 1,
        duplicate: false,
        cost: Some(Usd::from_nano(10)),
    };
    assert_eq!(first, expected);
    let bare = UsageRecord {
        label: None,
        task: None,
        project: None,
        session: None,
        client: Some("an editor".to_owned()),
        source: UsageSource::Gateway,
        service: Service::Batch,
        tokens: Tokens::default(),
        outcome: RequestOutcome {
            success: false,
            status_code: None,
            latency_ms: None,
        },
        cost: RecordedCost::Unpriced,
        request_id: Some("req_1".to_owned()),
        ..request()
    };
    let estimated = UsageRecord {
        cost: RecordedCost::Estimated {
            cost: Usd::from_nano(3),
            price: "of that day".to_owned(),
        },
        ..request()
    };
    record_all(&ledger, [&bare, &estimated]);
    assert_eq!(
        total(&ledger),
        Totals {
            requests: 3,
            errors: 1,
            input_tokens: 200,
            output_tokens: 40,
            cache_read_tokens: 60,
            cache_write_tokens: 20,
            reasoning_tokens: 14,
            cost: Usd::from_nano(13),
            unpriced_requests: 1,
            estimated_requests: 1,
            lower_bound_requests: 0,
            stated_requests: 0,
            own_cost: Usd::from_nano(13),
            ..Totals::default()
        }
    );
    let records = [request(), bare, estimated];
    let expected: Vec<_> = (1..).zip(records).map(|(id, record)| Exported { id, record }).collect();
    assert_eq!(exported(&ledger), expected);
    expect_whole(&ledger);
}

#[test]
fn a_cost_that_the_provider_stated_is_kept_beside_our_own() {
    let (_home, ledger) = ledger();
    let stated = |own: Option<i64>| UsageRecord {
        cost: RecordedCost::Stated {
            cost: Usd::from_nano(7),
            own: own.map(|nano| OwnCost {
                cost: Usd::from_nano(nano),
                price: "of that day".to_owned(),
            }),
        },
        ..request()
    };
    let lower_bound = UsageRecord {
        cost: RecordedCost::LowerBound {
            cost: Usd::from_nano(5),
            price: "of that day".to_owned(),
        },
        ..request()
    };
    let records = [stated(Some(4)), stated(None), lower_bound];
    record_all(&ledger, &records);
    let kept: Vec<_> = exported(&ledger).into_iter().map(|exported| exported.record).collect();
    assert_eq!(kept, records);
    let total = total(&ledger);
    assert_eq!((total.cost.nano(), total.own_cost.nano()), (7 + 7 + 5, 4 + 7 + 5));
    assert_eq!((total.stated_requests, total.lower_bound_requests), (2, 1));
    expect_whole(&ledger);
}

#[test]
fn an_export_stops_where_it_is_told_to() {
    let (_home, ledger) = ledger();
    record_all(&ledger, &[request(), request()]);
    let mut seen = 0;
    let stopped = ledger.export(always(), &Filter::default(), |_| {
        seen += 1;
        // The ledger can be used meanwhile, also by this process.
        ledger.record(&request())?;
        Err(api_keys::error::Error::new(
            api_keys::error::Code::Interrupted,
            "enough",
        ))
    });
    assert_eq!(stopped.unwrap_err().code(), api_keys::error::Code::Interrupted);
    assert_eq!(seen, 1);
    assert_eq!(total(&ledger).requests, 3);
}

#[test]
fn a_request_of_the_same_name_counts_once_for_its_provider() {
    let (_home, ledger) = ledger();
    let named = |provider: &str, nano| UsageRecord {
        model: format!("{provider}/m").parse().unwrap(),
        request_id: Some("req_1".to_owned()),
        cost: cost(nano),
        ..request()
    };
    let first = ledger.record(&named("openai", 5)).unwrap();
    let stamp = ledger.stamp();
    let again = ledger.record(&named("openai", 7)).unwrap();
    assert_eq!(
        again,
        Recorded {
            duplicate: true,
            ..first
        }
    );
    assert_eq!(ledger.stamp(), stamp, "nothing was changed");
    let other = ledger.record(&named("google", 7)).unwrap();
    assert!(!other.duplicate);
    assert_eq!(total(&ledger).cost, Usd::from_nano(12));
}

#[test]
fn a_clock_that_is_set_back_disturbs_nobody() {
    let (_home, ledger) = ledger();
    let records: Vec<_> = [0, 10, -7200, -7100]
        .map(|second| UsageRecord {
            at: at(second),
            ..request()
        })
        .into();
    for (number, record) in (1..).zip(&records) {
        assert_eq!(ledger.record(record).unwrap().id, number);
    }
    let spans = [span(-7200, 0), span(0, 900)];
    let requests = |totals: Vec<Totals>| totals.iter().map(|totals| totals.requests).collect::<Vec<_>>();
    assert_eq!(requests(ledger.windows(&spans, &Filter::default()).unwrap()), [2, 2]);
    let outcomes = |since| {
        ledger
            .outcomes(at(since))
            .unwrap()
            .iter()
            .map(|it| it.at)
            .collect::<Vec<_>>()
    };
    assert_eq!(outcomes(-DAY), [at(0), at(10), at(-7200), at(-7100)]);
    assert_eq!(outcomes(-7100), [at(0), at(10), at(-7100)]);
    let times: Vec<_> = exported(&ledger).iter().map(|it| it.record.at).collect();
    assert_eq!(times, records.iter().map(|record| record.at).collect::<Vec<_>>());
}

#[test]
fn requests_are_told_apart_by_whatever_is_known_of_them() {
    let (_home, ledger) = ledger();
    let openai = UsageRecord {
        model: "openai/gpt-made-up".parse().unwrap(),
        label: Some("work".parse().unwrap()),
        task: None,
        project: None,
        client: Some("an editor".to_owned()),
        source: UsageSource::Gateway,
        ..request()
    };
    let no_key = UsageRecord {
        label: None,
        ..request()
    };
    record_all(&ledger, [&request(), &openai, &openai, &no_key]);
    let groups = |by, filter: &Filter| {
        let groups = ledger.grouped(always(), filter, by).unwrap();
        let spelled = groups
            .into_iter()
            .map(|(name, totals)| format!("{}={}", name.as_deref().unwrap_or("-"), totals.requests));
        spelled.collect::<Vec<_>>().join(" ")
    };
    let all = Filter::default();
    for (by, expected) in [
        (Dimension::Provider, "anthropic=2 openai=2"),
        (Dimension::Model, "anthropic/claude-made-up=2 openai/gpt-made-up=2"),
        (Dimension::Task, "-=2 chat=2"),
        (Dimension::Project, "-=2 a project=2"),
        (Dimension::Key, "anthropic=1 anthropic:default=1 openai:work=2"),
        (Dimension::Client, "-=2 an editor=2"),
        (Dimension::Source, "gateway=2 reported=2"),
    ] {
        assert_eq!(groups(by, &all), expected, "{by:?}");
    }
    let of = |provider: &str| Filter {
        provider: Some(provider.parse().unwrap()),
        ..Filter::default()
    };
    assert_eq!(groups(Dimension::Task, &of("openai")), "-=2");
    assert_eq!(groups(Dimension::Task, &of("groq")), "", "of which there are none");
    assert_eq!(ledger.windows(&[always()], &of("groq")).unwrap(), [Totals::default()]);
    let of_client = Filter {
        client: Some("an editor".to_owned()),
        ..Filter::default()
    };
    assert_eq!(groups(Dimension::Provider, &of_client), "openai=2");
}

#[test]
fn requests_are_told_apart_by_agent_session_and_tag() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(home.path());
    let tagged = |tags: &str, session: &str, agent: &str| UsageRecord {
        tags: tags.parse().unwrap(),
        session: Some(session.to_owned()),
        agent: Some(agent.to_owned()),
        ..request()
    };
    record_all(
        &ledger,
        &[
            tagged("team=a", "one", "codex"),
            tagged("team=a,ticket=7", "one", "codex"),
            tagged("team=ab", "two", "claude-code"),
            request(),
        ],
    );
    let groups = |by, filter: &Filter| {
        let groups = ledger.grouped(always(), filter, by).unwrap().into_iter();
        let groups = groups.map(|(name, totals)| (name.unwrap_or_default(), totals.requests));
        groups.collect::<Vec<_>>()
    };
    let named = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs
            .iter()
            .map(|(name, requests)| ((*name).to_owned(), *requests))
            .collect()
    };
    let all = Filter::default();
    assert_eq!(
        groups(Dimension::Agent, &all),
        named(&[("", 1), ("claude-code", 1), ("codex", 2)])
    );
    assert_eq!(
        groups(Dimension::Session, &all),
        named(&[("a session", 1), ("one", 2), ("two", 1)])
    );
    let tags = [("", 1), ("team=a", 2), ("team=ab", 1), ("ticket=7", 1)];
    assert_eq!(groups(Dimension::Tag, &all), named(&tags));
    let of_team = Filter {
        tag: Some("team=a".to_owned()),
        ..Filter::default()
    };
    assert_eq!(groups(Dimension::Session, &of_team), named(&[("one", 2)]));
    assert_eq!(ledger.totals(always(), &of_team).unwrap().requests, 2);
    let by_session = ledger.grouped(always(), &all, Dimension::Session).unwrap();
    let sum = by_session.iter().fold(Totals::default(), |mut sum, (_, totals)| {
        sum += *totals;
        sum
    });
    assert_eq!(sum, ledger.totals(always(), &all).unwrap());
}

/// Days of 23, 24½ and 25 hours, and days that begin at a quarter to the hour.
#[test]
fn days_are_whole_in_every_time_zone() {
    for (zone, day, hours) in [
        ("UTC", "2026-11-24T12:00:00Z", 24 * 4),
        ("America/New_York", "2026-03-08T12:00:00Z", 23 * 4),
        ("America/New_York", "2026-11-01T12:00:00Z", 25 * 4),
        ("Australia/Lord_Howe", "2026-04-05T00:00:00Z", 24 * 4 + 2),
        ("Asia/Kathmandu", "2026-11-24T12:00:00Z", 24 * 4),
    ] {
        let (_home, ledger) = ledger();
        let zone = TimeZone::get(zone).unwrap();
        let around: Timestamp = day.parse().unwrap();
        let start = Window::Day.around(around, &zone).from - SignedDuration::from_hours(48);
        // One in the middle of each quarter of an hour of six days.
        let records: Vec<_> = (0..6 * 24 * 4)
            .map(|quarter| UsageRecord {
                at: start + SignedDuration::from_mins(15 * quarter + 7),
                ..request()
            })
            .collect();
        record_all(&ledger, &records);
        let day = Window::Day.around(around, &zone);
        let counted = ledger.windows(&[day], &Filter::default()).unwrap();
        assert_eq!(counted[0].requests, hours, "{zone:?}");
        let days: Vec<Span> = last_days(10, around, &zone).into_iter().map(|(_, day)| day).collect();
        let whole = Span {
            from: days[0].from,
            to: days[9].to,
        };
        let by_day = ledger.windows(&days, &Filter::default()).unwrap();
        assert_eq!(
            by_day.iter().map(|day| day.requests).sum::<u64>(),
            ledger.totals(whole, &Filter::default()).unwrap().requests,
            "{zone:?}"
        );
    }
}

#[test]
fn the_stamp_changes_with_every_change_whoever_makes_it() {
    let (home, ledger) = ledger();
    let other = Ledger::new(home.path().join("data"));
    let mut seen = vec![ledger.stamp()];
    let mut expect_change = |what: &str| {
        let now = ledger.stamp();
        assert!(!seen.contains(&now), "{what}");
        assert_eq!(now, ledger.stamp());
        seen.push(now);
    };
    ledger.record(&request()).unwrap();
    expect_change("recorded here");
    other.record(&request()).unwrap();
    expect_change("recorded elsewhere");
    assert!(other.alert_once(&budget_alert("daily", at(0), 80), at(0)).unwrap());
    expect_change("an alert");
    other.prune(at(DAY)).unwrap();
    expect_change("pruned");
    total(&ledger);
    assert_eq!(seen.len(), 5);
}

#[test]
fn sums_that_would_not_fit_stay_at_the_largest_amount() {
    let (_home, ledger) = ledger();
    let dear = UsageRecord {
        cost: cost(i64::MAX / 2),
        ..request()
    };
    record_all(&ledger, [&dear; 5]);
    let elsewhere = UsageRecord {
        at: at(40 * DAY),
        ..dear
    };
    ledger.record(&elsewhere).unwrap();
    assert_eq!(total(&ledger).cost, Usd::MAX);
    assert_eq!(total(&ledger).requests, 6);
    assert_eq!(ledger.spent(None, &[always()], at(0)).unwrap()[0].recorded, Usd::MAX);
    expect_whole(&ledger);
}

#[test]
fn a_ledger_that_was_taken_away_or_put_back_is_the_one_that_is_used() {
    let (home, ledger) = ledger();
    let folder = home.path().join("data");
    ledger.record(&request()).unwrap();
    expect_whole(&ledger);
    let elsewhere = home.path().join("elsewhere");
    fs::rename(&folder, &elsewhere).unwrap();
    assert_eq!(total(&ledger), Totals::default());
    let two = [request(), request()];
    assert_eq!(record_all(&ledger, &two)[0].id, 1, "a new one");
    assert_eq!(total(&ledger).requests, 2);
    fs::remove_dir_all(&folder).unwrap();
    fs::rename(&elsewhere, &folder).unwrap();
    assert_eq!(total(&ledger).requests, 1);
    assert_eq!(ledger.record(&request()).unwrap().id, 2);
    expect_whole(&ledger);
}

#[test]
fn pruning_removes_records_and_keeps_what_they_add_up_to() {
    let (home, ledger) = ledger();
    let file = home.path().join("data/ledger.db");
    let named = |number: i64| UsageRecord {
        at: at(number),
        request_id: Some(format!("a rather long name of a request, number {number}")),
        ..request()
    };
    let records: Vec<_> = (0..25_000).map(named).collect();
    record_all(&ledger, &records);
    assert!(ledger.alert_once(&budget_alert("daily", at(0), 80), at(1)).unwrap());
    assert!(
        ledger
            .alert_once(&budget_alert("daily", at(0), 100), at(30_000))
            .unwrap()
    );
    let before = (total(&ledger), ledger.spent(None, &[always()], at(0)).unwrap());
    drop(ledger);
    let full = fs::metadata(&file).unwrap().len();
    let ledger = Ledger::new(home.path().join("data"));
    assert_eq!(ledger.prune(at(24_000)).unwrap(), 24_000);
    assert_eq!(ledger.prune(at(24_000)).unwrap(), 0);
    assert_eq!(
        (total(&ledger), ledger.spent(None, &[always()], at(0)).unwrap()),
        before
    );
    let left = exported(&ledger);
    assert_eq!((left.len(), left[0].record.at), (1_000, at(24_000)));
    assert_eq!(alerts_of(&home.path().join("data")).len(), 1);
    assert_eq!(ledger.record(&named(24_500)).unwrap().id, 24_501, "still known");
    assert_eq!(ledger.record(&named(25_001)).unwrap().id, 25_001);
    assert_eq!(ledger.prune(at(DAY)).unwrap(), 1_001);
    assert_eq!(
        ledger.record(&named(25_002)).unwrap().id,
        25_002,
        "no number is given twice"
    );
    expect_whole(&ledger);
    drop(ledger);
    let pruned = fs::metadata(&file).unwrap().len();
    assert!(pruned * 10 < full, "{pruned} of {full} bytes");
}

#[test]
fn an_alert_is_given_once_for_its_budget_window_and_threshold() {
    let (home, ledger) = ledger();
    let other = Ledger::new(home.path().join("data"));
    assert!(ledger.alert_once(&budget_alert("daily", at(0), 80), at(5)).unwrap());
    assert!(!ledger.alert_once(&budget_alert("daily", at(0), 80), at(6)).unwrap());
    assert!(!other.alert_once(&budget_alert("daily", at(0), 80), at(6)).unwrap());
    assert!(other.alert_once(&budget_alert("daily", at(0), 100), at(7)).unwrap());
    assert!(other.alert_once(&budget_alert("daily", at(DAY), 80), at(8)).unwrap());
    assert!(other.alert_once(&budget_alert("monthly", at(0), 80), at(9)).unwrap());
    assert_eq!(
        alerts_of(&home.path().join("data")),
        [
            ("daily", at(0), 100, at(5)),
            ("daily", at(DAY), 80, at(8)),
            ("monthly", at(0), 80, at(9))
        ]
        .map(|(budget, start, threshold, given)| (budget.to_owned(), start, threshold, given))
    );
}

#[test]
fn the_health_of_keys_is_shared_and_changed_by_one_at_a_time() {
    let (home, ledger) = ledger();
    let other = Ledger::new(home.path().join("data"));
    let (openai, work): (ProviderId, Label) = ("openai".parse().unwrap(), "work".parse().unwrap());
    let cooling = StoredHealth {
        trouble: Some("rate_limited".to_owned()),
        since: at(0),
        until: at(30),
        strikes: 1,
        probe_until: None,
    };
    let both = [work.clone(), Label::default()];
    let mut told = Vec::new();
    ledger
        .change_health(&openai, &both, |label, before| {
            told.push(before);
            (*label == work).then(|| cooling.clone())
        })
        .unwrap();
    assert_eq!(told, [None, None]);
    let only = [work.clone()];
    let google = "google".parse().unwrap();
    ledger
        .change_health(&google, &[Label::default()], |_, _| Some(cooling.clone()))
        .unwrap();
    let stamp = ledger.stamp();
    other
        .change_health(&openai, &only, |_, before| {
            assert_eq!(before, Some(cooling.clone()));
            before
        })
        .unwrap();
    assert_eq!(ledger.stamp(), stamp, "nothing was changed");
    let probing = StoredHealth {
        probe_until: Some(at(90)),
        ..cooling.clone()
    };
    other
        .change_health(&openai, &only, |_, _| Some(probing.clone()))
        .unwrap();
    let listed = [
        (google, Label::default(), cooling),
        (openai.clone(), work.clone(), probing),
    ];
    assert_eq!(ledger.health().unwrap(), listed);
    ledger.change_health(&openai, &only, |_, _| None).unwrap();
    assert_eq!(other.health().unwrap(), listed[..1]);
}

#[test]
fn a_panic_in_the_middle_of_a_change_leaves_nothing_half_done() {
    let (_home, ledger) = ledger();
    ledger.record(&request()).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ledger.change_health(&"openai".parse().unwrap(), &[Label::default()], |_, _| {
            panic!("made for the test")
        })
    }));
    assert!(panicked.is_err());
    ledger.record(&request()).unwrap();
    assert_eq!(total(&ledger).requests, 2);
}
