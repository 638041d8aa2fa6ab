//! What clients see of tools and resources, in both eras.

use serde_json::{Value, json};

use crate::support::{
    Home,
    mcp_client::{LEGACY, MODERN, McpClient},
};

fn open(home: &Home, revision: &str) -> McpClient {
    McpClient::open(home.command(["serve"]), revision, json!({}))
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
    let home = Home::new();
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
        let read = client.result("resources/read", json!({"uri": "api://providers"}));
        assert_eq!(read["contents"][0]["mimeType"], "application/json");
        let text = read["contents"][0]["text"].as_str().expect("text");
        assert!(serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object()));
        let id = client.request("resources/read", json!({"uri": "api://nothing"}));
        let code = if client.is_modern() { -32602 } else { -32002 };
        assert_eq!(client.answer(id)["error"]["code"], code);
    }
}
