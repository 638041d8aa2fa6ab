//! Claude Code: states, copies, forks, subagents, torn lines.

use super::*;

#[test]
fn the_largest_state_of_a_message_counts_once_however_often_it_is_imported() {
    let home = home();
    let states = [1, 5, 631].map(|output| said("msg_1", "req_1", 1, [3, output, 100, 20]).line());
    put(&home, CLAUDE, &lines(&states));
    let told = import(&home);
    assert_eq!((&told["new"], &told["unreadable"]), (&1.into(), &0.into()), "{told}");
    assert_eq!(totals(&home), [1, 123, 631, 100, 20]);
    assert_eq!(import(&home)["agents"][0]["files_read"], 0, "nothing has changed");
    fs::remove_dir_all(home.path()).unwrap();
    home.config(&prices());
    import(&home);
    let path = home.beside(CLAUDE);
    fs::write(&path, fs::read(&path).unwrap()).unwrap();
    assert_eq!(import(&home)["new"], 0);
    assert_eq!(totals(&home), [1, 123, 631, 100, 20]);
    expect_whole(&home);
}

#[test]
fn a_message_that_grows_between_two_imports_replaces_its_earlier_state() {
    let home = home();
    put(&home, CLAUDE, &lines(&[said("msg_1", "req_1", 1, [3, 5, 0, 0]).line()]));
    import(&home);
    let grown = [
        said("msg_1", "req_1", 1, [3, 5, 0, 0]),
        said("msg_1", "req_1", 2, [3, 50, 0, 0]),
    ];
    put(&home, CLAUDE, &lines(&grown.map(|said| said.line())));
    let told = import(&home);
    assert_eq!((&told["new"], &told["updated"]), (&0.into(), &1.into()), "{told}");
    assert_eq!(totals(&home), [1, 3, 50, 0, 0]);
    expect_whole(&home);
}

#[test]
fn forks_and_background_sessions_copy_their_past_and_pay_for_their_own_turns_alone() {
    let home = home();
    let past = [
        said("msg_1", "req_1", 1, [1, 10, 0, 0]),
        said("msg_2", "req_2", 2, [2, 20, 0, 0]),
    ];
    put(&home, CLAUDE, &lines(&past.map(|said| said.line())));
    for (fork, message, output) in [("2", "msg_3", 300), ("3", "msg_4", 4000)] {
        let session = format!("{fork}2222222-2222-4222-8222-222222222222");
        let mut copied: Vec<Value> = past
            .iter()
            .map(|it| {
                Said {
                    session: &session,
                    ..*it
                }
                .line()
            })
            .collect();
        copied.push(
            Said {
                session: &session,
                ..said(message, message, 9, [4, output, 0, 0])
            }
            .line(),
        );
        for line in &mut copied {
            line["sessionKind"] = "bg".into();
        }
        put(
            &home,
            &format!(".claude/projects/-home-me-acme/{session}.jsonl"),
            &lines(&copied),
        );
    }
    import(&home);
    assert_eq!(totals(&home), [4, 1 + 2 + 4 + 4, 10 + 20 + 300 + 4000, 0, 0]);
    let sessions = groups(&home, "session");
    assert_eq!(
        sessions.iter().map(|(_, requests)| *requests).collect::<Vec<_>>(),
        [2, 1, 1],
        "{sessions:?}"
    );
    expect_whole(&home);
}

#[test]
fn subagents_and_workflows_count_for_the_session_that_they_work_for() {
    let home = home();
    put(&home, CLAUDE, &lines(&[said("msg_1", "req_1", 1, [1, 1, 0, 0]).line()]));
    let folder = CLAUDE.trim_end_matches(".jsonl");
    let mut inner = said("msg_2", "req_2", 2, [2, 2, 0, 0]).line();
    inner["isSidechain"] = true.into();
    put(&home, &format!("{folder}/subagents/agent-a1.jsonl"), &lines(&[inner]));
    put(&home, &format!("{folder}/subagents/agent-a1.meta.json"), "{}");
    let deeper = lines(&[said("msg_3", "req_3", 3, [4, 4, 0, 0]).line()]);
    put(
        &home,
        &format!("{folder}/subagents/workflows/w1/agent-b2.jsonl"),
        &deeper,
    );
    import(&home);
    assert_eq!(totals(&home), [3, 7, 7, 0, 0]);
    assert_eq!(
        groups(&home, "session"),
        [("11111111-1111-4111-8111-111111111111".to_owned(), 3)]
    );
    assert_eq!(groups(&home, "project"), [("acme".to_owned(), 3)]);
    assert_eq!(groups(&home, "agent"), [("claude-code".to_owned(), 3)]);
}

#[test]
fn a_torn_last_line_is_read_when_it_is_whole_and_a_torn_one_within_is_reported() {
    let home = home();
    let whole = said("msg_1", "req_1", 1, [1, 10, 0, 0]).line().to_string();
    let next = said("msg_2", "req_2", 2, [2, 20, 0, 0]).line().to_string();
    put(&home, CLAUDE, &format!("{whole}\n{}", &next[..next.len() - 20]));
    let told = import(&home);
    assert_eq!((&told["new"], &told["unreadable"]), (&1.into(), &0.into()), "{told}");
    put(&home, CLAUDE, &format!("{whole}\n{next}\n"));
    assert_eq!(import(&home)["new"], 1);
    assert_eq!(totals(&home), [2, 3, 30, 0, 0]);
    let broken = &next[..next.len() - 1];
    put(
        &home,
        CLAUDE,
        &format!(
            "{whole}\n{next}\n{broken}\n{}\n",
            said("msg_3", "req_3", 3, [4, 40, 0, 0]).line()
        ),
    );
    let told = import(&home);
    assert_eq!((&told["new"], &told["unreadable"]), (&1.into(), &1.into()), "{told}");
    assert!(home.run(["import", "logs"]).stderr.is_empty());
    expect_whole(&home);
}

#[test]
fn without_a_requests_id_repeated_lines_count_once_and_a_constant_message_id_does_not_hide_requests() {
    let bare = |message, second, counts| {
        Said {
            request: None,
            ..said(message, "", second, counts)
        }
        .line()
    };
    let home = home();
    // A gateway that drops the request's id: one message in three lines.
    let mut all: Vec<Value> = [(1, 5), (2, 5), (3, 70)]
        .map(|(at, output)| bare("msg_1", at, [3, output, 9, 0]))
        .into();
    // One that gives every message the same id: three requests.
    all.extend([(10, 100), (20, 200), (30, 300)].map(|(at, read)| bare("msg_same", at, [1, 7, read, 0])));
    put(&home, CLAUDE, &lines(&all));
    import(&home);
    assert_eq!(totals(&home), [4, 12 + 101 + 201 + 301, 70 + 21, 9 + 600, 0]);
    // A copy of all of it in another session.
    let copied: Vec<Value> = all
        .iter()
        .map(|line| {
            let mut line = line.clone();
            line["sessionId"] = "another".into();
            line
        })
        .collect();
    put(&home, ".claude/projects/-home-me-acme/another.jsonl", &lines(&copied));
    import(&home);
    assert_eq!(totals(&home), [4, 12 + 101 + 201 + 301, 70 + 21, 9 + 600, 0]);
    expect_whole(&home);
}

#[test]
fn counts_may_be_strings_absent_or_null_and_lines_may_have_spaces() {
    let home = home();
    let text = concat!(
        r#"{ "type" : "assistant" , "timestamp" : "2026-11-20T10:00:00Z" , "sessionId" : "s" , "requestId" : "r1" , "message" : { "id" : "m1" , "model" : "claude-made-up" , "usage" : { "input_tokens" : "12" , "output_tokens" : null , "cache_creation" : { "ephemeral_5m_input_tokens" : 3 , "ephemeral_1h_input_tokens" : 4 } } } }"#,
        "\n",
        r#"{"type":"assistant","timestamp":"2026-11-20T10:00:01Z","requestId":"r2","message":{"id":"m2","model":"<synthetic>","usage":{"input_tokens":0,"output_tokens":0}}}"#,
        "\n",
        r#"{"type":"user","message":"the word \"usage\"","toolUseResult":{"usage":{"input_tokens":99}}}"#,
        "\n",
    );
    put(&home, CLAUDE, text);
    let told = import(&home);
    assert_eq!(told["unreadable"], 0, "{told}");
    assert_eq!(totals(&home), [1, 19, 0, 0, 7]);
}

#[test]
fn history_survives_its_logs_and_a_rewritten_log_counts_nothing_twice() {
    let home = home();
    let all: Vec<Value> = (1..=5)
        .map(|at| said(&format!("msg_{at}"), &format!("req_{at}"), at, [1, 1, 0, 0]).line())
        .collect();
    put(&home, CLAUDE, &lines(&all));
    import(&home);
    // Compacted in place: the beginning is gone, and something new is at the end.
    let mut rewritten = all[3..].to_vec();
    rewritten.push(said("msg_6", "req_6", 6, [1, 1, 0, 0]).line());
    put(&home, CLAUDE, &lines(&rewritten));
    assert_eq!(import(&home)["new"], 1);
    assert_eq!(totals(&home), [6, 6, 6, 0, 0]);
    fs::remove_dir_all(home.beside(".claude")).unwrap();
    import(&home);
    assert_eq!(totals(&home), [6, 6, 6, 0, 0]);
    expect_whole(&home);
}

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
