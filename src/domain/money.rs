//! Money and what a token costs: whole numbers of the smallest parts that matter, multiplied in 128 bits.

use std::{fmt, iter, ops};

use serde_json::Value;

use super::decimal::{Billionths, digits, json, thousands};

/// US dollars, kept in whole nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usd(i64);

/// What a token costs, in femto-dollars: the nine decimal places of a price in US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rate(u64);

/// An exact amount in femto-dollars, before it is rounded once to [`Usd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Exact(u128);

/// Nano-dollars in a cent.
const CENT: u64 = 10_000_000;
/// Femto-dollars in a nano-dollar.
const FEMTO_IN_NANO: u128 = 1_000_000;

impl Usd {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);
    pub const DOLLAR: Self = Self(1_000_000_000);

    pub const fn from_nano(nano: i64) -> Self {
        Self(nano)
    }

    /// The amount in nano-dollars.
    pub const fn nano(self) -> i64 {
        self.0
    }

    /// Not less than zero.
    #[must_use]
    pub fn or_zero(self) -> Self {
        self.max(Self::ZERO)
    }

    /// The part of the whole, such as 80 of 100, in whole percent rounded down; nothing of a whole that is nothing.
    pub fn percent_of(self, whole: Self) -> Option<i64> {
        (whole.0 > 0)
            .then(|| i128::from(self.0) * 100 / i128::from(whole.0))
            .map(|percent| i64::try_from(percent).unwrap_or(i64::MAX))
    }

    /// The amount times `numerator / denominator`, rounded towards zero.
    #[must_use]
    pub fn scaled(self, numerator: u64, denominator: u64) -> Self {
        let scaled = i128::from(self.0) * i128::from(numerator) / i128::from(denominator.max(1));
        Self(i64::try_from(scaled).unwrap_or(i64::MAX))
    }

    /// The exact number of US dollars, for results.
    pub fn to_json(self) -> Value {
        json(&self.digits())
    }

    /// All digits that are there and no more, such as `-0.8`.
    pub fn digits(self) -> String {
        let digits = digits(self.0.unsigned_abs());
        if self.0 < 0 { format!("-{digits}") } else { digits }
    }
}

impl serde::Serialize for Usd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// From a number, or a text that spells one; nothing below zero. The text itself is in no error.
impl<'de> serde::Deserialize<'de> for Usd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spelled = match Value::deserialize(deserializer)? {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text,
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
        };
        spelled.parse().map_err(serde::de::Error::custom)
    }
}

impl std::str::FromStr for Usd {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let amount = Billionths::parse_rounded(text.trim(), 0);
        amount.map(Self::from).ok_or("not an amount in dollars, from 0 on")
    }
}

impl schemars::JsonSchema for Usd {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Billionths::json_schema(generator)
    }
}

impl From<Billionths> for Usd {
    fn from(number: Billionths) -> Self {
        Self(i64::try_from(number.0).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Usd {
    /// For people: dollars and cents, and two significant digits below a cent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nano = self.0.unsigned_abs();
        if (1..CENT).contains(&nano) {
            let unit = 10_u64.pow(nano.ilog10().saturating_sub(1));
            return write!(f, "{sign}${}", digits((nano + unit / 2) / unit * unit));
        }
        let cents = nano.saturating_add(CENT / 2) / CENT;
        write!(f, "{sign}${}.{:02}", thousands(cents / 100), cents % 100)
    }
}

impl ops::Add for Usd {
    type Output = Self;
    /// Stops at the largest amount: nine billion dollars.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl ops::Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl iter::Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, ops::Add::add)
    }
}

impl Rate {
    pub const ZERO: Self = Self(0);

    /// What `tokens` cost, exactly.
    pub fn times(self, tokens: u64) -> Exact {
        Exact(u128::from(self.0) * u128::from(tokens))
    }

    /// US dollars per million tokens.
    pub fn per_million(self) -> Billionths {
        Billionths(self.0)
    }
}

impl From<Billionths> for Rate {
    /// From US dollars per million tokens.
    fn from(per_million: Billionths) -> Self {
        Self(per_million.0)
    }
}

impl serde::Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.per_million().serialize(serializer)
    }
}

impl schemars::JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Billionths::json_schema(generator)
    }
}

impl Exact {
    /// The nearest nano-dollar; half of one goes to the even neighbour.
    pub fn rounded(self) -> Usd {
        let (whole, rest) = (self.0 / FEMTO_IN_NANO, self.0 % FEMTO_IN_NANO);
        let half = FEMTO_IN_NANO / 2;
        let up = rest > half || (rest == half && whole % 2 == 1);
        Usd(i64::try_from(whole + u128::from(up)).unwrap_or(i64::MAX))
    }
}

impl Exact {
    /// What is left of it without `part`.
    #[must_use]
    pub fn less(self, part: Self) -> Self {
        Self(self.0.saturating_sub(part.0))
    }
}

impl ops::Add for Exact {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl iter::Sum for Exact {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), ops::Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_million: &str) -> Rate {
        Billionths::parse(per_million).expect("a number").into()
    }

    #[test]
    fn a_cost_is_exact_and_rounded_once() {
        assert_eq!(rate("3").times(1_000).rounded(), Usd::from_nano(3_000_000));
        assert_eq!(rate("0.02").times(1).rounded(), Usd::from_nano(20));
        assert_eq!(
            rate("0.0005").times(1).rounded(),
            Usd::from_nano(0),
            "half goes to even"
        );
        assert_eq!(
            rate("0.0015").times(1).rounded(),
            Usd::from_nano(2),
            "half goes to even"
        );
        let many: Exact = iter::repeat_n(rate("0.0005").times(1), 4).sum();
        assert_eq!(many.rounded(), Usd::from_nano(2), "parts are added before rounding");
    }

    #[test]
    fn the_largest_counts_and_prices_do_not_overflow() {
        let most = Rate(u64::MAX).times(u64::MAX) + Rate(u64::MAX).times(u64::MAX);
        assert_eq!(most.rounded(), Usd::MAX);
        assert_eq!(Usd::MAX + Usd::MAX, Usd::MAX);
    }

    #[test]
    fn people_see_what_there_is_to_see() {
        for (nano, text) in [
            (0, "$0.00"),
            (1_234_567_890, "$1.23"),
            (-1_235_000_000, "-$1.24"),
            (999_999_999, "$1.00"),
            (500_000_000, "$0.50"),
            (10_500_000, "$0.01"),
            (9_996_000, "$0.01"),
            (4_567_000, "$0.0046"),
            (1_500, "$0.0000015"),
            (7, "$0.000000007"),
            (123_456_789_000_000, "$123,456.79"),
        ] {
            assert_eq!(Usd(nano).to_string(), text);
        }
    }

    #[test]
    fn results_hold_every_digit() {
        assert_eq!(Usd(4_500_001).to_json().to_string(), "0.004500001");
        assert_eq!(Usd(-2_000_000_000).to_json().to_string(), "-2");
    }

    #[test]
    fn percent_are_rounded_down_and_there_are_none_of_nothing() {
        assert_eq!(Usd(799).percent_of(Usd(1000)), Some(79));
        assert_eq!(Usd(1).percent_of(Usd::ZERO), None);
    }
}
