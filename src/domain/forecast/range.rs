//! The range in which a window ends.

use super::{
    days::{PastDay, Sample, after, before, mean, of_kind, total, without_burst},
    growth::Growth,
};
use crate::domain::Usd;

/// How many past days make a range.
const MIN_DAYS: usize = 3;
/// From how many past days on the last week is compared with the one before, where growth is not certain.
const TREND_FROM: usize = 10;
/// The largest part of what is still to come that a single burst adds to the upper end, as a divisor.
const BURST_SHARE: i128 = 4;
/// What is usual is wider for one day than a bell curve's 80%, and narrower for a sum of days, in thousandths.
const DAY_WIDTH: i128 = 850;
const SUM_WIDTH: i128 = 1_060;
/// Student's t for 80% in the middle, by the number of samples, in thousandths; what follows is nearly normal.
const T80: [i128; 15] = [
    6_314, 6_314, 3_078, 1_886, 1_638, 1_533, 1_476, 1_440, 1_415, 1_397, 1_383, 1_372, 1_363, 1_356, 1_350,
];
const T80_OF_MANY: i128 = 1_320;

/// The range in which eight in ten windows end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    pub low: Usd,
    pub expected: Usd,
    pub high: Usd,
}

/// What is known of a window that is not over.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    /// Whole days before today since the first use, oldest first.
    pub past: &'a [PastDay],
    pub is_weekend: bool,
    /// What today has cost.
    pub today: Usd,
    /// What the window has cost, today included.
    pub spent: Usd,
    /// How many days of the window come after today: of the week, and of weekends.
    pub ahead: [u32; 2],
    /// Seconds of the window since the first use.
    pub gone: u64,
    pub left: u64,
}

/// The forecast for a window; nothing where too little is known.
pub fn forecast(outlook: &Outlook<'_>) -> Option<Forecast> {
    let rest = if outlook.past.len() < MIN_DAYS {
        by_pace(outlook)?
    } else {
        by_days(outlook)
    };
    let at = |nano: i128| outlook.spent + Usd::from_nano(i64::try_from(nano.max(0)).unwrap_or(i64::MAX));
    Some(Forecast {
        low: at(rest.expected.saturating_sub(rest.spread)),
        expected: at(rest.expected),
        high: at(rest.expected.saturating_add(rest.spread_up)),
    })
}

/// What is still to come, and how far it may be less or more; in nano-dollars.
struct Remainder {
    expected: i128,
    spread: i128,
    spread_up: i128,
}

/// Without days to compare with: half to twice the pace of the window so far, once a quarter of a day or two days of a
/// month are over.
fn by_pace(outlook: &Outlook<'_>) -> Option<Remainder> {
    const HOUR: u64 = 3_600;
    let has_days_ahead = outlook.ahead != [0, 0];
    let enough = if has_days_ahead { 48 * HOUR } else { 6 * HOUR };
    if outlook.gone < enough {
        return None;
    }
    let expected = i128::from(outlook.spent.scaled(outlook.left, outlook.gone).nano());
    Some(Remainder {
        expected,
        spread: expected / 2,
        spread_up: expected,
    })
}

fn by_days(outlook: &Outlook<'_>) -> Remainder {
    let growth = Growth::of(outlook.past);
    let past = &growth.at_todays_level(outlook.past);
    let today = of_kind(past, outlook.is_weekend);
    let rest = rest_of_today(&today, i128::from(outlook.today.nano()));
    let mut expected = rest.mean;
    let mut variance = rest.of_sum(1);
    let mut count = rest.count;
    let mut width = DAY_WIDTH;
    let all_ahead = outlook.ahead[0] + outlook.ahead[1];
    for (is_weekend, days) in [(false, outlook.ahead[0]), (true, outlook.ahead[1])] {
        if days > 0 {
            let whole = growth.ahead(Sample::of(&of_kind(past, is_weekend), total), all_ahead);
            let days = i128::from(days);
            expected = expected.saturating_add(whole.mean.saturating_mul(days));
            variance = variance.saturating_add(whole.of_sum(days));
            count = count.min(whole.count);
            width = SUM_WIDTH;
        }
    }
    let days = i128::from(all_ahead);
    if let Some(trend) = Trend::of(past).filter(|_| days > 0) {
        expected = expected.saturating_add(trend.above_usual.saturating_mul(days) / 2);
        let change = trend.change.saturating_mul(days);
        variance = variance.saturating_add(change.saturating_mul(change) / 2);
    }
    let doubt = growth.doubt(expected, outlook.past.len(), days);
    variance = variance.saturating_add(doubt.saturating_mul(doubt));
    let deviation = i128::try_from(variance.unsigned_abs().isqrt()).unwrap_or(i128::MAX);
    let t = usize::try_from(count).ok().and_then(|count| T80.get(count)).copied();
    let spread = (deviation / 1_000_000).saturating_mul(t.unwrap_or(T80_OF_MANY) * width)
        + (deviation % 1_000_000) * t.unwrap_or(T80_OF_MANY) * width / 1_000_000;
    // A single burst is not usual, but may come again.
    let again = if days > 0 {
        burst(past).min(expected / BURST_SHARE)
    } else {
        0
    };
    Remainder {
        expected,
        spread,
        spread_up: spread.saturating_add(again),
    }
}

/// How far the highest day is above the second highest.
fn burst(past: &[PastDay]) -> i128 {
    let mut totals: Vec<i128> = past.iter().map(total).collect();
    totals.sort_unstable_by(|one, other| other.cmp(one));
    match totals.as_slice() {
        [first, second, _, _, ..] => first - second,
        _ => 0,
    }
}

/// What follows on days like `past` on which it cost `today` so far: more or less by how that compares with what was usual,
/// half of it believed, from half to twice; and how far past days were from the same rule.
fn rest_of_today(past: &[PastDay], today: i128) -> Sample {
    let (usual, rest) = (Sample::of(past, before).mean, Sample::of(past, after));
    if usual <= 0 {
        return rest;
    }
    let whole = rest.mean.saturating_add(usual);
    let of = usual.saturating_mul(2).saturating_add(whole);
    let pace = |so_far: i128| {
        so_far
            .saturating_mul(2)
            .saturating_add(whole)
            .clamp(of / 2, of.saturating_mul(2))
    };
    let scaled = |value: i128, pace: i128| value / of * pace + value % of * pace / of;
    let missed = past.iter().map(|day| after(day) - scaled(rest.mean, pace(before(day))));
    let missed = without_burst(missed.map(i128::abs).collect());
    let squares = missed
        .iter()
        .map(|off| off.saturating_mul(*off))
        .fold(0, i128::saturating_add);
    let variance = (squares / (rest.count - 1).max(1)).min(rest.variance);
    let pace = pace(today);
    Sample {
        mean: scaled(rest.mean, pace),
        variance: if pace > of {
            scaled(scaled(variance, pace), pace)
        } else {
            variance
        },
        ..rest
    }
}

/// How the last week differs.
struct Trend {
    /// From all days.
    above_usual: i128,
    /// From the week before it.
    change: i128,
}

impl Trend {
    fn of(past: &[PastDay]) -> Option<Self> {
        if past.len() < TREND_FROM {
            return None;
        }
        let totals = without_burst(past.iter().map(total).collect());
        let week = 7.min(totals.len() / 2);
        let (earlier, last) = totals.split_at(totals.len() - week);
        let (_, week_before) = earlier.split_at(earlier.len() - week);
        Some(Self {
            above_usual: mean(last) - mean(&totals),
            change: mean(last) - mean(week_before),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(cents: i64) -> Usd {
        Usd::from_nano(cents * 10_000_000)
    }

    fn day(before: i64, after: i64) -> PastDay {
        PastDay {
            is_weekend: false,
            before: usd(before),
            after: usd(after),
        }
    }

    /// A day at noon, of which so much is spent.
    fn noon(past: &[PastDay], cents: i64) -> Outlook<'_> {
        Outlook {
            past,
            is_weekend: false,
            today: usd(cents),
            spent: usd(cents),
            ahead: [0, 0],
            gone: 43_200,
            left: 43_200,
        }
    }

    #[test]
    fn the_first_hours_of_a_first_day_say_nothing() {
        let hours = |hours: u64| Outlook {
            gone: hours * 3_600,
            left: (24 - hours) * 3_600,
            ..noon(&[], 100)
        };
        assert_eq!(forecast(&hours(5)), None);
        assert_eq!(
            forecast(&hours(6)),
            Some(Forecast {
                low: usd(250),
                expected: usd(400),
                high: usd(700),
            })
        );
        // Nor does a first day of a month.
        let first = Outlook {
            ahead: [20, 9],
            ..noon(&[], 100)
        };
        assert_eq!(forecast(&first), None);
    }

    #[test]
    fn days_that_are_alike_leave_no_doubt() {
        let past = [day(100, 300); 10];
        let outlook = forecast(&noon(&past, 100)).expect("a forecast");
        assert_eq!(
            (outlook.low, outlook.expected, outlook.high),
            (usd(400), usd(400), usd(400))
        );
    }

    #[test]
    fn one_burst_among_the_days_changes_nothing() {
        let mut past = vec![day(100, 300); 10];
        past[4] = day(100, 900_000);
        let outlook = forecast(&noon(&past, 100)).expect("a forecast");
        assert_eq!((outlook.expected, outlook.high), (usd(400), usd(400)));
    }

    #[test]
    fn weekends_count_apart_after_two_weeks() {
        let weeks = |weeks: usize| -> Vec<PastDay> {
            let of_week = |at: usize| PastDay {
                is_weekend: at >= 5,
                ..if at >= 5 { day(0, 0) } else { day(200, 200) }
            };
            (0..weeks * 7).map(|at| of_week(at % 7)).collect()
        };
        let past = weeks(3);
        let saturday = Outlook {
            is_weekend: true,
            ..noon(&past, 0)
        };
        assert_eq!(forecast(&saturday).map(|it| it.high), Some(Usd::ZERO));
        let past = weeks(1);
        let saturday = Outlook {
            is_weekend: true,
            ..noon(&past, 0)
        };
        assert!(forecast(&saturday).is_some_and(|it| it.high > Usd::ZERO));
    }

    #[test]
    fn amounts_beyond_all_bounds_stay_in_order() {
        let huge = PastDay {
            is_weekend: false,
            before: Usd::from_nano(i64::MAX / 2),
            after: Usd::from_nano(i64::MAX / 2),
        };
        let past = [
            huge,
            day(0, 0),
            huge,
            day(0, 1),
            huge,
            huge,
            day(1, 1),
            huge,
            huge,
            huge,
            huge,
        ];
        let outlook = Outlook {
            ahead: [23, 8],
            spent: Usd::from_nano(i64::MAX),
            ..noon(&past, 100)
        };
        let outlook = forecast(&outlook).expect("a forecast");
        assert!(outlook.low <= outlook.expected && outlook.expected <= outlook.high);
    }
}
