//! A key that comes in by the page: the whole way from the client's call to the vault, in both eras.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    Home, eventually, is_quick,
    mcp_client::{LEGACY, MODERN, McpClient},
};

const KEY: &str = "sk-0123456789abcdefghijklmnopqrstuv";
const PASSPHRASE: &str = "correct horse battery staple";
const ARGUMENTS: fn() -> Value = || json!({"provider": "openai", "label": "work"});

/// A home in which no provider answers.
fn home() -> Home {
    let home = Home::new();
    home.config("[vault]\nmaster_key = \"key-file\"\n[providers.openai]\nbase_url = \"http://127.0.0.1:9/v1\"\n");
    home
}

fn open(home: &Home, revision: &str) -> McpClient {
    McpClient::open(home.command(["serve"]), revision, json!({"elicitation": {"url": {}}}))
}

/// What the client is asked to show: the page's address, and the message beside it.
pub(crate) struct Asked {
    call: u64,
    pub(crate) address: String,
    message: String,
    /// What a second call brings back, where there is one.
    state: Value,
    /// The server's own request, where there is one.
    request: Value,
}

/// Calls `tool` and receives what it asks for.
pub(crate) fn call(client: &mut McpClient, tool: &str, arguments: &Value) -> Asked {
    let call = client.request("tools/call", json!({"name": tool, "arguments": arguments}));
    let message = client.next();
    let (params, state) = if client.is_modern() {
        assert_eq!(message["result"]["resultType"], "input_required", "{message}");
        let asked = &message["result"]["inputRequests"]["secret"];
        (asked["params"].clone(), message["result"]["requestState"].clone())
    } else {
        assert_eq!(message["method"], "elicitation/create", "{message}");
        (message["params"].clone(), Value::Null)
    };
    assert_eq!(params["mode"], "url");
    Asked {
        call,
        address: params["url"].as_str().expect("an address").to_owned(),
        message: params["message"].as_str().expect("a message").to_owned(),
        state,
        request: message["id"].clone(),
    }
}

/// Says to the server what the person said to the client.
pub(crate) fn say(client: &mut McpClient, tool: &str, arguments: &Value, asked: &Asked, action: &str) -> u64 {
    if client.is_modern() {
        let again = json!({"name": tool, "arguments": arguments, "requestState": asked.state,
                           "inputResponses": {"secret": {"action": action}}});
        client.request("tools/call", again)
    } else {
        client.send(&json!({"jsonrpc": "2.0", "id": asked.request, "result": {"action": action}}));
        asked.call
    }
}

/// Types on the page and returns the page that follows.
pub(crate) fn type_on_page(address: &str, secret: &str) -> String {
    let rest = address.strip_prefix("http://").expect("plain http");
    let (authority, path) = rest.split_once('/').expect("a path");
    let body = format!("secret={}", secret.replace(' ', "+"));
    let mut stream = TcpStream::connect(authority).expect("the page is there");
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nHost: {authority}\r\nOrigin: http://{authority}\r\nSec-Fetch-Site: \
         same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("answered");
    page
}

#[test]
fn a_typed_key_is_stored_and_the_client_never_sees_it() {
    for revision in [LEGACY, MODERN] {
        let home = home();
        let mut client = open(&home, revision);
        let asked = call(&mut client, "add_api_key", &ARGUMENTS());
        assert!(asked.message.contains("\"work\""), "{}", asked.message);
        let id = say(&mut client, "add_api_key", &ARGUMENTS(), &asked, "accept");
        let page = type_on_page(&asked.address, KEY);
        assert!(page.contains("The key is stored"), "{page}");
        let answer = client.answer(id);
        let key = &answer["result"]["structuredContent"]["key"];
        assert_eq!(
            (&key["label"], &key["exposed"]),
            (&json!("work"), &json!(false)),
            "{answer}"
        );
        assert!(!client.transcript.contains(KEY));
        assert!(
            TcpStream::connect(asked.address.split('/').nth(2).unwrap()).is_err(),
            "it still listens"
        );
        let end = client.hang_up();
        assert!(end.status.success() && !end.stderr.contains(KEY));
        let shown = home.run([
            "run",
            "--provider",
            "openai:work",
            "--",
            "sh",
            "-c",
            "printf %s \"$OPENAI_API_KEY\"",
        ]);
        assert_eq!(shown.stdout, KEY, "{}", shown.stderr);
    }
}

#[test]
fn a_malformed_key_is_typed_again_on_the_same_page() {
    let home = home();
    let mut client = open(&home, LEGACY);
    let asked = call(&mut client, "add_api_key", &ARGUMENTS());
    assert!(type_on_page(&asked.address, "sk-...").contains("placeholder"));
    assert!(type_on_page(&asked.address, "sk-ant-api03-0123456789abcdefghij").contains("form of a key for"));
    assert!(type_on_page(&asked.address, KEY).contains("The key is stored"));
    assert_eq!(client.answer(asked.call)["result"]["isError"], false);
}

#[test]
fn a_person_who_says_no_is_not_asked_again_and_nobody_is_told_what_to_run() {
    for revision in [LEGACY, MODERN] {
        let home = home();
        for (action, reads, code) in [
            ("decline", true, "input_declined"),
            ("decline", false, "key_required"),
            ("cancel", true, "key_required"),
        ] {
            let mut client = open(&home, revision);
            let asked = call(&mut client, "add_api_key", &ARGUMENTS());
            let since = Instant::now();
            // Nobody reads the question in less: an answer that comes at once is a machine's.
            eventually(|| !reads || since.elapsed() > Duration::from_millis(60), "time passes");
            let id = say(&mut client, "add_api_key", &ARGUMENTS(), &asked, action);
            let error = client.answer(id)["result"]["structuredContent"]["error"].clone();
            assert_eq!(error["code"], code);
            let names_command = error["hint"]
                .as_str()
                .unwrap()
                .contains("`api-keys add openai --label work`");
            assert_eq!(names_command, code == "key_required", "{error}");
            assert!(
                TcpStream::connect(asked.address.split('/').nth(2).unwrap()).is_err(),
                "the page is closed"
            );
        }
    }
}

#[test]
fn a_client_that_hangs_up_while_a_person_is_asked_leaves_no_server_behind() {
    for revision in [LEGACY, MODERN] {
        let home = home();
        let hangs_up = || {
            let mut client = open(&home, revision);
            let asked = call(&mut client, "add_api_key", &ARGUMENTS());
            if client.is_modern() {
                say(&mut client, "add_api_key", &ARGUMENTS(), &asked, "accept");
            }
            let end = client.hang_up();
            assert_eq!((end.status.code(), end.stderr.as_str()), (Some(0), ""));
            assert!(TcpStream::connect(asked.address.split('/').nth(2).unwrap()).is_err());
            end.took
        };
        // The library alone would take five seconds.
        assert!(is_quick(Duration::from_secs(3), hangs_up), "{revision}");
    }
}

#[test]
fn a_call_that_the_client_cancels_closes_its_page() {
    let home = home();
    let mut client = open(&home, LEGACY);
    let asked = call(&mut client, "add_api_key", &ARGUMENTS());
    client.notify("notifications/cancelled", json!({"requestId": asked.call}));
    client.result("ping", json!({}));
    let asked = call(&mut client, "add_api_key", &ARGUMENTS());
    assert!(type_on_page(&asked.address, KEY).contains("The key is stored"));
}

#[test]
fn a_locked_vault_is_opened_on_the_page_for_the_life_of_the_server() {
    for revision in [LEGACY, MODERN] {
        let home = home();
        let mut init = home.command(["vault", "init", "--master-key", "passphrase"]);
        init.env("API_KEYS_PASSPHRASE", PASSPHRASE);
        assert_eq!(home.run_with(init, "").code, Some(0));
        let mut client = open(&home, revision);
        let asked = call(&mut client, "remove_api_key", &ARGUMENTS());
        assert!(asked.message.contains("passphrase"), "{}", asked.message);
        let id = say(&mut client, "remove_api_key", &ARGUMENTS(), &asked, "accept");
        assert!(type_on_page(&asked.address, "wrong").contains("That did not work"));
        let answer = client.answer(id);
        assert_eq!(
            answer["result"]["structuredContent"]["error"]["code"],
            "wrong_passphrase"
        );

        let asked = call(&mut client, "remove_api_key", &ARGUMENTS());
        let id = say(&mut client, "remove_api_key", &ARGUMENTS(), &asked, "accept");
        let page = type_on_page(&asked.address, PASSPHRASE);
        assert!(page.contains("The vault is unlocked"), "{page}");
        let answer = client.answer(id);
        assert_eq!(
            answer["result"]["structuredContent"]["error"]["code"], "key_not_found",
            "{answer}"
        );
        // Open from now on: nobody is asked again.
        assert_eq!(client.failure("remove_api_key", ARGUMENTS()), "key_not_found");
        assert!(!client.transcript.contains(PASSPHRASE));
    }
}

#[test]
fn a_passphrase_and_a_key_are_asked_for_one_after_the_other() {
    for revision in [LEGACY, MODERN] {
        let home = home();
        let mut init = home.command(["vault", "init", "--master-key", "passphrase"]);
        init.env("API_KEYS_PASSPHRASE", PASSPHRASE);
        assert_eq!(home.run_with(init, "").code, Some(0));
        let mut client = open(&home, revision);
        let asked = call(&mut client, "add_api_key", &ARGUMENTS());
        let id = say(&mut client, "add_api_key", &ARGUMENTS(), &asked, "accept");
        type_on_page(&asked.address, PASSPHRASE);
        let (next, asked_again) = loop {
            let message = client.next();
            if message["method"] == "elicitation/create" {
                break (message["params"].clone(), Value::Null);
            }
            if message["id"] == id {
                let needed = message["result"].clone();
                break (
                    needed["inputRequests"]["secret"]["params"].clone(),
                    needed["requestState"].clone(),
                );
            }
        };
        let address = next["url"].as_str().unwrap_or_else(|| panic!("{revision}: {next}"));
        let id = if client.is_modern() {
            client.request(
                "tools/call",
                json!({"name": "add_api_key", "arguments": ARGUMENTS(), "requestState": asked_again,
                       "inputResponses": {"secret": {"action": "accept"}}}),
            )
        } else {
            asked.call
        };
        assert!(type_on_page(address, KEY).contains("The key is stored"));
        assert_eq!(client.answer(id)["result"]["isError"], false, "{revision}");
    }
}

#[cfg(unix)]
#[test]
fn a_vault_that_could_not_be_made_is_not_said_to_be_made() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    home.config("[vault]\nmaster_key = \"passphrase\"\n");
    let mut client = open(&home, LEGACY);
    let asked = call(&mut client, "add_api_key", &ARGUMENTS());
    let id = say(&mut client, "add_api_key", &ARGUMENTS(), &asked, "accept");
    let nothing = type_on_page(&asked.address, "&again=");
    assert!(nothing.contains("passphrase is empty"), "{nothing}");
    // Where the vault's file belongs is something else.
    let file = home.path().join("vault.json");
    std::fs::create_dir(&file).expect("a folder in its place");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).expect("its mode");
    let page = type_on_page(&asked.address, &format!("{PASSPHRASE}&again={PASSPHRASE}"));
    assert!(page.contains("That did not work"), "{page}");
    assert_eq!(client.answer(id)["result"]["isError"], true);
}

#[test]
fn one_passphrase_serves_every_call_that_waits_for_it() {
    let home = home();
    let mut init = home.command(["vault", "init", "--master-key", "passphrase"]);
    init.env("API_KEYS_PASSPHRASE", PASSPHRASE);
    assert_eq!(home.run_with(init, "").code, Some(0));
    let mut client = open(&home, LEGACY);
    let asked = call(&mut client, "remove_api_key", &ARGUMENTS());
    let other = json!({"name": "remove_api_key", "arguments": {"provider": "openai", "label": "other"}});
    let mut waiting = vec![client.request("tools/call", other)];
    waiting.push(say(&mut client, "remove_api_key", &ARGUMENTS(), &asked, "accept"));
    type_on_page(&asked.address, PASSPHRASE);
    while !waiting.is_empty() {
        let answer = client.next();
        if let Some(at) = waiting.iter().position(|id| answer["id"] == *id) {
            waiting.remove(at);
            let code = &answer["result"]["structuredContent"]["error"]["code"];
            assert_eq!(code, "key_not_found", "{answer}");
        }
    }
}
