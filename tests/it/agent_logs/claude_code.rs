//! What Claude Code's logs come to for a user: pruning, dry runs, plans, sessions. Their traps are golden folders.

use super::*;

#[test]
fn what_was_pruned_is_not_taken_for_new() {
    let home = home();
    let text = lines(&[said("msg_1", "req_1", 1, [1, 1, 0, 0]).line()]).replace("2026-11-20", "2026-01-20");
    put(&home, CLAUDE, &text);
    import(&home);
    assert_eq!(home.run(["prune", "--older-than", "30", "--yes"]).code, Some(0));
    put(&home, CLAUDE, &format!("\n{text}"));
    let told = import(&home);
    assert_eq!((&told["new"], &told["known"]), (&0.into(), &1.into()), "{told}");
    assert_eq!(totals(&home), [1, 1, 1, 0, 0]);
}

#[test]
fn a_dry_run_says_what_would_come_and_changes_nothing() {
    let home = home();
    put(&home, CLAUDE, &lines(&[said("msg_1", "req_1", 1, [1, 1, 0, 0]).line()]));
    let told = home.run(["import", "logs", "--dry-run", "--json"]).json();
    assert_eq!((&told["dry_run"], &told["new"]), (&true.into(), &1.into()), "{told}");
    assert_eq!(totals(&home), [0; 5]);
    let only = home.run(["import", "logs", "--agent", "codex", "--json"]).json();
    assert_eq!(only["agents"], json!([]), "{only}");
    assert_eq!(home.run(["import", "logs", "--agent", "nobody"]).code, Some(2));
}

#[test]
fn what_a_plan_covers_is_at_api_prices_and_never_in_what_is_billed() {
    let home = home();
    put(
        &home,
        CLAUDE,
        &lines(&[said("msg_1", "req_1", 1, [1_000_000, 1_000_000, 0, 0]).line()]),
    );
    import(&home);
    let told = home.run(["usage", "--days", "3000", "--json"]).json();
    let totals = &told["totals"];
    assert_eq!(
        (&totals["cost_usd"], &totals["plan_cost_usd"]),
        (&0.into(), &2.into()),
        "{totals}"
    );
    let shown = home.run(["usage", "--days", "3000"]).stdout;
    assert!(shown.contains("AT API PRICES") && shown.contains("$2.00"), "{shown}");
    let exported = home.run(["usage", "--days", "3000", "--export", "jsonl"]).stdout;
    let row: Value = serde_json::from_str(&exported).unwrap();
    assert_eq!((&row["cost_usd"], &row["plan_cost_usd"]), (&Value::Null, &2.into()));
    // Billed by the token, where the user says so.
    fs::remove_dir_all(home.path()).unwrap();
    home.config(&format!("[agent_logs]\nbilled = [\"claude-code\"]\n{}", prices()));
    import(&home);
    let totals = home.run(["usage", "--days", "3000", "--json"]).json()["totals"].clone();
    assert_eq!(
        (&totals["cost_usd"], &totals["plan_requests"]),
        (&2.into(), &0.into()),
        "{totals}"
    );
}

#[test]
fn usage_imports_by_itself_where_the_configuration_says_so() {
    let home = home();
    put(&home, CLAUDE, &lines(&[said("msg_1", "req_1", 1, [1, 1, 0, 0]).line()]));
    assert_eq!(totals(&home)[0], 0);
    home.config(&format!("[agent_logs]\nauto_import = true\n{}", prices()));
    assert_eq!(totals(&home)[0], 1);
}

#[test]
fn sessions_are_listed_and_sources_are_left_out_on_demand() {
    let home = home();
    put(&home, CLAUDE, &lines(&[said("msg_1", "req_1", 1, [1, 1, 0, 0]).line()]));
    import(&home);
    let told = home.run(["usage", "sessions", "--days", "3000", "--json"]).json();
    let session = &told["sessions"][0];
    assert_eq!(session["session"], "11111111-1111-4111-8111-111111111111", "{told}");
    assert_eq!(
        (&session["agent"], &session["project"]),
        (&"claude-code".into(), &"acme".into())
    );
    assert_eq!(session["models"], json!(["anthropic/claude-made-up"]));
    assert!(
        home.run(["usage", "sessions", "--days", "3000"])
            .stdout
            .contains("claude-code")
    );
    let of = |source: &str| {
        let told = home
            .run(["usage", "--days", "3000", "--json", "--source", source])
            .json();
        told["totals"]["requests"].as_u64().unwrap()
    };
    assert_eq!((of("log"), of("gateway,reported"), of("log,gateway")), (1, 0, 1));
    let blocks = groups(&home, "block");
    assert_eq!(blocks, [("claude-code 2026-11-20 10:00".to_owned(), 1)]);
}
