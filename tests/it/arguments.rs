//! Arguments as models send them, through the protocol: they do what plain ones do.

use serde_json::{Value, json};

use crate::support::{
    Home,
    mcp_client::{LEGACY, MODERN, McpClient},
    stand_in::{Reply, StandIn},
};

const KEY: &str = "sk-0123456789abcdefghijklmnopqrstuv";
const OTHER_KEY: &str = "sk-zyxwvutsrqponmlkjihgfedcba9876543";

fn provider() -> StandIn {
    StandIn::answering(Reply::json(200, &json!({"object": "list", "data": []})))
}

/// What differs from one call to the next, whatever was asked.
fn without_chance(mut result: Value) -> Value {
    for path in ["/period", "/id", "/latency_ms", "/validated_at"] {
        let (parent, field) = path.rsplit_once('/').expect("a path");
        if let Some(Value::Object(parent)) = result.pointer_mut(parent) {
            parent.remove(field);
        }
    }
    result
}

#[test]
fn sloppy_arguments_do_what_plain_ones_do() {
    let provider = provider();
    let home = Home::with_openai_and_local(&provider);
    let calls = [
        (
            "get_usage",
            json!({"days": 7, "group_by": "model"}),
            json!({"days": "7", "group_by": "Model", "provider": ""}),
        ),
        (
            "get_usage",
            json!({}),
            json!({"days": "", "group_by": null, "provider": "", "format": null}),
        ),
        (
            "estimate_cost",
            json!({"provider": "anthropic", "input_tokens": 1000, "output_tokens": 500, "compare": true}),
            json!({"provider": "anthropic", "input_tokens": "1000", "output_tokens": 500.0, "compare": "True",
                   "model": "", "text": "", "cache_read_tokens": "", "batch": ""}),
        ),
        (
            "route_request",
            json!({"task_type": "chat", "needs": ["tools", "vision"], "enable_fallback": true}),
            json!({"task_type": "chat", "needs": "[\"tools\", \"vision\"]", "enable_fallback": "true", "objective": "",
                   "preferred_provider": null, "model": "", "input_tokens": "", "session": ""}),
        ),
        (
            "list_api_keys",
            json!({"include_metadata": false}),
            json!({"include_metadata": "false"}),
        ),
        (
            "validate_key",
            json!({"provider": "openai"}),
            json!({"provider": "openai", "api_key": "", "label": ""}),
        ),
        ("check_budget", json!({}), json!({})),
        ("get_provider_stats", json!({}), json!({"provider": ""})),
    ];
    for revision in [LEGACY, MODERN] {
        let mut client = McpClient::open(home.command(["serve"]), revision, json!({}));
        client.structured("add_api_key", json!({"provider": "openai", "api_key": KEY}));
        client.structured("validate_key", json!({"provider": "openai"}));
        for (tool, plain, sloppy) in &calls {
            let plain = client.structured(tool, plain.clone());
            let told = client.structured(tool, sloppy.clone());
            assert_eq!(
                without_chance(told),
                without_chance(plain),
                "{revision}: {tool} {sloppy}"
            );
        }
        let sloppy = json!({"provider": "local", "model": "m", "input_tokens": "12", "output_tokens": 3.0, "success": "False",
                            "label": "", "latency_ms": "250", "status_code": "500", "request_id": null, "project": ""});
        let recorded = client.structured("track_request", sloppy);
        assert_eq!(recorded["duplicate"], false);
    }
    let exported = home.run(["usage", "local", "--json"]).json();
    assert_eq!(
        (&exported["totals"]["input_tokens"], &exported["totals"]["errors"]),
        (&json!(24), &json!(2))
    );
}

#[test]
fn a_key_is_cleaned_as_the_command_cleans_it() {
    let provider = provider();
    let home = Home::with_openai_and_local(&provider);
    let mut client = McpClient::open(home.command(["serve"]), LEGACY, json!({}));
    let plain =
        client.structured("add_api_key", json!({"provider": "openai", "api_key": KEY}))["key"]["masked"].clone();
    for dirty in [
        format!(" {KEY}\n"),
        format!("\"{KEY}\""),
        format!("'{KEY}'\r\n"),
        format!("Bearer {KEY}"),
        format!("`{KEY}`"),
    ] {
        let added = client.structured("add_api_key", json!({"provider": "openai", "api_key": dirty}));
        assert_eq!(added["key"]["masked"], plain, "{dirty:?}");
        assert!(added["warnings"].to_string().contains("already stored"), "{added}");
        let checked = client.structured("validate_key", json!({"provider": "openai", "api_key": dirty}));
        assert_eq!(checked["is_valid"], true, "{checked}");
    }
    let dirty = json!({"provider": "openai", "new_api_key": format!("Bearer {OTHER_KEY}\n"), "grace_hours": "0"});
    let rotated = client.structured("rotate_key", dirty);
    assert!(
        rotated["key"]["masked"]
            .as_str()
            .is_some_and(|masked| masked.ends_with("6543")),
        "{rotated}"
    );
    assert!(!client.transcript.contains(KEY) && !client.transcript.contains(OTHER_KEY));
}
