//! How candidates are compared: what each is expected to cost, and by which numbers an objective ranks them.

use super::supply::{Expected, Offer, RouteQuery, Variant};
use crate::{
    catalog::Points,
    domain::{Capability, Effort, MAX_TOKENS, Objective, Price, Service, TokenCounts, Tokens, Usd},
};

/// What a doubling of the expected cost takes from a candidate's points under `balanced`, in hundredths.
const DOUBLING: i64 = 250;
/// The same once a budget has reached its alert threshold.
const DOUBLING_WHEN_LOW: i64 = 750;
/// What a doubling of the answer's length by reasoning takes, for the time that it costs.
const DOUBLED_LENGTH: i64 = 100;
/// What a model without a figure counts as under `balanced`: below nearly all that have one.
const UNKNOWN_POINTS: Points = Points(3_000);
/// What a request without a known price counts as under `balanced`: a dollar.
const UNKNOWN_COST: Usd = Usd::from_nano(1_000_000_000);
/// What a model that has not answered lately counts as under `latency`, in milliseconds.
const UNKNOWN_LATENCY: u32 = 2_000;
/// The amount at which costs begin to count under `balanced`: a millionth of a dollar.
const MIN_COST: i64 = 1_000;

/// What a request is expected to cost with one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CandidateCost {
    /// For the tokens asked about; nothing where the price is not known.
    pub cost: Option<Usd>,
    /// What the effort is expected to add to the answer.
    pub reasoning_tokens: u64,
    /// What those cost.
    pub reasoning_cost: Option<Usd>,
}

impl CandidateCost {
    /// The estimate for `tokens`, by the price of `offer`.
    pub(super) fn of(offer: &Offer, variant: &Variant, tokens: Expected) -> Self {
        let reasoning_tokens = tokens.output.saturating_mul(reasoning_per_output(offer, variant));
        let plain = cost(offer.price.as_deref(), tokens, 0);
        let whole = cost(offer.price.as_deref(), tokens, reasoning_tokens);
        Self {
            cost: plain,
            reasoning_tokens,
            reasoning_cost: plain.zip(whole).map(|(plain, whole)| whole - plain),
        }
    }

    /// With the reasoning.
    pub fn total(&self) -> Option<Usd> {
        Some(self.cost? + self.reasoning_cost?)
    }
}

fn cost(price: Option<&Price>, tokens: Expected, reasoning: u64) -> Option<Usd> {
    let price = price?;
    let output = tokens.output.saturating_add(reasoning).min(MAX_TOKENS);
    let counts = TokenCounts {
        input: tokens.input.min(MAX_TOKENS),
        output,
        reasoning: reasoning.min(output),
        ..TokenCounts::default()
    };
    let tokens = Tokens::new(counts).ok()?;
    Some(price.cost(Service::Standard, &tokens)?.total)
}

/// A reasoning model without a requested effort is taken to do it as at medium.
fn reasoning_per_output(offer: &Offer, variant: &Variant) -> u64 {
    let reasons = offer.capabilities.is_some_and(|it| it.can(Capability::Reasoning));
    match variant.effort {
        Some(effort) => effort.reasoning_per_output(),
        None if reasons => Effort::Medium.reasoning_per_output(),
        None => 0,
    }
}

/// The numbers by which `objective` ranks a candidate: the first that differs decides, less is better.
///
/// - `quality`: points (one without comes last), then cost.
/// - `cost`: cost with reasoning (one without a price comes last), then points.
/// - `latency`: the median of its last answers (2 s where there are none), then reasoning, cost, points.
/// - `balanced`: points less 2.5 for each doubling of the cost above a millionth of a dollar (7.5 once a budget
///   has reached its alert threshold), less 1 for each doubling of the answer's length by reasoning; without a
///   figure 30 points, without a price a dollar.
pub(super) fn score(
    objective: Objective,
    is_low: bool,
    offer: &Offer,
    variant: &Variant,
    estimate: &CandidateCost,
) -> [i64; 4] {
    let cost = estimate.total().map_or(i64::MAX, Usd::nano);
    let worth = variant.points.map_or(1, |points| -i64::from(points.0));
    match objective {
        Objective::Quality => [worth, cost, 0, 0],
        Objective::Cost => [cost, worth, 0, 0],
        Objective::Latency => [
            i64::from(offer.latency_ms.unwrap_or(UNKNOWN_LATENCY)),
            i64::try_from(reasoning_per_output(offer, variant)).unwrap_or(i64::MAX),
            cost,
            worth,
        ],
        Objective::Balanced => [-balance(is_low, offer, variant, estimate), cost, 0, 0],
    }
}

/// Points less what cost and time take from them, in hundredths of a point.
fn balance(is_low: bool, offer: &Offer, variant: &Variant, estimate: &CandidateCost) -> i64 {
    let points = variant.points.unwrap_or(UNKNOWN_POINTS);
    let cost = estimate.total().unwrap_or(UNKNOWN_COST).nano();
    let each = if is_low { DOUBLING_WHEN_LOW } else { DOUBLING };
    let lengthened = log2_256(1 + reasoning_per_output(offer, variant));
    i64::from(points.0) - (each * doublings(cost) + DOUBLED_LENGTH * lengthened) / 256
}

/// How many times `nano` doubles [`MIN_COST`], in 256ths.
fn doublings(nano: i64) -> i64 {
    let ratio = u64::try_from(nano).unwrap_or_default().max(MIN_COST.unsigned_abs());
    log2_256(ratio) - log2_256(MIN_COST.unsigned_abs())
}

/// The binary logarithm of `number`, in 256ths, rounded down.
fn log2_256(number: u64) -> i64 {
    let whole = number.max(1).ilog2();
    // One bit of the fraction at a time: it is whether the square of the mantissa reaches two.
    let mut mantissa = u128::from(number.max(1)) << (63 - whole);
    let mut bits = 0;
    for _ in 0..8 {
        mantissa = (mantissa * mantissa) >> 63;
        let reached = mantissa >> 64;
        mantissa >>= reached;
        bits = bits * 2 + i64::try_from(reached).unwrap_or_default();
    }
    i64::from(whole) * 256 + bits
}

/// The objective in force: the requested one, else the configured one.
pub(super) fn objective(ask: &RouteQuery, configured: Objective) -> Objective {
    ask.objective.unwrap_or(configured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_exact_at_powers_of_two_and_rise_between() {
        for power in 0..64 {
            assert_eq!(log2_256(1 << power), i64::from(power) * 256);
        }
        assert_eq!(
            log2_256(3),
            256 + 149,
            "log2(1.5) is 0.58496, and 0.58496 of 256 is 149.7"
        );
        assert_eq!(log2_256(u64::MAX), 63 * 256 + 255);
        let logarithms: Vec<i64> = (1..5_000).map(log2_256).collect();
        assert!(logarithms.is_sorted());
    }

    #[test]
    fn costs_count_from_a_millionth_of_a_dollar_on() {
        assert_eq!(doublings(MIN_COST), 0);
        assert_eq!(doublings(0), 0, "what costs nothing loses nothing");
        assert_eq!(doublings(8 * MIN_COST), 3 * 256);
    }
}
