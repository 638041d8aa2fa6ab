//! The command line from outside.

use crate::support::Home;

#[test]
fn an_unknown_command_is_a_usage_error_in_both_forms() {
    let home = Home::new();
    let ended = home.run(["nonsense"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(
        ended
            .stderr
            .starts_with("error: there is no command `nonsense`\nhint: "),
        "{}",
        ended.stderr
    );

    let ended = home.run(["nonsense", "--json"]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.error_code(), "invalid_argument");
}

#[test]
fn help_and_version_are_answers() {
    let home = Home::new();
    for arguments in [["--help"], ["--version"], ["-h"], ["help"]] {
        let ended = home.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}");
        assert!(
            ended.stdout.contains("api-keys") && ended.stderr.is_empty(),
            "{ended:?}"
        );
        assert!(!ended.stdout.contains('\u{1b}'), "no colours in a pipe: {ended:?}");
    }
}

#[test]
fn completions_name_the_commands() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = home.run(["completions", shell]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("completions"), "{ended:?}");
    }
}
