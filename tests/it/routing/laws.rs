//! What holds for every policy and every candidate.

use std::collections::BTreeSet;

use api_keys::{
    catalog::Points,
    domain::{
        Billionths, Capability, Effort, Health, LastRequests, ModelKind, Objective, Price, Rates, Signal, Task, Usd,
    },
    services::routing::{
        Decision, Expected, KeySupply, Offer, Policy, Purse, RouteQuery, Supply, Variant, Verdict, decide,
    },
};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::{at, key, offer, policy, supply};

const PROVIDERS: [&str; 6] = ["anthropic", "openai", "google", "local", "groq", "my-vllm"];
const MODELS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

fn obstacles() -> impl Strategy<Value = Option<Verdict>> {
    prop_oneof![
        6 => Just(None),
        1 => prop::sample::select(vec![Verdict::Disabled, Verdict::NoKey, Verdict::VaultClosed, Verdict::NoAddress]).prop_map(Some),
    ]
}

fn keys() -> impl Strategy<Value = KeySupply> {
    let signals = prop::sample::select(vec![
        None,
        None,
        Some(Signal::Success),
        Some(Signal::Failed { retry_after: None }),
        Some(Signal::RateLimited {
            retry_after: Some(SignedDuration::from_secs(100)),
        }),
        Some(Signal::NoCredit),
        Some(Signal::Refused),
    ]);
    let stored = prop_oneof![5 => Just(None), 1 => Just(Some(Verdict::KeyExpired))];
    (
        signals,
        stored,
        1u32..5,
        0u32..20,
        prop::option::of(1u32..20),
        0i64..200,
    )
        .prop_map(|(signal, obstacle, weight, used, limit, ago)| {
            let window = LastRequests {
                requests: 9,
                failures: 9,
            };
            KeySupply {
                obstacle,
                health: signal.map_or_else(Health::default, |signal| {
                    Health::default().after(signal, window, None, at(-ago))
                }),
                weight,
                used,
                limit,
                eases_at: Some(at(30)),
                ..key("default")
            }
        })
}

fn offers() -> impl Strategy<Value = Offer> {
    let variants = prop::collection::vec(
        (
            prop::sample::select(Effort::ALL.to_vec()),
            prop::option::of(0u32..10_000),
        ),
        1..4,
    );
    let absence = prop_oneof![5 => Just(None), 1 => Just(Some(Verdict::NotServed))];
    let price = prop_oneof![1 => Just(None), 6 => (0u64..100_000_000_000).prop_map(Some)];
    let abilities = prop::option::of(any::<(bool, bool)>());
    (
        variants,
        absence,
        price,
        abilities,
        any::<bool>(),
        1_000u64..400_000,
        0u16..3,
        prop::option::of(50u32..5_000),
    )
        .prop_map(
            |(variants, absence, price, abilities, embeds, context, place, latency_ms)| {
                let mut made = offer("model", 1, 0);
                made.kind = if embeds { ModelKind::Embedding } else { ModelKind::Chat };
                made.context_window = Some(context);
                made.absence = absence;
                made.place = place;
                made.latency_ms = latency_ms;
                made.price = price.map(|rate| {
                    Box::new(Price::of(Rates {
                        input: Billionths(rate).into(),
                        output: Billionths(rate * 4).into(),
                        ..Rates::default()
                    }))
                });
                made.capabilities = made.capabilities.zip(abilities).map(|(mut it, (tools, vision))| {
                    (it.tools, it.vision, it.reasoning) = (tools, vision, vision);
                    it
                });
                let mut seen = BTreeSet::new();
                made.variants = variants
                    .into_iter()
                    .filter(|(effort, _)| seen.insert(*effort))
                    .map(|(effort, points)| Variant {
                        effort: Some(effort),
                        points: points.map(Points),
                        like: None,
                    })
                    .collect();
                made
            },
        )
}

fn supplies() -> impl Strategy<Value = Vec<Supply>> {
    let one = (
        obstacles(),
        prop::collection::vec(keys(), 1..4),
        prop::collection::vec(offers(), 0..4),
        1u32..4,
    );
    prop::collection::vec(one, 1..=PROVIDERS.len()).prop_map(|all| {
        all.into_iter()
            .zip(PROVIDERS)
            .map(|((obstacle, keys, offers, weight), name)| {
                let keys = keys.into_iter().zip(["a", "b", "c"]);
                let offers = offers.into_iter().zip(MODELS);
                Supply {
                    obstacle,
                    keys: keys
                        .map(|(it, label)| KeySupply {
                            label: label.parse().unwrap(),
                            ..it
                        })
                        .collect(),
                    weight,
                    hidden: 0,
                    offers: offers
                        .map(|(it, name)| Offer {
                            model: name.parse().unwrap(),
                            ..it
                        })
                        .collect(),
                    ..supply(name, Vec::new())
                }
            })
            .collect()
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let order = Just(PROVIDERS.to_vec()).prop_shuffle();
    let purse = (prop::option::of(-5_000_000i64..200_000_000), any::<bool>());
    let objective = prop::sample::select(Objective::ALL.to_vec());
    (order, 0usize..4, prop::option::of(0usize..4), objective, purse).prop_map(
        |(order, task, model, objective, (remaining, is_low))| Policy {
            task: (
                order[task].parse().unwrap(),
                model.map(|model| MODELS[model].parse().unwrap()),
            ),
            // Two of equal rank, then two alone; two are in no order.
            fallback_order: [&order[..2], &order[2..3], &order[3..4]]
                .map(|group| group.iter().map(|name| name.parse().unwrap()).collect())
                .to_vec(),
            objective,
            purse: Purse {
                remaining: remaining.map(Usd::from_nano),
                is_low,
            },
        },
    )
}

fn asks() -> impl Strategy<Value = RouteQuery> {
    let task = prop::sample::select(Task::ALL.to_vec());
    let needs = prop::collection::btree_set(prop::sample::select(Capability::ALL.to_vec()), 0..2);
    let preferred = prop::option::of(prop::sample::select(PROVIDERS.to_vec()));
    let model = prop::option::weighted(0.2, prop::sample::select(MODELS.to_vec()));
    let objective = prop::option::of(prop::sample::select(Objective::ALL.to_vec()));
    let tokens = (0u64..100_000, 0u64..10_000);
    (
        task,
        needs,
        preferred,
        model,
        objective,
        any::<bool>(),
        tokens,
        prop::option::of("[a-z]{3}"),
    )
        .prop_map(
            |(task, needs, preferred, model, objective, allows_fallback, (input, output), session)| RouteQuery {
                preferred: preferred.map(|name| name.parse().unwrap()),
                model: model.map(|name| name.parse().unwrap()),
                allows_fallback,
                tokens: Expected {
                    input,
                    output,
                    are_typical: false,
                },
                objective,
                needs,
                session,
                ..RouteQuery::of(task)
            },
        )
}

/// Each candidate by name, in order, with its verdict.
fn names(decision: &Decision<'_>) -> Vec<(String, Verdict)> {
    let considered = decision.considered.iter();
    considered
        .map(|it| {
            (
                format!("{}/{}@{:?}", it.supply.provider, it.offer.model, it.variant.effort),
                it.verdict,
            )
        })
        .collect()
}

/// Where in the order the model stands, at its best.
fn position(decision: &Decision<'_>, provider: &str, model: &str) -> Option<usize> {
    let considered = decision.considered.iter();
    considered
        .filter(|it| it.verdict.is_usable())
        .position(|it| it.supply.provider.as_str() == provider && it.offer.model.as_str() == model)
}

proptest! {
    #[test]
    fn nothing_is_chosen_that_cannot_be_used(supplies in supplies(), policy in policies(), ask in asks()) {
        let decision = decide(&policy, &supplies, &ask, at(0));
        let usable = decision.considered.iter().filter(|it| it.verdict.is_usable()).count();
        let chosen = decision.considered.iter().filter(|it| it.verdict == Verdict::Chosen).count();
        prop_assert_eq!(chosen, usize::from(usable > 0), "one is chosen where one can be");
        prop_assert_eq!(decision.key.is_some(), usable > 0);
        if let (Some(chosen), Some(key)) = (decision.chosen(), decision.key) {
            prop_assert_eq!(chosen.supply.obstacle, None);
            prop_assert_eq!(key.obstacle(at(0)), None);
            prop_assert_eq!(chosen.offer.kind, ask.task.model_kind());
            prop_assert_eq!(chosen.offer.absence, None);
            prop_assert!(ask.needs.iter().all(|need| chosen.offer.capabilities.unwrap().can(*need)));
            prop_assert!(chosen.offer.context_window.unwrap() >= ask.tokens.input + ask.tokens.output);
            if let Some(remaining) = policy.purse.remaining {
                let total = chosen.estimate.total();
                prop_assert!(total == Some(Usd::ZERO) || total.is_none_or(|cost| cost <= remaining));
            }
        }
        for it in &decision.considered {
            prop_assert!(it.verdict.until().is_none_or(|until| until > at(0)), "what is over is no obstacle");
        }
    }

    #[test]
    fn the_same_question_has_the_same_answer(supplies in supplies(), policy in policies(), ask in asks()) {
        let mut reversed = supplies.clone();
        reversed.reverse();
        let first = decide(&policy, &supplies, &ask, at(0));
        let second = decide(&policy, &reversed, &ask, at(0));
        prop_assert_eq!(names(&first), names(&second), "in whatever order the candidates come");
        prop_assert_eq!(first.key, second.key);
    }

    #[test]
    fn every_candidate_is_considered_once(supplies in supplies(), policy in policies(), ask in asks()) {
        let decision = decide(&policy, &supplies, &ask, at(0));
        let found: Vec<String> = names(&decision).into_iter().map(|(name, _)| name).collect();
        let set: BTreeSet<&String> = found.iter().collect();
        prop_assert_eq!(set.len(), found.len());
        if ask.allows_fallback {
            let all = supplies.iter().flat_map(|supply| &supply.offers).map(|offer| offer.variants.len()).sum::<usize>();
            prop_assert_eq!(found.len(), all);
        }
    }

    #[test]
    fn without_fallback_one_provider_is_considered(supplies in supplies(), policy in policies(), ask in asks()) {
        let ask = RouteQuery { allows_fallback: false, ..ask };
        let decision = decide(&policy, &supplies, &ask, at(0));
        let providers: BTreeSet<_> = decision.considered.iter().map(|it| &it.supply.provider).collect();
        prop_assert!(providers.len() <= 1);
        prop_assert!(ask.preferred.is_none() || providers.iter().all(|it| Some(*it) == ask.preferred.as_ref()));
        prop_assert!(decision.fallbacks().is_empty());
    }

    #[test]
    fn a_raised_price_never_makes_a_model_more_preferred_under_cost(
        supplies in supplies(), policy in policies(), ask in asks(), which in any::<prop::sample::Index>(), times in 2u64..50,
    ) {
        let ask = RouteQuery { objective: Some(Objective::Cost), ..ask };
        let places: Vec<(usize, usize)> = supplies
            .iter()
            .enumerate()
            .flat_map(|(at, supply)| (0..supply.offers.len()).map(move |offer| (at, offer)))
            .collect();
        prop_assume!(!places.is_empty());
        let (supply, offer) = places[which.index(places.len())];
        let mut dearer = supplies.clone();
        let raised = &mut dearer[supply].offers[offer];
        if let Some(price) = &mut raised.price {
            for rate in [&mut price.offered.standard.input, &mut price.offered.standard.output] {
                *rate = Billionths(rate.per_million().0 * times + 1).into();
            }
        }
        let (provider, model) = (raised_name(&supplies[supply]), supplies[supply].offers[offer].model.to_string());
        let before = position(&decide(&policy, &supplies, &ask, at(0)), &provider, &model);
        let after = position(&decide(&policy, &dearer, &ask, at(0)), &provider, &model);
        match (before, after) {
            (Some(before), Some(after)) => prop_assert!(after >= before, "{} before {}", after, before),
            (None, after) => prop_assert_eq!(after, None),
            (Some(_), None) => {}
        }
    }

    #[test]
    fn a_provider_whose_turn_is_earlier_goes_first(supplies in supplies(), policy in policies(), ask in asks()) {
        let ask = RouteQuery { model: None, ..ask };
        let decision = decide(&policy, &supplies, &ask, at(0));
        let usable: Vec<_> = decision.considered.iter().filter(|it| it.verdict.is_usable()).map(|it| it.turn).collect();
        prop_assert!(usable.is_sorted());
    }
}

fn raised_name(supply: &Supply) -> String {
    supply.provider.to_string()
}

#[test]
fn a_policy_needs_no_candidates() {
    let decision = decide(&policy(), &[], &RouteQuery::of(Task::Chat), at(0));
    assert!(decision.chosen().is_none() && decision.considered.is_empty());
    assert_eq!(decision.original.as_str(), "anthropic");
}
