//! Finding models, and whose price holds when.

use super::*;
use crate::domain::{Billionths, ModelKind, Rate, Rates, Service, TokenCounts, Tokens};

fn model(name: &str) -> ModelRef {
    name.parse().expect("a model")
}

fn price(input: u64, output: u64) -> Price {
    let dollars = |dollars: u64| Rate::from(Billionths(dollars * Billionths::ONE.0));
    Price::of(Rates {
        input: dollars(input),
        output: dollars(output),
        ..Rates::default()
    })
}

/// What a million tokens of plain input cost at `at`.
fn input(catalog: &Catalog, name: &str, at: &str) -> String {
    let found = catalog.find(&model(name)).expect("known");
    let counts = TokenCounts {
        input: 1_000_000,
        ..TokenCounts::default()
    };
    let tokens = Tokens::new(counts).expect("true counts");
    let price = found.model.price_at(at.parse().expect("a time")).expect("priced");
    let untiered = Price {
        tiers: Vec::new(),
        ..price
    };
    untiered
        .cost(Service::Standard, &tokens)
        .expect("priced")
        .total
        .digits()
}

fn overlay(models: &str) -> Overlay {
    let text = format!(
        r#"{{"format":"api-keys prices","version":1,"as_of":"2026-11-30","sources":{{"litellm":"2026-11-30"}},"models":[{models}]}}"#
    );
    Overlay::parse(&text)
        .map_err(|why| why.to_string())
        .expect("an overlay")
}

#[test]
fn the_built_in_catalog_keeps_every_rule() {
    let catalog = Catalog::parse(include_str!("../models.json")).map_err(|why| why.to_string());
    let catalog = catalog.expect("the rules are kept");
    assert!(catalog.models().count() > 170);
    for model in catalog.models() {
        let price = model.prices.last().map(|dated| &dated.price);
        assert!(
            price.is_some() || model.pinned.is_some(),
            "{} needs a price, or a reason",
            model.id
        );
        if model.kind == ModelKind::Embedding {
            assert!(
                price.is_some_and(|price| price.offered.standard.input > Rate::ZERO),
                "{}",
                model.id
            );
        }
        // Batch never costs more than usual.
        for dated in &model.prices {
            let offered = &dated.price.offered;
            let batch = offered.batch.map_or(offered.standard.input, |batch| batch.input);
            assert!(batch <= offered.standard.input, "{}", model.id);
        }
    }
}

#[test]
fn a_model_is_found_by_its_names_and_by_nothing_that_looks_alike() {
    let catalog = Catalog::built_in();
    for (asked, found, matched) in [
        ("anthropic/claude-opus-4-5", "anthropic/claude-opus-4-5", Matched::Exact),
        (
            "anthropic/claude-opus-4-5-20251101",
            "anthropic/claude-opus-4-5",
            Matched::Alias,
        ),
        (
            "anthropic/claude-opus-4-5-20260102",
            "anthropic/claude-opus-4-5",
            Matched::WithoutDate,
        ),
        ("openai/gpt-5.4-2026-09-09", "openai/gpt-5.4", Matched::WithoutDate),
        ("openai/gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13", Matched::Exact),
        (
            "google/gemini-3.1-pro-preview",
            "google/gemini-3.1-pro-preview",
            Matched::Exact,
        ),
        (
            "openrouter/openai/gpt-oss-120b-2026-01-01",
            "openrouter/openai/gpt-oss-120b",
            Matched::WithoutDate,
        ),
    ] {
        let it = catalog.find(&model(asked)).expect(asked);
        assert_eq!(
            (it.model.id.to_string().as_str(), it.matched),
            (found, matched),
            "{asked}"
        );
    }
    for asked in [
        "anthropic/claude-opus-4-5-turbo",
        "anthropic/claude-opus-4-5-2025110",
        "anthropic/claude-opus-4-5-20251332",
        "anthropic/claude-opus-4-5-2025-11",
        "anthropic/claude-opus-4-5-latest",
        "anthropic/Claude-Opus-4-5",
        "openai/claude-opus-4-5",
        "openai/-2025-11-01",
        "mistral/mistral-large-9999",
    ] {
        assert_eq!(catalog.find(&model(asked)), None, "{asked}");
    }
}

#[test]
fn the_price_of_the_day_holds_from_midnight_utc() {
    let catalog = Catalog::built_in();
    for (at, dollars) in [
        ("2020-01-01T00:00:00Z", "2"),
        ("2026-11-30T23:59:59.999Z", "2"),
        ("2026-12-01T00:00:00Z", "4"),
        ("2026-12-01T00:30:00+01:00", "2"),
        ("2030-01-01T00:00:00Z", "4"),
    ] {
        assert_eq!(input(&catalog, "google/gemini-4-argon", at), dollars, "{at}");
    }
    assert_eq!(input(&catalog, "openai/o3", "2025-06-09T23:59:59Z"), "10");
    assert_eq!(input(&catalog, "openai/o3", "2025-06-10T00:00:00Z"), "2");
}

#[test]
fn dear_hours_are_dear_on_working_days() {
    let catalog = Catalog::built_in();
    for (at, dollars) in [
        ("2026-11-24T00:59:59Z", "0.15"),
        ("2026-11-24T01:00:00Z", "0.3"),
        ("2026-11-24T03:59:59Z", "0.3"),
        ("2026-11-24T04:00:00Z", "0.15"),
        ("2026-11-24T06:00:00Z", "0.3"),
        ("2026-11-24T10:00:00Z", "0.15"),
        ("2026-11-22T02:00:00Z", "0.15"),
        ("2026-11-24T02:00:00+08:00", "0.15"),
    ] {
        assert_eq!(input(&catalog, "deepseek/deepseek-flash", at), dollars, "{at}");
    }
}

#[test]
fn an_overlay_holds_from_its_day_and_leaves_what_is_announced_for_later() {
    let over = overlay(
        r#"{"id":"google/gemini-4-argon","kind":"chat","prices":[{"source":"litellm","standard":{"input":3,"output":9}}]},
           {"id":"openai/gpt-9","kind":"chat","aliases":["gpt-nine"],"prices":[{"source":"litellm","standard":{"input":7,"output":9}}]}"#,
    );
    let (built_in, catalog) = (Catalog::built_in(), Catalog::built_in().with(Some(&over), &[]));
    for (at, dollars) in [
        ("2026-11-29T23:59:59Z", "2"),
        ("2026-11-30T00:00:00Z", "3"),
        ("2026-11-30T23:59:59Z", "3"),
        ("2026-12-01T00:00:00Z", "4"),
    ] {
        assert_eq!(input(&catalog, "google/gemini-4-argon", at), dollars, "{at}");
    }
    assert_eq!(input(&catalog, "openai/gpt-nine", "2020-01-01T00:00:00Z"), "7");
    let argon = catalog.find(&model("google/gemini-4-argon")).expect("known").model;
    assert!(argon.context_window.is_some(), "what else is known stays");
    assert_ne!(catalog.digest(), built_in.digest());
    assert_eq!(catalog.digest(), built_in.with(Some(&over), &[]).digest());
    assert_eq!(
        Overlay::parse(&over.to_text()),
        Ok(over),
        "what is written is read back"
    );
}

#[test]
fn the_users_own_price_goes_before_everything() {
    let over = overlay(
        r#"{"id":"openai/gpt-5.4","kind":"chat","prices":[{"source":"litellm","standard":{"input":3,"output":9}}]}"#,
    );
    let own = [
        (model("openai/gpt-5.4"), price(1, 1)),
        (model("openai/gpt-4o-2024-08-06"), price(2, 2)),
        (model("my-vllm/thing"), price(0, 0)),
    ];
    let catalog = Catalog::built_in().with(Some(&over), &own);
    let at = "2026-12-02T00:00:00Z";
    assert_eq!(input(&catalog, "openai/gpt-5.4", at), "1");
    assert_eq!(
        input(&catalog, "openai/gpt-5.4-2026-03-05", at),
        "1",
        "by its other names too"
    );
    assert_eq!(input(&catalog, "openai/gpt-4o-2024-08-06", at), "2");
    assert_eq!(
        input(&catalog, "openai/gpt-4o", at),
        "2.5",
        "an alias with a price of its own is a model of its own"
    );
    assert_eq!(input(&catalog, "openai/gpt-4o-2024-11-20", at), "2.5");
    assert_eq!(input(&catalog, "my-vllm/thing", at), "0");
    let found = catalog.find(&model("openai/gpt-5.4")).expect("known");
    assert_eq!(found.model.prices.len(), 1);
    assert_eq!(found.model.prices[0].origin, Origin::Config);
}

#[test]
fn names_nearby_are_suggested() {
    let catalog = Catalog::built_in();
    let near = |name: &str| catalog.near(name).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        near("openai/gpt-6-soll").first().map(String::as_str),
        Some("openai/gpt-6-sol")
    );
    assert_eq!(
        near("openai/claude-opus-5").first().map(String::as_str),
        Some("anthropic/claude-opus-5")
    );
    assert_eq!(near("zzzzzzzzzzzzz"), Vec::<String>::new());
    assert!(near("o").len() <= MAX_SUGGESTIONS);
}

#[test]
fn an_overlay_that_is_none_is_refused() {
    let good = r#"{"id":"openai/x","kind":"chat","prices":[{"source":"s","standard":{"input":1,"output":2}}]}"#;
    let file = |head: &str, models: &str| {
        Overlay::parse(&format!(
            r#"{{{head},"as_of":"2026-11-25","sources":{{"s":"1"}},"models":[{models}]}}"#
        ))
    };
    let head = r#""format":"api-keys prices","version":1"#;
    assert!(file(head, good).is_ok());
    assert_eq!(
        file(r#""format":"api-keys catalogue","version":1"#, good),
        Err(CatalogError::Format)
    );
    assert_eq!(
        file(r#""format":"api-keys prices","version":2"#, good),
        Err(CatalogError::TooNew { version: 2 })
    );
    for (models, why) in [
        ("", ""),
        (&format!("{good},{good}"), "another model"),
        (&good.replace("\"input\":1", "\"input\":-1"), "form"),
        (&good.replace("\"input\":1", "\"input\":\"1\""), "form"),
        (&good.replace("\"input\":1", "\"input\":1e-10"), "form"),
        (&good.replace("\"input\":1", "\"input\":100001"), "form"),
        (&good.replace("\"input\":1", "\"input\":1,\"input\":1"), "form"),
        (&good.replace("\"input\":1", "\"input\":1,\"per_query\":1"), "form"),
        (&good.replace("openai/x", "openai"), "form"),
        (&good.replace("chat", "embedding"), "gives no text"),
        (&good.replace("\"source\":\"s\"", "\"source\":\"t\""), "names a source"),
        (&good.replace("\"source\"", "\"from\":\"2026-01-01\",\"source\""), "before its first date"),
        (&good.replace("\"kind\"", "\"context_window\":5,\"max_input\":6,\"kind\""), "context window"),
        (&good.replace("\"kind\"", "\"context_window\":0,\"kind\""), "no room"),
        (
            &good.replace(
                "\"standard\":{\"input\":1,\"output\":2}",
                "\"standard\":{\"input\":1},\"tiers\":[{\"from_input_tokens\":9,\"standard\":{\"input\":1}},{\"from_input_tokens\":9,\"standard\":{\"input\":1}}]",
            ),
            "ascend",
        ),
        (
            &good.replace(
                "\"standard\":{\"input\":1,\"output\":2}",
                "\"standard\":{\"input\":1},\"hours\":[{\"from\":\"04:00\",\"to\":\"01:00\",\"standard\":{\"input\":1}}]",
            ),
            "end before",
        ),
    ] {
        match file(head, models) {
            Ok(overlay) => assert!(overlay.models.is_empty() && why.is_empty(), "{models}"),
            Err(error) => assert!(!why.is_empty() && error.to_string().contains(why), "{models}: {error}"),
        }
    }
    for text in ["", "{}", "[]", "null", "{\"format\":\"api-keys prices\"}", "\u{0}"] {
        assert!(Overlay::parse(text).is_err(), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_name_is_looked_up_without_harm(name in "[a-z]{1,8}/\\PC{1,40}") {
        if let Ok(name) = name.parse::<ModelRef>() {
            let _ = Catalog::built_in().find(&name);
        }
    }
}

#[test]
fn the_public_layer_keeps_every_rule_and_shares_no_name_with_what_is_kept_by_hand() {
    let kept = Catalog::parse(include_str!("../models.json")).map_err(|why| why.to_string());
    let kept = kept.expect("the rules are kept");
    let mut count = 0;
    for (provider, packed) in PUBLIC {
        let text = packed::text(packed).expect("text");
        let layer = Catalog::parse(&text).unwrap_or_else(|why| panic!("{provider}: {why}"));
        assert_eq!(layer.as_of(), kept.as_of(), "{provider}");
        for model in layer.models() {
            assert_eq!(model.id.provider.as_str(), *provider, "{}", model.id);
            assert!(!model.prices.is_empty(), "{}", model.id);
            let section = kept.sections.get(&model.id.provider);
            for name in std::iter::once(&model.id.model).chain(&model.aliases) {
                let known = section.and_then(|section| section.find_kept(&model.id.provider.model(name)));
                let is_other = known.is_none_or(|found| found.matched == Matched::WithoutDate);
                assert!(is_other, "{name} of {provider} stands twice");
            }
            count += 1;
        }
    }
    assert!(count > 2_000, "{count} models");
}

#[test]
fn a_name_of_the_public_sets_is_found_as_they_spell_it_and_as_its_provider_documents() {
    let catalog = Catalog::built_in();
    for (asked, found, matched) in [
        (
            "openai/ft:gpt-4o-mini-2024-07-18:acme::A1b2",
            "openai/ft:gpt-4o-mini-2024-07-18",
            Matched::Alias,
        ),
        (
            "google/models/gemini-3.8-flash",
            "google/gemini-3.8-flash",
            Matched::Alias,
        ),
        (
            "google/claude-sonnet-4-5@20250929",
            "google/claude-sonnet-4-5@20250929",
            Matched::Exact,
        ),
        (
            "anthropic/claude-opus-4-5@20251101",
            "anthropic/claude-opus-4-5",
            Matched::WithoutDate,
        ),
        (
            "bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            Matched::Exact,
        ),
        (
            "bedrock/arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            Matched::Alias,
        ),
        (
            "openrouter/deepseek/deepseek-r1:free",
            "openrouter/deepseek/deepseek-r1:free",
            Matched::Exact,
        ),
        (
            "openrouter/~anthropic/claude-opus-latest",
            "openrouter/~anthropic/claude-opus-latest",
            Matched::Exact,
        ),
        (
            "mistral/mistral-large-latest",
            "mistral/mistral-large-latest",
            Matched::Exact,
        ),
        (
            "azure-openai/gpt-4o-2024-08-06",
            "azure-openai/gpt-4o-2024-08-06",
            Matched::Exact,
        ),
    ] {
        let it = catalog.find(&model(asked)).expect(asked);
        assert_eq!(
            (it.model.id.to_string().as_str(), it.matched),
            (found, matched),
            "{asked}"
        );
    }
    for asked in [
        "openrouter/openai/gpt-4o:turbo",
        "bedrock/xx.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
        "openai/ft:no-such-model:acme::A1b2",
        "openai/models/gpt-4o",
    ] {
        assert_eq!(catalog.find(&model(asked)), None, "{asked}");
    }
}

#[test]
fn what_is_kept_by_hand_is_found_without_reading_the_public_layer() {
    let catalog = Catalog::built_in();
    assert!(catalog.kept_of(&"openai".parse().expect("a provider")).count() > 30);
    assert_eq!(catalog.kept_of(&"together".parse().expect("a provider")).count(), 0);
    let everywhere = catalog.find_everywhere(&"gpt-5.4".parse().expect("a model"));
    let providers: Vec<&str> = everywhere
        .iter()
        .map(|found| found.model.id.provider.as_str())
        .collect();
    assert_eq!(providers, ["openai"], "and not each of those that resell it");
}
