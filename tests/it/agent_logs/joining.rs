//! A request that was reported, or passed the gateway, and stands in a log, counts once.

use api_keys::{
    domain::{
        Billing, RecordedCost, RequestOutcome, Service, Tags, TokenCounts, Tokens, UsageRecord, UsageSource, Usd,
    },
    storage::ledger::Ledger,
};
use jiff::Timestamp;

use super::*;

fn gateway(at: &str, upstream: Option<&str>, counts: [u64; 3]) -> UsageRecord {
    let [input, output, cache_read] = counts;
    UsageRecord {
        at: at.parse::<Timestamp>().unwrap(),
        model: "anthropic/claude-made-up".parse().unwrap(),
        label: None,
        task: None,
        project: None,
        session: None,
        client: Some("an editor".to_owned()),
        agent: None,
        tags: Tags::default(),
        source: UsageSource::Gateway,
        service: Service::Standard,
        tokens: Tokens::new(TokenCounts {
            input,
            output,
            cache_read,
            ..TokenCounts::default()
        })
        .unwrap(),
        outcome: RequestOutcome {
            success: true,
            status_code: Some(200),
            latency_ms: Some(5),
        },
        cost: RecordedCost::Computed {
            cost: Usd::DOLLAR,
            price: "of that day".to_owned(),
        },
        billing: Billing::Billed,
        request_id: Some(format!("req_ours_{at}")),
        upstream_id: upstream.map(str::to_owned),
    }
}

fn ledger(home: &Home) -> Ledger {
    crate::support::private_folder(&home.path());
    Ledger::new(home.path())
}

#[test]
fn the_gateways_record_stays_and_learns_what_the_log_knows() {
    for (upstream, output) in [(Some("req_1"), 10), (None, 10)] {
        let home = home();
        ledger(&home)
            .record(&gateway("2026-11-20T10:00:04Z", upstream, [101, output, 100]))
            .unwrap();
        put(
            &home,
            CLAUDE,
            &lines(&[said("msg_1", "req_1", 1, [1, 10, 100, 0]).line()]),
        );
        let told = import(&home);
        assert_eq!(told["agents"][0]["covered_by_gateway"], 1, "{told}");
        assert_eq!(totals(&home), [1, 101, 10, 100, 0]);
        assert_eq!(groups(&home, "agent"), [("claude-code".to_owned(), 1)]);
        assert_eq!(groups(&home, "client"), [("an editor".to_owned(), 1)]);
        // The log again, from its beginning.
        put(
            &home,
            CLAUDE,
            &format!("\n{}", lines(&[said("msg_1", "req_1", 1, [1, 10, 100, 0]).line()])),
        );
        import(&home);
        assert_eq!(totals(&home), [1, 101, 10, 100, 0]);
        expect_whole(&home);
    }
}

#[test]
fn a_gateways_record_that_comes_after_the_log_takes_its_place() {
    let home = home();
    put(
        &home,
        CLAUDE,
        &lines(&[said("msg_1", "req_1", 1, [1, 10, 100, 0]).line()]),
    );
    import(&home);
    ledger(&home)
        .record(&gateway("2026-11-20T10:00:04Z", Some("req_1"), [101, 10, 100]))
        .unwrap();
    import(&home);
    assert_eq!(totals(&home), [1, 101, 10, 100, 0]);
    let told = home.run(["usage", "--days", "3000", "--json"]).json();
    assert_eq!(
        (&told["totals"]["cost_usd"], &told["totals"]["plan_requests"]),
        (&1.into(), &0.into())
    );
    expect_whole(&home);
}

#[test]
fn equal_requests_are_matched_one_to_one() {
    let home = home();
    ledger(&home)
        .record(&gateway("2026-11-20T10:00:04Z", None, [101, 10, 100]))
        .unwrap();
    let two = [
        said("msg_1", "req_1", 1, [1, 10, 100, 0]).line(),
        said("msg_2", "req_2", 50, [1, 10, 100, 0]).line(),
    ];
    put(&home, CLAUDE, &lines(&two));
    import(&home);
    assert_eq!(totals(&home), [2, 202, 20, 200, 0]);
    // Long before, it was another one.
    let far = [said("msg_3", "req_3", 1, [1, 10, 100, 0])
        .line()
        .to_string()
        .replace("T10:", "T08:")];
    put(&home, ".claude/projects/p/other.jsonl", &format!("{}\n", far[0]));
    import(&home);
    assert_eq!(totals(&home)[0], 3);
}

#[test]
fn a_log_replaces_what_was_reported_whichever_came_first() {
    for log_first in [false, true] {
        let home = home();
        let log = lines(&[said("msg_1", "req_1", 1, [101, 10, 0, 0]).line()]);
        let report = || {
            let mut command = home.command(["track", "anthropic", "claude-made-up", "101", "10"]);
            command.args([
                "--occurred-at",
                "2026-11-20T10:02:00Z",
                "--request-id",
                "mine",
                "--task-type",
                "chat",
            ]);
            assert_eq!(home.run_with(command, "").code, Some(0));
        };
        if log_first {
            put(&home, CLAUDE, &log);
            import(&home);
            report();
        } else {
            report();
            put(&home, CLAUDE, &log);
        }
        import(&home);
        assert_eq!(totals(&home), [1, 101, 10, 0, 0], "log first: {log_first}");
        assert_eq!(
            groups(&home, "task"),
            [("chat".to_owned(), 1)],
            "what only a person knows stays"
        );
        report();
        assert_eq!(totals(&home)[0], 1, "the same name again");
        expect_whole(&home);
    }
}

#[test]
fn a_report_by_the_providers_id_is_no_second_request() {
    let home = home();
    put(
        &home,
        CLAUDE,
        &lines(&[said("msg_1", "req_1", 1, [101, 10, 0, 0]).line()]),
    );
    import(&home);
    let told = home
        .run([
            "track",
            "anthropic",
            "claude-made-up",
            "101",
            "10",
            "--request-id",
            "req_1",
            "--json",
        ])
        .json();
    assert_eq!(told["duplicate"], true, "{told}");
    assert_eq!(totals(&home)[0], 1);
}
