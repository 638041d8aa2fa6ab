//! The hidden prompt, on a real terminal.
#![cfg(target_os = "linux")]

use crate::support::{Home, outside, terminal::OnTerminal};

const KEY: &str = "sk-proj-MadeUpForTheTests0123456789abcdefXYZW";

#[test]
fn a_key_is_typed_without_being_shown() {
    if !outside::installed(&["script"]) {
        return;
    }
    let home = Home::new();
    let mut terminal = OnTerminal::start(&home, "api-keys add openai");
    terminal.wait_for("API key for openai (hidden): ");
    terminal.type_in(&format!("{KEY}\r"));
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("Stored openai"), "{seen}");
    assert!(!seen.contains("MadeUp"), "{seen}");
    assert_eq!(home.run(["list", "--json"]).json()["total_count"], 1);
}

#[test]
fn an_interrupted_prompt_leaves_a_terminal_that_shows_what_is_typed() {
    if !outside::installed(&["script"]) {
        return;
    }
    let home = Home::new();
    let mut terminal = OnTerminal::start(&home, "api-keys add openai; stty -a");
    terminal.wait_for("(hidden): ");
    terminal.type_in("half of a k\u{3}");
    let (_, seen) = terminal.end();
    assert!(seen.contains("interrupted"), "{seen}");
    let modes: Vec<&str> = seen.split_whitespace().collect();
    for mode in ["echo", "icanon", "isig"] {
        assert!(modes.contains(&mode), "{mode}: {seen}");
    }
    assert_eq!(home.run(["list", "--json"]).json()["total_count"], 0);
}

#[test]
fn a_removal_is_confirmed_on_a_terminal_unless_yes_is_said() {
    if !outside::installed(&["script"]) {
        return;
    }
    let home = Home::new();
    home.run_with(home.command(["add", "openai", "--stdin"]), KEY);
    let mut terminal = OnTerminal::start(&home, "api-keys remove openai");
    terminal.wait_for("[y/N]");
    terminal.type_in("n\r");
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(1), "{seen}");
    assert_eq!(home.run(["list", "--json"]).json()["total_count"], 1);

    let (code, seen) = OnTerminal::start(&home, "api-keys remove openai --yes").end();
    assert_eq!(code, Some(0), "{seen}");
    assert_eq!(home.run(["list", "--json"]).json()["total_count"], 0);
}

#[test]
fn alone_on_a_terminal_it_says_how_to_begin() {
    if !outside::installed(&["script"]) {
        return;
    }
    let home = Home::new();
    let (code, seen) = OnTerminal::start(&home, "api-keys").end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("api-keys setup"), "{seen}");
}

#[test]
fn setup_asks_before_it_takes_a_key_in_and_before_it_touches_a_client() {
    if !outside::installed(&["script"]) {
        return;
    }
    let home = Home::new();
    std::fs::create_dir(home.beside(".cursor")).expect("a client");
    std::fs::write(home.beside(".env"), format!("OPENAI_API_KEY={KEY}\n")).expect("a file");
    // A yes beforehand is one to the changes of settings; who wants JSON is asked nothing.
    let unasked = |line: &str| {
        let mut terminal = OnTerminal::start(&home, line);
        // For a question that should not be there.
        terminal.type_in("n\rn\r");
        terminal.end()
    };
    let (code, seen) = unasked("api-keys setup --json");
    assert_eq!(code, Some(0), "{seen}");
    assert!(!seen.contains("[y/N]") && seen.contains("would_change"), "{seen}");
    let (code, seen) = unasked("api-keys setup --yes");
    assert_eq!(code, Some(0), "{seen}");
    assert!(
        !seen.contains("[y/N]") && seen.contains("--from-env-file .env"),
        "{seen}"
    );
    std::fs::remove_file(home.beside(".cursor/mcp.json")).expect("registered");
    for (answer, keys, registered) in [("n", 0, false), ("y", 1, true)] {
        let mut terminal = OnTerminal::start(&home, "api-keys setup");
        terminal.wait_for("OPENAI_API_KEY in .env holds a key: store it as openai? [y/N]");
        terminal.type_in(&format!("{answer}\r"));
        terminal.wait_for("Change the settings of Cursor? [y/N]");
        terminal.type_in(&format!("{answer}\r"));
        let (code, seen) = terminal.end();
        assert_eq!(code, Some(0), "{seen}");
        assert!(!seen.contains("MadeUp"), "{seen}");
        assert_eq!(home.run(["list", "--json"]).json()["total_count"], keys, "{seen}");
        assert_eq!(home.beside(".cursor/mcp.json").exists(), registered, "{seen}");
    }
}
