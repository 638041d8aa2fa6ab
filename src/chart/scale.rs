//! Where values are on an axis.

/// An axis from zero to a round number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) top: u64,
    pub(super) ticks: Vec<u64>,
}

impl Scale {
    /// The axis that `most` fits on, with three to six round steps.
    pub(super) fn to(most: u64) -> Self {
        let step = round_up(most.max(1).div_ceil(4));
        let count = most.max(1).div_ceil(step);
        Self {
            top: step.saturating_mul(count),
            ticks: (0..=count).map(|at| step.saturating_mul(at)).collect(),
        }
    }

    /// How far up `value` is, where the top is `height`.
    pub(super) fn height(&self, value: u64, height: u64) -> u64 {
        scaled(value.min(self.top), self.top, height)
    }
}

/// `value` of `whole` in units of which the whole has `units`; something is at least one.
pub(super) fn scaled(value: u64, whole: u64, units: u64) -> u64 {
    if value == 0 || whole == 0 {
        return 0;
    }
    let exact = (u128::from(value) * u128::from(units) + u128::from(whole) / 2) / u128::from(whole);
    u64::try_from(exact).unwrap_or(units).max(1)
}

/// The next number of 1, 2, 2.5 or 5 with zeros.
fn round_up(value: u64) -> u64 {
    let power = 10_u64.saturating_pow(value.max(1).ilog10());
    let steps = [
        power,
        power.saturating_mul(2),
        power.saturating_mul(5) / 2,
        power.saturating_mul(5),
    ];
    steps
        .into_iter()
        .find(|round| *round >= value)
        .unwrap_or_else(|| power.saturating_mul(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_above_all_values() {
        for (most, ticks) in [
            (0, vec![0, 1]),
            (3, vec![0, 1, 2, 3]),
            (7, vec![0, 2, 4, 6, 8]),
            (100, vec![0, 25, 50, 75, 100]),
            (1_234, vec![0, 500, 1_000, 1_500]),
        ] {
            assert_eq!(Scale::to(most).ticks, ticks, "{most}");
        }
        assert!(Scale::to(u64::MAX).top >= u64::MAX / 2);
    }

    #[test]
    fn what_is_there_is_seen() {
        let scale = Scale::to(1_000_000);
        assert_eq!(scale.height(1, 200), 1);
        assert_eq!(scale.height(0, 200), 0);
        assert_eq!(scale.height(u64::MAX, 200), 200);
    }
}
