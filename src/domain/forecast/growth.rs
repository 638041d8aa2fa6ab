//! How fast past weeks grow or shrink, and what that makes of the days to come.

use super::days::{PastDay, Sample, of_kind, total, without_burst};
use crate::domain::Usd;

/// Days in a week.
const WEEK: usize = 7;
/// Of how many weeks growth is measured.
const MAX_WEEKS: usize = 4;
/// Fractional bits of a logarithm.
const BITS: u32 = 24;
/// The fastest growth that is believed: a doubling in four days.
const MAX_GROWTH: i128 = 1 << (BITS - 2);
/// From which multiple of its error on growth is believed, squared, in hundredths.
const GROWTH_DOUBT: i128 = 80;

/// How fast the weeks grow, in binary logarithms with [`BITS`] fractional bits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Growth {
    /// A day.
    rate: i128,
    /// The standard deviation of that.
    error: i128,
}

impl Growth {
    /// The growth of whole weeks before today, as far as it exceeds their noise; none where a week cost nothing.
    pub(super) fn of(past: &[PastDay]) -> Self {
        let weeks = (past.len() / WEEK).min(MAX_WEEKS);
        if weeks < 2 {
            return Self::default();
        }
        let recent = &past[past.len() - weeks * WEEK..];
        let totals = without_burst(recent.iter().map(total).collect());
        let sums: Vec<i128> = totals.chunks(WEEK).map(|week| week.iter().sum()).collect();
        if sums.iter().any(|sum| *sum <= 0) {
            return Self::default();
        }
        let logs: Vec<i128> = sums.iter().map(|sum| log2(*sum)).collect();
        // The least squares of two to four points, and the variance of that in variances of one.
        let (slope, variance) = match logs.as_slice() {
            [a, b] => (b - a, (2, 1)),
            [a, _, c] => ((c - a) / 2, (1, 2)),
            [a, b, c, d] => ((3 * (d - a) + c - b) / 10, (1, 5)),
            _ => return Self::default(),
        };
        let week = i128::try_from(WEEK).unwrap_or(1);
        let raw = Self {
            rate: slope.clamp(-MAX_GROWTH * week, MAX_GROWTH * week) / week,
            error: 0,
        };
        // Noise of a day in thousandths of its mean, each kind of day by itself, at the same level.
        let level = raw.at_todays_level(recent);
        let noise = [false, true].into_iter().map(|is_weekend| {
            let sample = Sample::of(&of_kind(&level, is_weekend), total);
            let deviation = i128::try_from(sample.variance.unsigned_abs().isqrt()).unwrap_or(i128::MAX);
            (deviation.saturating_mul(1_000) / sample.mean.max(1)).min(10_000)
        });
        let noise = noise.max().unwrap_or(0);
        // Of a week's logarithm: 1 / ln 2 = 1.443, and the square root of 7 is 2.646.
        let of_week = noise * (1 << BITS) / 1_000 * 1_443 / 2_646;
        let square = of_week * of_week * variance.0 / variance.1;
        let error = i128::try_from(square.unsigned_abs().isqrt()).unwrap_or(i128::MAX) / week;
        // What is within twice the noise counts less, and nothing within once.
        let (rate2, error2) = (raw.rate * raw.rate, error * error * GROWTH_DOUBT / 100);
        if rate2 <= error2 {
            return Self::default();
        }
        Self {
            rate: raw.rate * (rate2 - error2) / rate2,
            error,
        }
    }

    /// The past days, each with the growth since.
    pub(super) fn at_todays_level(self, past: &[PastDay]) -> Vec<PastDay> {
        if self.rate == 0 {
            return past.to_vec();
        }
        let age = |at: usize| i128::try_from(past.len() - at).unwrap_or(0);
        let grown = |cost: Usd, at: usize| {
            let nano = times(i128::from(cost.nano()), exp2(self.rate * age(at)));
            Usd::from_nano(i64::try_from(nano).unwrap_or(i64::MAX))
        };
        let days = past.iter().enumerate();
        days.map(|(at, day)| PastDay {
            before: grown(day.before, at),
            after: grown(day.after, at),
            ..*day
        })
        .collect()
    }

    /// The sample as of the mean of the next `days`.
    pub(super) fn ahead(self, sample: Sample, days: u32) -> Sample {
        if self.rate == 0 || days == 0 {
            return sample;
        }
        let factors = (1..=days).map(|day| exp2(self.rate * i128::from(day)));
        let factor = factors.fold(0, i128::saturating_add) / i128::from(days);
        Sample {
            mean: times(sample.mean, factor),
            variance: times(times(sample.variance, factor), factor),
            ..sample
        }
    }

    /// How far an expected cost of the next days may be off by the growth alone: ln 2 is 0.693.
    pub(super) fn doubt(self, expected: i128, past: usize, days: i128) -> i128 {
        let past = i128::try_from(past).unwrap_or(0);
        times(expected, self.error * (past + days) / 2 * 693 / 1_000)
    }
}

/// `value` times `factor`, which has [`BITS`] fractional bits.
fn times(value: i128, factor: i128) -> i128 {
    let one = 1_i128 << BITS;
    let whole = (value / one).saturating_mul(factor);
    whole.saturating_add((value % one).saturating_mul(factor) / one)
}

/// The binary logarithm of a number above zero, with [`BITS`] fractional bits.
fn log2(number: i128) -> i128 {
    let number = number.unsigned_abs().max(1);
    let whole = number.ilog2();
    // From one up to two, with 62 fractional bits.
    let mut mantissa = if whole > 62 {
        number >> (whole - 62)
    } else {
        number << (62 - whole)
    };
    let mut fraction = 0;
    for _ in 0..BITS {
        mantissa = (mantissa >> 31) * (mantissa >> 31);
        let is_above = mantissa >= 1 << 63;
        mantissa >>= u32::from(is_above);
        fraction = fraction << 1 | i128::from(is_above);
    }
    (i128::from(whole) << BITS) + fraction
}

/// Two to the power of `exponent`, both with [`BITS`] fractional bits, to a few parts in ten thousand.
fn exp2(exponent: i128) -> i128 {
    let one = 1_i128 << BITS;
    let (whole, rest) = (exponent.div_euclid(one), exponent.rem_euclid(one));
    // A polynomial that is right at both ends.
    let fraction = one + rest * (695_600 + rest * (226_800 + rest * 77_600 / one) / one) / 1_000_000;
    match u32::try_from(whole.unsigned_abs()) {
        Ok(shift) if shift < 64 && whole >= 0 => fraction << shift,
        Ok(shift) if shift < 64 => fraction >> shift,
        _ if whole > 0 => i128::MAX >> 32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days of whole weeks whose cost grows by so many percent a day.
    fn growing(percent: i64, weeks: usize) -> Vec<PastDay> {
        let mut cost = 1_000_000_000;
        (0..weeks * WEEK)
            .map(|_| {
                cost += cost * percent / 100;
                PastDay {
                    is_weekend: false,
                    before: Usd::from_nano(cost / 2),
                    after: Usd::from_nano(cost / 2),
                }
            })
            .collect()
    }

    #[test]
    fn logarithms_and_powers_are_right_to_a_thousandth() {
        let one = 1_i128 << BITS;
        for (number, thousandths) in [
            (1, 0),
            (2, 1_000),
            (3, 1_585),
            (1_000_000_007, 29_897),
            (i128::MAX, 127_000),
        ] {
            assert!((log2(number) * 1_000 / one - thousandths).abs() <= 1, "{number}");
        }
        for (exponent, thousandths) in [
            (0, 1_000),
            (one, 2_000),
            (one / 2, 1_414),
            (-one, 500),
            (10 * one, 1_024_000),
        ] {
            let off = (exp2(exponent) * 1_000 / one - thousandths).abs();
            assert!(off * 1_000 <= thousandths, "{exponent}: {off}");
        }
        assert_eq!(exp2(-1_000 * one), 0);
        assert!(exp2(1_000 * one) > 0);
    }

    #[test]
    fn growth_is_found_in_whole_weeks_and_not_in_level_or_empty_ones() {
        let thousandths = |growth: Growth| exp2(growth.rate) * 1_000 / (1 << BITS);
        assert!((1_048..=1_050).contains(&thousandths(Growth::of(&growing(5, 4)))));
        assert!((968..=972).contains(&thousandths(Growth::of(&growing(-3, 3)))));
        assert_eq!(Growth::of(&growing(0, 4)).rate, 0);
        assert_eq!(Growth::of(&growing(5, 1)).rate, 0, "one week cannot tell");
        let mut unused = growing(5, 3);
        for day in &mut unused[7..14] {
            (day.before, day.after) = (Usd::ZERO, Usd::ZERO);
        }
        assert_eq!(Growth::of(&unused).rate, 0);
    }
}
