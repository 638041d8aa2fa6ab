//! What people read: tables that fit their terminal, amounts, help, and the small things that a person notices.

use serde_json::json;

use crate::support::{
    Home, days_that_last, outside,
    stand_in::{Reply, StandIn},
};

const KEY: &str = "sk-proj-MadeUpForTheTests0123456789abcdefXYZW";

fn add(home: &Home, arguments: &[&str], key: &str) {
    let ended = home.run_with(home.command([&["add"][..], arguments, &["--stdin"]].concat()), key);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// A home with keys, clients and usage.
fn used() -> Home {
    let home = Home::new();
    home.config(&format!(
        "[vault]\nmaster_key = \"key-file\"\n{}daily_limit = 10.0\n",
        days_that_last()
    ));
    add(&home, &["openai"], KEY);
    let work = [
        "openai:work",
        "--description",
        "the evaluation jobs of the research team",
    ];
    add(&home, &work, "sk-proj-OtherMadeUp0123456789abcdefghijXYZW");
    let anthropic = ["anthropic", "--expiration-date", "2027-06-30"];
    add(&home, &anthropic, "sk-ant-api03-MadeUpForTheTests0123456789abcdefXYZW");
    for line in [
        &["track", "openai", "gpt-5", "1234567", "23456", "--label", "default"][..],
        &["track", "anthropic", "claude-sonnet-4-5", "345678", "4567"],
        &["track", "openai", "gpt-5-mini", "345678", "4567", "--failed"],
        &[
            "client",
            "add",
            "editor",
            "--daily-limit",
            "5",
            "--provider",
            "anthropic",
        ],
        &["run", "-p", "openai:work", "--", "true"],
    ] {
        let ended = home.run(line);
        assert_eq!(ended.code, Some(0), "{line:?} {ended:?}");
    }
    home
}

#[cfg(target_os = "linux")]
#[test]
fn tables_stay_tables_and_fit_the_terminal() {
    use crate::support::terminal::OnTerminal;

    if !outside::installed(&["script", "stty"]) {
        return;
    }
    let home = used();
    for (line, head, row) in [
        ("list", "PROVIDER", "anthropic"),
        ("audit", "TIME", "20"),
        ("budget", "BUDGET", "this month"),
        ("usage --group-by model", "MODEL", "openai/gpt-5 "),
        ("recommend", "", "`api-keys validate"),
        ("stats", "PROVIDER", "openai"),
        ("estimate openai 1000 500 --model gpt-5 --compare", "PROVIDER", "openai"),
        ("route chat", "CANDIDATE", "anthropic/"),
        ("client list", "CLIENT", "editor"),
        ("prices list openai", "MODEL", "openai/gpt-5"),
    ] {
        for columns in [50, 60, 80, 120] {
            let command = format!("stty cols {columns}; api-keys --color never {line}");
            let (code, seen) = OnTerminal::start(&home, &command).end();
            assert_eq!(code, Some(0), "{seen}");
            let lines: Vec<&str> = seen.lines().map(|line| line.trim_end_matches('\r')).collect();
            assert!(
                lines.iter().any(|line| line.starts_with(head) && line.contains("  ")),
                "{line} at {columns}\n{seen}"
            );
            let widest = lines
                .iter()
                .filter(|line| !line.contains(['`', '"']))
                .map(|line| line.chars().count())
                .max();
            // Below that, the longest names stick out.
            assert!(columns < 60 || widest <= Some(columns), "{line} at {columns}\n{seen}");
            assert!(
                lines.iter().any(|line| line.contains(row)),
                "{line} at {columns}\n{seen}"
            );
            if line == "list" && columns >= 80 {
                let rows = lines
                    .iter()
                    .filter(|line| line.starts_with("openai") || line.starts_with("anthropic"));
                assert_eq!(rows.count(), 3, "a key is a line\n{seen}");
                assert!(seen.contains("CHECKED") && seen.contains("USED"), "{seen}");
            }
        }
    }
}

#[test]
fn help_is_short_or_long_and_in_sections() {
    let home = Home::new();
    let (short, long) = (home.run(["-h"]).stdout, home.run(["--help"]).stdout);
    assert!(short.lines().count() < long.lines().count(), "{short}");
    for section in ["Keys:", "Usage:", "Routing:", "Gateway:", "Setup:", "Options:"] {
        assert!(short.lines().any(|line| line == section), "{section} in {short}");
    }
    assert!(!short.contains("Exit codes") && long.contains("Exit codes"), "{long}");
    let (short, long) = (home.run(["usage", "-h"]).stdout, home.run(["usage", "--help"]).stdout);
    assert!(!short.contains("Examples:") && long.contains("Examples:"), "{long}");
}

#[test]
fn a_list_says_when_a_key_was_used_and_checked() {
    let home = used();
    let list = home.run(["list"]).stdout;
    let row = |provider: &str, label: &str| {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        let rows: Vec<String> = list.lines().map(words).collect();
        rows.into_iter()
            .find(|row| row.starts_with(&format!("{provider} {label} ")))
            .expect("a row")
    };
    assert!(
        row("openai", "work").contains("never just now the evaluation"),
        "{list}"
    );
    assert!(row("openai", "default").ends_with("never just now"), "{list}");
    // Its request named no key, and it is the only one.
    assert!(
        row("anthropic", "default").ends_with("never just now 2027-06-30"),
        "{list}"
    );
    let json = home.run(["list", "--json"]).json();
    assert!(json["keys"][0].get("used").is_none(), "{json}");
}

#[test]
fn an_action_is_one_line_of_the_audit_trail() {
    let home = used();
    let shown = home.run(["audit"]).stdout;
    let count = |text: &str, what: &str| text.lines().filter(|line| line.contains(what)).count();
    assert_eq!(count(&shown, "add key"), 3, "{shown}");
    assert_eq!(count(&shown, "begun"), 0, "{shown}");
    home.run(["run", "-p", "openai:work", "--", "true"]);
    let shown = home.run(["audit"]).stdout;
    assert_eq!(count(&shown, "reveal key"), 1, "{shown}");
    assert!(shown.contains("2 times"), "{shown}");
    let all = home.run(["audit", "--all"]).stdout;
    assert!(count(&all, "reveal key") > 1 && count(&all, "begun") > 0, "{all}");
    let entries = home.run(["audit", "--json"]).json()["entries"].as_array().map(Vec::len);
    assert_eq!(entries, Some(all.lines().count() - 1), "programs get every entry");
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_is_asked_about_a_key_that_does_not_exist() {
    use crate::support::terminal::OnTerminal;

    if !outside::installed(&["script"]) {
        return;
    }
    let home = used();
    let (code, seen) = OnTerminal::start(&home, "api-keys --color never remove openai:wrok").end();
    assert_eq!(code, Some(1), "{seen}");
    assert!(!seen.contains("[y/N]") && seen.contains("error: "), "{seen}");
}

#[test]
fn a_budget_resets_in_its_own_time_zone() {
    let home = Home::new();
    home.config("[budget]\ntime_zone = \"Asia/Tokyo\"\n");
    let shown = home.run(["budget"]).stdout;
    assert_eq!(shown.matches("00:00 JST").count(), 2, "{shown}");
    assert!(
        home.run(["budget", "--json"]).json()["daily"]["resets_at"]
            .as_str()
            .unwrap()
            .ends_with("15:00:00Z")
    );
}

#[test]
fn a_comparison_has_the_model_asked_for_and_says_that_it_is_cut() {
    let home = Home::new();
    let shown = home
        .run(["estimate", "openai", "1000", "500", "--model", "gpt-5", "--compare"])
        .stdout;
    assert!(shown.contains("gpt-5 (asked)") && shown.contains("QUALITY"), "{shown}");
    assert!(
        shown.contains("the 20 cheapest; ") && shown.contains(" more not shown"),
        "{shown}"
    );
}

#[test]
fn hints_of_doctor_name_the_key() {
    let home = Home::new();
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(72)).to_string();
    add(&home, &["openai:work", "--expiration-date", &soon], KEY);
    let ended = home.run(["doctor", "--offline"]);
    assert!(
        ended
            .stderr
            .contains("hint: openai:work: `api-keys rotate openai:work`"),
        "{ended:?}"
    );
}

#[test]
fn a_status_line_fits_eighty_columns() {
    let home = used();
    home.config(&format!(
        "[vault]\nmaster_key = \"key-file\"\n{}daily_limit = 1.0\nmonthly_limit = 1.0\n",
        days_that_last()
    ));
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(72)).to_string();
    for label in ["a", "b"] {
        let key = format!("sk-proj-{label}MadeUpForTheTests0123456789abcdefXYZW");
        add(&home, &[&format!("openai:{label}"), "--expiration-date", &soon], &key);
    }
    let shown = home.run(["--color", "never", "statusline"]).stdout;
    let line = shown.trim_end();
    assert!(line.chars().count() <= 80, "{line}");
    for part in ["today", "this month", "2 keys need attention"] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn seven_failures_of_seven_are_not_healthy() {
    let home = Home::new();
    add(&home, &["openai"], KEY);
    for _ in 0..7 {
        home.run(["track", "openai", "gpt-5", "1", "0", "--failed", "--status-code", "500"]);
    }
    let health = home.run(["stats", "openai", "--json"]).json()["providers"][0]["health"]["status"].clone();
    assert!(health == "failing" || health == "cooling", "{health}");
    let shown = home.run(["stats"]).stdout;
    assert!(shown.split_whitespace().all(|word| word != "healthy"), "{shown}");
}

#[test]
fn a_key_without_credit_does_not_count_as_working() {
    let body = json!({"error": {"code": "insufficient_quota", "type": "insufficient_quota", "message": "x"}});
    let provider = StandIn::answering(Reply::json(429, &body));
    let home = Home::new();
    home.config(&format!("[providers.openai]\nbase_url = \"{}/v1\"\n", provider.url()));
    add(&home, &["openai"], KEY);
    let shown = home.run(["validate", "--all"]).stdout;
    assert!(shown.contains("0 of 1 working, 1 without credit"), "{shown}");
}
