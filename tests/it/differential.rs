//! Every estimate held against another engine, the crate `genai-prices`: each difference has a reason, or is a mistake.
#![expect(clippy::float_arithmetic, reason = "the other engine counts in floats")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use api_keys::{
    catalog::{Catalog, Model},
    domain::{ModelKind, Service, TokenCounts, Tokens},
    providers::PROVIDERS,
};
use genai_prices::{PriceRequest, Usage, UsageKey};
use jiff::Timestamp;

/// What the other set calls a provider, where the names differ.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("azure-openai", "azure"),
    ("bedrock", "aws"),
    ("moonshot", "moonshotai"),
    ("voyage", "voyageai"),
    ("xai", "x-ai"),
];

/// Shapes of requests: input, output, cache reads, cache writes, of these for an hour, reasoning.
const SHAPES: &[[u64; 6]] = &[
    [1, 1, 0, 0, 0, 0],
    [1_000, 500, 0, 0, 0, 0],
    [12_345, 6_789, 0, 0, 0, 3_210],
    [50_000, 1_000, 40_000, 0, 0, 0],
    [50_000, 1_000, 0, 40_000, 0, 0],
    [50_000, 1_000, 20_000, 20_000, 15_000, 500],
    [99_999, 1, 0, 0, 0, 0],
    [100_000, 1, 0, 0, 0, 0],
    [100_001, 1, 1, 1, 0, 0],
    [199_999, 10, 0, 0, 0, 0],
    [200_000, 10, 100_000, 0, 0, 0],
    [200_001, 10, 0, 100_000, 0, 0],
    [272_000, 4_000, 0, 0, 0, 4_000],
    [272_001, 4_000, 200_000, 70_000, 70_000, 0],
    [1_000_000, 64_000, 900_000, 0, 0, 0],
    [0, 0, 0, 0, 0, 0],
    [1_000_000_000, 1_000_000_000, 0, 0, 0, 0],
];

/// When they are made: a weekday outside and inside the dear hours, a weekend, the days around changes, long ago.
const TIMES: &[&str] = &[
    "2026-11-24T12:00:00Z",
    "2026-11-24T00:59:59Z",
    "2026-11-24T01:00:00Z",
    "2026-11-24T09:59:59Z",
    "2026-11-24T10:00:00Z",
    "2026-11-22T02:30:00Z",
    "2026-11-30T23:59:59Z",
    "2026-12-01T00:00:00Z",
    "2026-12-31T23:59:59Z",
    "2027-01-01T00:00:00Z",
    "2026-10-19T12:00:00Z",
    "2026-07-29T23:59:59Z",
    "2026-07-30T00:00:00Z",
    "2026-03-12T12:00:00Z",
    "2025-06-09T12:00:00Z",
];

/// Before this day the other set knows no services, though they were there.
const SERVICES_FROM: &str = "2026-10-15T00:00:00Z";

/// One request to one model.
struct Case<'m> {
    model: &'m Model,
    tokens: Tokens,
    service: Service,
    at: Timestamp,
}

/// A reason why estimates for some models are others.
struct Explained {
    why: &'static str,
    models: &'static [&'static str],
    /// For which requests.
    holds: fn(&Case<'_>) -> bool,
}

/// Models that the crate's data, of October, does not have.
const NOT_THERE: &[&str] = &[
    // genai-prices 0.2.3 on PyPI has these.
    "anthropic/claude-fable-5-2",
    "anthropic/claude-mythos-5-2",
    "mistral/deepseek-v4-1-flash-1017",
    "openai/gpt-6-cyber",
    "openai/gpt-6-rosalind",
    "openrouter/moonshotai/kimi-k3.1-pro",
    "openrouter/openai/gpt-6.1-terra",
    // And these are in other sets only, or in none.
    "openai/gpt-6.2-sol",
    "anthropic/claude-mythos-5",
    "anthropic/claude-mythos-5-1",
    "cohere/command-a-plus-05-2026",
    "cohere/command-a-reasoning-08-2025",
    "cohere/embed-v5.0-fast",
    "cohere/embed-v5.0-pro",
    "voyage/voyage-multimodal-3.5",
];

/// Every difference that is not a mistake of ours, and why it is none.
const EXPLAINED: &[Explained] = &[
    Explained {
        why: "at weekends DeepSeek charges the low price all day, which the other engine cannot express, as its own \
              comment on the price says; LiteLLM 1.109.1 has the dear hours from Monday to Friday only",
        models: &[
            "deepseek/deepseek-flash",
            "deepseek/deepseek-v4-flash",
            "deepseek/deepseek-v4-flash-vision-exp",
            "deepseek/deepseek-v4-pro",
        ],
        holds: |case| case.at.to_string().starts_with("2026-11-22"),
    },
    Explained {
        why: "the price changed on 2026-11-03, after the crate's data; genai-prices 0.2.3 on PyPI has ours",
        models: &[
            "openrouter/deepseek/deepseek-v4-pro",
            "openrouter/deepseek/deepseek-v4.1-flash",
            "openrouter/google/gemini-3.8-flash",
            "openrouter/meta-llama/llama-4-maverick",
            "openrouter/mistralai/mistral-large-4-0",
            "openrouter/moonshotai/kimi-k3",
            "openrouter/openai/gpt-oss-120b",
            "openrouter/z-ai/glm-5.3",
        ],
        holds: |case| case.since("2026-11-03"),
    },
    Explained {
        why: "the price changed on 2026-10-29, after the crate's data; genai-prices 0.2.3 on PyPI has ours",
        models: &["mistral/mistral-large-4"],
        holds: |case| case.since("2026-10-29"),
    },
    Explained {
        why: "OpenRouter documents a cache write to Gemini as the input price plus five minutes of storage; its list, and \
              so the other set, has the storage alone",
        models: &[
            "openrouter/google/gemini-3.5-flash-lite",
            "openrouter/google/gemini-3.8-flash",
            "openrouter/google/gemini-4-argon",
        ],
        holds: |case| case.tokens.cache_write() > 0,
    },
    Explained {
        why: "what a model for pictures puts out is pictures, whose tokens cost more than text; the other engine takes \
              output for text unless it is told apart",
        models: &["google/gemini-2.5-flash-image", "google/gemini-nano-banana-2.1"],
        holds: |case| case.tokens.output() > 0,
    },
    Explained {
        why: "the crate has no flex and priority rates of Google and estimates standard ones; ours are LiteLLM 1.109.1's, \
              from ai.google.dev/gemini-api/docs/pricing",
        models: &[
            "google/gemini-2.5-flash",
            "google/gemini-2.5-flash-lite",
            "google/gemini-2.5-pro",
            "google/gemini-3-flash-preview",
            "google/gemini-3.1-flash-lite",
            "google/gemini-3.1-pro-preview",
            "google/gemini-3.5-flash",
            "google/gemini-3.5-flash-lite",
            "google/gemini-3.6-flash",
            "google/gemini-3.7-flash",
            "google/gemini-3.8-flash",
            "google/gemini-4-argon",
            "google/gemini-flash-latest",
            "google/gemini-flash-lite-latest",
            "google/gemini-pro-latest",
        ],
        holds: |case| matches!(case.service, Service::Flex | Service::Priority) && case.is_standard_there(),
    },
    Explained {
        why: "the crate has no batch rates of these and estimates standard ones; ours are LiteLLM 1.109.1's, which cites \
              the providers' price pages",
        models: &[
            "google/gemini-3.5-flash",
            "google/gemini-3.7-flash",
            "google/gemini-embedding-001",
            "google/gemini-robotics-er-2-preview",
            "openai/text-embedding-3-large",
            "openai/text-embedding-3-small",
            "xai/grok-4.7",
        ],
        holds: |case| case.service == Service::Batch && case.is_standard_there(),
    },
    Explained {
        why: "the crate has no batch rates of these and estimates standard ones; ours are those of model-prices 0.0.5",
        models: &[
            "openai/gpt-5.3-codex",
            "openai/gpt-5.5-cyber",
            "openai/gpt-5.6-cyber",
            "openai/text-embedding-ada-002",
            "xai/grok-4.5",
            "xai/grok-4.6",
        ],
        holds: |case| case.service == Service::Batch && case.is_standard_there(),
    },
    Explained {
        why: "the crate has no fast rates of these yet and estimates standard ones; genai-prices 0.2.3 on PyPI has ours",
        models: &[
            "anthropic/claude-opus-4-8",
            "anthropic/claude-opus-5",
            "anthropic/claude-opus-5-5",
        ],
        holds: |case| case.service == Service::Fast && case.is_standard_there(),
    },
    Explained {
        why: "LiteLLM 1.109.1 has rates for long prompts that the other set has not; the dearer reading is taken",
        models: &["openai/gpt-5.6-cyber"],
        holds: |case| case.tokens.input() > 272_000,
    },
    Explained {
        why: "two of three sets say 0.5 and 1.5; the other one still has the price of an older model behind the name",
        models: &["mistral/mistral-large-latest"],
        holds: |_| true,
    },
    Explained {
        why: "LiteLLM 1.109.1 has a rate for cache reads that the other set has not",
        models: &["mistral/codestral-latest"],
        holds: |case| case.tokens.cache_read() > 0,
    },
    Explained {
        why: "embeddings have no cache: what is told as cached costs what input does",
        models: &["mistral/codestral-embed-2505"],
        holds: |case| case.tokens.cache_read() > 0,
    },
];

impl Case<'_> {
    fn since(&self, day: &str) -> bool {
        self.at.to_string().as_str() >= day
    }

    /// Whether the other engine has no rates for the service and takes the standard ones, as it documents.
    fn is_standard_there(&self) -> bool {
        theirs(self, self.service) == theirs(self, Service::Standard)
    }
}

/// The other engine's estimate in US dollars; nothing where it does not know the model.
fn theirs(case: &Case<'_>, service: Service) -> Option<f64> {
    let counts = [
        (UsageKey::INPUT_TOKENS, case.tokens.input()),
        (UsageKey::OUTPUT_TOKENS, case.tokens.output()),
        (UsageKey::CACHE_READ_TOKENS, case.tokens.cache_read()),
        (UsageKey::CACHE_WRITE_TOKENS, case.tokens.cache_write()),
        (UsageKey::CACHE_WRITE_1H_TOKENS, case.tokens.cache_write_1h()),
        (UsageKey::OUTPUT_REASONING_TOKENS, case.tokens.reasoning()),
    ];
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let usage: Usage = counts.into_iter().map(|(key, count)| (key, count as f64)).collect();
    let provider = case.model.id.provider.as_str();
    let other = OTHER_NAMES.iter().find(|(ours, _)| *ours == provider);
    let request = PriceRequest::new(case.model.id.model.as_str(), &usage)
        .with_provider_id(other.map_or(provider, |(_, theirs)| *theirs))
        .with_timestamp(SystemTime::from(case.at));
    let request = match service {
        Service::Standard => request,
        Service::Batch => request.with_price_context("processing", "batch"),
        Service::Flex => request.with_price_context("service_tier", "flex"),
        Service::Priority => request.with_price_context("service_tier", "priority"),
        Service::Fast if provider == "anthropic" => request.with_price_context("speed", "fast"),
        Service::Fast => request.with_price_context("service_tier", "fast"),
    };
    genai_prices::calculate(&request).ok().map(|price| price.total_price)
}

/// Our estimate in US dollars; nothing where the service has no known price.
fn ours(case: &Case<'_>) -> Option<f64> {
    let cost = case.model.price_at(case.at)?.cost(case.service, &case.tokens)?;
    #[expect(clippy::cast_precision_loss, reason = "nano-dollars below 2^53")]
    Some(cost.total.nano() as f64 / 1e9)
}

/// Both are the same but for the rounding of floats, and ours to whole nano-dollars.
fn are_equal(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 0.51e-9 + theirs.abs() * 1e-12
}

fn kept<'c>(catalog: &'c Catalog, provider: &str) -> Vec<&'c Model> {
    catalog.kept_of(&provider.parse().unwrap()).collect()
}

/// Every case that is compared: all shapes at the first time, some at the others.
fn cases(catalog: &Catalog) -> Vec<Case<'_>> {
    let services_from: Timestamp = SERVICES_FROM.parse().unwrap();
    let mut cases = Vec::new();
    let kept = PROVIDERS.iter().flat_map(|provider| kept(catalog, provider.id));
    for model in kept.filter(|model| model.kind != ModelKind::Rerank) {
        let gives_text = model.kind != ModelKind::Embedding;
        for (at_time, time) in TIMES.iter().enumerate() {
            let at: Timestamp = time.parse().unwrap();
            let shapes = SHAPES.iter().enumerate().filter(|(at, _)| at_time == 0 || at % 5 == 0);
            for (_, [input, output, cache_read, cache_write, cache_write_1h, reasoning]) in shapes {
                let counts = TokenCounts {
                    input: *input,
                    output: if gives_text { *output } else { 0 },
                    cache_read: *cache_read,
                    cache_write: *cache_write,
                    cache_write_1h: *cache_write_1h,
                    reasoning: if gives_text { *reasoning } else { 0 },
                };
                let services = Service::ALL
                    .into_iter()
                    .filter(|service| *service == Service::Standard || at >= services_from);
                cases.extend(services.map(|service| Case {
                    model,
                    tokens: Tokens::new(counts).unwrap(),
                    service,
                    at,
                }));
            }
        }
    }
    cases
}

#[test]
fn every_estimate_is_that_of_another_engine_or_explained() {
    let catalog = Catalog::built_in();
    let mut compared = 0;
    let mut not_there = BTreeSet::new();
    let mut used: BTreeSet<(usize, String)> = BTreeSet::new();
    let mut unexplained: BTreeMap<String, String> = BTreeMap::new();
    for case in cases(&catalog) {
        let id = case.model.id.to_string();
        let Some(ours) = ours(&case) else { continue };
        let Some(theirs) = theirs(&case, case.service) else {
            not_there.insert(id);
            continue;
        };
        compared += 1;
        if are_equal(ours, theirs) {
            continue;
        }
        let explains = |explained: &Explained| explained.models.contains(&id.as_str()) && (explained.holds)(&case);
        if let Some(at) = EXPLAINED.iter().position(explains) {
            used.insert((at, id));
        } else {
            let (service, tokens, at) = (case.service.as_str(), case.tokens, case.at);
            let example = format!("{ours} here, {theirs} there: {tokens:?} at {at}");
            unexplained.insert(format!("{id} {service}"), example);
        }
    }
    assert!(unexplained.is_empty(), "of {compared} estimates: {unexplained:#?}");
    let all = EXPLAINED
        .iter()
        .enumerate()
        .flat_map(|(at, explained)| explained.models.iter().map(move |id| (at, id)));
    let idle: Vec<_> = all
        .filter(|(at, id)| !used.contains(&(*at, (**id).to_owned())))
        .map(|(at, id)| (id, EXPLAINED[at].why))
        .collect();
    assert!(idle.is_empty(), "these need no explanation any more: {idle:#?}");
    let known: BTreeSet<String> = NOT_THERE.iter().map(ToString::to_string).collect();
    assert_eq!(not_there, known, "models that the other engine does not know");
    assert!(compared > 2_000, "only {compared} estimates were compared");
}

/// The crate's data is of October. What differs are prices that OpenRouter has changed since, and rates for cache reads
/// that only LiteLLM has.
#[test]
fn the_public_layer_has_the_prices_of_the_set_that_it_is_made_from() {
    let catalog = Catalog::built_in();
    let (mut same, mut other) = (0, Vec::new());
    for provider in PROVIDERS {
        let kept: BTreeSet<_> = kept(&catalog, provider.id).iter().map(|model| &model.id).collect();
        let id = provider.id.parse().unwrap();
        let public = catalog.models_of(&id);
        for model in public.filter(|model| !kept.contains(&model.id)) {
            let at: Timestamp = TIMES[0].parse().unwrap();
            let source = model.dated_price_at(at).map_or("", |dated| dated.source.as_str());
            if !source.starts_with("genai-prices") || model.kind == ModelKind::Image {
                continue;
            }
            for [input, output, cache_read, ..] in [SHAPES[1], SHAPES[3]] {
                let counts = TokenCounts {
                    input,
                    output: if model.kind == ModelKind::Chat { output } else { 0 },
                    cache_read,
                    ..TokenCounts::default()
                };
                let case = Case {
                    model,
                    tokens: Tokens::new(counts).unwrap(),
                    service: Service::Standard,
                    at,
                };
                let (Some(ours), Some(theirs)) = (ours(&case), theirs(&case, Service::Standard)) else {
                    continue;
                };
                if are_equal(ours, theirs) {
                    same += 1;
                } else {
                    other.push(format!("{}: {ours} here, {theirs} there", model.id));
                }
            }
        }
    }
    let all = same + other.len();
    assert!(same > 1_500, "only {same} of {all} estimates are the same");
    assert!(other.len() * 100 <= all * 4, "{} of {all}: {other:#?}", other.len());
}
