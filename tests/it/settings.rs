//! The configuration file: everything it can say, and what it says of mistakes.

use std::{fs, path::Path};

use api_keys::{
    domain::{Billionths, ModelId, Objective, ProviderId, Task, Usd},
    error::Error,
    settings::{Config, Environment, KeysInChat, MasterKey, Settings},
};

use crate::support::{
    Home,
    mcp_client::{LEGACY, McpClient},
    private_folder,
};

/// The whole file of the contract, with names of our own for the models.
const WHOLE: &str = r#"
[vault]
master_key = "key-file"
passphrase_env = "SECRET_KEY"
keys_in_chat = "refuse"

[providers.anthropic]
enabled = false
base_url = "https://proxy.example.com/anthropic"
env_var = "CLAUDE_KEY"
rate_limit = 100
models = ["claude-one", "claude-two"]
weight = 3

[providers.anthropic.keys.work]
weight = 2
pool = "acme"
[providers.anthropic.keys.own]
rate_limit = 0

[providers.my-vllm]
kind = "openai-compatible"
base_url = "http://127.0.0.1:8000/v1"

[routing]
fallback_order = ["openai", ["claude", "my-vllm"]]
objective = "cost"
[routing.tasks]
code_generation = "anthropic"
chat = "openai/gpt-x"

[gateway]
max_wait = 25
[gateway.cache]
enabled = true
ttl = 60
max_size = 5

[budget]
enabled = true
daily_limit = 10.5
monthly_limit = 100
alert_threshold = 0.8
time_zone = "UTC"

[[prices]]
model = "openai/gpt-x"
input = 1.25
output = 10.0
cache_read = 0.125
cache_write = 1
cache_write_1h = 2
batch_input = 0.6
batch_output = 5
reasoning = 10
"#;

fn settings(home: &Home) -> Settings {
    let path = home.path();
    let environment = Environment::of([("API_KEYS_HOME", path.to_str().expect("text"))]);
    Settings::open(&environment).expect("a home")
}

fn dollars(whole: i64) -> Usd {
    Usd::from_nano(whole * 1_000_000_000)
}

#[test]
fn everything_that_the_file_can_say_is_read() {
    let config = Config::parse(WHOLE).expect("good");
    assert_eq!(config.vault.master_key, MasterKey::KeyFile);
    assert_eq!(config.vault.passphrase_env, "SECRET_KEY");
    assert_eq!(config.vault.keys_in_chat, KeysInChat::Refuse);

    let anthropic = config.provider("claude").expect("by its model's name");
    assert!(!anthropic.enabled);
    assert_eq!(anthropic.base_url, "https://proxy.example.com/anthropic");
    assert_eq!(anthropic.origin, "https://proxy.example.com");
    assert_eq!(anthropic.env_vars(), ["CLAUDE_KEY", "ANTHROPIC_API_KEY"]);
    assert_eq!(anthropic.rate_limit, Some(100));
    let own = config.provider("my-vllm").expect("configured");
    assert_eq!((anthropic.weight, own.weight), (3, 1));
    let work = &anthropic.keys[&"work".parse().unwrap()];
    assert_eq!(
        (work.weight, work.pool.as_deref(), work.rate_limit),
        (2, Some("acme"), Some(100)),
        "the provider's limit, where the key has none of its own"
    );
    assert_eq!(
        anthropic.keys[&"own".parse().unwrap()].rate_limit,
        None,
        "0 is no limit"
    );
    let models = anthropic.models.expect("listed");
    assert_eq!(
        models.iter().map(ModelId::as_str).collect::<Vec<_>>(),
        ["claude-one", "claude-two"]
    );
    assert_eq!(
        (own.base_url.as_str(), own.env_var.as_str()),
        ("http://127.0.0.1:8000/v1", "MY_VLLM_API_KEY")
    );
    assert!(!own.needs_key());

    let groups = config.routing.fallback_order.iter();
    let order: Vec<Vec<&str>> = groups
        .map(|group| group.iter().map(ProviderId::as_str).collect())
        .collect();
    assert_eq!(order, [vec!["openai"], vec!["anthropic", "my-vllm"]]);
    assert_eq!(config.routing.objective, Objective::Cost);
    let (provider, model) = &config.routing.tasks[&Task::Chat];
    assert_eq!(
        (provider.as_str(), model.as_ref().map(ModelId::as_str)),
        ("openai", Some("gpt-x"))
    );
    assert_eq!(
        config.routing.tasks[&Task::Embeddings].0.as_str(),
        "local",
        "what the file leaves out stays"
    );
    assert_eq!(config.budget.daily_limit, Usd::from_nano(10_500_000_000));
    assert_eq!(config.gateway.max_wait.as_secs(), 25);
    let cache = &config.gateway.cache;
    assert_eq!(
        (cache.enabled, cache.ttl.as_secs(), cache.max_size),
        (true, 60, 5 << 20)
    );
    assert!(!Config::default().gateway.cache.enabled, "off unless somebody wants it");
    assert_eq!(
        config.prices[0].standard.cache_read,
        Some(Billionths(125_000_000).into())
    );
}

#[test]
fn an_empty_file_and_none_mean_what_is_built_in() {
    let config = Config::parse("").expect("good");
    assert_eq!(config, Config::default());
    assert_eq!(config.vault.master_key, MasterKey::Auto);
    assert_eq!(config.vault.passphrase_env, "API_KEYS_PASSPHRASE");
    assert_eq!(config.vault.keys_in_chat, KeysInChat::Warn);
    assert_eq!(config.budget.daily_limit, dollars(10));
    assert_eq!(config.budget.monthly_limit, dollars(100));
    for (task, provider) in [
        (Task::CodeGeneration, "anthropic"),
        (Task::CodeReview, "anthropic"),
        (Task::Chat, "anthropic"),
        (Task::Summarization, "anthropic"),
        (Task::Analysis, "openai"),
        (Task::DataExtraction, "openai"),
        (Task::Embeddings, "local"),
    ] {
        assert_eq!(config.routing.tasks[&task].0.as_str(), provider, "{task:?}");
    }
}

/// Texts, and which field and line the error names.
const MISTAKES: &[(&str, &str, usize)] = &[
    ("[vault]\nmaster_key = \"safe\"", "vault.master_key", 2),
    ("[vault]\nmaster_key = 3", "vault.master_key", 2),
    ("[vault]\nmastr_key = \"auto\"", "vault.mastr_key", 2),
    ("[vault]\npassphrase_env = \"MY VAR\"", "vault.passphrase_env", 2),
    ("[vault]\nkeys_in_chat = true", "vault.keys_in_chat", 2),
    ("vault = 3", "vault", 1),
    ("\n\n[vaults]\n", "vaults", 3),
    ("[providers.openai]\nenabled = \"yes\"", "providers.openai.enabled", 2),
    (
        "[providers.openai]\nbase_url = \"http://api.openai.com/v1\"",
        "providers.openai.base_url",
        2,
    ),
    (
        "[providers.openai]\nbase_url = \"https://user:word@api.openai.com\"",
        "providers.openai.base_url",
        2,
    ),
    (
        "[providers.openai]\nbase_url = \"https://api.openai.com?key=x\"",
        "providers.openai.base_url",
        2,
    ),
    (
        "[providers.openai]\nbase_url = \"api.openai.com\"",
        "providers.openai.base_url",
        2,
    ),
    ("[providers.openai]\nrate_limit = -1", "providers.openai.rate_limit", 2),
    ("[providers.openai]\nrate_limit = 1.5", "providers.openai.rate_limit", 2),
    (
        "[providers.openai]\nrate_limit = 99999999999",
        "providers.openai.rate_limit",
        2,
    ),
    ("[providers.openai]\nmodels = \"gpt\"", "providers.openai.models", 2),
    ("[providers.openai]\nweight = 0", "providers.openai.weight", 2),
    ("[providers.openai]\nweight = 101", "providers.openai.weight", 2),
    (
        "[providers.openai.keys.work]\nweight = 1.5",
        "providers.openai.keys.work.weight",
        2,
    ),
    (
        "[providers.openai.keys.work]\npool = \"my account\"",
        "providers.openai.keys.work.pool",
        2,
    ),
    (
        "[providers.openai.keys.work]\nenabled = false",
        "providers.openai.keys.work.enabled",
        2,
    ),
    ("[providers.openai.keys]\nwork = 2", "providers.openai.keys.work", 2),
    (
        "[providers.openai.keys.\"my key\"]",
        "providers.openai.keys.(a name not shown)",
        1,
    ),
    (
        "[providers.openai]\nmodels = [\"gpt\",\n 3]",
        "providers.openai.models[1]",
        3,
    ),
    ("[providers.openai]\napi_key = \"x\"", "providers.openai.api_key", 2),
    (
        "[providers.openai]\nkind = \"openai-compatible\"",
        "providers.openai.kind",
        2,
    ),
    ("[providers.mine]\nenabled = true", "providers.mine", 1),
    ("[providers.mine]\nkind = \"openai-compatible\"", "providers.mine", 1),
    ("[providers.mine]\nkind = \"grpc\"", "providers.mine.kind", 2),
    ("[providers.claude]\n[providers.anthropic]", "providers.claude", 1),
    ("[providers.\"my key\"]", "providers.(a name not shown)", 1),
    (
        "[routing]\nfallback_order = [\"openai\", \"nobody\"]",
        "routing.fallback_order[1]",
        2,
    ),
    (
        "[routing]\nfallback_order = [\"openai\", \"openai\"]",
        "routing.fallback_order[1]",
        2,
    ),
    (
        "[routing]\nfallback_order = [\"openai\", [\"google\", \"openai\"]]",
        "routing.fallback_order[1][1]",
        2,
    ),
    ("[routing]\nobjective = \"best\"", "routing.objective", 2),
    ("[routing.tasks]\ncooking = \"openai\"", "routing.tasks.cooking", 2),
    ("[routing.tasks]\nchat = \"nobody/model\"", "routing.tasks.chat", 2),
    ("[routing.tasks]\nchat = \"openai/\"", "routing.tasks.chat", 2),
    ("[gateway]\nmax_wait = 1.5", "gateway.max_wait", 2),
    ("[gateway]\nmax_wait = 86401", "gateway.max_wait", 2),
    ("[gateway]\ncache = true", "gateway.cache", 2),
    ("[gateway.cache]\nenabled = 1", "gateway.cache.enabled", 2),
    ("[gateway.cache]\nttl = -1", "gateway.cache.ttl", 2),
    ("[gateway.cache]\nmax_size = 2049", "gateway.cache.max_size", 2),
    ("[gateway.cache]\nmax_entries = 1", "gateway.cache.max_entries", 2),
    ("[budget]\ndaily_limit = -1.0", "budget.daily_limit", 2),
    ("[budget]\ndaily_limit = nan", "budget.daily_limit", 2),
    ("[budget]\ndaily_limit = \"10\"", "budget.daily_limit", 2),
    ("[budget]\nalert_threshold = 80", "budget.alert_threshold", 2),
    ("[budget]\ntime_zone = \"Mars/Olympus\"", "budget.time_zone", 2),
    (
        "[[prices]]\nmodel = \"openai/x\"\ninput = -1\noutput = 1",
        "prices[0].input",
        3,
    ),
    ("[[prices]]\nmodel = \"openai/x\"\ninput = 1", "prices[0]", 1),
    ("[[prices]]\ninput = 1\noutput = 1", "prices[0]", 1),
    ("[[prices]]\nmodel = \"x\"\ninput = 1\noutput = 1", "prices[0].model", 2),
    (
        "[[prices]]\nmodel = \"a/x\"\ninput = 1\noutput = 1\n[[prices]]\nmodel = \"a/x\"\ninput = 1\noutput = 1",
        "prices[1].model",
        6,
    ),
    (
        "[[prices]]\nmodel = \"a/x\"\ninput = 1\noutput = 1\ncached = 2",
        "prices[0].cached",
        5,
    ),
    ("prices = 1", "prices", 1),
    ("[vault]\nmaster_key = \"auto", "", 2),
    ("= 3", "", 1),
    ("[vault]\na = 1\na = 2", "", 3),
];

#[test]
fn every_mistake_names_its_field_and_line() {
    for (text, field, line) in MISTAKES {
        let why = Config::parse(text).expect_err(text);
        assert_eq!(why.field, *field, "{text}: {why}");
        assert!(*line == 0 || why.line == *line, "{text}: {why}");
        let error = Error::from(why);
        assert_eq!(error.code().as_str(), "config_invalid");
        assert!(error.hint_text().is_some());
    }
}

#[test]
fn a_key_in_the_file_is_never_repeated() {
    const CANARY: &str = "sk-ant-api03-C4n4ryC4n4ryC4n4ryC4n4ry";
    for text in [
        format!("[vault]\nmaster_key = \"{CANARY}\""),
        format!("[vault]\npassphrase_env = \"{CANARY}\""),
        format!("[vault]\n{CANARY} = 1"),
        CANARY.to_owned(),
        format!("{CANARY} = \"x"),
        format!("[{CANARY}]"),
        format!("[providers.openai]\nbase_url = \"{CANARY}\""),
        format!("[providers.openai]\nbase_url = \"https://x.example.com/{CANARY}\""),
        format!("[providers.openai]\nenv_var = \"{CANARY}\""),
        format!("[providers.openai]\nmodels = [\"{CANARY}\"]"),
        format!("[providers.{CANARY}]"),
        format!("[routing]\nfallback_order = [\"{CANARY}\"]"),
        format!("[budget]\ntime_zone = \"{CANARY}\""),
        format!("[[prices]]\nmodel = \"openai/{CANARY}\"\ninput = 1\noutput = 1"),
    ] {
        let why = Config::parse(&text).expect_err(&text);
        let shown = format!("{why} {why:?} {:?}", Error::from(why.clone()));
        assert!(!shown.to_lowercase().contains("c4n4ry"), "{shown}");
    }
}

#[test]
fn an_unknown_provider_is_told_with_the_list_and_a_key_in_its_place_is_not_repeated() {
    let config = Config::parse(WHOLE).expect("good");
    let why = config.provider("antrophic").expect_err("misspelt");
    assert!(why.to_string().contains("antrophic"));
    assert!(why.known.contains(&"anthropic".to_owned()) && why.known.contains(&"my-vllm".to_owned()));
    let error = Error::from(why);
    assert_eq!(error.code().as_str(), "unknown_provider");
    assert!(
        error
            .hint_text()
            .is_some_and(|hint| hint.contains("anthropic, openai, google, local"))
    );
    for text in [
        "sk-ant-api03-0123456789abcdef",
        "sk-proj-abcdefghijklmnop",
        "abcdef0123456789abcdef0123456789",
        "",
        "a b",
        &"x".repeat(1 << 20),
    ] {
        let why = config.provider(text).expect_err("not a provider");
        assert_eq!(why.name, None);
        assert!(text.is_empty() || !why.to_string().contains(text));
    }
}

#[test]
fn a_changed_file_is_read_again_and_a_broken_one_keeps_the_last_good_one() {
    let home = Home::new();
    home.config("[budget]\ndaily_limit = 1");
    let settings = settings(&home);
    assert_eq!(settings.current().budget.daily_limit, dollars(1));
    assert_eq!(settings.problem(), None);

    home.config("[budget]\ndaily_limit = 2");
    assert_eq!(settings.current().budget.daily_limit, dollars(2));

    home.config("[budget]\ndaily_limit = \"2\"");
    assert_eq!(settings.current().budget.daily_limit, dollars(2));
    let problem = settings.problem().expect("reported");
    assert_eq!((problem.field.as_str(), problem.line), ("budget.daily_limit", 2));
    assert!(settings.required().is_ok(), "the last good one is in force");

    home.config("[budget]\ndaily_limit = 3");
    assert_eq!(settings.current().budget.daily_limit, dollars(3));
    assert_eq!(settings.problem(), None);

    fs::remove_file(home.path().join("config.toml")).expect("removed");
    assert_eq!(*settings.current(), Config::default());
}

#[test]
fn a_file_that_was_never_good_does_not_pass_for_what_is_built_in() {
    let home = Home::new();
    home.config("[vault]\nkeys_in_chat = \"refuse\"\nmastr_key = 1");
    let settings = settings(&home);
    assert_eq!(*settings.current(), Config::default());
    assert_eq!(settings.required().expect_err("broken").field, "vault.mastr_key");
    home.config("[vault]\nkeys_in_chat = \"refuse\"");
    assert_eq!(
        settings.required().expect("good").vault.keys_in_chat,
        KeysInChat::Refuse
    );
}

#[test]
fn a_file_that_is_broken_when_it_comes_or_comes_back_does_not_pass_for_what_is_built_in() {
    let home = Home::new();
    let settings = settings(&home);
    assert_eq!(*settings.required().expect("none is good"), Config::default());
    for (what, after) in [
        ("it comes", None),
        ("it comes back", Some("[vault]\nkeys_in_chat = \"refuse\"")),
    ] {
        if let Some(good) = after {
            home.config(good);
            assert_eq!(settings.problem(), None, "{what}");
            fs::remove_file(home.path().join("config.toml")).expect("removed");
            assert_eq!(*settings.required().expect("none is good"), Config::default(), "{what}");
        }
        home.config("[vault]\nkeys_in_chat = \"refuse\"\nmastr_key = 1");
        let why = settings.required().expect_err(what);
        assert_eq!(why.field, "vault.mastr_key", "{what}");
    }
}

#[test]
fn what_is_not_a_file_of_text_is_a_problem_and_not_a_hang() {
    let home = Home::new();
    private_folder(&home.path());
    let path = home.path().join("config.toml");
    let problem = |path: &Path| {
        let problem = settings(&home).problem().expect("a problem");
        if path.is_dir() {
            fs::remove_dir(path).expect("removed");
        } else {
            fs::remove_file(path).expect("removed");
        }
        problem.problem
    };
    fs::create_dir(&path).expect("a folder");
    assert!(problem(&path).contains("not a regular file"));
    fs::write(&path, b"\xff\xfe").expect("written");
    assert!(problem(&path).contains("not UTF-8"));
    fs::write(&path, vec![b'#'; (1 << 20) + 1]).expect("written");
    assert!(problem(&path).contains("longer than"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/dev/zero", &path).expect("linked");
        assert!(problem(&path).contains("not a regular file"));
        let status = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .expect("mkfifo");
        assert!(status.success());
        assert!(problem(&path).contains("not a regular file"));
    }
}

#[test]
fn without_a_home_there_are_no_settings() {
    let why = Settings::open(&Environment::of([])).expect_err("no home");
    let error = Error::from(why);
    assert_eq!(error.code().as_str(), "home_missing");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("API_KEYS_HOME")));
}

#[test]
fn the_passphrase_comes_from_the_variable_that_the_file_names() {
    let home = Home::new();
    home.config("[vault]\npassphrase_env = \"SECRET_KEY\"");
    let path = home.path();
    let path = path.to_str().expect("text");
    let with = |name| {
        let environment = Environment::of([("API_KEYS_HOME", path), (name, "correct horse")]);
        Settings::open(&environment)
            .expect("a home")
            .passphrase_from_environment()
    };
    assert!(with("SECRET_KEY").is_some());
    assert!(with("API_KEYS_PASSPHRASE").is_none());
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_configuration_or_a_mistake(text in "(\\[(vault|budget|routing|providers\\.[a-z]{1,8})\\]|[a-z_]{1,12} = [^\n]{0,20}|[^\n]{0,30})(\n[a-z_]{1,12} = [^\n]{0,20}){0,6}") {
        if let Err(why) = Config::parse(&text) {
            proptest::prop_assert!(!why.problem.is_empty());
        }
    }
}

#[test]
fn a_configuration_that_was_never_good_is_not_taken_for_none() {
    let home = Home::new();
    home.config("[vault]\nkeys_in_chat = \"refuse\"\nno_such_setting = 1\n");
    for command in [
        ["list", "--json"].as_slice(),
        &["validate", "local", "--json"],
        &["remove", "openai", "--yes", "--json"],
    ] {
        let ended = home.run(command);
        assert_eq!(
            (ended.code, ended.error_code().as_str()),
            (Some(1), "config_invalid"),
            "{command:?}"
        );
    }
    let stores_nothing = |client: &mut McpClient| {
        let arguments = serde_json::json!({"provider": "openai", "api_key": "sk-proj-0123456789abcdefghij"});
        assert_eq!(client.failure("add_api_key", arguments), "config_invalid");
        assert!(!home.path().join("vault.json").exists());
    };
    stores_nothing(&mut McpClient::open(
        home.command(["serve"]),
        LEGACY,
        serde_json::json!({}),
    ));

    let broken = fs::read_to_string(home.path().join("config.toml")).expect("a file");
    fs::remove_file(home.path().join("config.toml")).expect("removed");
    let mut began_before = McpClient::open(home.command(["serve"]), LEGACY, serde_json::json!({}));
    began_before.call("get_usage", serde_json::json!({}));
    home.config(&broken);
    stores_nothing(&mut began_before);
}
