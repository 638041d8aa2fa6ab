//! The line for a client's status line.

use crate::support::{Ended, Home, days_that_last};

const KEY: &str = "sk-proj-MadeUpForTheTests0123456789abcdefXYZW";

fn line(home: &Home) -> Ended {
    let ended = home.run_with(home.command(["statusline"]), "{\"session_id\": \"x\"}");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
    ended
}

#[test]
fn it_says_something_useful_before_anything_is_there() {
    let home = Home::new();
    assert!(line(&home).stdout.contains("$0.00 today"));
    assert!(!home.path().join("vault.json").exists() && !home.path().join("ledger.db").exists());
}

#[test]
fn spending_the_budget_and_keys_in_trouble_are_in_one_line() {
    let home = Home::new();
    home.config(&format!(
        "[vault]\nmaster_key = \"key-file\"\n{}daily_limit = 1.0\n\
         [[prices]]\nmodel = \"openai/m\"\ninput = 1.0\noutput = 1.0\n",
        days_that_last()
    ));
    let run = |arguments: &[&str], input: &str| {
        let ended = home.run_with(home.command(arguments), input);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    };
    run(&["add", "openai", "--stdin"], KEY);
    run(&["track", "openai", "m", "500000", "0"], "");
    let shown = line(&home).stdout;
    assert!(
        shown.contains("\u{1b}[32m$0.50 today") && shown.contains("50% of $1.00"),
        "{shown}"
    );
    assert!(!shown.contains("need"), "{shown}");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(72);
    run(&["track", "openai", "m", "600000", "0"], "");
    run(
        &["add", "openai:soon", "--stdin", "--expiration-date", &soon.to_string()],
        "sk-proj-OtherMadeUp0123456789abcdefghijXYZW",
    );
    let shown = line(&home).stdout;
    assert!(
        shown.contains("\u{1b}[31m$1.10 today") && shown.contains("110%"),
        "{shown}"
    );
    assert!(shown.contains("1 key needs attention"), "{shown}");
    let mut command = home.command(["statusline"]);
    command.env("NO_COLOR", "1");
    assert!(!home.run_with(command, "").stdout.contains('\u{1b}'));
    let said = home.run(["statusline", "--json"]).json();
    assert_eq!(
        (&said["percent"], &said["keys_needing_attention"]),
        (&110.into(), &1.into())
    );
}

#[test]
fn limits_that_nobody_can_read_are_not_made_up() {
    let home = Home::new();
    home.config("[budget]\ndaily_limit = \"a lot\"\n");
    let shown = line(&home).stdout;
    assert!(
        shown.contains("config.toml is broken: api-keys doctor") && !shown.contains('%'),
        "{shown}"
    );
    let said = home.run(["statusline", "--json"]).json();
    assert!(said["percent"].is_null(), "{said}");
    assert!(
        said["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("daily_limit")),
        "{said}"
    );
    home.config("");
    assert!(home.run(["statusline", "--json"]).json()["problem"].is_null());
}

#[test]
fn a_vault_that_somebody_must_open_is_left_closed() {
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"passphrase\"\n");
    let mut command = home.command(["vault", "init", "--stdin"]);
    command.env("API_KEYS_PASSPHRASE", "correct horse battery staple");
    home.run_with(command, "correct horse battery staple\n");
    assert!(home.path().join("vault.json").exists());
    assert!(!line(&home).stdout.contains("need"));
}
