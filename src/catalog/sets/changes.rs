//! How two prices of a model differ, and what of the old one stays where a set does not know it.

use jiff::civil::Date;

use crate::domain::{Price, Rate, Rates, Service, Tier};

/// One rate that is another one now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateChange {
    /// The first day of it; nothing for the price in force.
    pub from: Option<Date>,
    pub service: Service,
    /// The smallest prompt that it is for; nothing for any.
    pub from_input_tokens: Option<u64>,
    /// As files spell it, such as `cache_read`.
    pub rate: &'static str,
    /// Nothing where there was none.
    pub before: Option<Rate>,
    pub after: Option<Rate>,
}

type Offered<'a> = [(Service, Option<&'a Rates>); 5];

/// A rate's name, the rate where it is one of its own, and what stands in for it.
type Kind = (&'static str, fn(&Rates) -> Option<Rate>, fn(&Rates) -> Rate);

const KINDS: [Kind; 6] = [
    ("input", |it| Some(it.input), |it| it.input),
    ("output", |it| Some(it.output), |it| it.output),
    ("cache_read", |it| it.cache_read, |it| it.input),
    ("cache_write", |it| it.cache_write, |it| it.input),
    (
        "cache_write_1h",
        |it| it.cache_write_1h,
        |it| it.cache_write.unwrap_or(it.input),
    ),
    ("reasoning", |it| it.reasoning, |it| it.output),
];

/// Every rate that differs, by what it comes to: where a rate has none of its own, what stands in for it.
pub(super) fn between(before: &Price, after: &Price, from: Option<Date>) -> Vec<RateChange> {
    let mut changes = changed(before.by_service(), after.by_service());
    let tiers = before.tiers.iter().chain(&after.tiers);
    let mut starts: Vec<u64> = tiers.map(|tier| tier.from_input_tokens).collect();
    starts.sort_unstable();
    starts.dedup_by(|one, other| is_same_start(*one, *other));
    for start in starts {
        let at_start = changed(offered(before, start), offered(after, start));
        changes.extend(at_start.into_iter().map(|change| RateChange {
            from_input_tokens: Some(start),
            ..change
        }));
    }
    changes
        .into_iter()
        .map(|change| RateChange { from, ..change })
        .collect()
}

/// What the tier from `start` has, by service; nothing where there is no such tier.
fn offered(price: &Price, start: u64) -> Offered<'_> {
    let mut tiers = price.tiers.iter();
    let tier = tiers.find(|tier| is_same_start(tier.from_input_tokens, start));
    tier.map_or(Service::ALL.map(|service| (service, None)), Tier::by_service)
}

fn changed(before: Offered<'_>, after: Offered<'_>) -> Vec<RateChange> {
    let mut changes = Vec::new();
    for ((service, before), (_, after)) in before.into_iter().zip(after) {
        for (rate, own, instead) in KINDS {
            let [own_before, own_after] = [before, after].map(|rates| rates.and_then(own));
            let [before, after] =
                [before, after].map(|rates| rates.map(|rates| own(rates).unwrap_or_else(|| instead(rates))));
            if before != after && (own_before.is_some() || own_after.is_some()) {
                changes.push(RateChange {
                    from: None,
                    service,
                    from_input_tokens: None,
                    rate,
                    before,
                    after,
                });
            }
        }
    }
    changes
}

/// `said` with what only `known` has: rates, services and tiers, as long as they can stand beside the new plain rates.
pub(super) fn filled(said: &Price, known: &Price) -> Price {
    let mut tiers: Vec<Tier> = said
        .tiers
        .iter()
        .map(|said| {
            let mut known = known.tiers.iter();
            known
                .find(|known| is_same_start(known.from_input_tokens, said.from_input_tokens))
                .map_or(*said, |known| filled_tier(said, known))
        })
        .collect();
    for known in &known.tiers {
        let is_said = tiers
            .iter()
            .any(|said| is_same_start(said.from_input_tokens, known.from_input_tokens));
        // Long prompts never cost less.
        if !is_said && is_at_most(&said.standard, &known.rates) {
            tiers.push(*known);
        }
    }
    tiers.sort_by_key(|tier| tier.from_input_tokens);
    let standard = filled_rates(said.standard, &known.standard);
    let slower = |said: Option<Rates>, known: Option<Rates>| slower(said, known, &standard);
    let faster = |said: Option<Rates>, known: Option<Rates>| faster(said, known, &standard);
    Price {
        batch: slower(said.batch, known.batch),
        flex: slower(said.flex, known.flex),
        priority: faster(said.priority, known.priority),
        fast: faster(said.fast, known.fast),
        standard,
        tiers,
    }
}

fn filled_tier(said: &Tier, known: &Tier) -> Tier {
    let rates = filled_rates(said.rates, &known.rates);
    Tier {
        from_input_tokens: said.from_input_tokens,
        batch: slower(said.batch, known.batch, &rates),
        flex: slower(said.flex, known.flex, &rates),
        priority: faster(said.priority, known.priority, &rates),
        fast: faster(said.fast, known.fast, &rates),
        rates,
    }
}

/// A service that never costs more than the standard one.
fn slower(said: Option<Rates>, known: Option<Rates>, standard: &Rates) -> Option<Rates> {
    match (said, known) {
        (Some(said), Some(known)) => Some(filled_rates(said, &known)),
        (Some(said), None) => Some(said),
        (None, known) => known.filter(|known| is_at_most(known, standard)),
    }
}

/// A service that costs at least what the standard one does.
fn faster(said: Option<Rates>, known: Option<Rates>, standard: &Rates) -> Option<Rates> {
    match (said, known) {
        (Some(said), Some(known)) => Some(filled_rates(said, &known)),
        (Some(said), None) => Some(said),
        (None, known) => known.filter(|known| is_at_most(standard, known)),
    }
}

fn filled_rates(said: Rates, known: &Rates) -> Rates {
    let is_same_output = said.output == known.output;
    Rates {
        cache_read: said.cache_read.or(known.cache_read.filter(|read| *read <= said.input)),
        cache_write: said
            .cache_write
            .or(known.cache_write.filter(|write| *write >= said.input)),
        cache_write_1h: said
            .cache_write_1h
            .or(known.cache_write_1h.filter(|write| *write >= said.input)),
        reasoning: said.reasoning.or(known.reasoning.filter(|_| is_same_output)),
        ..said
    }
}

fn is_at_most(one: &Rates, other: &Rates) -> bool {
    one.input <= other.input && one.output <= other.output
}

/// At a threshold or only above it: sets differ by a token and mean the same.
fn is_same_start(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= 1
}
