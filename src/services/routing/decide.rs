//! The decision itself: pure, so that the same question about the same state has the same answer.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::{
    balance::Share,
    score::{self, CandidateCost},
    supply::{KeySupply, Offer, Policy, RouteQuery, Supply, Variant, Verdict},
};
use crate::domain::{Capability, Effort, ModelId, Objective, ProviderId, Usd};

/// Where a request should go, and what became of every candidate.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    /// Best first; the first is the chosen one, if any is.
    pub considered: Vec<Candidate<'a>>,
    /// Providers of which no model is known, and why none can be used.
    pub barren: Vec<(&'a Supply, Precedence, Verdict)>,
    /// The key for the chosen one.
    pub key: Option<&'a KeySupply>,
    /// The provider that would have been taken if everything could.
    pub original: ProviderId,
    pub original_turn: Precedence,
    /// By what the candidates of equal rank were compared.
    pub objective: Objective,
}

/// One candidate, and what became of it.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    pub supply: &'a Supply,
    pub offer: &'a Offer,
    pub variant: &'a Variant,
    pub estimate: CandidateCost,
    pub verdict: Verdict,
    pub turn: Precedence,
}

/// When a provider's turn is: earlier ones are taken while they can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// The caller requested it.
    Preferred,
    /// The configuration names it, or one of equal rank, for the task.
    Task,
    /// So many groups come before its own in the fallback order.
    Fallback(usize),
    /// It is in no list.
    Rest,
}

/// What ranks candidates: less is better. First whether one cannot be used, and whether it is for other tasks.
type Rank<'a> = (
    (bool, bool),
    (bool, Precedence, bool, bool, u16),
    [i64; 4],
    Share,
    &'a ProviderId,
    Reverse<&'a [u32]>,
    &'a ModelId,
    Option<Effort>,
);

/// Chooses among the candidates in `supplies` and says of each why or why not.
pub fn decide<'a>(policy: &Policy, supplies: &'a [Supply], ask: &RouteQuery, now: Timestamp) -> Decision<'a> {
    let order = Order { policy, ask };
    let objective = score::objective(ask, policy.objective);
    let original = order.original(supplies);
    let offers = supplies.iter().flat_map(|supply| &supply.offers);
    let largest = offers.clone().filter_map(|offer| offer.context_window).max();
    let count = offers.map(|offer| offer.variants.len()).sum();
    let (mut ranks, mut candidates) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut barren = Vec::new();
    for supply in supplies {
        if !ask.allows_fallback && supply.provider != original {
            continue;
        }
        let turn = order.turn(&supply.provider);
        let before = supply.obstacle.or_else(|| supply.key_obstacle(now));
        if supply.offers.is_empty() {
            barren.push((supply, turn, before.unwrap_or(Verdict::NoModels)));
        }
        let share = supply.share(ask.session.as_deref(), now);
        for offer in &supply.offers {
            for variant in &*offer.variants {
                let estimate = CandidateCost::of(offer, variant, ask.tokens);
                let is_for_task = offer.kind == ask.task.model_kind();
                let obstacle = (!is_for_task)
                    .then_some(Verdict::NotForTask)
                    .or(before)
                    .or_else(|| model_obstacle(offer, variant, ask, largest))
                    .or_else(|| money_obstacle(policy, &estimate));
                let verdict = obstacle.unwrap_or(Verdict::Outranked);
                let rank: Rank<'a> = (
                    (!verdict.is_usable(), verdict == Verdict::NotForTask),
                    order.place(turn, offer),
                    score::score(objective, policy.purse.is_low, offer, variant, &estimate),
                    share,
                    &supply.provider,
                    Reverse(offer.version.as_slice()),
                    &offer.model,
                    variant.effort,
                );
                ranks.push((rank, candidates.len()));
                candidates.push(Candidate {
                    supply,
                    offer,
                    variant,
                    estimate,
                    verdict,
                    turn,
                });
            }
        }
    }
    ranks.sort_unstable();
    let mut considered: Vec<Candidate<'a>> = ranks.iter().map(|(_, at)| candidates[*at].clone()).collect();
    let first = considered.first_mut().filter(|first| first.verdict.is_usable());
    let key = first.and_then(|first| {
        first.verdict = Verdict::Chosen;
        first.supply.key_for(ask.session.as_deref(), now)
    });
    debug_assert!(
        considered
            .iter()
            .all(|it| it.verdict.until().is_none_or(|until| until > now))
    );
    Decision {
        considered,
        barren,
        key,
        original_turn: order.turn(&original),
        original,
        objective,
    }
}

impl<'a> Decision<'a> {
    /// The chosen candidate, if any could be chosen.
    pub fn chosen(&self) -> Option<&Candidate<'a>> {
        self.considered.first().filter(|first| first.verdict == Verdict::Chosen)
    }

    /// The best usable candidate of every other provider, in their order.
    pub fn fallbacks(&self) -> Vec<&Candidate<'a>> {
        let mut seen: Vec<&ProviderId> = self
            .chosen()
            .map(|chosen| &chosen.supply.provider)
            .into_iter()
            .collect();
        self.considered
            .iter()
            .filter(|it| {
                let is_new = it.verdict == Verdict::Outranked && !seen.contains(&&it.supply.provider);
                if is_new {
                    seen.push(&it.supply.provider);
                }
                is_new
            })
            .collect()
    }

    /// Whether another provider or model was chosen than `ask` and the policy name first.
    pub fn is_fallback(&self, ask: &RouteQuery) -> bool {
        self.chosen().is_some_and(|chosen| {
            let is_other_model = ask.model.as_ref().is_some_and(|model| *model != chosen.offer.model);
            is_other_model || chosen.turn > self.original_turn
        })
    }
}

/// Whose turn is when.
struct Order<'p> {
    policy: &'p Policy,
    ask: &'p RouteQuery,
}

impl Order<'_> {
    fn turn(&self, provider: &ProviderId) -> Precedence {
        let (task_provider, _) = &self.policy.task;
        if self.ask.preferred.as_ref() == Some(provider) {
            return Precedence::Preferred;
        }
        let mut groups = self.policy.fallback_order.iter();
        let group = groups.clone().find(|group| group.contains(provider));
        if provider == task_provider || group.is_some_and(|group| group.contains(task_provider)) {
            return Precedence::Task;
        }
        groups
            .position(|group| group.contains(provider))
            .map_or(Precedence::Rest, Precedence::Fallback)
    }

    /// What ranks before any objective: the requested model, whose turn it is, the model that the configuration names for the
    /// task, whether it is there to stay, and the place in the provider's own list where the caller names no objective.
    fn place(&self, turn: Precedence, offer: &Offer) -> (bool, Precedence, bool, bool, u16) {
        let is_other = self.ask.model.as_ref().is_some_and(|model| *model != offer.model);
        let (_, named) = &self.policy.task;
        let is_unnamed = turn == Precedence::Task && named.as_ref().is_some_and(|model| *model != offer.model);
        let place = if self.ask.objective.is_none() { offer.place } else { 0 };
        (is_other, turn, is_unnamed, offer.is_retiring, place)
    }

    /// The preferred provider, else the first that has the requested model, else the task's.
    fn original(&self, supplies: &[Supply]) -> ProviderId {
        let having = supplies.iter().filter(|supply| {
            let wanted = self.ask.model.as_ref();
            wanted.is_some_and(|model| supply.offers.iter().any(|offer| offer.model == *model))
        });
        let first_having = || {
            having
                .map(|supply| &supply.provider)
                .min_by_key(|provider| (self.turn(provider), *provider))
        };
        let preferred = self.ask.preferred.as_ref();
        preferred.or_else(first_having).unwrap_or(&self.policy.task.0).clone()
    }
}

/// Why the model cannot serve the request, if it cannot.
///
/// What is longer than any known context window fits no model of unknown size either. An assumed window rules out what
/// is known to be longer, and not what is typical.
fn model_obstacle(offer: &Offer, variant: &Variant, ask: &RouteQuery, largest: Option<u64>) -> Option<Verdict> {
    let lacks = |need: &Capability| {
        let unthinking =
            *need == Capability::Reasoning && variant.effort.is_some_and(|effort| effort <= Effort::Minimal);
        unthinking || !offer.capabilities.is_some_and(|it| it.can(*need))
    };
    let (input, output) = (ask.tokens.input, ask.tokens.output);
    let small = |count: u64, limit: Option<u64>| limit.filter(|limit| count > *limit);
    offer
        .absence
        .or_else(|| ask.needs.iter().copied().find(lacks).map(Verdict::Lacks))
        .or_else(|| {
            let window = offer.context_window.or(largest);
            let window = window.filter(|_| !(offer.assumes_window && ask.tokens.are_typical));
            small(input.saturating_add(output), window)
                .or_else(|| small(input, offer.max_input))
                .or_else(|| small(output, offer.max_output))
                .map(|limit| Verdict::ContextTooSmall { limit })
        })
}

/// Why the budget forbids it, if it does; what costs nothing is never forbidden.
fn money_obstacle(policy: &Policy, estimate: &CandidateCost) -> Option<Verdict> {
    let remaining = policy.purse.remaining?;
    match estimate.total() {
        Some(Usd::ZERO) => None,
        Some(cost) => (remaining <= Usd::ZERO || cost > remaining).then_some(Verdict::OverBudget),
        None => (remaining <= Usd::ZERO).then_some(Verdict::Unpriced),
    }
}
