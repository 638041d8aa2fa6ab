//! The logs of coding agents in the ledger: each request once.

mod claude_code;
mod files;
mod golden;
mod joining;
mod laws;

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::Home;

/// A configuration in which the models of these tests cost a dollar for a million tokens of any kind.
fn prices() -> String {
    let price = |model: &str| {
        format!("[[prices]]\nmodel = \"{model}\"\ninput = 1.0\noutput = 1.0\ncache_read = 1.0\ncache_write = 1.0\n")
    };
    ["anthropic/claude-made-up", "openai/gpt-made-up"].map(price).concat()
}

fn home() -> Home {
    let home = Home::new();
    home.config(&prices());
    home
}

/// Writes a file below the user's home.
fn put(home: &Home, path: &str, text: &str) {
    let path = home.beside(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn lines(values: &[Value]) -> String {
    let lines: Vec<String> = values.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

/// Imports all logs, and says what came of it.
fn import(home: &Home) -> Value {
    home.run(["import", "logs", "--json"]).json()
}

/// Requests, input, output, cache reads and cache writes of everything that is recorded.
fn totals(home: &Home) -> [u64; 5] {
    let told = home.run(["usage", "--days", "3000", "--json"]).json();
    let totals = &told["totals"];
    [
        "requests",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
    ]
    .map(|name| totals[name].as_u64().unwrap())
}

/// The requests of each group.
fn groups(home: &Home, by: &str) -> Vec<(String, u64)> {
    let told = home.run(["usage", "--days", "3000", "--json", "--group-by", by]).json();
    let groups = told["groups"].as_array().unwrap().iter();
    let mut groups: Vec<(String, u64)> = groups
        .map(|group| {
            (
                group["name"].as_str().unwrap_or("-").to_owned(),
                group["requests"].as_u64().unwrap(),
            )
        })
        .collect();
    groups.sort();
    groups
}

/// The ledger is whole: the sums of a kind agree with those of the others.
fn expect_whole(home: &Home) {
    let found = home.run(["doctor", "--json"]);
    assert!(!found.stdout.contains("damaged"), "{found:?}");
    let by_model = home
        .run(["usage", "--days", "3000", "--json", "--group-by", "model"])
        .json();
    let sum: u64 = by_model["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["input_tokens"].as_u64().unwrap())
        .sum();
    assert_eq!(Some(sum), by_model["totals"]["input_tokens"].as_u64());
    let exported = home.run(["usage", "--days", "3000", "--export", "jsonl"]).stdout;
    let rows: u64 = exported
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["input_tokens"]
                .as_u64()
                .unwrap()
        })
        .sum();
    assert_eq!(rows, sum, "sums of records and roll-ups");
}

/// One state of a message of Claude Code.
#[derive(Clone, Copy)]
struct Said<'a> {
    session: &'a str,
    message: &'a str,
    request: Option<&'a str>,
    second: u32,
    /// Uncached input, output, cache reads, cache writes.
    counts: [u64; 4],
}

impl Said<'_> {
    fn line(&self) -> Value {
        let [input, output, read, written] = self.counts;
        let mut line = json!({
            "parentUuid": null, "isSidechain": false, "cwd": "/home/me/acme", "sessionId": self.session,
            "type": "assistant", "uuid": format!("{}-{}", self.message, self.second),
            "timestamp": format!("2026-11-20T10:{:02}:{:02}.000Z", self.second / 60, self.second % 60),
            "message": {
                "id": self.message, "model": "claude-made-up", "role": "assistant",
                "content": [{"type": "text", "text": "it says \"usage\" here"}],
                "usage": {
                    "input_tokens": input, "output_tokens": output, "cache_read_input_tokens": read,
                    "cache_creation_input_tokens": written,
                },
            },
        });
        if let Some(request) = self.request {
            line["requestId"] = request.into();
        }
        line
    }
}

fn said<'a>(message: &'a str, request: &'a str, second: u32, counts: [u64; 4]) -> Said<'a> {
    Said {
        session: "11111111-1111-4111-8111-111111111111",
        message,
        request: Some(request),
        second,
        counts,
    }
}

const CLAUDE: &str = ".claude/projects/-home-me-acme/11111111-1111-4111-8111-111111111111.jsonl";
