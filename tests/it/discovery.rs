//! Whether a model that is asked for something in plain words finds the right tool.

use std::collections::BTreeSet;

use api_keys::tools::{Area, TOOLS, ToolDef};
use serde_json::{Value, json};

use crate::support::{
    Home,
    mcp_client::{LEGACY, MODERN, McpClient},
};

/// What people ask for, and the tool that does it.
const REQUESTS: &[(&str, &str)] = &[
    ("save my openai api key", "add_api_key"),
    ("store a new anthropic key", "add_api_key"),
    ("set up my gemini api key", "add_api_key"),
    ("delete the groq api key", "remove_api_key"),
    ("forget my old mistral key", "remove_api_key"),
    ("rotate the openai key", "rotate_key"),
    ("replace my leaked key by a new one", "rotate_key"),
    ("which api keys do I have", "list_api_keys"),
    ("show my keys and when they expire", "list_api_keys"),
    ("check whether my openai key still works", "validate_key"),
    ("is my anthropic key valid", "validate_key"),
    ("check all my keys", "validate_all_keys"),
    ("how much did I spend last week by model", "get_usage"),
    ("show token usage of this month", "get_usage"),
    ("what would 10000 tokens of claude cost", "estimate_cost"),
    ("compare the price of models", "estimate_cost"),
    ("am I over my budget", "check_budget"),
    ("how much money is left this month", "check_budget"),
    ("record the tokens that a request used", "track_request"),
    ("which model should I use to write code", "route_request"),
    ("choose the cheapest provider for this task", "route_request"),
    ("is any provider down", "get_provider_stats"),
    ("latency and success rate of the providers", "get_provider_stats"),
    ("how can I improve my routing", "get_routing_recommendations"),
    ("recommend a better setup of fallbacks", "get_routing_recommendations"),
];

/// Words that say nothing of what is wanted.
const EMPTY: &[&str] = &[
    "a", "an", "any", "am", "by", "can", "did", "do", "for", "how", "i", "is", "last", "me", "my", "of", "one", "or",
    "so", "that", "the", "they", "this", "to", "what", "when", "whether", "would",
];

/// The words of a text in their plainest form.
fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .filter(|word| !EMPTY.contains(&word.as_str()) && !word.is_empty())
        .map(|word| word.trim_end_matches('s').to_owned())
        .collect()
}

/// How well a tool answers a request: shared words, those of its name and hint before those of its description.
fn score(tool: &ToolDef, request: &BTreeSet<String>) -> usize {
    let schema = (tool.input_schema)();
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let shared = |text: &str| request.intersection(&words(text)).count();
    3 * shared(&format!("{} {}", tool.name, tool.search_hint)) + shared(&format!("{} {description}", tool.title))
}

#[test]
fn a_request_in_plain_words_finds_its_tool_first() {
    let mut wrong = Vec::new();
    for (request, expected) in REQUESTS {
        if !TOOLS.iter().any(|tool| tool.name == *expected) {
            continue;
        }
        let wanted = words(request);
        let mut ranked: Vec<(usize, &str)> = TOOLS.iter().map(|tool| (score(tool, &wanted), tool.name)).collect();
        ranked.sort_by(|one, other| other.cmp(one));
        let best: Vec<&str> = ranked.iter().filter(|it| it.0 == ranked[0].0).map(|it| it.1).collect();
        if best != [*expected] {
            wrong.push(format!("{request:?} finds {:?}", &ranked[..3]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for tool in TOOLS {
        assert!(
            REQUESTS.iter().any(|(_, name)| *name == tool.name),
            "nobody asks for {}",
            tool.name
        );
    }
}

#[test]
fn the_instructions_are_one_short_map_of_everything_in_both_eras() {
    let home = Home::new();
    let mut legacy = McpClient::open(home.command(["serve"]), LEGACY, json!({}));
    let mut modern = McpClient::open(home.command(["serve"]), MODERN, json!({}));
    let text = legacy.greeting["instructions"]
        .as_str()
        .expect("instructions")
        .to_owned();
    assert_eq!(
        modern.result("server/discover", json!({}))["instructions"],
        text.as_str()
    );
    assert!(text.chars().count() < 1_500, "{} characters", text.chars().count());
    for list in [
        ("tools/list", "tools", "name"),
        ("resources/list", "resources", "uri"),
        ("prompts/list", "prompts", "name"),
    ] {
        let (method, field, name) = list;
        let listed = legacy.result(method, json!({}));
        for it in listed[field].as_array().expect("a list") {
            let name = it[name].as_str().expect("a name");
            let whole = |found: &&str| found.trim_end_matches(|c: char| !c.is_alphanumeric()) == name;
            assert!(
                text.split([' ', ',', '\n']).any(|found| whole(&found)),
                "{name} is not in {text}"
            );
        }
    }
}

#[test]
fn every_area_has_tools_that_stand_together() {
    let areas: Vec<Area> = TOOLS.iter().map(|tool| tool.area).collect();
    let mut order = areas.clone();
    order.dedup();
    assert_eq!(order, Area::ALL);
}
