//! What clients see of tools and resources, in both eras.

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::support::{
    Home,
    mcp_client::{LEGACY, MODERN, McpClient},
    stand_in::{Reply, StandIn},
};

const KEY: &str = "sk-0123456789abcdefghijklmnopqrstuv";
const OTHER_KEY: &str = "sk-zyxwvutsrqponmlkjihgfedcba9876543";

fn open(home: &Home, revision: &str) -> McpClient {
    McpClient::open(home.command(["serve"]), revision, json!({}))
}

fn provider() -> StandIn {
    StandIn::answering(Reply::json(200, &json!({"object": "list", "data": []})))
}

fn tools(client: &mut McpClient) -> Map<String, Value> {
    let listed = client.result("tools/list", json!({}));
    let tools = listed["tools"].as_array().expect("tools");
    tools
        .iter()
        .map(|tool| (tool["name"].as_str().expect("a name").to_owned(), tool.clone()))
        .collect()
}

#[test]
fn both_eras_see_the_same_tools_and_resources() {
    let home = Home::new();
    let (mut legacy, mut modern) = (open(&home, LEGACY), open(&home, MODERN));
    for (method, list) in [("tools/list", "tools"), ("resources/list", "resources")] {
        let seen = legacy.result(method, json!({}));
        assert_eq!(seen[list], modern.result(method, json!({}))[list], "{method}");
    }
    assert_eq!(legacy.greeting["capabilities"]["resources"]["subscribe"], true);
}

#[test]
fn every_tool_is_shown_as_it_was_agreed() {
    let home = Home::new();
    for (name, tool) in tools(&mut open(&home, LEGACY)) {
        insta::assert_json_snapshot!(name, tool);
    }
}

#[test]
fn every_tool_says_what_clients_want_to_know() {
    let home = Home::new();
    for (name, tool) in tools(&mut open(&home, LEGACY)) {
        assert_eq!(tool["title"], tool["annotations"]["title"], "{name}");
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{name}: {hint}");
        }
        let description = tool["description"].as_str().expect("a description");
        assert!((20..=300).contains(&description.len()), "{name}: {description}");
        assert!(tool["_meta"]["anthropic/searchHint"].is_string(), "{name}");
        for schema in [&tool["inputSchema"], &tool["outputSchema"]] {
            assert_eq!(schema["type"], "object", "{name}");
            assert!(schema["properties"].is_object(), "{name}");
            for word in ["oneOf", "anyOf", "allOf"] {
                assert!(schema.get(word).is_none(), "{name}: {word}");
            }
            let text = schema.to_string();
            assert!(!text.contains("$ref") && !text.contains("\"uint"), "{name}");
        }
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
    }
}

/// Calls in an order in which they make sense, and the code of those that fail.
fn calls() -> Vec<(&'static str, Value, Option<&'static str>)> {
    [key_calls(), usage_calls()].concat()
}

fn usage_calls() -> Vec<(&'static str, Value, Option<&'static str>)> {
    vec![
        (
            "track_request",
            json!({"provider": "local", "model": "m", "input_tokens": 9, "output_tokens": 1, "request_id": "1"}),
            None,
        ),
        (
            "track_request",
            json!({"provider": "openai", "model": "no-such-model", "input_tokens": 9, "output_tokens": 1}),
            None,
        ),
        (
            "track_request",
            json!({"provider": "local", "model": "m", "input_tokens": -9, "output_tokens": 1}),
            Some("invalid_argument"),
        ),
        ("get_usage", json!({"group_by": "task"}), None),
        ("get_usage", json!({"days": 3660, "group_by": "day"}), None),
        ("get_usage", json!({"days": 0}), Some("invalid_argument")),
        ("check_budget", json!({}), None),
        (
            "estimate_cost",
            json!({"provider": "anthropic", "output_tokens": 1, "text": "hello", "compare": true}),
            None,
        ),
        (
            "estimate_cost",
            json!({"provider": "anthropic", "model": "no-such-model", "input_tokens": 1, "output_tokens": 1}),
            Some("unknown_model"),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table of calls")]
fn key_calls() -> Vec<(&'static str, Value, Option<&'static str>)> {
    vec![
        ("list_api_keys", json!({}), None),
        ("validate_all_keys", json!({}), None),
        (
            "add_api_key",
            json!({"provider": "openai", "api_key": KEY, "description": "for tests"}),
            None,
        ),
        (
            "add_api_key",
            json!({"provider": "openai", "api_key": KEY, "label": "soon", "expiration_date": "2999-01-01"}),
            None,
        ),
        ("list_api_keys", json!({"include_metadata": true}), None),
        ("list_api_keys", json!({"include_metadata": false}), None),
        ("validate_key", json!({"provider": "openai"}), None),
        (
            "validate_key",
            json!({"provider": "openai", "api_key": OTHER_KEY}),
            None,
        ),
        ("validate_all_keys", json!({}), None),
        (
            "rotate_key",
            json!({"provider": "openai", "new_api_key": OTHER_KEY}),
            None,
        ),
        ("list_api_keys", json!({}), None),
        (
            "rotate_key",
            json!({"provider": "openai", "new_api_key": OTHER_KEY}),
            Some("key_unchanged"),
        ),
        (
            "rotate_key",
            json!({"provider": "openai", "label": "soon"}),
            Some("key_required"),
        ),
        ("add_api_key", json!({"provider": "openai"}), Some("key_required")),
        (
            "add_api_key",
            json!({"provider": "nobody", "api_key": KEY}),
            Some("unknown_provider"),
        ),
        (
            "add_api_key",
            json!({"provider": "openai", "api_key": "short"}),
            Some("malformed_key"),
        ),
        // Nothing in place of a key is no key: the person is asked.
        (
            "add_api_key",
            json!({"provider": "openai", "api_key": ""}),
            Some("key_required"),
        ),
        (
            "add_api_key",
            json!({"provider": KEY, "api_key": "openai"}),
            Some("key_in_wrong_place"),
        ),
        (
            "add_api_key",
            json!({"provider": "openai", "api_key": 7}),
            Some("invalid_argument"),
        ),
        (
            "add_api_key",
            json!({"provider": "openai", "env_var": "NOT_SET"}),
            Some("variable_missing"),
        ),
        ("add_api_key", json!({"api_key": KEY}), Some("invalid_argument")),
        (
            "remove_api_key",
            json!({"provider": "openai", "label": "none"}),
            Some("key_not_found"),
        ),
        (
            "remove_api_key",
            json!({"provider": "openai", "colour": 1}),
            Some("invalid_argument"),
        ),
        (
            "list_api_keys",
            json!({"include_metadata": "yes"}),
            Some("invalid_argument"),
        ),
        (
            "validate_all_keys",
            json!({"provider": "openai"}),
            Some("invalid_argument"),
        ),
        ("route_request", json!({"task_type": "chat"}), None),
        (
            "route_request",
            json!({"task_type": "code_review", "objective": "quality", "needs": ["tools"], "input_tokens": 5}),
            None,
        ),
        (
            "route_request",
            json!({"task_type": "chat", "preferred_provider": "google", "enable_fallback": false}),
            Some("no_route"),
        ),
        (
            "route_request",
            json!({"task_type": "chat", "model": "no-such-model"}),
            Some("unknown_model"),
        ),
        ("get_routing_recommendations", json!({}), None),
        ("get_provider_stats", json!({}), None),
        ("remove_api_key", json!({"provider": "openai"}), None),
        ("remove_api_key", json!({"provider": "openai", "label": "soon"}), None),
    ]
}

#[test]
fn every_result_and_every_failure_satisfies_its_schema() {
    let provider = provider();
    let home = Home::with_openai_and_local(&provider);
    for revision in [LEGACY, MODERN] {
        let mut client = open(&home, revision);
        let schemas: Map<String, Value> = tools(&mut client)
            .into_iter()
            .map(|(name, tool)| (name, tool["outputSchema"].clone()))
            .collect();
        let mut untried: Vec<&String> = schemas.keys().collect();
        for (tool, arguments, fails) in calls() {
            let what = format!("{revision}: {tool} {arguments}");
            let result = client.call(tool, arguments);
            let structured = &result["structuredContent"];
            let validator: Validator = jsonschema::validator_for(&schemas[tool]).expect("a schema");
            let mistakes: Vec<String> = validator.iter_errors(structured).map(|why| why.to_string()).collect();
            assert!(mistakes.is_empty(), "{what}: {mistakes:?} in {structured}");
            let text = result["content"][0]["text"].as_str().expect("text");
            assert_eq!(
                serde_json::from_str::<Value>(text).expect("JSON"),
                *structured,
                "{what}"
            );
            assert_eq!(structured["error"]["code"].as_str(), fails, "{what}: {structured}");
            assert_eq!(result["isError"] == true, fails.is_some(), "{what}");
            if fails.is_some() {
                for field in ["message", "hint"] {
                    assert!(
                        structured["error"][field].as_str().is_some_and(|text| !text.is_empty()),
                        "{what}"
                    );
                }
            }
            untried.retain(|name| *name != tool);
        }
        assert!(untried.is_empty(), "not called: {untried:?}");
        assert!(!client.transcript.contains(KEY) && !client.transcript.contains(OTHER_KEY));
    }
}

#[test]
fn a_schema_tells_a_result_from_a_failure_and_from_nonsense() {
    let home = Home::new();
    for (name, tool) in tools(&mut open(&home, LEGACY)) {
        let validator = jsonschema::validator_for(&tool["outputSchema"]).expect("a schema");
        assert!(
            validator.is_valid(&json!({"error": {"code": "x", "message": "y", "hint": "z"}})),
            "{name}"
        );
        assert!(!validator.is_valid(&json!({"error": "x"})), "{name}");
        assert!(!validator.is_valid(&json!({})), "{name}");
    }
}

#[test]
fn parameters_that_cannot_be_read_are_not_taken_for_an_unknown_method() {
    let home = Home::new();
    for revision in [LEGACY, MODERN] {
        let mut client = open(&home, revision);
        for (method, params, code) in [
            ("tools/call", json!({"name": "list_api_keys", "arguments": []}), -32602),
            ("tools/call", json!({"name": "list_api_keys", "arguments": "x"}), -32602),
            ("tools/call", json!({"arguments": {}}), -32602),
            ("resources/read", json!({"uri": 5}), -32602),
            ("prompts/get", json!({"name": []}), -32602),
            ("completion/complete", json!({"ref": 1}), -32602),
            ("tools/forget", json!({}), -32601),
        ] {
            let id = client.request(method, params.clone());
            let error = client.answer(id)["error"].clone();
            assert_eq!(error["code"], code, "{revision} {method} {params}: {error}");
        }
    }
}

#[test]
fn an_unknown_tool_is_a_protocol_error_and_no_result() {
    let home = Home::new();
    for revision in [LEGACY, MODERN] {
        let mut client = open(&home, revision);
        let id = client.request("tools/call", json!({"name": "no_such_tool", "arguments": {}}));
        assert_eq!(client.answer(id)["error"]["code"], -32602);
    }
}

#[test]
fn the_providers_can_be_read_as_json() {
    let provider = provider();
    let home = Home::with_openai_and_local(&provider);
    for revision in [LEGACY, MODERN] {
        let mut client = open(&home, revision);
        let listed = client.result("resources/list", json!({}));
        let resource = listed["resources"]
            .as_array()
            .and_then(|all| all.iter().find(|resource| resource["uri"] == "api://providers"))
            .expect("it is listed")
            .clone();
        assert_eq!(resource["mimeType"], "application/json");
        assert!(resource["title"].is_string() && resource["description"].is_string());
        client.structured("add_api_key", json!({"provider": "openai", "api_key": KEY}));
        let providers = read(&mut client);
        let of = |id: &str| {
            let all = providers["providers"].as_array().expect("providers");
            all.iter()
                .find(|provider| provider["provider"] == id)
                .expect("it is there")
                .clone()
        };
        assert_eq!(
            (&of("openai")["keys"], &of("openai")["status"]),
            (&json!(1), &json!("ready"))
        );
        assert_eq!(
            (&of("anthropic")["keys"], &of("anthropic")["status"]),
            (&json!(0), &json!("no_key"))
        );
        assert_eq!(of("local")["status"], "ready");
        assert_eq!(providers["vault"]["state"], "unlocked");
        assert_eq!(providers["routing"]["tasks"]["embeddings"], "local");
        assert_eq!(providers["budget"]["alert_threshold"], json!(0.8));
        assert_eq!(providers["config"]["problem"], Value::Null);
        let id = client.request("resources/read", json!({"uri": "api://nothing"}));
        let code = if client.is_modern() { -32602 } else { -32002 };
        assert_eq!(client.answer(id)["error"]["code"], code);
        assert!(!client.transcript.contains(KEY));
    }
}

#[test]
fn a_broken_configuration_is_shown_and_the_last_good_one_stays_in_force() {
    let provider = provider();
    let home = Home::with_openai_and_local(&provider);
    let mut client = open(&home, LEGACY);
    assert_eq!(read(&mut client)["config"]["problem"], Value::Null);
    home.config("[vault]\nmaster_keys = \"key-file\"\n");
    let shown = read(&mut client);
    assert_eq!(shown["config"]["problem"]["line"], 2);
    assert_eq!(shown["config"]["problem"]["field"], "vault.master_keys");
    assert!(
        shown.to_string().contains(&provider.url()),
        "the old address is in force"
    );
    let in_force = |shown: &Value| {
        shown["config"]["problem"]["in_force"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(in_force(&shown), "the last good configuration");
    let shown = read(&mut open(&home, LEGACY));
    assert!(in_force(&shown).starts_with("none"), "{shown}");
}

#[test]
fn a_configuration_that_refuses_keys_in_chats_is_obeyed() {
    let provider = provider();
    let home = Home::with_openai_and_local(&provider);
    let mut client = open(&home, LEGACY);
    client.structured("add_api_key", json!({"provider": "openai", "api_key": KEY}));
    let config = std::fs::read_to_string(home.path().join("config.toml")).expect("a config file");
    home.config(&config.replace("[vault]", "[vault]\nkeys_in_chat = \"refuse\""));
    let before = client.structured("list_api_keys", json!({}));
    for (tool, argument) in [
        ("add_api_key", "api_key"),
        ("rotate_key", "new_api_key"),
        ("validate_key", "api_key"),
    ] {
        let mut arguments = json!({"provider": "openai"});
        arguments[argument] = json!(OTHER_KEY);
        assert_eq!(client.failure(tool, arguments), "key_in_chat_refused", "{tool}");
    }
    assert_eq!(client.structured("list_api_keys", json!({})), before);
    assert!(provider.requests().is_empty());

    home.config(&config.replace("[vault]", "[vault]\nkeys_in_chat = \"allow\""));
    let added = client.structured("add_api_key", json!({"provider": "openai", "api_key": OTHER_KEY}));
    assert_eq!(added["warnings"], json!([]), "{added}");
    assert_eq!(added["key"]["exposed"], true, "allowed, and still exposed");
}

/// Subscribes to `uri`, of which the server then tells in this session; in the newer era returns what ends that.
fn subscribe(client: &mut McpClient, uri: &str) -> Option<u64> {
    if !client.is_modern() {
        client.result("resources/subscribe", json!({"uri": uri}));
        return None;
    }
    let id = client.request(
        "subscriptions/listen",
        json!({"notifications": {"resourceSubscriptions": [uri, "api://nothing"]}}),
    );
    let mut acknowledged = client.next();
    while acknowledged["method"] != "notifications/subscriptions/acknowledged" {
        acknowledged = client.next();
    }
    assert_eq!(
        acknowledged["params"]["notifications"]["resourceSubscriptions"],
        json!([uri])
    );
    Some(id)
}

#[test]
fn subscribers_hear_of_changes_that_another_process_makes() {
    let provider = provider();
    let home = Home::with_openai_and_local(&provider);
    let uri = "api://providers";
    for revision in [LEGACY, MODERN] {
        for (arguments, input) in [
            (["add", "openai", "--stdin"], KEY),
            (["remove", "openai", "--json"], ""),
        ] {
            // Nobody tells this one of the change before.
            let mut client = open(&home, revision);
            subscribe(&mut client, uri);
            let ended = home.run_with(home.command(arguments), &format!("{input}\n"));
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            let news = client.next();
            assert_eq!(news["method"], "notifications/resources/updated", "{revision}");
            assert_eq!(news["params"]["uri"], uri);
        }
    }
    let mut client = open(&home, LEGACY);
    let id = client.request("resources/subscribe", json!({"uri": "api://nothing"}));
    assert!(client.answer(id)["error"].is_object());
}

#[test]
fn subscribers_hear_of_the_servers_own_changes_and_of_nothing_after_the_end() {
    let provider = provider();
    let home = Home::with_openai_and_local(&provider);
    let (uri, other) = ("api://providers", "api://usage");
    // Changes what both resources show, and returns the news up to that of `last`.
    let news = |client: &mut McpClient, last: &str| {
        let request = json!({"provider": "openai", "model": "m", "input_tokens": 1, "output_tokens": 1});
        client.structured("track_request", request);
        let mut told: Vec<Value> = client.aside.drain(..).collect();
        while !told.iter().any(|message| message["params"]["uri"] == last) {
            told.push(client.next());
        }
        told
    };
    for revision in [LEGACY, MODERN] {
        let mut client = open(&home, revision);
        let subscription = subscribe(&mut client, uri);
        news(&mut client, uri);
        if let Some(id) = subscription {
            client.notify("notifications/cancelled", json!({"requestId": id}));
        } else {
            client.result("resources/unsubscribe", json!({"uri": uri}));
        }
        client.result("tools/list", json!({}));
        subscribe(&mut client, other);
        client.aside.clear();
        // Whoever looks at the one still would look at it before, or at the same time: twice is time enough.
        let told = [news(&mut client, other), news(&mut client, other)].concat();
        assert!(
            told.iter().all(|message| message["params"]["uri"] != uri),
            "{revision}: {told:?}"
        );
        assert!(client.hang_up().status.success());
    }
}

#[test]
fn progress_is_told_to_those_who_ask_for_it() {
    let provider = provider();
    let home = Home::with_openai_and_local(&provider);
    let mut client = open(&home, LEGACY);
    for label in ["a", "b", "c"] {
        client.structured(
            "add_api_key",
            json!({"provider": "openai", "api_key": KEY, "label": label}),
        );
    }
    let params = json!({"name": "validate_all_keys", "arguments": {}, "_meta": {"progressToken": "t"}});
    client.result("tools/call", params);
    let news: Vec<Value> = client.aside.drain(..).collect();
    assert!(!news.is_empty());
    for message in &news {
        assert_eq!(message["method"], "notifications/progress");
        assert_eq!(message["params"]["progressToken"], "t");
    }
    let last = &news.last().expect("some")["params"];
    assert_eq!(last["progress"], last["total"]);
    client.structured("validate_all_keys", json!({}));
    assert!(client.aside.is_empty(), "{:?}", client.aside);
}

fn read(client: &mut McpClient) -> Value {
    let read = client.result("resources/read", json!({"uri": "api://providers"}));
    assert_eq!(read["contents"][0]["mimeType"], "application/json");
    let text = read["contents"][0]["text"].as_str().expect("text");
    serde_json::from_str(text).expect("JSON")
}
