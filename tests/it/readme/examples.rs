//! The examples on the pages: each command is run on a terminal, and its output is what the page shows.
//!
//! Every ```` ```console ```` block is run, the blocks of a page in order and in one home. `<!-- not run: why -->` before a
//! block leaves it out, and the commands in a comment that begins with `<!-- run` prepare what readers need not see.
//! A last line `…` stands for the rest of the output.
#![cfg(target_os = "linux")]

use std::{fmt::Write, fs, os::unix::fs::symlink};

use regex::Regex;
use serde_json::json;

use super::{Page, pages, writing};
use crate::support::{
    Home,
    outside::installed,
    private_file,
    stand_in::{Reply, StandIn},
    terminal::OnTerminal,
};

const KEY: &str = "sk-ant-api03-MadeUpForTheReadme0123456789abcdefWXYZ";
/// The width of the terminal.
const COLUMNS: usize = 90;
const REST: &str = "…";

/// What `claude` does in the examples: it sends one request and prints the answer.
const CLAUDE: &str = r#"#!/bin/sh
curl -s "$ANTHROPIC_BASE_URL/v1/messages" -H "authorization: Bearer $ANTHROPIC_AUTH_TOKEN" \
    -d '{"model":"claude-opus-4-8","max_tokens":20,"messages":[{"role":"user","content":"Say ready"}]}' |
    sed 's/.*"text":"\([^"]*\)".*/\1\n/'
"#;

/// A home with a vault, and providers that answer on loopback.
struct Stage {
    home: Home,
    path: String,
    _provider: StandIn,
}

impl Stage {
    fn new() -> Self {
        let provider = StandIn::start(|request| match request.path.as_str() {
            "/v1/messages" => Reply::json(
                200,
                &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-8",
                    "content": [{"type": "text", "text": "Ready."}], "stop_reason": "end_turn",
                    "usage": {"input_tokens": 12, "output_tokens": 5}}),
            ),
            // No models, in Ollama's format and in OpenAI's.
            _ => Reply::json(200, &json!({"models": [], "object": "list", "data": []})),
        });
        let home = Home::new();
        home.config(&format!(
            "[vault]\nmaster_key = \"key-file\"\n[providers.anthropic]\nbase_url = \"{0}\"\n\
             [providers.openai]\nbase_url = \"{0}/v1\"\n[providers.local]\nbase_url = \"{0}\"\n",
            provider.url()
        ));
        let made = home.run(["vault", "init"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        let folder = home.beside("bin");
        private_file(&folder.join("claude"), CLAUDE.as_bytes());
        let chmod = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(folder.join("claude"), chmod).expect("a program");
        symlink(env!("CARGO_BIN_EXE_api-keys"), folder.join("api-keys")).expect("a link");
        let path = std::env::var("PATH").expect("text");
        Self {
            path: format!("{}:{path}", folder.display()),
            home,
            _provider: provider,
        }
    }

    /// What `command` shows on a terminal.
    fn show(&self, command: &str) -> String {
        let line = format!("stty rows 40 cols {COLUMNS}; {command}");
        let variables = [("PATH", self.path.as_str()), ("NO_COLOR", "1")];
        let mut terminal = OnTerminal::start_with(&self.home, &line, &variables);
        if command == "api-keys add anthropic" && terminal.sees("(hidden): ") {
            terminal.type_in(&format!("{KEY}\r"));
        }
        let (_, seen) = terminal.end();
        let escape = Regex::new("\u{1b}\\[[0-9;?]*[A-Za-z]").expect("a pattern");
        let plain = escape.replace_all(&seen, "").replace("\r\n", "\n").replace('\r', "");
        for wrong in ["error: internal", r#"{"type":"error""#] {
            assert!(!plain.contains(wrong), "{command}\n{plain}");
        }
        let shown = plain.replace(&self.home.path().display().to_string(), "~");
        if shown.is_empty() || shown.ends_with('\n') {
            shown
        } else {
            shown + "\n"
        }
    }
}

/// The parts of an output that differ from one day or machine to the next, made the same.
fn stable(text: &str) -> String {
    let parts = [
        (r"\d{4}-\d{2}-\d{2}", "DATE"),
        (r"T?\d{2}:\d{2}(:\d{2})?Z?", "TIME"),
        (r"[0-9.]+ ?m?s\b", "SPAN"),
        (r"\b[0-9a-f]{16}\b", "SLOT"),
        // The forecast comes from the time of day; it stands before the end of the period.
        (r"(–|\$\S+)?\s+DATE", "FORECAST"),
        (r"(\$\S+)?\s+[A-Z][a-z]{2} \d{1,2} TIME \S+", "FORECAST"),
        (r"FORECAST +\S[^\n]*", "FORECAST"),
        (r"[▏▎▍▌▋▊▉█░▕ ]+", " "),
    ];
    parts.iter().fold(text.to_owned(), |text, (pattern, name)| {
        Regex::new(pattern)
            .expect("a pattern")
            .replace_all(&text, *name)
            .into_owned()
    })
}

/// Whether `shown` is what the page may show for `output`.
fn is_current(shown: &str, output: &str) -> bool {
    match shown.strip_suffix(&format!("{REST}\n")) {
        Some(begin) => !begin.is_empty() && stable(output).starts_with(&stable(begin)),
        None => stable(shown) == stable(output),
    }
}

/// `output` as the page shows it, as much of it as `shown` did.
fn cut(shown: &str, output: &str) -> String {
    let Some(begin) = shown.strip_suffix(&format!("{REST}\n")) else {
        return output.to_owned();
    };
    let most = begin.lines().count().max(3);
    let lines: Vec<&str> = output.lines().take(most).collect();
    format!("{}\n{REST}\n", lines.join("\n"))
}

/// The page with the outputs of its examples as they are now; those that say the same stay as they stand.
fn with_outputs(page: &Page) -> String {
    let mut stage = None;
    let mut text = String::new();
    let mut lines = page.text.lines().peekable();
    let mut is_left_out = false;
    while let Some(line) = lines.next() {
        let _ = writeln!(text, "{line}");
        let is_hidden = line == "<!-- run";
        if line.starts_with("<!-- not run: ") {
            is_left_out = true;
        } else if is_hidden || line == "```console" {
            let end = if is_hidden { "-->" } else { "```" };
            while let Some(line) = lines.next_if(|line| *line != end) {
                let _ = writeln!(text, "{line}");
                let Some(command) = line.strip_prefix("$ ").filter(|_| !is_left_out) else {
                    assert!(is_left_out, "{}: {line:?} follows no command", page.name());
                    continue;
                };
                let mut shown = String::new();
                while let Some(line) = lines.next_if(|line| *line != end && !line.starts_with("$ ")) {
                    let _ = writeln!(shown, "{line}");
                }
                let output = stage.get_or_insert_with(Stage::new).show(command);
                if is_hidden {
                    assert!(!output.contains("error: "), "{}: {command}\n{output}", page.name());
                } else if is_current(&shown, &output) {
                    text.push_str(&shown);
                } else {
                    text.push_str(&cut(&shown, &output));
                }
            }
            is_left_out = false;
        }
    }
    text
}

#[test]
fn the_examples_show_what_the_commands_print() {
    if !installed(&["script", "curl"]) {
        return;
    }
    let _alone = writing();
    for page in pages() {
        page.expect(&with_outputs(&page));
    }
}

#[test]
fn a_shortened_output_is_compared_as_far_as_it_goes() {
    assert!(is_current("one\n…\n", "one\ntwo\n"));
    assert!(!is_current("one\n", "one\ntwo\n") && !is_current("…\n", "one\ntwo\n"));
    assert!(is_current("since 2026-01-01\n", "since 2027-12-31\n"));
    assert_eq!(cut("", "one\ntwo\n"), "one\ntwo\n");
    assert_eq!(cut("…\n", "1\n2\n3\n4\n"), "1\n2\n3\n…\n");
}
