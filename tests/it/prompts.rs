//! The prompts over MCP, which are the slash commands of the coding client.

use std::collections::BTreeSet;

use api_keys::{
    prompts::PROMPTS,
    tools::{TOOLS, ToolDef},
};
use serde_json::{Map, Value, json};

use crate::support::{
    Home,
    mcp_client::{LEGACY, MODERN, McpClient},
};

/// How the tools are called by a client that was told of the server, and by one that has the plugin.
const PREFIXES: [&str; 2] = ["mcp__api-keys__", "mcp__plugin_api-keys_api-keys__"];

/// The calls in a text: what stands in backticks as `tool(argument, argument=value)`.
fn calls(text: &str) -> Vec<(&str, Vec<&str>)> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.strip_suffix(')')?.split_once('('))
        .map(|(tool, arguments)| {
            let names = arguments.split(", ").filter(|argument| !argument.is_empty());
            (
                tool,
                names
                    .map(|argument| argument.split('=').next().unwrap_or_default())
                    .collect(),
            )
        })
        .collect()
}

fn tool(name: &str) -> &'static ToolDef {
    TOOLS
        .iter()
        .find(|tool| tool.name == name)
        .unwrap_or_else(|| panic!("there is no tool {name}"))
}

#[test]
fn the_slash_commands_name_only_tools_and_arguments_that_exist() {
    for prompt in PROMPTS {
        let called = calls(prompt.file);
        assert!(!called.is_empty(), "{}", prompt.name);
        for (name, arguments) in &called {
            let schema = (tool(name).input_schema)();
            let properties = schema["properties"].as_object().expect("properties");
            for argument in arguments {
                assert!(
                    properties.contains_key(*argument),
                    "{}: {name} takes no {argument}",
                    prompt.name
                );
            }
            let required = schema
                .get("required")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            for argument in required.iter().filter_map(Value::as_str) {
                assert!(
                    arguments.contains(&argument),
                    "{}: {name} needs {argument}",
                    prompt.name
                );
            }
        }
        // Whatever else looks like a tool's name is one.
        for word in prompt.file.split('`').skip(1).step_by(2).filter(|code| is_name(code)) {
            let is_argument = called.iter().any(|(_, arguments)| arguments.contains(&word));
            assert!(is_argument || tool(word).name == word, "{}: {word}", prompt.name);
        }
        let allowed: BTreeSet<&str> = prompt
            .front_matter("allowed-tools")
            .expect("the tools that need no question")
            .split(", ")
            .collect();
        let needed: BTreeSet<String> = PREFIXES
            .iter()
            .flat_map(|prefix| called.iter().map(move |(tool, _)| format!("{prefix}{tool}")))
            .collect();
        assert_eq!(allowed, needed.iter().map(String::as_str).collect(), "{}", prompt.name);
        for (name, _) in called {
            assert!(tool(name).hints.read_only, "{}: {name} changes something", prompt.name);
        }
    }
}

fn is_name(code: &str) -> bool {
    code.contains('_') && code.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

#[test]
fn both_eras_see_the_same_prompts_and_texts() {
    let home = Home::new();
    let mut seen = Vec::new();
    for revision in [LEGACY, MODERN] {
        let mut client = McpClient::open(home.command(["serve"]), revision, json!({}));
        let listed = client.result("prompts/list", json!({}))["prompts"].clone();
        assert_eq!(listed.as_array().map(Vec::len), Some(PROMPTS.len()));
        for (prompt, def) in listed.as_array().expect("prompts").iter().zip(PROMPTS) {
            assert_eq!(
                (&prompt["name"], &prompt["title"]),
                (&json!(def.name), &json!(def.title))
            );
            assert_eq!(prompt["description"], def.description());
            assert!(
                prompt["arguments"]
                    .as_array()
                    .expect("arguments")
                    .iter()
                    .all(|it| it["required"] == false)
            );
        }
        let arguments = json!({"provider": "openai", "days": "7"});
        let got = client.result("prompts/get", json!({"name": "api-usage", "arguments": arguments}));
        let message = &got["messages"][0];
        assert_eq!(message["role"], "user");
        let text = message["content"]["text"].as_str().expect("text");
        assert!(
            text.contains("\"openai\"") && text.contains("get_usage(") && !text.contains("allowed-tools"),
            "{text}"
        );
        seen.push((listed, text.to_owned()));
        client.result("prompts/get", json!({"name": "api-config"}));
        for wrong in [
            json!({"name": "nothing"}),
            json!({"name": "api-usage", "arguments": {"colour": "red"}}),
            json!({"name": "api-usage", "arguments": {"provider": "sk-ant-api03-MadeUpForTheTests0123456789abcdefXYZW"}}),
        ] {
            let id = client.request("prompts/get", wrong);
            assert_eq!(client.answer(id)["error"]["code"], -32602);
        }
        assert!(!client.transcript.contains("MadeUp"));
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn arguments_are_completed_from_what_is_there() {
    let home = Home::new();
    for (name, label) in [("openai", "work"), ("openai", "home"), ("groq", "other")] {
        let key = format!(
            "{}MadeUpForTheTests0123456789{label}abcdefXYZW",
            if name == "groq" { "gsk_" } else { "sk-proj-" }
        );
        let added = home.run_with(home.command(["add", name, "--label", label, "--stdin"]), &key);
        assert_eq!(added.code, Some(0), "{added:?}");
    }
    for revision in [LEGACY, MODERN] {
        let mut client = McpClient::open(home.command(["serve"]), revision, json!({}));
        let mut complete = |prompt: &str, argument: &str, typed: &str, context: Value| -> Vec<String> {
            let reference = json!({"type": "ref/prompt", "name": prompt});
            let argument = json!({"name": argument, "value": typed});
            let params = json!({"ref": reference, "argument": argument, "context": {"arguments": context}});
            let completion = client.result("completion/complete", params)["completion"].clone();
            let values: Vec<String> = serde_json::from_value(completion["values"].clone()).expect("texts");
            assert_eq!(completion["total"], values.len());
            values
        };
        assert_eq!(complete("api-usage", "provider", "OpenA", json!({})), ["openai"]);
        assert!(complete("api-usage", "provider", "", json!({})).len() > 10);
        assert_eq!(
            complete("api-config", "label", "", json!({})),
            ["home", "other", "work"]
        );
        assert_eq!(
            complete("api-config", "label", "w", json!({"provider": "openai"})),
            ["work"]
        );
        assert_eq!(
            complete("api-costs", "task_type", "code", json!({})),
            ["code_generation", "code_review"]
        );
        assert_eq!(complete("api-usage", "days", "3", json!({})), ["30", "365"]);
        let reference = json!({"type": "ref/prompt", "name": "nothing"});
        let id = client.request(
            "completion/complete",
            json!({"ref": reference, "argument": {"name": "a", "value": ""}}),
        );
        assert_eq!(client.answer(id)["error"]["code"], -32602);
    }
}

#[test]
fn no_prompt_offers_itself_as_what_mends_something() {
    for prompt in PROMPTS {
        let text = prompt.text(&Map::new()).expect("a text");
        assert!(!text.contains(&format!("/{}", prompt.name)), "{}", prompt.name);
    }
}
