//! How much of a budget is left.

use super::{Billionths, Forecast, NewAlert, Span, Usd, Window};

/// The parts of a limit, in percent, at which an alert is due, besides the configured one.
const THRESHOLDS: [u8; 4] = [50, 80, 95, 100];

/// A budget whose thresholds raise alerts as it is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetWatch {
    pub window: Window,
    pub span: Span,
    pub limit: Usd,
    /// The configured part of the limit at which an alert is due, from 0 to 1.
    pub threshold: Billionths,
}

/// A budget at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetStatus {
    pub window: Window,
    pub span: Span,
    pub limit: Usd,
    /// What requests of the window cost, as far as their cost is known.
    pub spent: Usd,
    /// What open requests may cost at most.
    pub reserved: Usd,
    /// Requests of the window whose cost is unknown.
    pub unpriced_requests: u64,
    /// Nothing where too little is known.
    pub forecast: Option<Forecast>,
}

impl BudgetWatch {
    /// The alert that is due where `spent` is spent.
    pub fn alert(&self, spent: Usd) -> Option<NewAlert> {
        let percent = reached(self.threshold, spent, self.limit)?;
        let alert = NewAlert::of_budget(self.window, self.span.from, percent, (spent, self.limit));
        Some(alert)
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

    /// Whether so much is spent that an alert is due; `threshold` is a part of the limit from 0 to 1.
    pub fn is_alert(&self, threshold: Billionths) -> bool {
        self.spent > Usd::ZERO && self.spent >= self.limit.scaled(threshold.0, Billionths::ONE.0)
    }

    /// The highest threshold that is reached, in percent of the limit.
    pub fn reached(&self, configured: Billionths) -> Option<u8> {
        reached(configured, self.spent, self.limit)
    }
}

/// The highest threshold that `spent` has reached, in percent of the limit.
fn reached(configured: Billionths, spent: Usd, limit: Usd) -> Option<u8> {
    let configured = u8::try_from(configured.0 / (Billionths::ONE.0 / 100)).ok();
    let thresholds = THRESHOLDS.into_iter().chain(configured.filter(|it| *it > 0));
    thresholds
        .filter(|percent| spent > Usd::ZERO && spent >= limit.scaled(u64::from(*percent), 100))
        .max()
}

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
            forecast: None,
        }
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
