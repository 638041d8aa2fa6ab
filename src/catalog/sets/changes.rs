//! How two prices of a model differ, and what of the old one stays where a set does not know it.

use jiff::civil::Date;

use crate::domain::{ExtraRates, Price, Rate, Rates, Service, ServiceRates, Tier};

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

/// A rate's name, the rate where it is one of its own, and what stands in for it.
type Kind = (&'static str, fn(&Rates) -> Option<Rate>, fn(&Rates) -> Rate);

const KINDS: [Kind; 15] = [
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
    ("audio_input", |it| it.extra.audio_input, |it| it.input),
    ("audio_cache_read", |it| it.extra.audio_cache_read, cached),
    ("image_input", |it| it.extra.image_input, |it| it.input),
    ("audio_output", |it| it.extra.audio_output, |it| it.output),
    ("image_output", |it| it.extra.image_output, |it| it.output),
    ("citations", |it| it.extra.citations, |_| Rate::ZERO),
    ("characters", |it| it.extra.characters, |_| Rate::ZERO),
    ("searches", |it| it.extra.searches, |_| Rate::ZERO),
    (
        "requests",
        |it| it.extra.requests.map(|[_, _, high]| high),
        |_| Rate::ZERO,
    ),
];

fn cached(rates: &Rates) -> Rate {
    rates.cache_read.unwrap_or(rates.input)
}

/// Every rate that differs, by what it comes to: where a rate has none of its own, what stands in for it.
pub(super) fn between(before: &Price, after: &Price, from: Option<Date>) -> Vec<RateChange> {
    let mut changes = changed(Some(&before.offered), Some(&after.offered));
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
fn offered(price: &Price, start: u64) -> Option<&ServiceRates> {
    let mut tiers = price.tiers.iter();
    let tier = tiers.find(|tier| is_same_start(tier.from_input_tokens, start));
    tier.map(|tier| &tier.offered)
}

fn changed(before: Option<&ServiceRates>, after: Option<&ServiceRates>) -> Vec<RateChange> {
    let mut changes = Vec::new();
    for service in Service::ALL {
        let [before, after] = [before, after].map(|offered| offered?.of(service));
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
                .map_or(*said, |known| Tier {
                    offered: filled_offer(&said.offered, &known.offered),
                    ..*said
                })
        })
        .collect();
    for known in &known.tiers {
        let is_said = tiers
            .iter()
            .any(|said| is_same_start(said.from_input_tokens, known.from_input_tokens));
        // Long prompts never cost less.
        if !is_said && is_at_most(&said.offered.standard, &known.offered.standard) {
            tiers.push(*known);
        }
    }
    tiers.sort_by_key(|tier| tier.from_input_tokens);
    Price {
        offered: filled_offer(&said.offered, &known.offered),
        tiers,
    }
}

fn filled_offer(said: &ServiceRates, known: &ServiceRates) -> ServiceRates {
    let standard = filled_rates(said.standard, &known.standard);
    ServiceRates {
        batch: slower(said.batch, known.batch, &standard),
        flex: slower(said.flex, known.flex, &standard),
        priority: faster(said.priority, known.priority, &standard),
        fast: faster(said.fast, known.fast, &standard),
        standard,
    }
}

/// A service that costs at most what the standard one does.
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
        extra: filled_extras(&said, known),
        ..said
    }
}

/// Rates of sound and images stay as long as those of text do; fees do not depend on them.
fn filled_extras(said: &Rates, known: &Rates) -> ExtraRates {
    let (of_input, of_output) = (said.input == known.input, said.output == known.output);
    let (said, known) = (&said.extra, &known.extra);
    ExtraRates {
        audio_input: said.audio_input.or(known.audio_input.filter(|_| of_input)),
        audio_cache_read: said.audio_cache_read.or(known.audio_cache_read.filter(|_| of_input)),
        image_input: said.image_input.or(known.image_input.filter(|_| of_input)),
        audio_output: said.audio_output.or(known.audio_output.filter(|_| of_output)),
        image_output: said.image_output.or(known.image_output.filter(|_| of_output)),
        citations: said.citations.or(known.citations),
        characters: said.characters.or(known.characters),
        searches: said.searches.or(known.searches),
        requests: said.requests.or(known.requests),
    }
}

fn is_at_most(one: &Rates, other: &Rates) -> bool {
    one.input <= other.input && one.output <= other.output
}

/// At a threshold or only above it: sets differ by a token and mean the same.
fn is_same_start(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= 1
}
