//! Decimal numbers, kept exactly from the text they are read from to the text they are written in.

use std::{
    fmt::{self, Write},
    str::FromStr,
};

use serde_json::{Number, Value};

/// A number that is not negative, in billionths: no float ever holds money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Billionths(pub u64);

/// Decimal places that are kept.
const PLACES: usize = 9;

impl Billionths {
    pub const ONE: Self = Self(1_000_000_000);

    /// The number that `text` spells, as TOML spells integers and floats; nothing where it is
    /// negative, not finite, too large or has more than nine decimal places.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_shifted(text, 0)
    }

    /// The number that `text` spells, times ten to the power of `shift`, such as 6 to read dollars per token as dollars
    /// per million.
    pub fn parse_shifted(text: &str, shift: i32) -> Option<Self> {
        Self::read(text, shift, false)
    }

    /// As [`Billionths::parse_shifted`], with what is finer rounded to the nearest: for numbers that once were floats.
    pub fn parse_rounded(text: &str, shift: i32) -> Option<Self> {
        Self::read(text, shift, true)
    }

    fn read(text: &str, shift: i32, round: bool) -> Option<Self> {
        let text: String = text.chars().filter(|c| *c != '_').collect();
        let text = text.strip_prefix('+').unwrap_or(&text);
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if whole.is_empty() || digits.len() > 30 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let number: u128 = digits.parse().ok()?;
        let places = i32::try_from(PLACES).ok()? - i32::try_from(fraction.len()).ok()?;
        let places = exponent.checked_add(places)?.checked_add(shift)?;
        let power = 10u128.checked_pow(places.unsigned_abs())?;
        let billionths = if places >= 0 {
            number.checked_mul(power)?
        } else if round || number.is_multiple_of(power) {
            number / power + u128::from(number % power >= power.div_ceil(2))
        } else {
            return None;
        };
        u64::try_from(billionths).ok().map(Self)
    }

    /// `part` of `whole`, such as 0.9231, to four places; nothing of nothing.
    pub fn ratio(part: u64, whole: u64) -> Option<Self> {
        let unit = u128::from(Self::ONE.0 / 10_000);
        let places = (whole > 0).then(|| u128::from(part) * 10_000 / u128::from(whole))?;
        u64::try_from(places * unit).ok().map(Self)
    }

    /// The number as JSON spells it: the very digits of [`fmt::Display`].
    pub fn to_json(self) -> Value {
        json(&digits(self.0))
    }
}

impl serde::Serialize for Billionths {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl schemars::JsonSchema for Billionths {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "number"})
    }
}

impl fmt::Display for Billionths {
    /// All digits that are there and no more, such as `0.8` or `10`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&digits(self.0))
    }
}

/// `billionths` as a decimal number without zeros at its end.
pub(super) fn digits(billionths: u64) -> String {
    let (whole, mut fraction) = (billionths / Billionths::ONE.0, billionths % Billionths::ONE.0);
    let mut text = String::with_capacity(24);
    // A string takes everything.
    let _ = write!(text, "{whole}");
    if fraction > 0 {
        text.push('.');
    }
    let mut unit = Billionths::ONE.0;
    while fraction > 0 {
        unit /= 10;
        text.extend(char::from_digit(u32::try_from(fraction / unit).unwrap_or_default(), 10));
        fraction %= unit;
    }
    text
}

/// A JSON number of the digits in `text`.
pub(super) fn json(text: &str) -> Value {
    Number::from_str(text).map_or(Value::Null, Value::Number)
}

/// A whole number with its thousands apart, such as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        for (text, billionths) in [
            ("0", 0),
            ("10", 10_000_000_000),
            ("10.0", 10_000_000_000),
            ("+1.25", 1_250_000_000),
            ("0.1", 100_000_000),
            ("0.000000001", 1),
            ("1e-9", 1),
            ("1_000.5", 1_000_500_000_000),
            ("1.5e2", 150_000_000_000),
            ("0.1000000000000", 100_000_000),
        ] {
            assert_eq!(Billionths::parse(text), Some(Billionths(billionths)), "{text}");
        }
        for text in [
            "-1",
            "nan",
            "inf",
            "",
            ".",
            "1e99",
            "1e-10",
            "0.0000000001",
            "99999999999999999999",
            "0x10",
            "1e999999999999",
            "1e2147483647",
            "1e-2147483648",
        ] {
            assert_eq!(Billionths::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_price_per_token_is_read_as_one_per_million() {
        for (text, billionths) in [("1.25e-06", 1_250_000_000), ("0.000003", 3_000_000_000), ("0", 0)] {
            assert_eq!(
                Billionths::parse_shifted(text, 6),
                Some(Billionths(billionths)),
                "{text}"
            );
        }
        assert_eq!(Billionths::parse_shifted("1e-16", 6), None, "finer than what is kept");
        for (text, billionths) in [
            ("4.1666666666666664e-08", 41_666_667),
            ("1e-16", 0),
            ("5e-16", 1),
            ("4e-16", 0),
        ] {
            assert_eq!(
                Billionths::parse_rounded(text, 6),
                Some(Billionths(billionths)),
                "{text}"
            );
        }
    }

    #[test]
    fn numbers_are_written_exactly() {
        for (billionths, text, json) in [
            (0, "0", "0"),
            (10_000_000_000, "10", "10"),
            (800_000_000, "0.8", "0.8"),
            (1, "0.000000001", "1e-9"),
            (1_000_500_000_000, "1000.5", "1000.5"),
        ] {
            assert_eq!(Billionths(billionths).to_string(), text);
            assert_eq!(Billionths(billionths).to_json().to_string(), json);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = Billionths::parse(&text);
        }

        #[test]
        fn whole_and_fraction_read_back(whole in 0u64..1_000_000_000, fraction in 0u64..1_000_000_000) {
            let text = format!("{whole}.{fraction:09}");
            proptest::prop_assert_eq!(Billionths::parse(&text), Some(Billionths(whole * 1_000_000_000 + fraction)));
        }
    }
}
