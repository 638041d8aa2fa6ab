//! Why a route was chosen, in one sentence that a person can check.

use jiff::Timestamp;

use super::{
    decide::{Candidate, Decision, Precedence},
    supply::{KeySupply, Policy, RouteQuery, Verdict},
};
use crate::{
    catalog::Figures,
    domain::{Objective, ProviderId, Usd},
};

/// How many of those passed over the sentence names.
const MAX_NAMED: usize = 3;

/// Why the chosen candidate was chosen; empty where none was.
pub fn reason(decision: &Decision<'_>, policy: &Policy, ask: &RouteQuery, figures: &Figures) -> String {
    let Some(chosen) = decision.chosen() else {
        return String::new();
    };
    let who = who(decision, chosen, policy, ask);
    let which = which(decision, chosen, (policy, ask), figures);
    let window = match chosen.offer.context_window.filter(|_| chosen.offer.assumes_window) {
        Some(window) => format!("; its server does not report a context window, {window} tokens are assumed"),
        None => String::new(),
    };
    let key = decision.key.and_then(|key| why_the_key(key, &chosen.supply.keys, ask));
    match key {
        Some(why) => format!("{who}, and {which}; {why}{window}"),
        None => format!("{who}, and {which}{window}"),
    }
}

/// Why this one of the provider's keys, as far as it is known: without a limit there is no quota.
fn why_the_key(key: &KeySupply, keys: &[KeySupply], ask: &RouteQuery) -> Option<String> {
    let mut others = keys.iter().filter(|other| other.label != key.label).peekable();
    others.peek()?;
    let label = &key.label;
    if ask.session.is_some() {
        Some(format!("its key {label} stays with this session"))
    } else if key.limit.is_some() {
        Some(format!("its key {label} has most of its quota left"))
    } else if others.all(|other| other.used > key.used) {
        Some(format!("its key {label} was used least in the last minute"))
    } else {
        None
    }
}

/// What a verdict says of its provider or model, such as `has no key`.
pub fn phrase(verdict: Verdict) -> String {
    match verdict {
        Verdict::Chosen => "is chosen".to_owned(),
        Verdict::Outranked => "is usable, but another is better".to_owned(),
        Verdict::Disabled => "is disabled in config.toml".to_owned(),
        Verdict::NoAddress => "has no base_url in config.toml".to_owned(),
        Verdict::VaultClosed => "may have a key, but the vault cannot be opened".to_owned(),
        Verdict::NoKey => "has no key".to_owned(),
        Verdict::KeyExpired => "has only keys that have expired".to_owned(),
        Verdict::KeyRefused => "refuses the key".to_owned(),
        Verdict::NoCredit => "reports that the key has no credit".to_owned(),
        Verdict::OtherAddress => "has a key that was added for another address".to_owned(),
        Verdict::Unreachable => "does not answer on this machine".to_owned(),
        Verdict::RateLimited { until } => format!("is rate-limited until {}", time(until)),
        Verdict::Unhealthy { until } => format!("is failing and will be retried at {}", time(until)),
        Verdict::NotForTask => "is not for this kind of task".to_owned(),
        Verdict::NotServed => "is no longer served".to_owned(),
        Verdict::NotInstalled => "is not installed on this machine".to_owned(),
        Verdict::NoModels => "has no known models for the task".to_owned(),
        Verdict::Lacks(need) => format!("is not known to offer {}", need.as_str()),
        Verdict::ContextTooSmall { limit } => format!("takes at most {limit} tokens"),
        Verdict::OverBudget => "would exceed the budget".to_owned(),
        Verdict::Unpriced => "has no known price, and the budget is used up".to_owned(),
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

/// Why this provider.
fn who(decision: &Decision<'_>, chosen: &Candidate<'_>, policy: &Policy, ask: &RouteQuery) -> String {
    let provider = &chosen.supply.provider;
    let task = ask.task.as_str();
    let who = match chosen.turn {
        _ if ask.preferred.is_none() && ask.model.as_ref() == Some(&chosen.offer.model) => {
            format!("{provider} serves {}", chosen.offer.model)
        }
        Precedence::Preferred => format!("you asked for {provider}"),
        Precedence::Task if *provider == policy.task.0 => format!("{provider} is set for {task}"),
        Precedence::Task => format!("{provider} ranks as {}, which is set for {task}", policy.task.0),
        Precedence::Fallback(_) => format!("{provider} is next in the fallback order"),
        Precedence::Rest => format!("{provider} can do it, though it is not in the fallback order"),
    };
    let obstacles = passed_over(decision, chosen);
    if obstacles.is_empty() {
        who
    } else {
        format!("{who}, since {}", obstacles.join(" and "))
    }
}

/// Why the providers whose turn was earlier could not be taken, each by its best candidate.
fn passed_over(decision: &Decision<'_>, chosen: &Candidate<'_>) -> Vec<String> {
    let mut seen: Vec<&ProviderId> = vec![&chosen.supply.provider];
    let mut obstacles: Vec<(Precedence, String)> = Vec::new();
    for it in &decision.considered {
        if it.turn < chosen.turn
            && !it.verdict.is_usable()
            && it.verdict != Verdict::NotForTask
            && !seen.contains(&&it.supply.provider)
        {
            seen.push(&it.supply.provider);
            obstacles.push((it.turn, obstacle(it)));
        }
    }
    for (supply, turn, verdict) in &decision.barren {
        if *turn < chosen.turn {
            obstacles.push((*turn, format!("{} {}", supply.provider, phrase(*verdict))));
        }
    }
    obstacles.sort();
    obstacles.into_iter().map(|(_, text)| text).take(MAX_NAMED).collect()
}

/// What stands in a candidate's way: of its provider, or of its model alone.
pub(super) fn obstacle(it: &Candidate<'_>) -> String {
    let (provider, phrase) = (&it.supply.provider, phrase(it.verdict));
    if it.verdict.is_of_provider() {
        format!("{provider} {phrase}")
    } else {
        format!("{provider}/{} {phrase}", it.offer.model)
    }
}

/// Why this model.
fn which(
    decision: &Decision<'_>,
    chosen: &Candidate<'_>,
    (policy, ask): (&Policy, &RouteQuery),
    figures: &Figures,
) -> String {
    let mut model = chosen.offer.model.to_string();
    if let Some(effort) = chosen.variant.effort {
        model = format!("{model} at effort {}", effort.as_str());
    }
    if ask.model.as_ref() == Some(&chosen.offer.model) {
        return format!("{model} is the requested model");
    }
    if chosen.turn == Precedence::Task && policy.task.1.as_ref() == Some(&chosen.offer.model) {
        return format!("{model} is the model set for the task");
    }
    let rivals = decision
        .considered
        .iter()
        .filter(|it| it.verdict == Verdict::Outranked && it.turn == chosen.turn);
    if rivals.clone().all(|it| it.offer.model == chosen.offer.model) {
        return format!("{model} is its only usable model for the task");
    }
    let is_listed = ask.objective.is_none() && rivals.clone().any(|it| it.offer.place != chosen.offer.place);
    if is_listed {
        return format!("{model} is the first usable of the models listed for it");
    }
    let cost = money(chosen, ask);
    match (decision.objective, quality(chosen, figures)) {
        (Objective::Quality, Some(quality)) => format!("{model} has the highest quality ({quality})"),
        (Objective::Balanced, Some(quality)) => {
            format!("{model} has the best balance of quality ({quality}) and cost ({cost})")
        }
        (Objective::Quality | Objective::Balanced, None) => {
            format!("{model} costs least ({cost}); no quality figures are known for the usable models")
        }
        (Objective::Cost, _) => format!("{model} costs least ({cost})"),
        (Objective::Latency, _) => match chosen.offer.latency_ms {
            Some(latency) => format!("{model} answers fastest (median {latency} ms)"),
            None => format!("{model} is expected to answer fastest, but has no recent requests"),
        },
    }
}

fn quality(chosen: &Candidate<'_>, figures: &Figures) -> Option<String> {
    let points = chosen.variant.points?;
    let source = figures.source();
    Some(match &chosen.variant.like {
        None => format!("{points} by {source}"),
        Some(like) => format!("{points}, as its family's {like} has by {source}"),
    })
}

fn money(chosen: &Candidate<'_>, ask: &RouteQuery) -> String {
    let request = if ask.tokens.are_typical {
        "a typical request"
    } else {
        "this request"
    };
    match chosen.estimate.total() {
        Some(Usd::ZERO) => "nothing".to_owned(),
        Some(cost) => format!("about {cost} for {request}"),
        None => "of unknown price".to_owned(),
    }
}
