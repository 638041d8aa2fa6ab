//! What it costs to read the catalog and to find a model in it: `cargo bench --bench catalog`.
//!
//! The best of several rounds of each: what a busy machine adds is not the program's.
//!
//! No criterion: its crates would be built with every check of all targets, to tell apart what these figures show anyway.

#![expect(clippy::print_stdout, reason = "the figures are the answer")]

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use api_keys::{
    app::{App, Clock},
    catalog::{Catalog, Overlay, sets},
    domain::ModelRef,
    services::price_lookup,
    settings::{Environment, Settings},
};

const MODELS: &str = include_str!("../src/catalog/models.json");
const ROUNDS: u32 = 20;

fn main() {
    let catalog = Catalog::built_in();
    let names: Vec<ModelRef> = catalog.models().map(|model| model.id.clone()).collect();
    let dated: Vec<ModelRef> = names
        .iter()
        .filter_map(|name| format!("{name}-20260101").parse().ok())
        .collect();
    let many = set_of(4_000);
    let day = "2026-11-25".parse().expect("a day");
    let taken = sets::read(&many, day, &catalog).expect("a set");

    let find_all = |names: &[ModelRef]| {
        for name in names {
            black_box(catalog.find(name));
        }
    };
    let text = taken.overlay.to_text();

    println!("{} models, {} kB", names.len(), MODELS.len() / 1_000);
    show(
        "read the built-in catalog",
        best(1, || drop(black_box(Catalog::parse(MODELS)))),
    );
    for provider in ["openrouter", "bedrock", "together"] {
        let name: ModelRef = format!("{provider}/no-such-model").parse().expect("a model");
        let look_up = || {
            let catalog = Catalog::read();
            black_box(catalog.find(&name));
        };
        show(&format!("read it and open {provider}"), best(1, look_up));
    }
    show("find by name", best(names.len(), || find_all(&names)));
    show("find without its date", best(dated.len(), || find_all(&dated)));
    show(
        "names nearby",
        best(1, || drop(black_box(catalog.near("openai/gpt-6-soll")))),
    );
    show(
        "read a set of 4,000 models",
        best(1, || drop(black_box(sets::read(&many, day, &catalog)))),
    );
    show(
        "read 4,000 stored models",
        best(1, || drop(black_box(Overlay::parse(&text)))),
    );
    show(
        "lay 4,000 models over",
        best(1, || drop(black_box(catalog.with(Some(&taken.overlay), &[])))),
    );
    let folder = std::env::temp_dir().join(format!("api-keys-bench-{}", std::process::id()));
    let app = app(&folder);
    let (config, now) = (app.settings().current(), app.now());
    let price_all = || {
        for name in &names {
            drop(black_box(price_lookup::price_of(&catalog, &config, name, now)));
        }
    };
    show("the prices in force", best(1, || drop(black_box(app.catalog()))));
    show("a price by name", best(names.len(), price_all));
}

fn app(folder: &Path) -> App {
    let folder = folder.to_string_lossy().into_owned();
    let settings = Settings::open(&Environment::of([("API_KEYS_HOME", folder.as_str())]));
    App::new(settings.expect("a home"), Clock::System)
}

fn best(items: usize, work: impl Fn()) -> Duration {
    let round = || {
        let from = Instant::now();
        work();
        from.elapsed()
    };
    let fastest = (0..ROUNDS).map(|_| round()).min().unwrap_or_default();
    fastest / u32::try_from(items).unwrap_or(u32::MAX)
}

fn show(what: &str, took: Duration) {
    println!("{what:<30} {took:>12.2?}");
}

/// A set in LiteLLM's form.
fn set_of(count: usize) -> String {
    let model = |at: usize| {
        format!(
            "\"model-{at}\":{{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"max_input_tokens\":128000,\
             \"input_cost_per_token\":1.25e-06,\"output_cost_per_token\":1e-05,\"cache_read_input_token_cost\":1.25e-07,\
             \"supports_vision\":true}}"
        )
    };
    let models: Vec<String> = (0..count).map(model).collect();
    format!("{{{}}}", models.join(","))
}
