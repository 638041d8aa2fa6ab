//! Which provider and model is chosen: scenarios, laws, and days of traffic in virtual time.

mod clients;
mod figures;
mod laws;
mod scenarios;
mod service;
mod simulation;

use api_keys::{
    catalog::{Capabilities, Points},
    domain::{Billionths, Health, ModelKind, Objective, Price, Rates},
    services::routing::{KeySupply, Offer, Policy, Purse, Supply, Variant},
};
use jiff::{SignedDuration, Timestamp};

/// A moment that stands for the start of a test.
fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_800_000_000 + second)
}

fn supply(provider: &str, offers: Vec<Offer>) -> Supply {
    Supply {
        provider: provider.parse().unwrap(),
        obstacle: None,
        keys: vec![key("default")],
        weight: 1,
        offers,
        hidden: 0,
    }
}

fn key(label: &str) -> KeySupply {
    KeySupply {
        label: label.parse().unwrap(),
        obstacle: None,
        health: Health::default(),
        restored_at: None,
        weight: 1,
        exposed: false,
        used: 0,
        limit: None,
        eases_at: None,
        latency_ms: None,
    }
}

/// A chat model that can do everything, at so many dollars per million tokens of input, and five times that of output.
fn offer(model: &str, dollars: u64, points: u32) -> Offer {
    let rate = |dollars| Billionths(dollars * 1_000_000_000).into();
    Offer {
        model: model.parse().unwrap(),
        kind: ModelKind::Chat,
        context_window: Some(200_000),
        assumes_window: false,
        version: Vec::new(),
        max_input: None,
        max_output: Some(64_000),
        capabilities: Some(Capabilities {
            tools: true,
            vision: true,
            json_schema: true,
            reasoning: false,
            prompt_caching: true,
        }),
        price: Some(Box::new(Price::of(Rates {
            input: rate(dollars),
            output: rate(5 * dollars),
            ..Rates::default()
        }))),
        absence: None,
        is_retiring: false,
        place: 0,
        latency_ms: None,
        variants: [Variant {
            effort: None,
            points: Some(Points(points)),
            like: None,
        }]
        .into(),
    }
}

/// The order `anthropic`, `openai`, `google`, `local`, with `anthropic` for the task.
fn policy() -> Policy {
    Policy {
        task: ("anthropic".parse().unwrap(), None),
        fallback_order: ["anthropic", "openai", "google", "local"]
            .map(|name| vec![name.parse().unwrap()])
            .to_vec(),
        objective: Objective::Balanced,
        purse: Purse::default(),
    }
}
