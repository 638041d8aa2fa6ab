//! Prices from outside: whose holds, taking in a public set, and what is refused.

use std::path::Path;

use api_keys::{
    app::{App, Clock},
    catalog::{
        Catalog, Origin, Overlay,
        sets::{self, SetError, Skip},
    },
    domain::{Billionths, ModelRef, Price, Rate, Service},
    providers::PROVIDERS,
    services::price_lookup::{self, Pricing, Unpriced},
    settings::{Environment, Settings},
};
use jiff::{Timestamp, civil::Date};
use serde_json::{Value, json};

use crate::support::Home;

const NOW: &str = "2026-12-02T12:00:00Z";

fn app(home: &Home) -> App {
    let environment = Environment::of([("API_KEYS_HOME", home.path().to_str().unwrap())]);
    App::new(Settings::open(&environment).unwrap(), Clock::Fixed(at(NOW)))
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn price_of(app: &App, model: &str, time: &str) -> Pricing {
    let (catalog, config) = (app.catalog().unwrap(), app.settings().current());
    price_lookup::price_of(&catalog, &config, &model.parse::<ModelRef>().unwrap(), at(time))
}

/// Input in US dollars per million tokens, and who says so.
fn input(app: &App, model: &str) -> (String, Option<Origin>) {
    match price_of(app, model, NOW) {
        Pricing::Priced(priced) => (
            priced.price.offered.standard.input.per_million().to_string(),
            priced.origin,
        ),
        Pricing::Unpriced(why) => panic!("{model}: {why:?}"),
    }
}

fn today() -> Date {
    "2026-12-02".parse().unwrap()
}

/// A set in LiteLLM's form with one model of a known provider.
fn litellm(name: &str, fields: Value) -> Value {
    let mut model = json!({"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6});
    for (field, value) in fields.as_object().unwrap() {
        model[field] = value.clone();
    }
    json!({ (name): model })
}

/// A set in genai-prices' form with one model.
fn genai(prices: &Value) -> Value {
    json!([{"id": "openai", "name": "OpenAI", "models": [
        {"id": "gpt-9", "match": {"or": [{"equals": "gpt-9"}, {"equals": "gpt-nine"}, {"starts_with": "gpt-9-"}]}, "prices": prices}
    ]}])
}

fn rate(dollars: &str) -> Rate {
    Billionths::parse(dollars).unwrap().into()
}

#[test]
fn every_provider_of_the_catalog_is_built_in() {
    for model in Catalog::built_in().models() {
        let provider = model.id.provider.as_str();
        assert!(PROVIDERS.iter().any(|known| known.id == provider), "{}", model.id);
    }
}

#[test]
fn the_nearest_word_holds_config_then_overlay_then_built_in() {
    let home = Home::new();
    home.config("[[prices]]\nmodel = \"openai/gpt-5.4\"\ninput = 1\noutput = 1\n");
    let app = app(&home);
    assert_eq!(input(&app, "openai/gpt-5.4"), ("1".to_owned(), Some(Origin::Config)));
    assert_eq!(input(&app, "openai/gpt-5.4-mini").1, Some(Origin::BuiltIn));

    let file = home.beside("set.json");
    let mut set = litellm("gpt-5.4-mini", json!({"input_cost_per_token": 9e-6}));
    set["gpt-5.4"] = litellm("x", json!({"input_cost_per_token": 9e-6}))["x"].clone();
    std::fs::write(&file, set.to_string()).unwrap();
    api_keys::services::price_updates::update(&app, &file, None).unwrap();
    assert_eq!(input(&app, "openai/gpt-5.4").1, Some(Origin::Config));
    assert_eq!(
        input(&app, "openai/gpt-5.4-mini"),
        ("9".to_owned(), Some(Origin::Overlay))
    );
    let before = price_of(&app, "openai/gpt-5.4-mini", "2026-11-24T12:00:00Z")
        .priced()
        .unwrap();
    assert_eq!(before.origin, Some(Origin::BuiltIn), "the past keeps its price");

    home.config("[[prices]]\nmodel = \"openai/gpt-5.4-mini\"\ninput = 0.5\noutput = 1\n");
    assert_eq!(
        input(&app, "openai/gpt-5.4-mini"),
        ("0.5".to_owned(), Some(Origin::Config))
    );
    assert_eq!(input(&app, "openai/gpt-5.4"), ("9".to_owned(), Some(Origin::Overlay)));
    assert!(api_keys::services::price_updates::reset(&app).unwrap());
    assert_eq!(input(&app, "openai/gpt-5.4").1, Some(Origin::BuiltIn));
}

#[test]
fn what_runs_here_costs_nothing_unless_somebody_says_otherwise() {
    let home = Home::new();
    home.config(
        "[providers.my-vllm]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:8000/v1\"\n\
         [providers.my-host]\nkind = \"openai-compatible\"\nbase_url = \"https://llm.example.com/v1\"\n\
         [[prices]]\nmodel = \"my-vllm/dear\"\ninput = 3\noutput = 4\n\
         [[prices]]\nmodel = \"local/dear\"\ninput = 5\noutput = 6\n",
    );
    let app = app(&home);
    for model in ["local/llama3.3", "my-vllm/anything"] {
        let priced = price_of(&app, model, NOW).priced().unwrap();
        assert_eq!((priced.price, priced.origin), (Price::free(), None), "{model}");
    }
    assert_eq!(input(&app, "my-vllm/dear").0, "3");
    assert_eq!(input(&app, "local/dear").0, "5");
    for (model, why) in [
        ("my-host/anything", Unpriced::UnknownModel),
        ("openai/gpt-99", Unpriced::UnknownModel),
        ("nobody/gpt-5", Unpriced::UnknownModel),
        ("cohere/rerank-v4.0-pro", Unpriced::NotByTokens),
    ] {
        assert_eq!(price_of(&app, model, NOW), Pricing::Unpriced(why), "{model}");
    }
}

#[test]
fn what_is_charged_by_the_character_has_no_price_by_its_tokens() {
    let home = Home::new();
    let priced = price_of(&app(&home), "elevenlabs/eleven_flash_v2_5", NOW);
    assert!(priced.clone().priced().is_some());
    assert_eq!(priced.of_tokens(), Pricing::Unpriced(Unpriced::NotByTokens));
    let estimate = home.run(["estimate", "elevenlabs", "1000", "0", "--model", "eleven_flash_v2_5"]);
    assert_ne!(estimate.code, Some(0));
}

#[test]
fn a_set_of_litellm_is_read_in_full() {
    let fields = json!({
        "max_input_tokens": 400_000, "max_output_tokens": 9, "supports_vision": true, "deprecation_date": "2030-01-01",
        "input_cost_per_token": 1.25e-06, "output_cost_per_token": 0.00001,
        "cache_read_input_token_cost": 1.25e-07, "cache_creation_input_token_cost": 0,
        "input_cost_per_token_batches": 6.25e-07, "output_cost_per_token_batches": 5e-06,
        "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_above_200k_tokens": 2e-05,
        "input_cost_per_image": 0.1, "search_context_cost_per_query": {"search_context_size_low": 0.01},
    });
    // As it stands in that set, with the digits of a float.
    let text = litellm("gpt-9", fields).to_string().replace(
        "\"cache_creation_input_token_cost\":0",
        "\"cache_creation_input_token_cost\":4.1666666666666664e-08",
    );
    let taken = sets::read(&text, today(), &Catalog::built_in()).unwrap();
    assert_eq!(
        taken.added.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["openai/gpt-9"]
    );
    let model = &taken.overlay.models[0];
    let price = &model.prices[0].price;
    assert_eq!(price.offered.standard.input, rate("1.25"));
    assert_eq!(price.offered.standard.cache_read, Some(rate("0.125")));
    assert_eq!(
        price.offered.standard.cache_write,
        Some(rate("1.291666667")),
        "storage is charged on top of input"
    );
    assert_eq!(price.offered.batch.unwrap().output, rate("5"));
    assert_eq!(
        (price.tiers[0].from_input_tokens, price.tiers[0].offered.standard.output),
        (200_001, rate("20"))
    );
    assert_eq!(price.tiers[0].offered.batch, None, "nothing is made up");
    assert_eq!((model.context_window, model.max_output), (Some(400_000), Some(9)));
    assert!(model.capabilities.unwrap().vision);
}

#[test]
fn a_set_of_genai_prices_is_read_in_full() {
    let prices = json!([
        {"prices": {"input_mtok": 3, "output_mtok": 6}},
        {"constraint": {"start_date": "2026-06-01"}, "prices": {
            "input_mtok": {"base": 1, "tiers": [{"start": 200_000, "price": 2}]}, "output_mtok": 4, "cache_read_mtok": 0.1,
            "web_searches_kcount": 10
        }},
    ]);
    let mut set = genai(&prices);
    set[0]["models"][0]["price_variants"] = json!([
        {"when": {"processing": "batch"}, "constraint": {"start_date": "2026-10-14"}, "prices": {"input_mtok": 0.5, "output_mtok": 2}},
        {"when": {"route": "eu"}, "prices": {"input_mtok": 99}},
    ]);
    let taken = sets::read(&set.to_string(), today(), &Catalog::built_in()).unwrap();
    let catalog = Catalog::built_in().with(Some(&taken.overlay), &[]);
    let model = catalog.find(&"openai/gpt-nine".parse().unwrap()).unwrap().model;
    let then = model.price_at(at("2026-05-31T23:59:59Z")).unwrap();
    let now = model.price_at(at("2026-06-01T00:00:00Z")).unwrap();
    assert_eq!((then.offered.standard.input, then.offered.batch), (rate("3"), None));
    assert_eq!(
        (now.offered.standard.input, now.offered.standard.output),
        (rate("1"), rate("4"))
    );
    assert_eq!(
        (now.tiers[0].from_input_tokens, now.tiers[0].offered.standard.input),
        (200_001, rate("2"))
    );
    assert_eq!(now.tiers[0].offered.standard.cache_read, Some(rate("0.1")));
    let batch = now.offered.batch.unwrap();
    assert_eq!(
        (batch.input, batch.cache_read),
        (rate("0.5"), Some(rate("0.1"))),
        "what batch does not change stays"
    );
}

#[test]
fn what_cannot_be_read_in_full_is_left_out_and_counted() {
    let mut set = litellm("gpt-9", json!({}));
    for (name, fields) in [
        ("a", json!({"litellm_provider": "nobody"})),
        ("b", json!({"mode": "audio_speech"})),
        ("c", json!({"input_cost_per_token": 0, "output_cost_per_token": 0})),
        ("d", json!({"off_peak_pricing": {}})),
        ("e f", json!({})),
        (
            "gpt-5.4-mini",
            json!({"input_cost_per_token": 7.5e-7, "output_cost_per_token": 4.5e-6}),
        ),
    ] {
        set[name] = litellm(name, fields)[name].clone();
    }
    set["g"] = json!({"litellm_provider": "openai", "mode": "chat"});
    let taken = sets::read(&set.to_string(), today(), &Catalog::built_in()).unwrap();
    let expected = [
        Skip::OtherProvider,
        Skip::NotText,
        Skip::NotByTokens,
        Skip::Nothing,
        Skip::ByTheHour,
        Skip::Name,
    ];
    assert_eq!(taken.skipped, expected.map(|skip| (skip, 1)).into());
    assert_eq!((taken.added.len(), taken.changed.len(), taken.unchanged), (1, 0, 1));

    let by_the_hour = genai(&json!([
        {"prices": {"input_mtok": 1}},
        {"constraint": {"start_time": "01:00:00Z", "end_time": "04:00:00Z"}, "prices": {"input_mtok": 2}},
    ]));
    let nothing_left = sets::read(&by_the_hour.to_string(), today(), &Catalog::built_in());
    assert_eq!(nothing_left, Err(SetError::UnknownSet));
}

#[test]
fn a_hostile_set_is_refused_as_a_whole() {
    let number = |text: &str| litellm("gpt-9", json!({})).to_string().replace("1e-6", text);
    let mut twice = genai(&json!({"input_mtok": 1}));
    let again = twice[0]["models"][0].clone();
    twice[0]["models"].as_array_mut().unwrap().push(again);
    let many = |count: usize| {
        let models: Vec<String> = (0..count).map(|at| format!("\"m{at}\":{{}}")).collect();
        format!("{{{}}}", models.join(","))
    };
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (text, said) in [
        (number("-1e-6"), "`input_cost_per_token` is below zero"),
        (number("NaN"), "not JSON"),
        (number("Infinity"), "not JSON"),
        (number("\"0.000001\""), "is not a number"),
        (number("null"), "is not a number"),
        (number("[1]"), "is not a number"),
        (number("1"), "more than any model costs"),
        (number("1e99"), "more than any model costs"),
        (number("1e999999"), "more than any model costs"),
        (
            litellm("gpt-9", json!({"output_cost_per_token_batches": -1e-9})).to_string(),
            "below zero",
        ),
        (
            litellm("gpt-9", json!({"input_cost_per_image": -1})).to_string(),
            "below zero",
        ),
        (
            litellm("gpt-9", json!({"input_cost_per_furlong": 1e-6})).to_string(),
            "`input_cost_per_furlong` is a price per something that is not known",
        ),
        (genai(&json!({"input_mtok": -1})).to_string(), "below zero"),
        (genai(&json!({"input_mtok": "1"})).to_string(), "is not a number"),
        (
            genai(&json!({"input_ktok": 1})).to_string(),
            "is a price per something that is not known",
        ),
        (
            genai(&json!({"input_mtok": 1_000_000})).to_string(),
            "more than any model costs",
        ),
        (
            genai(&json!({"input_mtok": {"base": 1, "tiers": [{"start": 5, "price": 2}, {"start": 5, "price": 3}]}}))
                .to_string(),
            "do not ascend",
        ),
        (
            genai(&json!({"input_mtok": {"base": 1, "tiers": [{"start": -5, "price": 2}]}})).to_string(),
            "is not a price",
        ),
        (twice.to_string(), "lists openai/gpt-9 twice"),
        (many(20_001), "more than 20000 models"),
        (many(1_000_000), "more than 20000 models"),
        (" ".repeat(17 << 20), "longer than 16 MiB"),
        (deep, "not JSON"),
        (String::new(), "neither"),
        ("hello".to_owned(), "neither"),
        ("{}".to_owned(), "neither"),
        ("[]".to_owned(), "neither"),
        ("{\"gpt-9\":1}".to_owned(), "neither"),
        ("{\"gpt-9\":{}".to_owned(), "not JSON"),
        ("{\"OPENAI_API_KEY\":\"sk-test\"}".to_owned(), "neither"),
    ] {
        let outcome = sets::read(&text, today(), &Catalog::built_in());
        let error = outcome.expect_err(said).to_string();
        let start: String = text.chars().take(200).collect();
        assert!(error.contains(said), "{start}: {error}");
    }
}

#[test]
fn the_first_version_of_the_stored_form_is_still_read() {
    let home = Home::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/prices-1.json");
    crate::support::private_file(&home.path().join("prices.json"), &std::fs::read(golden).unwrap());
    let app = app(&home);
    assert_eq!(input(&app, "openai/gpt-9"), ("1.25".to_owned(), Some(Origin::Overlay)));
    let Pricing::Priced(priced) = price_of(&app, "openai/gpt-nine", NOW) else {
        panic!("by its other name too")
    };
    assert_eq!(
        (priced.source.as_str(), priced.as_of),
        ("litellm 2026-11-24", Some("2026-11-24".parse().unwrap()))
    );
    assert_eq!(priced.price.offered.batch.unwrap().output, rate("5"));
    assert_eq!(
        priced.price.rates(Service::Priority, 272_001).unwrap().cache_read,
        Some(rate("0.5"))
    );
    let night = price_of(&app, "openai/gpt-9", "2026-11-25T01:30:00Z").priced().unwrap();
    assert_eq!(night.price.offered.standard.input, rate("2.5"));
}

#[test]
fn an_update_says_what_it_did_and_a_refused_one_changes_nothing() {
    let home = Home::new();
    let (good, bad) = (home.beside("good.json"), home.beside("bad.json"));
    let mut set = litellm("gpt-9", json!({}));
    set["gpt-5.4-mini"] = litellm(
        "x",
        json!({"input_cost_per_token": 1e-6, "output_cost_per_token": 4.5e-6}),
    )["x"]
        .clone();
    std::fs::write(&good, set.to_string()).unwrap();
    std::fs::write(&bad, litellm("gpt-9", json!({"input_cost_per_token": -1})).to_string()).unwrap();

    let refused = home.run(["prices", "update", "--from", bad.to_str().unwrap(), "--json"]);
    assert_eq!(
        (refused.code, refused.error_code().as_str()),
        (Some(1), "price_overlay_invalid"),
        "{refused:?}"
    );
    assert!(!home.path().join("prices.json").exists());

    let done = home.run(["prices", "update", "--from", good.to_str().unwrap(), "--json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let told = done.json();
    assert_eq!(told["set"], "litellm");
    assert_eq!(told["added"], json!(["openai/gpt-9"]));
    assert_eq!(
        told["changed"],
        json!([{"model": "openai/gpt-5.4-mini", "before": {"input": 0.75, "output": 4.5}, "after": {"input": 1, "output": 4.5}}])
    );
    assert_eq!(told["replaced"], Value::Null);

    let written = std::fs::read(home.path().join("prices.json")).unwrap();
    let refused = home.run(["prices", "update", "--from", bad.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .contains("error: openai/gpt-9: `input_cost_per_token` is below zero")
            && refused.stderr.contains("hint: "),
        "{refused:?}"
    );
    assert_eq!(std::fs::read(home.path().join("prices.json")).unwrap(), written);

    let people = home.run(["prices", "update", "--from", good.to_str().unwrap()]);
    assert!(
        people.stdout.contains("1 models new, 1 changed") && people.stdout.contains("0.75 → 1"),
        "{people:?}"
    );
    let missing = home.run(["prices", "update", "--from", "nowhere.json", "--json"]);
    assert_eq!(missing.error_code(), "price_overlay_invalid");
    assert_eq!(home.run(["prices", "update"]).code, Some(2));

    assert_eq!(home.run(["prices", "reset", "--json"]).json(), json!({"reset": true}));
    assert_eq!(home.run(["prices", "reset", "--json"]).json(), json!({"reset": false}));
}

#[test]
fn damaged_prices_are_an_error_until_they_are_mended() {
    let home = Home::new();
    let good = home.beside("good.json");
    std::fs::write(&good, litellm("gpt-9", json!({})).to_string()).unwrap();
    let update = ["prices", "update", "--from", good.to_str().unwrap()];
    assert_eq!(home.run(update).code, Some(0));
    let path = home.path().join("prices.json");
    let whole = std::fs::read_to_string(&path).unwrap();

    for damaged in [
        whole[..whole.len() / 2].to_owned(),
        whole.replace("\"input\":1,", "\"input\":-1,"),
        whole.replace("\"version\":1", "\"version\":9"),
        String::new(),
    ] {
        std::fs::write(&path, damaged).unwrap();
        for command in [
            ["prices", "show", "gpt-9", "--json"],
            ["prices", "list", "openai", "--json"],
        ] {
            let ended = home.run(command);
            assert_eq!(
                (ended.code, ended.error_code().as_str()),
                (Some(1), "price_overlay_damaged"),
                "{ended:?}"
            );
        }
        let doctor = home.run(["doctor", "--offline"]);
        assert_eq!(doctor.code, Some(1));
        assert!(doctor.stdout.contains("wrong   prices"), "{doctor:?}");
        assert!(doctor.stderr.contains("hint: prices: "), "{doctor:?}");
    }
    assert_eq!(home.run(update).code, Some(0), "an update mends it");
    assert_eq!(home.run(["prices", "show", "gpt-9"]).code, Some(0));
}

#[test]
fn a_price_is_explained_to_people_and_to_programs() {
    let home = Home::new();
    let people = home.run(["prices", "show", "claude-haiku-5-5"]);
    assert_eq!(people.code, Some(0), "{people:?}");
    for said in [
        "anthropic/claude-haiku-5-5: chat, 1,000,000 tokens of context",
        "batch, prompts from 100,001",
        "by genai-prices 0.2.3, as of 2026-11-29 (built in)",
        "web searches: $10 per 1,000",
    ] {
        assert!(people.stdout.contains(said), "{said}: {people:?}");
    }
    let told = home
        .run(["prices", "show", "claude/claude-haiku-5-5-20260401", "--json"])
        .json();
    assert_eq!(
        (&told["model"], &told["matched"]),
        (&json!("anthropic/claude-haiku-5-5"), &json!("without_date"))
    );
    assert_eq!(told["price"]["standard"]["input"], json!(0.1));
    assert_eq!(told["price"]["tiers"][0]["from_input_tokens"], json!(100_001));
    assert_eq!(told["price"]["tiers"][0]["batch"]["output"], json!(1.25));
    assert_eq!(told["price"]["origin"], json!("built_in"));

    let history = home.run(["prices", "show", "openai/o3", "--json"]).json();
    assert_eq!(history["price"]["from"], json!("2025-06-10"));
    assert_eq!(history["before"][0]["standard"]["input"], json!(10));
    let hours = home.run(["prices", "show", "deepseek-flash", "--json"]).json();
    assert_eq!(hours["hours"][0]["at"], json!("01:00–04:00 UTC, Monday to Friday"));
    let by_query = home.run(["prices", "show", "rerank-v4.0-pro", "--json"]).json();
    assert_eq!(
        (&by_query["price"], by_query["unpriced"].is_string()),
        (&Value::Null, true)
    );
    let free = home.run(["prices", "show", "ollama/llama3"]);
    assert!(free.stdout.contains("Costs nothing"), "{free:?}");
}

#[test]
fn an_unknown_model_gets_near_names() {
    let home = Home::new();
    for (asked, near) in [
        ("gpt-6-soll", "openai/gpt-6-sol"),
        ("openai/claude-opus-5", "anthropic/claude-opus-5"),
        ("openai/gpt-oss-safeguard-20bb", "groq/openai/gpt-oss-safeguard-20b"),
        ("zzzzzzzz", "prices list"),
    ] {
        let ended = home.run(["prices", "show", asked, "--json"]);
        assert_eq!(
            (ended.code, ended.error_code().as_str()),
            (Some(2), "unknown_model"),
            "{ended:?}"
        );
        let hint = ended.json()["error"]["hint"].as_str().unwrap().to_owned();
        assert!(hint.contains(near), "{asked}: {hint}");
    }
}

#[test]
fn all_models_or_those_of_a_provider_are_listed() {
    let home = Home::new();
    let all = home.run(["prices", "list", "--json"]).json();
    assert_eq!(all["total_count"], json!(all["models"].as_array().unwrap().len()));
    let some = home.run(["prices", "list", "voyage", "--json"]).json();
    assert!(some["total_count"].as_u64().unwrap() < all["total_count"].as_u64().unwrap());
    assert!(
        some["models"]
            .as_array()
            .unwrap()
            .iter()
            .all(|model| model["model"].as_str().unwrap().starts_with("voyage/"))
    );
    assert_eq!(
        home.run(["prices", "list", "nobody", "--json"]).error_code(),
        "unknown_provider"
    );
}

/// Runs `prices update` with a set of LiteLLM's form that has these prices of gpt-5.4-mini.
fn update(home: &Home, set: &Value, options: &[&str]) -> Value {
    let file = home.beside("set.json");
    std::fs::write(&file, set.to_string()).unwrap();
    let ended = home.run(
        [
            &["prices", "update", "--json", "--from", file.to_str().unwrap()],
            options,
        ]
        .concat(),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.json()
}

fn shown(home: &Home, model: &str) -> Value {
    home.run(["prices", "show", model, "--json"]).json()["price"].clone()
}

#[test]
fn an_older_file_adds_what_is_unknown_and_leaves_newer_prices() {
    let home = Home::new();
    let mut set = litellm("gpt-9", json!({}));
    set["gpt-5.4-mini"] = litellm("x", json!({"input_cost_per_token": 9e-6}))["x"].clone();
    let told = update(&home, &set, &["--as-of", "2026-08-01"]);
    assert_eq!(told["added"], json!(["openai/gpt-9"]));
    assert_eq!(told["changed"], json!([]));
    assert_eq!(told["older"], json!(["openai/gpt-5.4-mini"]));
    assert!(told["warnings"][0].as_str().unwrap().contains("2026-08-01"), "{told}");
    assert_eq!(shown(&home, "openai/gpt-5.4-mini")["origin"], "built_in");
    assert_eq!(shown(&home, "openai/gpt-9")["as_of"], "2026-08-01");

    // So does one that was taken in before the program was updated.
    let written = std::fs::read_to_string(home.path().join("prices.json")).unwrap();
    std::fs::write(
        home.path().join("prices.json"),
        written.replace("gpt-9", "gpt-5.4-mini"),
    )
    .unwrap();
    assert_eq!(shown(&home, "openai/gpt-5.4-mini")["origin"], "built_in");
    let doctor = home.run(["doctor", "--offline"]);
    assert!(doctor.stdout.contains("older than the built-in ones"), "{doctor:?}");

    assert_eq!(
        update(&home, &set, &["--as-of", "2999-01-01"])["as_of"]
            .as_str()
            .unwrap()
            .len(),
        10
    );
    assert_eq!(
        home.run(["prices", "update", "--from", "x", "--as-of", "yesterday"])
            .code,
        Some(2)
    );
}

#[test]
fn a_file_has_the_date_of_its_last_change() {
    let home = Home::new();
    let file = home.beside("set.json");
    std::fs::write(&file, litellm("gpt-9", json!({})).to_string()).unwrap();
    let dated = std::process::Command::new("touch")
        .args(["-d", "2026-08-01T12:00:00Z"])
        .arg(&file)
        .status();
    assert!(dated.unwrap().success());
    let ended = home.run(["prices", "update", "--json", "--from", file.to_str().unwrap()]);
    assert_eq!(ended.json()["as_of"], "2026-08-01");
}

#[test]
fn two_sets_lie_side_by_side_and_each_replaces_its_own() {
    let home = Home::new();
    let of_genai = genai(&json!({"input_mtok": 3, "output_mtok": 6}));
    update(&home, &of_genai, &[]);
    let mut set = litellm("gpt-10", json!({}));
    set["gpt-11"] = set["gpt-10"].clone();
    let told = update(&home, &set, &[]);
    assert!(told["beside"]["genai-prices"].is_string(), "{told}");
    assert_eq!(told["replaced"], Value::Null);
    assert_eq!(shown(&home, "openai/gpt-nine")["standard"]["input"], 3);
    assert_eq!(shown(&home, "openai/gpt-10")["standard"]["input"], 1);

    let told = update(&home, &litellm("gpt-10", json!({"input_cost_per_token": 5e-6})), &[]);
    assert!(told["replaced"].is_string(), "{told}");
    assert_eq!(
        shown(&home, "openai/gpt-nine")["standard"]["input"],
        3,
        "the other set stays"
    );
    assert_eq!(shown(&home, "openai/gpt-10")["standard"]["input"], 5);
    assert_eq!(
        home.run(["prices", "show", "openai/gpt-11"]).code,
        Some(2),
        "gone from its set"
    );
}

#[test]
fn what_a_set_does_not_know_is_kept_and_every_changed_rate_is_shown() {
    let home = Home::new();
    let before = shown(&home, "anthropic/claude-haiku-5-5");
    let fields = json!({
        "litellm_provider": "anthropic", "input_cost_per_token": 2e-7, "output_cost_per_token": 6e-7,
        "cache_read_input_token_cost": 2e-8,
    });
    let set = litellm("claude-haiku-5-5", fields);
    let told = update(&home, &set, &[]);
    let after = shown(&home, "anthropic/claude-haiku-5-5");
    assert_eq!(after["batch"], before["batch"], "LiteLLM's file says nothing of it");
    assert_eq!(after["tiers"], before["tiers"]);
    let rates: Vec<&str> = told["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["rate"].as_str().unwrap())
        .collect();
    assert_eq!(rates, ["input", "output", "cache_read", "cache_write"], "{told}");
    let people = home.run(["prices", "reset"]);
    assert_eq!(people.code, Some(0));
    let file = home.beside("set.json");
    let people = home.run(["prices", "update", "--from", file.to_str().unwrap()]);
    for said in ["0.1 → 0.2", "0.5 → 0.6", "0.01 → 0.02", "cache read"] {
        assert!(people.stdout.contains(said), "{said}: {people:?}");
    }
}

#[test]
fn a_file_that_names_a_model_twice_is_refused() {
    let one = litellm("gpt-9", json!({})).to_string();
    let twice = format!("{{{},{}", one.trim_matches(['{', '}']).to_owned() + "}", &one[1..]);
    let refused = sets::read(&twice, today(), &Catalog::built_in());
    assert_eq!(refused, Err(SetError::NamedTwice), "{twice}");
}

proptest::proptest! {
    #[test]
    fn a_damaged_set_is_read_or_refused_and_what_is_taken_can_be_stored(at in 0_usize..900, with in "[0-9.eE{}\\[\\]\",:a-z-]{0,3}", which in 0..2) {
        let prices = json!([
            {"prices": {"input_mtok": 3, "output_mtok": {"base": 1, "tiers": [{"start": 200_000, "price": 2}]}}},
            {"constraint": {"start_date": "2026-06-01"}, "prices": {"input_mtok": 1, "output_mtok": 4}},
        ]);
        let fields = json!({"input_cost_per_token_above_200k_tokens": 2e-6, "input_cost_per_token_batches": 5e-7});
        let mut text = if which == 0 { genai(&prices) } else { litellm("gpt-9", fields) }.to_string();
        let at = at % text.len();
        text.replace_range(at..=at, &with);
        if let Ok(taken) = sets::read(&text, today(), &Catalog::built_in()) {
            let stored = Overlay::parse(&taken.overlay.to_text());
            proptest::prop_assert!(stored.is_err() || stored.as_ref() == Ok(&taken.overlay), "{text}: {stored:?}");
        }
    }
}
