use std::fmt::Write;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const JSON: EntryPath<'_> = EntryPath(&["mcpServers", "api-keys"]);
const TOML: EntryPath<'_> = EntryPath(&["mcp_servers", "api-keys"]);

fn entry() -> Value {
    json!({"command": "/usr/bin/api-keys", "args": ["serve"]})
}

#[test]
fn an_entry_is_put_into_json_as_the_text_is_written() {
    const EMPTY: &str = r#"{
  "mcpServers": {
    "api-keys": {
      "command": "/usr/bin/api-keys",
      "args": ["serve"]
    }
  }
}
"#;
    for (before, after) in [
        ("", EMPTY.to_owned()),
        (" \n", EMPTY.to_owned()),
        ("{}\n", EMPTY.to_owned()),
        ("// mine\n{}\n", format!("// mine\n{EMPTY}")),
        (
            "\u{feff}{\r\n\t\"theme\": 1, // dark\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {}, // first\r\n\t},\r\n}\r\n",
            "\u{feff}{\r\n\t\"theme\": 1, // dark\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {}, // first\r\n\t\t\"api-keys\": \
             {\r\n\t\t\t\"command\": \"/usr/bin/api-keys\",\r\n\t\t\t\"args\": [\"serve\"],\r\n\t\t},\r\n\t},\r\n}\r\n"
                .to_owned(),
        ),
    ] {
        assert_eq!(SettingsFormat::Json.with(before, JSON, &entry()), Ok(after), "{before:?}");
    }
}

#[test]
fn an_entry_is_put_into_toml_beside_its_like() {
    const OURS: &str = "[mcp_servers.api-keys]\ncommand = \"/usr/bin/api-keys\"\nargs = [\"serve\"]\n";
    for (before, after) in [
        ("", OURS.to_owned()),
        ("# mine\nmodel = \"x\"", format!("# mine\nmodel = \"x\"\n\n{OURS}")),
        (
            "[mcp_servers.a] # first\ncommand = 'a'\n\n[tui]\nx = 1\n# end\n",
            format!("[mcp_servers.a] # first\ncommand = 'a'\n\n{OURS}\n[tui]\nx = 1\n# end\n"),
        ),
        (
            "[mcp_servers.a]\r\ncommand = 'a'\r\n",
            format!("[mcp_servers.a]\ncommand = 'a'\n\n{OURS}").replace('\n', "\r\n"),
        ),
        (
            "\u{feff}text = \"\"\"\r\none\r\ntwo\"\"\"\r\n",
            format!("\u{feff}text = \"\"\"\none\ntwo\"\"\"\n\n{OURS}").replace('\n', "\r\n"),
        ),
    ] {
        assert_eq!(
            SettingsFormat::Toml.with(before, TOML, &entry()),
            Ok(after),
            "{before:?}"
        );
    }
}

#[test]
fn what_is_broken_is_told_by_its_line_and_never_quoted() {
    let deep = "[".repeat(100_000);
    let deep_toml = format!("a = {deep}");
    for (format, text, broken) in [
        (
            SettingsFormat::Json,
            "{\n  \"a\": sk-secret\n}",
            Broken::Syntax { line: 2 },
        ),
        (
            SettingsFormat::Json,
            "{\n  \"a\": 1\n  \"b\": 2\n}",
            Broken::Syntax { line: 2 },
        ),
        (SettingsFormat::Json, "{\n'a': 1}", Broken::Syntax { line: 2 }),
        (SettingsFormat::Json, "{} {}", Broken::Syntax { line: 1 }),
        (SettingsFormat::Json, &deep, Broken::Syntax { line: 1 }),
        (
            SettingsFormat::Json,
            "[]",
            Broken::NotATable {
                what: "the file".to_owned(),
            },
        ),
        (
            SettingsFormat::Json,
            "{\"mcpServers\": []}",
            Broken::NotATable {
                what: "mcpServers".to_owned(),
            },
        ),
        (
            SettingsFormat::Json,
            "{\"mcpServers\": {}, \"mcpServers\": {}}",
            Broken::Twice,
        ),
        (
            SettingsFormat::Json,
            "{\"mcpServers\": {\"a\": {}, \"\\u0061\": {}}}",
            Broken::Twice,
        ),
        (SettingsFormat::Toml, "a = 1\nb = \n", Broken::Syntax { line: 2 }),
        (SettingsFormat::Toml, "a = 1\na = 2\n", Broken::Syntax { line: 2 }),
        (SettingsFormat::Toml, &deep_toml, Broken::Syntax { line: 1 }),
        (
            SettingsFormat::Toml,
            "mcp_servers = 1",
            Broken::NotATable {
                what: "mcp_servers".to_owned(),
            },
        ),
        (SettingsFormat::Toml, "a = 1\r\nb = 2\n", Broken::Unfaithful),
    ] {
        let place = if format == SettingsFormat::Json { JSON } else { TOML };
        let start: String = text.chars().take(60).collect();
        assert_eq!(format.with(text, place, &entry()), Err(broken), "{start}");
    }
}

#[test]
fn a_name_that_is_there_twice_elsewhere_is_nobodys_business() {
    let text = "{\"other\": {\"a\": 1, \"a\": 2}}";
    let with = SettingsFormat::Json.with(text, JSON, &entry()).expect("possible");
    assert!(with.contains("\"a\": 1, \"a\": 2"), "{with}");
}

/// Settings as people write them: several lines, comments, servers before and after.
fn json_settings() -> impl Strategy<Value = String> {
    let comment = prop_oneof![Just(""), Just(" // it's {mine}"), Just(" /* , */")];
    let value = prop_oneof![
        Just("1"),
        Just("\"}\""),
        Just("[1, 2]"),
        Just("{\"a\": {}}"),
        Just("null")
    ];
    let line = |names: &'static str| (names, value.clone(), comment.clone());
    let lines = |names| prop::collection::vec(line(names), 0..4);
    (
        lines("[a-f]{1,4}"),
        lines("[g-m]{1,4}"),
        lines("[n-z]{1,4}"),
        any::<bool>(),
    )
        .prop_map(|(before, servers, after, trailing)| {
            let block = |indent: &str, lines: &[(String, &str, &str)], last: bool| {
                let mut seen = std::collections::BTreeSet::new();
                let lines: Vec<_> = lines.iter().filter(|(name, ..)| seen.insert(name.clone())).collect();
                let count = lines.len();
                let mut text = String::new();
                for (at, (name, value, comment)) in lines.into_iter().enumerate() {
                    let comma = if at + 1 < count || last { "," } else { "" };
                    writeln!(text, "{indent}\"{name}\": {value}{comma}{comment}").expect("written");
                }
                text
            };
            let trailing = trailing && !servers.is_empty();
            format!(
                "{{\n{}  \"mcpServers\": {{\n{}  }}{}\n{}}}\n",
                block("  ", &before, true),
                block("    ", &servers, trailing),
                if after.is_empty() { "" } else { "," },
                block("  ", &after, false),
            )
        })
}

fn toml_settings() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("[mcp_servers.a]\ncommand = 'a' # why\n"),
        Just("[mcp_servers.b]\ncommand = \"\"\"\n[mcp_servers.api-keys]\n\"\"\"\n"),
        Just("[mcp_servers.b2.env]\nA = 'b'\n"),
        Just("\n# a remark\n\n"),
        Just("[other]\nat = 2026-01-01T00:00:00Z\n"),
        Just("[[list]]\nx = [\n  1, # one\n]\n"),
    ];
    prop::collection::vec(line, 0..6).prop_map(|lines| {
        let mut seen = std::collections::BTreeSet::new();
        let lines: Vec<_> = lines
            .into_iter()
            .filter(|line| !line.starts_with('[') || line.starts_with("[[") || seen.insert(*line))
            .collect();
        format!("model = 'x'\n{}", lines.concat())
    })
}

proptest! {
    #[test]
    fn every_line_of_json_stays_and_comes_back(text in json_settings()) {
        let with = SettingsFormat::Json.with(&text, JSON, &entry()).expect("possible");
        prop_assert_eq!(SettingsFormat::Json.entry(&with, JSON), Ok(Some(entry())));
        // The line before ours may have got a comma, and nothing else is different.
        let bare = |text: &str| text.replace(',', "");
        let kept: Vec<String> = with.lines().map(bare).collect();
        let mut kept = kept.iter();
        for line in text.lines().map(bare) {
            prop_assert!(kept.any(|found| *found == line), "{line:?} of {text} in {with}");
        }
        // An object without members closes on the line that it opens on.
        let dense = |text: &str| bare(text).split_whitespace().collect::<String>();
        prop_assert_eq!(dense(&SettingsFormat::Json.without(&with, JSON).expect("possible")), dense(&text));
    }

    #[test]
    fn every_line_of_toml_stays_and_comes_back(text in toml_settings()) {
        let with = SettingsFormat::Toml.with(&text, TOML, &entry()).expect("possible");
        prop_assert_eq!(SettingsFormat::Toml.entry(&with, TOML), Ok(Some(entry())));
        let mut kept = with.lines();
        for line in text.lines() {
            prop_assert!(kept.any(|found| found == line), "{line:?} of {text} in {with}");
        }
        prop_assert_eq!(SettingsFormat::Toml.without(&with, TOML).expect("possible"), text);
    }

    #[test]
    fn any_text_is_changed_faithfully_or_not_at_all(text in "[\\[\\]{}\",:a# =\n\r'/*0-9.-]{0,40}") {
        for (format, place) in [(SettingsFormat::Json, JSON), (SettingsFormat::Toml, TOML)] {
            if let Ok(with) = format.with(&text, place, &entry()) {
                prop_assert_eq!(format.entry(&with, place), Ok(Some(entry())));
                let without = format.without(&with, place).expect("what was put in can be taken out");
                prop_assert_eq!(format.entry(&without, place), Ok(None));
            }
        }
    }
}
