//! What is expected of each candidate in situations that people meet.

use api_keys::{
    domain::{Capability, Effort, LastRequests, ModelKind, Objective, Price, Signal, Task, Usd},
    services::routing::{Decision, Expected, Policy, RouteQuery, Supply, Variant, Verdict, decide, reason},
};
use jiff::SignedDuration;

use super::{at, key, offer, policy, supply};

struct Scenario {
    name: &'static str,
    supplies: Vec<Supply>,
    policy: Policy,
    ask: RouteQuery,
    /// Every candidate, best first: provider/model, `@effort` where there is one, and its verdict.
    considered: &'static [(&'static str, &'static str)],
    /// A part of the reason.
    reason: &'static str,
    is_fallback: bool,
}

/// Two models each of three providers, and nothing wrong.
fn usual() -> Vec<Supply> {
    vec![
        supply(
            "openai",
            vec![offer("gpt-large", 4, 8_000), offer("gpt-small", 1, 6_500)],
        ),
        supply(
            "anthropic",
            vec![offer("claude-large", 5, 8_100), offer("claude-small", 1, 6_000)],
        ),
        supply("local", vec![free("llama", 4_000)]),
    ]
}

fn free(model: &str, points: u32) -> api_keys::services::routing::Offer {
    let mut offer = offer(model, 0, points);
    offer.price = Some(Box::new(Price::free()));
    offer
}

fn chat() -> RouteQuery {
    RouteQuery::of(Task::Chat)
}

fn changed<T>(mut value: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut value);
    value
}

/// The supplies, with the health of the first key of provider number `provider` after `signal` a second ago.
fn after(provider: usize, signal: Signal) -> Vec<Supply> {
    let window = LastRequests {
        requests: 6,
        failures: 6,
    };
    changed(usual(), |all| {
        let key = &mut all[provider].keys[0];
        key.health = key.health.after(signal, window, None, at(-1));
    })
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn scenarios() -> Vec<Scenario> {
    let base = |name| Scenario {
        name,
        supplies: usual(),
        policy: policy(),
        ask: chat(),
        considered: &[],
        reason: "",
        is_fallback: false,
    };
    vec![
        Scenario {
            considered: &[
                ("anthropic/claude-large", "chosen"),
                ("anthropic/claude-small", "outranked"),
                ("openai/gpt-large", "outranked"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
            ],
            reason: "anthropic is set for chat, and claude-large has the best balance of quality (81.0 by LiveBench 2026-07) and cost (about $0.02 for a typical request)",
            ..base("nothing is wrong")
        },
        Scenario {
            ask: changed(chat(), |ask| ask.preferred = "openai".parse().ok()),
            considered: &[
                ("openai/gpt-large", "chosen"),
                ("openai/gpt-small", "outranked"),
                ("anthropic/claude-large", "outranked"),
                ("anthropic/claude-small", "outranked"),
                ("local/llama", "outranked"),
            ],
            reason: "you asked for openai, and gpt-large has",
            ..base("the caller prefers a provider")
        },
        Scenario {
            supplies: changed(usual(), |all| all[1].obstacle = Some(Verdict::NoKey)),
            considered: &[
                ("openai/gpt-large", "chosen"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
                ("anthropic/claude-large", "no_key"),
                ("anthropic/claude-small", "no_key"),
            ],
            reason: "openai is next in the fallback order, since anthropic has no key, and gpt-large",
            is_fallback: true,
            ..base("the task's provider has no key")
        },
        Scenario {
            supplies: changed(usual(), |all| all[1].obstacle = Some(Verdict::Disabled)),
            ask: changed(chat(), |ask| ask.allows_fallback = false),
            considered: &[
                ("anthropic/claude-large", "disabled"),
                ("anthropic/claude-small", "disabled"),
            ],
            ..base("no other provider may stand in")
        },
        Scenario {
            supplies: after(
                1,
                Signal::RateLimited {
                    retry_after: Some(SignedDuration::from_secs(90)),
                },
            ),
            considered: &[
                ("openai/gpt-large", "chosen"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
                ("anthropic/claude-large", "rate_limited"),
                ("anthropic/claude-small", "rate_limited"),
            ],
            reason: "since anthropic is rate-limited until 08:01:29 UTC",
            is_fallback: true,
            ..base("the provider asked to slow down")
        },
        Scenario {
            supplies: after(1, Signal::Failed { retry_after: None }),
            considered: &[
                ("openai/gpt-large", "chosen"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
                ("anthropic/claude-large", "unhealthy"),
                ("anthropic/claude-small", "unhealthy"),
            ],
            reason: "since anthropic is failing and will be retried at 08:00:29 UTC",
            is_fallback: true,
            ..base("the provider fails")
        },
        Scenario {
            supplies: after(1, Signal::Refused),
            considered: &[
                ("openai/gpt-large", "chosen"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
                ("anthropic/claude-large", "key_refused"),
                ("anthropic/claude-small", "key_refused"),
            ],
            reason: "since anthropic refuses the key",
            is_fallback: true,
            ..base("the key was revoked")
        },
        Scenario {
            supplies: after(1, Signal::NoCredit),
            considered: &[
                ("openai/gpt-large", "chosen"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
                ("anthropic/claude-large", "no_credit"),
                ("anthropic/claude-small", "no_credit"),
            ],
            reason: "no credit",
            is_fallback: true,
            ..base("the account is empty")
        },
        Scenario {
            supplies: changed(usual(), |all| {
                let spare = all[1].keys[0].clone();
                all[1].keys[0].obstacle = Some(Verdict::KeyExpired);
                all[1].keys.push(api_keys::services::routing::KeySupply {
                    label: "spare".parse().unwrap(),
                    ..spare
                });
            }),
            considered: &[
                ("anthropic/claude-large", "chosen"),
                ("anthropic/claude-small", "outranked"),
                ("openai/gpt-large", "outranked"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
            ],
            reason: "for a typical request)",
            ..base("one of two keys has expired")
        },
        Scenario {
            supplies: changed(usual(), |all| {
                let key = &mut all[1].keys[0];
                (key.used, key.limit, key.eases_at) = (100, Some(100), Some(at(7)));
            }),
            considered: &[
                ("openai/gpt-large", "chosen"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
                ("anthropic/claude-large", "rate_limited"),
                ("anthropic/claude-small", "rate_limited"),
            ],
            reason: "until 08:00:07 UTC",
            is_fallback: true,
            ..base("the configured requests per minute are used up")
        },
        Scenario {
            policy: changed(policy(), |policy| policy.purse.remaining = Some(Usd::ZERO)),
            considered: &[
                ("local/llama", "chosen"),
                ("anthropic/claude-large", "over_budget"),
                ("anthropic/claude-small", "over_budget"),
                ("openai/gpt-large", "over_budget"),
                ("openai/gpt-small", "over_budget"),
            ],
            reason: "local is next in the fallback order, since anthropic/claude-large would exceed the budget",
            is_fallback: true,
            ..base("the budget is spent: what costs nothing still goes")
        },
        Scenario {
            policy: changed(policy(), |policy| {
                policy.purse.remaining = Some(Usd::from_nano(10_000_000));
            }),
            considered: &[
                ("anthropic/claude-small", "chosen"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
                ("anthropic/claude-large", "over_budget"),
                ("openai/gpt-large", "over_budget"),
            ],
            reason: "claude-small is its only usable model",
            ..base("only the small models fit what is left of the budget")
        },
        Scenario {
            policy: changed(policy(), |policy| policy.purse.is_low = true),
            supplies: changed(usual(), |all| all[1].offers[1] = offer("claude-small", 1, 7_000)),
            considered: &[
                ("anthropic/claude-small", "chosen"),
                ("anthropic/claude-large", "outranked"),
                ("openai/gpt-small", "outranked"),
                ("openai/gpt-large", "outranked"),
                ("local/llama", "outranked"),
            ],
            reason: "claude-small has the best balance",
            ..base("money is low, so that cost counts more")
        },
        Scenario {
            supplies: changed(usual(), |all| all[0].offers[1].price = None),
            policy: changed(policy(), |policy| policy.purse.remaining = Some(Usd::ZERO)),
            ask: changed(chat(), |ask| {
                (ask.preferred, ask.allows_fallback) = ("openai".parse().ok(), false);
            }),
            considered: &[("openai/gpt-large", "over_budget"), ("openai/gpt-small", "unpriced")],
            ..base("nobody knows that it costs nothing")
        },
        Scenario {
            ask: changed(chat(), |ask| {
                ask.tokens = Expected {
                    input: 190_000,
                    output: 20_000,
                    are_typical: false,
                }
            }),
            supplies: changed(usual(), |all| all[0].offers[0].context_window = Some(1_000_000)),
            considered: &[
                ("openai/gpt-large", "chosen"),
                ("anthropic/claude-large", "context_too_small"),
                ("anthropic/claude-small", "context_too_small"),
                ("openai/gpt-small", "context_too_small"),
                ("local/llama", "context_too_small"),
            ],
            reason: "since anthropic/claude-large takes at most 200000 tokens",
            is_fallback: true,
            ..base("the request is long")
        },
        Scenario {
            ask: changed(chat(), |ask| ask.needs = [Capability::Vision].into()),
            supplies: changed(usual(), |all| {
                all[1].offers[0].capabilities.as_mut().unwrap().vision = false;
                all[2].offers[0].capabilities = None;
            }),
            considered: &[
                ("anthropic/claude-small", "chosen"),
                ("openai/gpt-large", "outranked"),
                ("openai/gpt-small", "outranked"),
                ("anthropic/claude-large", "lacks"),
                ("local/llama", "lacks"),
            ],
            reason: "only usable model",
            ..base("an image must be seen, and what nobody knows counts as no")
        },
        Scenario {
            ask: RouteQuery::of(Task::Embeddings),
            policy: changed(policy(), |policy| policy.task.0 = "local".parse().unwrap()),
            supplies: changed(usual(), |all| {
                all[0].offers.push(changed(offer("text-embedding", 1, 0), |offer| {
                    offer.kind = ModelKind::Embedding;
                }));
                all[2].offers[0].kind = ModelKind::Embedding;
                all[2].obstacle = Some(Verdict::Unreachable);
            }),
            considered: &[
                ("openai/text-embedding", "chosen"),
                ("local/llama", "unreachable"),
                ("anthropic/claude-large", "not_for_task"),
                ("anthropic/claude-small", "not_for_task"),
                ("openai/gpt-large", "not_for_task"),
                ("openai/gpt-small", "not_for_task"),
            ],
            reason: "openai is next in the fallback order, since local does not answer on this machine",
            is_fallback: true,
            ..base("embeddings go to embedding models only")
        },
        Scenario {
            ask: changed(chat(), |ask| ask.model = "gpt-small".parse().ok()),
            considered: &[
                ("openai/gpt-small", "chosen"),
                ("anthropic/claude-large", "outranked"),
                ("anthropic/claude-small", "outranked"),
                ("openai/gpt-large", "outranked"),
                ("local/llama", "outranked"),
            ],
            reason: "openai serves gpt-small, and gpt-small is the requested model",
            ..base("the caller names a model")
        },
        Scenario {
            ask: changed(chat(), |ask| ask.model = "gpt-small".parse().ok()),
            supplies: changed(usual(), |all| all[0].offers[1].absence = Some(Verdict::NotServed)),
            considered: &[
                ("anthropic/claude-large", "chosen"),
                ("anthropic/claude-small", "outranked"),
                ("openai/gpt-large", "outranked"),
                ("local/llama", "outranked"),
                ("openai/gpt-small", "not_served"),
            ],
            reason: "anthropic is set for chat",
            is_fallback: true,
            ..base("the model that the caller names is gone")
        },
        Scenario {
            policy: changed(policy(), |policy| policy.task.1 = "claude-small".parse().ok()),
            considered: &[
                ("anthropic/claude-small", "chosen"),
                ("anthropic/claude-large", "outranked"),
                ("openai/gpt-large", "outranked"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
            ],
            reason: "claude-small is the model set for the task",
            ..base("the configuration names a model for the task")
        },
        Scenario {
            supplies: changed(usual(), |all| all[1].offers[0].place = 1),
            considered: &[
                ("anthropic/claude-small", "chosen"),
                ("anthropic/claude-large", "outranked"),
                ("openai/gpt-large", "outranked"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
            ],
            reason: "claude-small is the first usable of the models listed for it",
            ..base("the provider's models are listed in an order")
        },
        Scenario {
            supplies: changed(usual(), |all| all[1].offers[0].place = 1),
            ask: changed(chat(), |ask| ask.objective = Some(Objective::Quality)),
            considered: &[
                ("anthropic/claude-large", "chosen"),
                ("anthropic/claude-small", "outranked"),
                ("openai/gpt-large", "outranked"),
                ("openai/gpt-small", "outranked"),
                ("local/llama", "outranked"),
            ],
            reason: "claude-large has the highest quality (81.0 by LiveBench 2026-07)",
            ..base("an objective that the caller names goes before that order")
        },
        Scenario {
            ask: changed(chat(), |ask| ask.objective = Some(Objective::Cost)),
            considered: &[
                ("anthropic/claude-small", "chosen"),
                ("anthropic/claude-large", "outranked"),
                ("openai/gpt-small", "outranked"),
                ("openai/gpt-large", "outranked"),
                ("local/llama", "outranked"),
            ],
            reason: "claude-small costs least (about $0.0045 for a typical request)",
            ..base("by cost")
        },
        Scenario {
            ask: changed(chat(), |ask| ask.objective = Some(Objective::Latency)),
            supplies: changed(usual(), |all| {
                all[1].offers[0].latency_ms = Some(700);
                all[1].offers[1].latency_ms = Some(900);
            }),
            considered: &[
                ("anthropic/claude-large", "chosen"),
                ("anthropic/claude-small", "outranked"),
                ("openai/gpt-small", "outranked"),
                ("openai/gpt-large", "outranked"),
                ("local/llama", "outranked"),
            ],
            reason: "claude-large answers fastest (median 700 ms)",
            ..base("by latency")
        },
        Scenario {
            policy: changed(policy(), |policy| {
                policy.fallback_order = vec![["anthropic", "openai"].map(|name| name.parse().unwrap()).to_vec()];
            }),
            ask: changed(chat(), |ask| ask.objective = Some(Objective::Cost)),
            supplies: changed(usual(), |all| all[0].offers[1] = offer("gpt-small", 0, 6_000)),
            considered: &[
                ("openai/gpt-small", "chosen"),
                ("anthropic/claude-small", "outranked"),
                ("openai/gpt-large", "outranked"),
                ("anthropic/claude-large", "outranked"),
                ("local/llama", "outranked"),
            ],
            reason: "openai ranks as anthropic, which is set for chat, and gpt-small costs least (nothing)",
            ..base("providers of equal rank are compared by the objective")
        },
        Scenario {
            ask: changed(RouteQuery::of(Task::CodeGeneration), |ask| {
                ask.needs = [Capability::Reasoning].into();
            }),
            supplies: vec![supply(
                "anthropic",
                vec![changed(offer("claude", 1, 0), |offer| {
                    offer.capabilities.as_mut().unwrap().reasoning = true;
                    let effort = |effort, points| Variant {
                        effort: Some(effort),
                        points: Some(api_keys::catalog::Points(points)),
                        like: Some("claude-old".into()),
                    };
                    offer.variants = [
                        effort(Effort::None, 4_500),
                        effort(Effort::Low, 6_000),
                        effort(Effort::Xhigh, 6_300),
                    ]
                    .into();
                })],
            )],
            considered: &[
                ("anthropic/claude@low", "chosen"),
                ("anthropic/claude@xhigh", "outranked"),
                ("anthropic/claude@none", "lacks"),
            ],
            reason: "claude at effort low is its only usable model",
            ..base("reasoning costs what it is worth")
        },
    ]
}

fn spelled(decision: &Decision<'_>) -> Vec<(String, &'static str)> {
    let name = |it: &api_keys::services::routing::Candidate<'_>| {
        let effort = it.variant.effort.map(|effort| format!("@{}", effort.as_str()));
        format!(
            "{}/{}{}",
            it.supply.provider,
            it.offer.model,
            effort.unwrap_or_default()
        )
    };
    let considered = decision.considered.iter();
    considered.map(|it| (name(it), it.verdict.as_str())).collect()
}

#[test]
fn every_candidate_has_the_verdict_that_people_expect() {
    for scenario in scenarios() {
        let Scenario {
            name,
            supplies,
            policy,
            ask,
            considered,
            ..
        } = &scenario;
        let decision = decide(policy, supplies, ask, at(0));
        let found = spelled(&decision);
        let found: Vec<(&str, &str)> = found.iter().map(|(name, verdict)| (name.as_str(), *verdict)).collect();
        assert_eq!(found, *considered, "{name}");
        let why = reason(&decision, policy, ask, api_keys::catalog::Figures::built_in());
        assert!(why.contains(scenario.reason), "{name}: {why}");
        assert_eq!(why.is_empty(), decision.chosen().is_none(), "{name}");
        assert!(!why.contains('\n') && !why.ends_with('.'), "{name}: {why}");
        assert_eq!(decision.is_fallback(ask), scenario.is_fallback, "{name}");
    }
}

#[test]
fn fallbacks_are_the_best_of_every_other_provider_in_their_order() {
    let supplies = usual();
    let decision = decide(&policy(), &supplies, &chat(), at(0));
    let fallbacks: Vec<String> = decision
        .fallbacks()
        .iter()
        .map(|it| format!("{}/{}", it.supply.provider, it.offer.model))
        .collect();
    assert_eq!(fallbacks, ["openai/gpt-large", "local/llama"]);
}

#[test]
fn a_provider_of_which_no_model_is_known_is_not_forgotten() {
    let mut supplies = usual();
    supplies.push(supply("google", Vec::new()));
    supplies.push(changed(supply("my-vllm", Vec::new()), |it| {
        it.obstacle = Some(Verdict::Unreachable);
    }));
    let decision = decide(&policy(), &supplies, &chat(), at(0));
    let barren: Vec<(&str, Verdict)> = decision
        .barren
        .iter()
        .map(|(supply, _, verdict)| (supply.provider.as_str(), *verdict))
        .collect();
    assert_eq!(
        barren,
        [("google", Verdict::NoModels), ("my-vllm", Verdict::Unreachable)]
    );
}

#[test]
fn equal_endpoints_share_the_load_and_keep_their_sessions() {
    let mut policy = policy();
    policy.fallback_order = vec![
        ["anthropic", "vllm-a", "vllm-b"]
            .map(|name| name.parse().unwrap())
            .to_vec(),
    ];
    let mut supplies = ["vllm-a", "vllm-b"]
        .map(|name| supply(name, vec![free("qwen", 6_000)]))
        .to_vec();
    let chosen = |supplies: &[Supply], session: Option<String>| {
        let ask = RouteQuery { session, ..chat() };
        let decision = decide(&policy, supplies, &ask, at(0));
        decision.chosen().unwrap().supply.provider.to_string()
    };
    assert_eq!(chosen(&supplies, None), "vllm-a");
    supplies[0].keys[0].used = 5;
    assert_eq!(chosen(&supplies, None), "vllm-b", "where more is left");
    supplies[0].weight = 9;
    supplies[1].keys[0].used = 1;
    assert_eq!(chosen(&supplies, None), "vllm-a", "by weight");
    let of_sessions = |supplies: &[Supply]| -> Vec<String> {
        (0..1_000)
            .map(|number| chosen(supplies, Some(format!("s{number}"))))
            .collect()
    };
    let before = of_sessions(&supplies);
    let on_a = before.iter().filter(|provider| *provider == "vllm-a").count();
    assert!((860..940).contains(&on_a), "about nine of ten sessions: {on_a}");
    supplies[0].keys[0].used = 50;
    assert_eq!(of_sessions(&supplies), before, "whatever the load");
}

#[test]
fn one_of_several_keys_takes_the_request_and_a_session_stays_with_its_key() {
    let mut supplies = usual();
    supplies[1].keys = ["a", "b", "c"].map(key).to_vec();
    supplies[1].keys[0].used = 3;
    let ask = chat();
    assert_eq!(
        decide(&policy(), &supplies, &ask, at(0)).key.unwrap().label.as_str(),
        "b"
    );
    let ask = changed(chat(), |ask| ask.session = Some("conversation".to_owned()));
    let first = decide(&policy(), &supplies, &ask, at(0)).key.unwrap().label.clone();
    supplies[1].keys.iter_mut().for_each(|key| key.used = 50);
    assert_eq!(decide(&policy(), &supplies, &ask, at(0)).key.unwrap().label, first);
}
