//! What a chart shows: columns, series, and the unit of its values.

use crate::domain::{Usd, thousands};

/// How many series have a colour and a pattern of their own; what is beyond is summed up by the caller.
pub const PALETTE: usize = 8;

/// A chart of series over columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Unique on its page.
    pub id: String,
    pub title: String,
    pub unit: ChartUnit,
    pub columns: Vec<ChartColumn>,
    /// The first is drawn at the bottom.
    pub series: Vec<ChartSeries>,
    /// A value that is not to be exceeded, and what it is called.
    pub limit: Option<(u64, String)>,
}

/// One place on the horizontal axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartColumn {
    /// Its whole name.
    pub name: String,
    /// What stands below it where there is room.
    pub short: String,
}

/// One value for each column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartSeries {
    pub name: String,
    pub values: Vec<u64>,
}

/// What values count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartUnit {
    /// Nano-dollars.
    Usd,
    Tokens,
    Requests,
    Milliseconds,
}

impl ChartUnit {
    /// The value in full, as tables have it.
    pub fn text(self, value: u64) -> String {
        match self {
            Self::Usd => dollars(value).to_string(),
            Self::Tokens | Self::Requests => thousands(value),
            Self::Milliseconds => format!("{} ms", thousands(value)),
        }
    }

    /// The value as an axis has it: round, and short.
    pub(super) fn tick(self, value: u64) -> String {
        match self {
            Self::Usd if value == 0 => "$0".to_owned(),
            Self::Usd if value.is_multiple_of(ONE_DOLLAR) => format!("${}", short(value / ONE_DOLLAR)),
            Self::Usd => dollars(value).to_string(),
            Self::Tokens | Self::Requests => short(value),
            Self::Milliseconds if value >= 1_000 && value.is_multiple_of(100) => {
                format!("{} s", decimal(value / 100))
            }
            Self::Milliseconds => format!("{value} ms"),
        }
    }
}

const ONE_DOLLAR: u64 = 1_000_000_000;

fn dollars(nano: u64) -> Usd {
    Usd::from_nano(i64::try_from(nano).unwrap_or(i64::MAX))
}

/// A number with one letter for its size, such as `1.5M`.
fn short(value: u64) -> String {
    for (unit, letter) in [(1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")] {
        if value >= unit {
            return format!("{}{letter}", decimal(value / (unit / 10)));
        }
    }
    value.to_string()
}

/// So many tenths.
fn decimal(tenths: u64) -> String {
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        rest => format!("{}.{rest}", tenths / 10),
    }
}

impl Chart {
    /// What each column comes to.
    pub fn sums(&self) -> Vec<u64> {
        let value = |at: usize| self.series.iter().filter_map(move |series| series.values.get(at));
        (0..self.columns.len())
            .map(|at| value(at).fold(0, |sum: u64, value| sum.saturating_add(*value)))
            .collect()
    }

    /// The chart in a sentence, for those who do not see it.
    pub fn summary(&self) -> String {
        let sums = self.sums();
        let total = sums.iter().fold(0, |sum: u64, value| sum.saturating_add(*value));
        let (Some(first), Some(last)) = (self.columns.first(), self.columns.last()) else {
            return "No values".to_owned();
        };
        let most = sums.iter().zip(&self.columns).max_by_key(|(sum, _)| **sum);
        let most = most.map_or_else(String::new, |(sum, column)| {
            format!(", most on {}: {}", column.name, self.unit.text(*sum))
        });
        let all = if self.unit == ChartUnit::Milliseconds {
            String::new()
        } else {
            format!(", {} in all", self.unit.text(total))
        };
        format!("{} to {}{all}{most}", first.name, last.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_short_round_numbers() {
        for (unit, value, text) in [
            (ChartUnit::Usd, 0, "$0"),
            (ChartUnit::Usd, 5_000_000_000, "$5"),
            (ChartUnit::Usd, 500_000_000, "$0.50"),
            (ChartUnit::Usd, 2_500_000_000_000, "$2.5k"),
            (ChartUnit::Tokens, 1_500_000, "1.5M"),
            (ChartUnit::Requests, 200, "200"),
            (ChartUnit::Milliseconds, 1_500, "1.5 s"),
            (ChartUnit::Milliseconds, 500, "500 ms"),
        ] {
            assert_eq!(unit.tick(value), text);
        }
    }
}
