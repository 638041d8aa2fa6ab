//! The counts of `usage.json`, day by day.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::store::{UnreadableStore, read_object};
use crate::domain::{Billionths, Usd};

/// What one provider was used for on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayOfUse {
    /// As that program names it.
    pub provider: String,
    /// In UTC.
    pub date: Date,
    pub requests: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// By the rates of that program, which knew one for each provider.
    pub cost: Usd,
}

/// What can be taken over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CenterUsage {
    /// By provider and day.
    pub days: Vec<DayOfUse>,
    /// The days whose numbers cannot be, and of which provider.
    pub impossible: Vec<(String, String)>,
    /// What the totals have and the days do not: lost by servers that wrote at the same time, or by a reset.
    pub requests_without_day: u64,
}

#[derive(Deserialize)]
struct UsageFile<'a> {
    #[serde(borrow, default)]
    providers: BTreeMap<String, ProviderUse<'a>>,
}

#[derive(Deserialize)]
struct ProviderUse<'a> {
    #[serde(borrow)]
    total_requests: Option<&'a RawValue>,
    #[serde(borrow, default)]
    requests_by_date: BTreeMap<String, Counts<'a>>,
}

/// Numbers as text, since none of them may pass through a float.
#[derive(Deserialize)]
struct Counts<'a> {
    #[serde(borrow)]
    requests: &'a RawValue,
    #[serde(borrow)]
    input_tokens: &'a RawValue,
    #[serde(borrow)]
    output_tokens: &'a RawValue,
    #[serde(borrow)]
    cost: &'a RawValue,
}

/// The counts in `file`, which may be empty.
pub fn read_usage(file: &[u8]) -> Result<CenterUsage, UnreadableStore> {
    let mut usage = CenterUsage::default();
    let read: Option<UsageFile<'_>> = read_object(file)?;
    for (provider, of) in read.map(|read| read.providers).unwrap_or_default() {
        let mut counted: u64 = 0;
        for (date, counts) in of.requests_by_date {
            match counts.read(&provider, &date) {
                Some(day) => {
                    counted = counted.saturating_add(day.requests);
                    usage.days.push(day);
                }
                None => usage.impossible.push((provider.clone(), date)),
            }
        }
        let total = of.total_requests.and_then(whole).unwrap_or_default();
        usage.requests_without_day += total.saturating_sub(counted);
    }
    Ok(usage)
}

impl Counts<'_> {
    fn read(&self, provider: &str, date: &str) -> Option<DayOfUse> {
        Some(DayOfUse {
            provider: provider.to_owned(),
            date: date.parse().ok()?,
            requests: whole(self.requests)?,
            input_tokens: whole(self.input_tokens)?,
            output_tokens: whole(self.output_tokens)?,
            cost: Usd::from_nano(i64::try_from(Billionths::parse_rounded(self.cost.get(), 0)?.0).ok()?),
        })
    }
}

/// A whole number that is not negative, however it is written.
fn whole(number: &RawValue) -> Option<u64> {
    let billionths = Billionths::parse(number.get())?.0;
    billionths
        .is_multiple_of(Billionths::ONE.0)
        .then_some(billionths / Billionths::ONE.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = include_bytes!("usage.json");

    #[test]
    fn a_real_file_is_read_day_by_day() {
        let usage = read_usage(SAMPLE).expect("read");
        let days: Vec<_> = usage
            .days
            .iter()
            .map(|day| (day.provider.as_str(), day.requests, day.cost))
            .collect();
        assert_eq!(
            days,
            [("anthropic", 2, Usd::from_nano(10_485_000)), ("local", 1, Usd::ZERO)]
        );
        assert_eq!((usage.impossible.len(), usage.requests_without_day), (0, 0));
    }

    #[test]
    fn impossible_days_are_left_out_and_named() {
        let file = br#"{"providers": {"openai": {"total_requests": 9, "requests_by_date": {
            "2025-10-01": {"requests": 1, "input_tokens": 5.0, "output_tokens": 1, "cost": 1e-05},
            "2025-10-02": {"requests": 1, "input_tokens": -5, "output_tokens": 1, "cost": 0.1},
            "2025-10-03": {"requests": 1, "input_tokens": 5, "output_tokens": 1, "cost": -0.1},
            "yesterday": {"requests": 1, "input_tokens": 5, "output_tokens": 1, "cost": 0.1}
        }}}}"#;
        let usage = read_usage(file).expect("read");
        assert_eq!(usage.days.len(), 1);
        assert_eq!(usage.days[0].cost, Usd::from_nano(10_000));
        assert_eq!(usage.impossible.len(), 3);
        assert_eq!(usage.requests_without_day, 8);
    }

    #[test]
    fn an_empty_file_says_nothing_and_a_torn_one_is_an_error() {
        assert_eq!(read_usage(b""), Ok(CenterUsage::default()));
        assert!(read_usage(&SAMPLE[..200]).is_err());
        assert!(
            read_usage(br#"{"providers": {"a": {"requests_by_date": {"2025-10-01": {"requests": NaN}}}}}"#).is_err()
        );
    }
}
