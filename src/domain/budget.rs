//! How much of a budget is left, and where the spending goes.

use jiff::Timestamp;

use super::{Billionths, Span, Usd, Window};

/// The parts of a limit, in percent, at which people are told, besides the configured one.
const THRESHOLDS: [u8; 4] = [50, 80, 95, 100];

/// A budget at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetStatus {
    pub window: Window,
    pub span: Span,
    pub limit: Usd,
    /// What requests of the window cost, as far as their cost is known.
    pub spent: Usd,
    /// What requests under way may cost at most.
    pub reserved: Usd,
    /// Requests of the window whose cost nobody knows.
    pub unpriced_requests: u64,
    pub forecast: Forecast,
}

/// What will have been spent at the end of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    pub low: Usd,
    pub expected: Usd,
    pub high: Usd,
}

impl Forecast {
    /// Raised to what a part of the window leads to, where `before` was spent outside of that part.
    #[must_use]
    pub fn at_least(self, before: Usd, part: Self) -> Self {
        Self {
            low: self.low.max(before + part.low),
            expected: self.expected.max(before + part.expected),
            high: self.high.max(before + part.high),
        }
    }
}

impl BudgetStatus {
    /// What can still be spent.
    pub fn remaining(&self) -> Usd {
        (self.limit - self.spent - self.reserved).or_zero()
    }

    pub fn is_exceeded(&self) -> bool {
        self.spent > self.limit
    }

    /// Whether so much is spent that somebody should know; `threshold` is a part of the limit from 0 to 1.
    pub fn is_alert(&self, threshold: Billionths) -> bool {
        self.spent > Usd::ZERO && self.spent >= self.limit.scaled(threshold.0, Billionths::ONE.0)
    }

    /// The highest threshold that is reached, in percent of the limit.
    pub fn reached(&self, configured: Billionths) -> Option<u8> {
        let configured = u8::try_from(configured.0 / (Billionths::ONE.0 / 100)).ok();
        let mut thresholds: Vec<u8> = THRESHOLDS.into_iter().chain(configured.filter(|it| *it > 0)).collect();
        thresholds.sort_unstable();
        thresholds
            .into_iter()
            .rev()
            .find(|percent| self.spent > Usd::ZERO && self.spent >= self.limit.scaled(u64::from(*percent), 100))
    }
}

/// What will have been spent at the end of `span`, at `now`.
///
/// Two paces are looked at: that of the window so far, once an hour in a day of it is over, and the
/// mean of `recent`, whole days before today. The expected value is their mean, low and high are the two.
pub fn forecast(span: Span, now: Timestamp, spent: Usd, recent: &[Usd]) -> Forecast {
    let seconds = |from: Timestamp, to: Timestamp| u64::try_from(to.as_second() - from.as_second()).unwrap_or(0);
    let (gone, left) = (seconds(span.from, now), seconds(now, span.to));
    let own = (gone.saturating_mul(24) >= gone + left && gone > 0).then(|| spent.scaled(left, gone));
    let days = u64::try_from(recent.len()).unwrap_or(0);
    let usual = (days > 0).then(|| recent.iter().copied().sum::<Usd>().scaled(left, days * SECONDS_A_DAY));
    let (low, high) = match (own, usual) {
        (Some(own), Some(usual)) => (own.min(usual), own.max(usual)),
        (Some(pace), None) | (None, Some(pace)) => (pace, pace),
        (None, None) => (Usd::ZERO, Usd::ZERO),
    };
    Forecast {
        low: spent + low,
        expected: spent + (low + high).scaled(1, 2),
        high: spent + high,
    }
}

const SECONDS_A_DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(cents: i64) -> Usd {
        Usd::from_nano(cents * 10_000_000)
    }

    fn day() -> Span {
        Span {
            from: "2026-11-24T00:00:00Z".parse().expect("a time"),
            to: "2026-11-25T00:00:00Z".parse().expect("a time"),
        }
    }

    fn standing(spent: Usd, limit: Usd) -> BudgetStatus {
        BudgetStatus {
            window: Window::Day,
            span: day(),
            limit,
            spent,
            reserved: Usd::ZERO,
            unpriced_requests: 0,
            forecast: forecast(day(), day().from, spent, &[]),
        }
    }

    #[test]
    fn a_forecast_lies_between_this_pace_and_the_usual_one() {
        let noon = "2026-11-24T12:00:00Z".parse().expect("a time");
        let both = forecast(day(), noon, usd(200), &[usd(800), usd(0)]);
        assert_eq!((both.low, both.expected, both.high), (usd(400), usd(400), usd(400)));
        let both = forecast(day(), noon, usd(200), &[usd(1200)]);
        assert_eq!((both.low, both.expected, both.high), (usd(400), usd(600), usd(800)));
        let first_minutes = forecast(day(), "2026-11-24T00:10:00Z".parse().expect("a time"), usd(100), &[]);
        assert_eq!(first_minutes.high, usd(100), "ten minutes say nothing of a day");
    }

    #[test]
    fn thresholds_are_reached_with_the_last_cent() {
        let threshold = Billionths(700_000_000);
        for (spent, reached, alert, exceeded) in [
            (0, None, false, false),
            (499, None, false, false),
            (500, Some(50), false, false),
            (700, Some(70), true, false),
            (1000, Some(100), true, false),
            (1001, Some(100), true, true),
        ] {
            let standing = standing(usd(spent), usd(1000));
            assert_eq!(standing.reached(threshold), reached, "{spent}");
            assert_eq!(
                (standing.is_alert(threshold), standing.is_exceeded()),
                (alert, exceeded),
                "{spent}"
            );
        }
    }

    #[test]
    fn a_limit_of_nothing_is_a_limit() {
        assert!(!standing(Usd::ZERO, Usd::ZERO).is_exceeded());
        assert!(!standing(Usd::ZERO, Usd::ZERO).is_alert(Billionths(800_000_000)));
        assert!(standing(Usd::from_nano(1), Usd::ZERO).is_exceeded());
    }
}
