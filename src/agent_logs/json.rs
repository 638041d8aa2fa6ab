//! JSON as agents write it: numbers may be strings, anything may be null, and most of a line is of no interest.

use std::{borrow::Cow, fmt, fs, path::Path};

use jiff::Timestamp;

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, error::Category};

use super::fault::LogFault;
use crate::domain::{Billionths, Usd};

/// The longest file that is read whole.
const LONGEST: u64 = 256 << 20;
/// The largest number that is taken for seconds since 1970, not milliseconds.
const SECONDS_UP_TO: i64 = 100_000_000_000;

/// A count of tokens: a number, a number in a string, or null for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

/// A text that is borrowed from its line where it can be; what is not a text is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LogText<'a>(Option<Cow<'a, str>>);

impl LogText<'_> {
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor;
        impl Visitor<'_> for CountVisitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count of tokens")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Count, E> {
                Ok(Count(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Count, E> {
                Ok(Count(u64::try_from(number).unwrap_or(0)))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Count, E> {
                // Written by programs that know no other numbers: `12.0`.
                format!("{number:.0}").parse().map(Count).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Count, E> {
                text.trim().parse().map(Count).map_err(E::custom)
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(0))
            }
        }
        deserializer.deserialize_any(CountVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for LogText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
            type Value = LogText<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<LogText<'a>, E> {
                Ok(LogText(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<LogText<'a>, E> {
                Ok(LogText(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_unit<E>(self) -> Result<LogText<'a>, E> {
                Ok(LogText(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<LogText<'a>, E> {
                Ok(LogText(None))
            }

            fn visit_u64<E>(self, number: u64) -> Result<LogText<'a>, E> {
                Ok(LogText(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_i64<E>(self, number: i64) -> Result<LogText<'a>, E> {
                Ok(LogText(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_f64<E>(self, number: f64) -> Result<LogText<'a>, E> {
                Ok(LogText(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<LogText<'a>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(LogText(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LogText<'a>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(LogText(None))
            }
        }
        deserializer.deserialize_any(TextVisitor(std::marker::PhantomData))
    }
}

/// The whole of a file that is JSON.
pub(super) fn file(path: &Path) -> Result<Value, LogFault> {
    let length = fs::metadata(path)?.len();
    if length > LONGEST {
        return Err(LogFault::TooLong);
    }
    // A file that is being written is read next time.
    serde_json::from_slice(&fs::read(path)?).map_err(|why| match why.classify() {
        Category::Eof => LogFault::Locked,
        Category::Io | Category::Syntax | Category::Data => LogFault::UnknownForm("it is not JSON"),
    })
}

/// A count in `value`, by the names on the way to it.
pub(super) fn count(value: &Value, pointer: &str) -> u64 {
    let found = value.pointer(pointer);
    found
        .and_then(|found| Count::deserialize(found).ok())
        .unwrap_or_default()
        .0
}

/// A text in `value`, by the names on the way to it.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

/// An amount of US dollars in `value`; nothing where it is zero, which agents write where they do not know.
pub(super) fn amount(value: &Value, pointer: &str) -> Option<Usd> {
    match value.pointer(pointer)? {
        Value::Number(number) => dollars(&number.to_string()),
        Value::String(text) => dollars(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
    .filter(|amount| *amount > Usd::ZERO)
}

/// A time in `value`: ISO 8601, or seconds or milliseconds since 1970.
pub(super) fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    match value.pointer(pointer)? {
        Value::Number(number) => number_time(&number.to_string()),
        Value::String(text) => text_time(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The time that `text` spells, in UTC where it names no zone.
pub(super) fn text_time(text: &str) -> Option<Timestamp> {
    let in_utc = || {
        let time: jiff::civil::DateTime = text.trim().parse().ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    text.trim().parse().ok().or_else(in_utc).or_else(|| number_time(text))
}

fn number_time(text: &str) -> Option<Timestamp> {
    // By its digits: a float would not keep milliseconds.
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let whole: i64 = whole.parse().ok()?;
    if whole >= SECONDS_UP_TO {
        return Timestamp::from_millisecond(whole).ok();
    }
    let thousandths = format!("{fraction:0<3}")
        .get(..3)
        .and_then(|digits| digits.parse::<i64>().ok());
    Timestamp::from_millisecond(whole.checked_mul(1_000)? + thousandths.unwrap_or(0)).ok()
}

/// The amount that `text` spells, as a float that it once was.
pub(super) fn dollars(text: &str) -> Option<Usd> {
    let amount = Billionths::parse_rounded(text, 0)?;
    // More than any request costs is not an amount.
    (amount.0 < 1_000_000 * Billionths::ONE.0).then(|| amount.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_however_they_are_written() {
        for (text, count) in [("12", 12), ("\"12\"", 12), ("12.0", 12), ("null", 0), ("-1", 0)] {
            assert_eq!(serde_json::from_str::<Count>(text).unwrap(), Count(count), "{text}");
        }
        assert!(serde_json::from_str::<Count>("\"many\"").is_err());
    }

    #[test]
    fn what_is_not_a_text_is_none() {
        for (text, found) in [
            ("\"a\\n\"", Some("a\n")),
            ("\"\"", None),
            ("null", None),
            ("{\"a\": [1]}", None),
            ("[1, {}]", None),
            ("7", Some("7")),
        ] {
            assert_eq!(
                serde_json::from_str::<LogText<'_>>(text).unwrap().get(),
                found,
                "{text}"
            );
        }
    }

    #[test]
    fn times_are_read_however_they_are_written() {
        let expected: Timestamp = "2026-11-24T12:00:00.250Z".parse().unwrap();
        for value in [
            "\"2026-11-24T12:00:00.250Z\"",
            "\"2026-11-24 12:00:00.250\"",
            "1795521600250",
            "1795521600.25",
            "\"1795521600250\"",
        ] {
            assert_eq!(
                time(&serde_json::from_str(value).unwrap(), ""),
                Some(expected),
                "{value}"
            );
        }
        assert_eq!(time(&Value::Null, ""), None);
    }

    #[test]
    fn money_is_read_by_its_digits() {
        assert_eq!(dollars("0.0123"), Some(Usd::from_nano(12_300_000)));
        assert_eq!(dollars("4.1666666666666664e-08"), Some(Usd::from_nano(42)));
        assert_eq!(dollars("-1"), None);
    }
}
