//! Rotation against a provider that answers, through the program itself.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{
    Home, eventually,
    mcp_client::{LEGACY, McpClient},
    stand_in::{Reply, StandIn},
};

const OLD: &str = "sk-or-v1-old0123456789abcdef0123456789abcdef";
const NEW: &str = "sk-or-v1-new0123456789abcdef0123456789abcdef";
const OLDER: &str = "sk-or-v1-older0123456789abcdef0123456789abc";
const NEWER: &str = "sk-or-v1-newer0123456789abcdef0123456789abc";
const WRONG: &str = "sk-or-v1-wrong0123456789abcdef0123456789abc";

/// OpenRouter, which tells whose key it is: each key it knows belongs to an account.
struct Provider {
    stand_in: StandIn,
    accounts: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
    /// The keys of which it says nothing yet.
    held: Arc<Mutex<Vec<&'static str>>>,
}

impl Provider {
    fn new(accounts: &[(&'static str, &'static str)]) -> Self {
        let accounts = Arc::new(Mutex::new(accounts.to_vec()));
        let held = Arc::new(Mutex::new(Vec::new()));
        let (known, silent) = (Arc::clone(&accounts), Arc::clone(&held));
        let stand_in = StandIn::start(move |request| {
            let key = request
                .header("authorization")
                .unwrap_or_default()
                .trim_start_matches("Bearer ")
                .to_owned();
            let is_held = || silent.lock().unwrap().iter().any(|held| *held == key);
            eventually(|| !is_held(), "the key is let go");
            let known = known.lock().unwrap();
            known.iter().find(|(known, _)| *known == key).map_or_else(
                || {
                    Reply::json(
                        401,
                        &json!({"error": {"message": "No auth credentials found", "code": 401}}),
                    )
                },
                |(_, account)| {
                    Reply::json(
                        200,
                        &json!({"data": {"label": "x", "usage": 0, "is_free_tier": false, "creator_user_id": account}}),
                    )
                },
            )
        });
        Self {
            stand_in,
            accounts,
            held,
        }
    }

    fn home(&self) -> Home {
        let home = Home::new();
        home.config(&format!(
            "[vault]\nmaster_key = \"key-file\"\n[providers.openrouter]\nbase_url = \"{}/api/v1\"\n",
            self.stand_in.url()
        ));
        home
    }
}

impl Provider {
    /// Begins a rotation to `key`, of which nothing is said until it is let go; it is staged then.
    fn begin(&self, home: &Home, key: &'static str) -> (McpClient, u64) {
        self.held.lock().unwrap().push(key);
        let mut client = start(home);
        let arguments = json!({"provider": "openrouter", "new_api_key": key});
        let call = client.request("tools/call", json!({"name": "rotate_key", "arguments": arguments}));
        let is_asked = || {
            let asked = self.stand_in.requests();
            asked
                .iter()
                .any(|it| it.header("authorization").is_some_and(|shown| shown.ends_with(key)))
        };
        eventually(is_asked, "the provider is asked");
        (client, call)
    }

    fn let_go(&self, key: &str) {
        self.held.lock().unwrap().retain(|held| *held != key);
    }
}

fn start(home: &Home) -> McpClient {
    McpClient::open(home.command(["serve"]), LEGACY, json!({}))
}

fn add(client: &mut McpClient) -> Value {
    client.structured("add_api_key", json!({"provider": "openrouter", "api_key": OLD}))
}

fn rotate(client: &mut McpClient) -> Value {
    client.call("rotate_key", json!({"provider": "openrouter", "new_api_key": NEW}))
}

/// What a child process would get.
fn in_use(home: &Home) -> String {
    let ended = home.run([
        "run",
        "--provider",
        "openrouter",
        "--",
        "sh",
        "-c",
        "printf %s \"$OPENROUTER_API_KEY\"",
    ]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

#[test]
fn a_key_that_the_provider_accepts_takes_over() {
    let provider = Provider::new(&[(OLD, "me"), (NEW, "me")]);
    let home = provider.home();
    let mut client = start(&home);
    let added = add(&mut client);
    let rotated = rotate(&mut client);
    assert_ne!(rotated["isError"], true, "{rotated}");
    let rotated = &rotated["structuredContent"];
    assert_eq!(rotated["key"]["key_id"], added["key"]["key_id"]);
    assert_eq!(rotated["key"]["rotation_count"], 1);
    assert_eq!(rotated["previous"]["masked"], added["key"]["masked"]);
    assert!(rotated["previous"]["usable_until"].is_string());
    assert_eq!(rotated["key"]["validation"]["status"], "valid");
    assert_eq!(in_use(&home), NEW);
}

#[test]
fn a_key_that_the_provider_does_not_know_changes_nothing() {
    let provider = Provider::new(&[(OLD, "me")]);
    let home = provider.home();
    let mut client = start(&home);
    add(&mut client);
    let before = client.structured("list_api_keys", json!({}));
    let refused = rotate(&mut client);
    assert_eq!(
        refused["structuredContent"]["error"]["code"], "key_rejected",
        "{refused}"
    );
    assert_eq!(client.structured("list_api_keys", json!({})), before);
    assert_eq!(in_use(&home), OLD);

    // The same key, once the provider knows it, is as good as any.
    provider.accounts.lock().unwrap().push((NEW, "me"));
    let rotated = rotate(&mut client);
    assert_eq!(rotated["structuredContent"]["key"]["rotation_count"], 1, "{rotated}");
}

#[test]
fn a_key_of_another_account_is_refused_whether_or_not_the_old_one_was_ever_checked() {
    for checked in [false, true] {
        let provider = Provider::new(&[(OLD, "me"), (NEW, "somebody-else")]);
        let home = provider.home();
        let mut client = start(&home);
        add(&mut client);
        if checked {
            let valid = client.structured("validate_key", json!({"provider": "openrouter"}));
            assert_eq!(valid["status"], "valid");
        }
        let refused = rotate(&mut client);
        assert_eq!(
            refused["structuredContent"]["error"]["code"], "other_account",
            "{refused}"
        );
        assert_eq!(in_use(&home), OLD);
    }
}

#[test]
fn an_answer_of_the_last_minute_is_not_asked_for_again() {
    let provider = Provider::new(&[(OLD, "me")]);
    let home = provider.home();
    let mut client = start(&home);
    add(&mut client);
    let first = client.structured("validate_key", json!({"provider": "openrouter"}));
    let second = client.structured("validate_key", json!({"provider": "openrouter"}));
    assert_eq!((&first["cached"], &second["cached"]), (&json!(false), &json!(true)));
    assert_eq!(first["validated_at"], second["validated_at"]);
    assert_eq!(provider.stand_in.requests().len(), 1);
}

#[test]
fn a_rotation_that_was_killed_goes_on_with_the_same_key_and_without_it() {
    for again in [json!({"new_api_key": NEW}), json!({})] {
        goes_on(again);
    }
}

fn goes_on(mut again: Value) {
    let provider = Provider::new(&[(OLD, "me"), (NEW, "me")]);
    let home = provider.home();
    add(&mut start(&home));
    let mut interrupted = start(&home);
    provider.accounts.lock().unwrap().clear();
    let blocking = provider.accounts.lock().unwrap();
    interrupted.request(
        "tools/call",
        json!({"name": "rotate_key", "arguments": {"provider": "openrouter", "new_api_key": NEW}}),
    );
    // The provider was asked, so the new key is staged; it cannot answer while the list is held.
    eventually(|| !provider.stand_in.requests().is_empty(), "the provider is asked");
    interrupted.kill();
    drop(blocking);
    assert_eq!(in_use(&home), OLD);

    let mut client = start(&home);
    let listed = client.structured("list_api_keys", json!({}));
    assert!(
        listed["keys"][0]["attention"]
            .to_string()
            .contains("unfinished rotation"),
        "{listed}"
    );
    provider.accounts.lock().unwrap().extend([(OLD, "me"), (NEW, "me")]);
    again["provider"] = json!("openrouter");
    let rotated = client.structured("rotate_key", again.clone());
    assert_eq!(rotated["key"]["rotation_count"], 1, "{rotated}");
    assert_eq!(
        rotated["warnings"].to_string().contains("begun on"),
        again["new_api_key"].is_null(),
        "{rotated}"
    );
    assert_eq!(in_use(&home), NEW);
    // Nothing is unfinished any more: without a key there is nobody to ask for one.
    assert_eq!(
        client.failure("rotate_key", json!({"provider": "openrouter"})),
        "key_required"
    );
}

#[test]
fn what_the_provider_says_of_one_key_lets_no_other_in() {
    let provider = Provider::new(&[(OLD, "me"), (OLDER, "me"), (NEW, "me"), (NEWER, "me")]);
    let in_its_place = |home: &Home| {
        let mut other = start(home);
        other.structured("remove_api_key", json!({"provider": "openrouter"}));
        other.structured("add_api_key", json!({"provider": "openrouter", "api_key": OLDER}));
    };
    // Which makes the number of the one that is asked about free again.
    let refused = |home: &Home| {
        let mut other = start(home);
        let wrong = json!({"provider": "openrouter", "new_api_key": WRONG});
        assert_eq!(other.failure("rotate_key", wrong), "key_rejected");
    };
    for (meanwhile, in_use_before) in [(in_its_place as fn(&Home), OLDER), (refused as fn(&Home), OLD)] {
        let home = provider.home();
        add(&mut start(&home));
        let (mut ours, our_call) = provider.begin(&home, NEW);
        meanwhile(&home);
        let (mut theirs, their_call) = provider.begin(&home, NEWER);

        provider.let_go(NEW);
        let answer = ours.answer(our_call);
        assert_eq!(
            answer["result"]["structuredContent"]["error"]["code"], "busy",
            "{answer}"
        );
        assert_eq!(in_use(&home), in_use_before);

        provider.let_go(NEWER);
        let answer = theirs.answer(their_call);
        assert_eq!(
            answer["result"]["structuredContent"]["key"]["rotation_count"], 1,
            "{answer}"
        );
        assert_eq!(in_use(&home), NEWER);
    }
}

#[test]
fn a_new_key_that_may_do_less_is_taken_with_a_warning() {
    let provider = StandIn::answering(Reply::json(
        401,
        &json!({"error": {"message": "You have insufficient permissions. Missing scopes: api.model.read."}}),
    ));
    let home = Home::with_openai(&provider);
    let mut client = start(&home);
    client.structured(
        "add_api_key",
        json!({"provider": "openai", "api_key": "sk-proj-old0123456789abcdef"}),
    );
    let rotated = client.structured(
        "rotate_key",
        json!({"provider": "openai", "new_api_key": "sk-proj-new0123456789abcdef"}),
    );
    assert!(
        rotated["warnings"].to_string().contains("may not do everything"),
        "{rotated}"
    );
}
