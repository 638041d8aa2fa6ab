//! Decimal numbers of the configuration, kept exactly.

/// A number that is not negative, in billionths: no float ever holds money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Billionths(pub u64);

/// Decimal places that are kept.
const PLACES: usize = 9;

impl Billionths {
    pub const ONE: Self = Self(1_000_000_000);

    /// The number that `text` spells, as TOML spells integers and floats; nothing where it is
    /// negative, not finite, too large or has more than nine decimal places.
    pub(super) fn parse(text: &str) -> Option<Self> {
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
        let shift = i32::try_from(PLACES).ok()? - i32::try_from(fraction.len()).ok()?;
        let places = exponent.checked_add(shift)?;
        let power = 10u128.checked_pow(places.unsigned_abs())?;
        let billionths = if places >= 0 {
            number.checked_mul(power)?
        } else if number.is_multiple_of(power) {
            number / power
        } else {
            return None;
        };
        u64::try_from(billionths).ok().map(Self)
    }
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
