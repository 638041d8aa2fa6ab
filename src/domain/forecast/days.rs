//! Past days, and what is usual on them.

use crate::domain::Usd;

/// From how many past days on weekends count apart.
const WEEKLY_FROM: usize = 14;
/// How many days of its kind that takes.
const MIN_OF_KIND: usize = 3;

/// A past day, cut at the time of day that it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastDay {
    pub is_weekend: bool,
    pub before: Usd,
    pub after: Usd,
}

/// The past days of that kind, or all where there are too few to tell.
pub(super) fn of_kind(past: &[PastDay], is_weekend: bool) -> Vec<PastDay> {
    let of_kind: Vec<PastDay> = past
        .iter()
        .filter(|day| day.is_weekend == is_weekend)
        .copied()
        .collect();
    if past.len() >= WEEKLY_FROM && of_kind.len() >= MIN_OF_KIND {
        of_kind
    } else {
        past.to_vec()
    }
}

pub(super) fn before(day: &PastDay) -> i128 {
    i128::from(day.before.nano())
}

pub(super) fn after(day: &PastDay) -> i128 {
    i128::from(day.after.nano())
}

pub(super) fn total(day: &PastDay) -> i128 {
    before(day) + after(day)
}

/// `values` with the highest as high as the second highest, in their order.
pub(super) fn without_burst(mut values: Vec<i128>) -> Vec<i128> {
    let mut sorted = values.clone();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    if let [_, second, _, _, ..] = sorted.as_slice() {
        for value in &mut values {
            *value = (*value).min(*second);
        }
    }
    values
}

pub(super) fn mean(values: &[i128]) -> i128 {
    let count = i128::try_from(values.len().max(1)).unwrap_or(1);
    values.iter().sum::<i128>() / count
}

/// Some days' costs, without a single burst.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) count: i128,
    pub(super) mean: i128,
    pub(super) variance: i128,
}

impl Sample {
    pub(super) fn of(days: &[PastDay], cost: fn(&PastDay) -> i128) -> Self {
        let values = without_burst(days.iter().map(cost).collect());
        let mean = mean(&values);
        let squares = values
            .iter()
            .map(|value| (value - mean).saturating_mul(value - mean))
            .fold(0_i128, i128::saturating_add);
        let count = i128::try_from(values.len()).unwrap_or(i128::MAX);
        Self {
            count,
            mean,
            variance: squares / (count - 1).max(1),
        }
    }

    /// The variance of a sum of so many days like these, the mean being none too certain itself.
    pub(super) fn of_sum(self, days: i128) -> i128 {
        let share = days.saturating_mul(days) / self.count.max(1);
        self.variance
            .saturating_mul(days)
            .saturating_add(self.variance.saturating_mul(share.max(1)))
    }
}
