//! What a response says about rate limits: how long to wait, and what remains of each quota.
//!
//! `Retry-After` is [RFC 9110's](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after), in seconds or as a date;
//! `retry-after-ms` is OpenAI's. `x-ratelimit-*` is [OpenAI's](https://platform.openai.com/docs/guides/rate-limits) and
//! of those that speak like it, `anthropic-ratelimit-*` is
//! [Anthropic's](https://platform.claude.com/docs/en/api/rate-limits). With both, a reset is when the quota is full
//! again, and it fills steadily until then.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{self, HeaderMap, HeaderName};
use serde_json::Value;

use crate::domain::Billionths;

/// The longest reset that is believed: no provider counts in longer periods.
const MAX_RESET: Duration = Duration::from_hours(24);
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

static QUOTAS: [Quota; 6] = [
    Quota::of(
        QuotaUnit::Requests,
        "x-ratelimit-remaining-requests",
        "x-ratelimit-limit-requests",
        "x-ratelimit-reset-requests",
    ),
    Quota::of(
        QuotaUnit::Tokens,
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-reset-tokens",
    ),
    Quota::of(
        QuotaUnit::Requests,
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-reset",
    ),
    Quota::of(
        QuotaUnit::Tokens,
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-reset",
    ),
    Quota::of(
        QuotaUnit::InputTokens,
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    Quota::of(
        QuotaUnit::OutputTokens,
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-reset",
    ),
];

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaUnit {
    Requests,
    /// Of prompt and answer together.
    Tokens,
    InputTokens,
    OutputTokens,
}

/// What is left of a quota, as an answer says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    pub counted: QuotaUnit,
    pub left: u64,
    /// What it is when full, where that is said.
    pub limit: Option<u64>,
    /// In what time it is full.
    pub full_in: Duration,
}

/// The headers that speak of one quota.
struct Quota {
    counted: QuotaUnit,
    left: HeaderName,
    limit: HeaderName,
    reset: HeaderName,
}

/// How long the answer with those headers asks to wait; `now` stands in where it does not say when it was made.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let precise = text(headers, &RETRY_AFTER_MS).and_then(|text| decimal(text, -3));
    precise.or_else(|| {
        let text = text(headers, &header::RETRY_AFTER)?;
        // More seconds than that are not plausible.
        let whole = text.parse().ok().map(Duration::from_secs);
        whole.or_else(|| decimal(text, 0)).or_else(|| {
            let until = httpdate::parse_http_date(text).ok()?;
            Some(time_left(Timestamp::try_from(until).ok()?, headers, now))
        })
    })
}

/// How long an error body, or an error event of a stream, asks to wait, up to a day.
///
/// Read are Google's [`RetryInfo`](https://cloud.google.com/apis/design/errors#retry_info), fields named like the header,
/// the reset that OpenRouter copies from a provider's headers, and what OpenAI, Groq and others say in the message.
pub fn retry_after_in(event: &Value, now: Timestamp) -> Option<Duration> {
    let event = event.as_array().map_or(event, |events| events.first().unwrap_or(event));
    let inside = event.get("response").and_then(|response| response.get("error"));
    let error = inside.or_else(|| event.get("error")).unwrap_or(event);
    let metadata = error.get("metadata");
    let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
    let info = details.filter_map(|detail| {
        let kind = detail.get("@type")?.as_str()?;
        detail
            .get("retryDelay")
            .filter(|_| kind.ends_with("google.rpc.RetryInfo"))
    });
    let waits = info.take(1).filter_map(|delay| duration(delay.as_str()?));
    let holders = [Some(error), metadata, Some(event)].into_iter().flatten();
    let fields = holders.flat_map(|holder| {
        let seconds = ["retry_after", "retry_after_seconds", "retryAfter", "retry-after"];
        let seconds = seconds.into_iter().filter_map(|name| seconds_in(holder.get(name)?, 0));
        let milliseconds = holder.get("retry_after_ms").and_then(|value| seconds_in(value, -3));
        seconds.chain(milliseconds)
    });
    let reset = metadata.and_then(|metadata| epoch(metadata.pointer("/headers/X-RateLimit-Reset")?, now));
    let message = error.as_str().or_else(|| error.get("message")?.as_str());
    let message = message.and_then(|message| {
        let (_, wait) = ["try again in ", "retry in "]
            .iter()
            .find_map(|mark| message.rsplit_once(mark))?;
        duration(wait.split_whitespace().next()?.trim_end_matches(['.', ',']))
    });
    let mut said = waits.chain(fields).chain(reset).chain(message);
    said.next().map(|wait| wait.min(MAX_RESET))
}

/// What remains of each quota that those headers name, and say the reset of.
pub fn remaining(headers: &HeaderMap, now: Timestamp) -> impl Iterator<Item = Remaining> {
    QUOTAS.iter().filter_map(move |quota| {
        let left = text(headers, &quota.left)?.parse().ok()?;
        let reset = text(headers, &quota.reset)?;
        let full_in = duration(reset).or_else(|| Some(time_left(reset.parse().ok()?, headers, now)))?;
        Some(Remaining {
            counted: quota.counted,
            left,
            limit: text(headers, &quota.limit).and_then(|text| text.parse().ok()),
            full_in: full_in.min(MAX_RESET),
        })
    })
}

impl Remaining {
    /// What is left after `elapsed`.
    pub fn after(&self, elapsed: Duration) -> u64 {
        if elapsed >= self.full_in {
            return self.limit.unwrap_or(u64::MAX);
        }
        let missing = self.limit.map_or(0, |limit| limit.saturating_sub(self.left));
        let back = u128::from(missing) * elapsed.as_nanos() / self.full_in.as_nanos();
        self.left.saturating_add(u64::try_from(back).unwrap_or(u64::MAX))
    }

    /// After what time `needed` is left, or all of it, where it is never so much.
    pub fn ready_in(&self, needed: u64) -> Duration {
        let Some(limit) = self.limit.filter(|limit| *limit > self.left) else {
            return if self.left >= needed {
                Duration::ZERO
            } else {
                self.full_in
            };
        };
        let missing = needed.min(limit).saturating_sub(self.left);
        let nanos = (u128::from(missing) * self.full_in.as_nanos()).div_ceil(u128::from(limit - self.left));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Quota {
    const fn of(counted: QuotaUnit, left: &'static str, limit: &'static str, reset: &'static str) -> Self {
        Self {
            counted,
            left: HeaderName::from_static(left),
            limit: HeaderName::from_static(limit),
            reset: HeaderName::from_static(reset),
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The time from when the answer was made, by the provider's own clock where it says so, until `until`.
fn time_left(until: Timestamp, headers: &HeaderMap, now: Timestamp) -> Duration {
    let made = text(headers, &header::DATE)
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .and_then(|date| Timestamp::try_from(date).ok());
    Duration::try_from(until.duration_since(made.unwrap_or(now))).unwrap_or_default()
}

/// A time such as `6m0s`, `59.56s` or `20ms`, or plain seconds.
fn duration(text: &str) -> Option<Duration> {
    decimal(text, 0).or_else(|| Duration::try_from(text.parse::<SignedDuration>().ok()?).ok())
}

/// A number, or a decimal number in a string, of seconds times ten to the power of `shift`.
fn seconds_in(value: &Value, shift: i32) -> Option<Duration> {
    match value {
        Value::Number(number) => decimal(&number.to_string(), shift),
        Value::String(text) => decimal(text.trim(), shift),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The time until a moment in seconds or milliseconds since 1970; nothing where it has passed.
fn epoch(value: &Value, now: Timestamp) -> Option<Duration> {
    let count: i64 = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => text.trim().parse().ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let at = match count {
        // As seconds, these would be in the year 5138 or later.
        100_000_000_000.. => Timestamp::from_millisecond(count),
        _ => Timestamp::from_second(count),
    };
    let left = Duration::try_from(at.ok()?.duration_since(now)).ok()?;
    (!left.is_zero()).then_some(left)
}

/// A decimal number of seconds, times ten to the power of `shift`.
fn decimal(text: &str, shift: i32) -> Option<Duration> {
    Billionths::parse_rounded(text, shift).map(|seconds| Duration::from_nanos(seconds.0))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).expect("a value"),
                )
            })
            .collect()
    }

    fn now() -> Timestamp {
        "1994-11-06T08:49:00Z".parse().expect("a time")
    }

    #[test]
    fn a_wait_is_read_in_every_form_that_is_documented() {
        let wait = |list: &[_]| retry_after(&headers(list), now()).map(|wait| wait.as_millis());
        for (value, milliseconds) in [
            ("7", Some(7_000)),
            (" 0 ", Some(0)),
            ("1.5", Some(1_500)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37_000)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37_000)),
            ("Sun Nov  6 08:49:37 1994", Some(37_000)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-7", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait(&[("retry-after", value)]), milliseconds, "{value}");
        }
        assert_eq!(
            wait(&[("retry-after", "18446744073709551615")]),
            Some(u128::from(u64::MAX) * 1_000)
        );
        assert_eq!(wait(&[("retry-after-ms", "250"), ("retry-after", "1")]), Some(250));
        assert_eq!(wait(&[("retry-after-ms", "x"), ("retry-after", "1")]), Some(1_000));
        let skewed = [
            ("date", "Sat, 06 Nov 1993 00:00:00 GMT"),
            ("retry-after", "Sat, 06 Nov 1993 00:00:09 GMT"),
        ];
        assert_eq!(wait(&skewed), Some(9_000), "by the provider's own clock");
    }

    #[test]
    fn what_is_left_is_read_as_openai_and_anthropic_say_it() {
        let said: Vec<_> = remaining(
            &headers(&[
                ("x-ratelimit-limit-requests", "60"),
                ("x-ratelimit-remaining-requests", "59"),
                ("x-ratelimit-reset-requests", "1s"),
                ("x-ratelimit-remaining-tokens", "149984"),
                ("x-ratelimit-reset-tokens", "6m0s"),
                ("anthropic-ratelimit-input-tokens-remaining", "7"),
                ("anthropic-ratelimit-input-tokens-limit", "10000"),
                ("anthropic-ratelimit-input-tokens-reset", "1994-11-06T08:49:37Z"),
                ("anthropic-ratelimit-output-tokens-remaining", "7"),
            ]),
            now(),
        )
        .map(|said| (said.counted, said.left, said.limit, said.full_in.as_secs()))
        .collect();
        assert_eq!(
            said,
            [
                (QuotaUnit::Requests, 59, Some(60), 1),
                (QuotaUnit::Tokens, 149_984, None, 360),
                (QuotaUnit::InputTokens, 7, Some(10_000), 37),
            ],
            "without a reset nothing is known"
        );
    }

    #[test]
    fn resets_are_read_in_every_form_and_believed_within_reason() {
        let reset = |value| {
            let list = [
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", value),
            ];
            remaining(&headers(&list), now())
                .next()
                .map(|said| said.full_in.as_millis())
        };
        for (value, milliseconds) in [
            ("20ms", Some(20)),
            ("2m59.56s", Some(179_560)),
            ("1h2m3s", Some(3_723_000)),
            ("0s", Some(0)),
            ("12", Some(12_000)),
            ("0.5", Some(500)),
            ("-5s", None),
            ("1994-11-06T08:00:00Z", Some(0)),
            ("2094-11-06T08:00:00Z", Some(86_400_000)),
            ("999999999h", Some(86_400_000)),
            ("99999999999999999999999999999h", None),
            ("tomorrow", None),
        ] {
            assert_eq!(reset(value), milliseconds, "{value}");
        }
        for left in ["-1", "1e9", "many", "", "18446744073709551616"] {
            let list = [
                ("x-ratelimit-remaining-requests", left),
                ("x-ratelimit-reset-requests", "1s"),
            ];
            assert_eq!(remaining(&headers(&list), now()).next(), None, "{left}");
        }
    }

    #[test]
    fn a_quota_fills_steadily() {
        let said = Remaining {
            counted: QuotaUnit::Requests,
            left: 10,
            limit: Some(70),
            full_in: Duration::from_mins(1),
        };
        for (needed, seconds) in [(0, 0), (10, 0), (11, 1), (70, 60), (u64::MAX, 60)] {
            assert_eq!(said.ready_in(needed), Duration::from_secs(seconds), "{needed}");
        }
        for (seconds, left) in [(0, 10), (1, 11), (59, 69), (60, 70), (1_000, 70)] {
            assert_eq!(said.after(Duration::from_secs(seconds)), left, "{seconds}");
        }
        let unknown = Remaining { limit: None, ..said };
        assert_eq!(unknown.ready_in(11), Duration::from_mins(1));
        assert_eq!(
            (
                unknown.after(Duration::from_secs(59)),
                unknown.after(Duration::from_mins(1))
            ),
            (10, u64::MAX)
        );
        let huge = Remaining {
            left: 1,
            limit: Some(u64::MAX),
            full_in: MAX_RESET,
            ..said
        };
        assert_eq!(huge.ready_in(u64::MAX), MAX_RESET);
        assert!(huge.after(Duration::from_hours(23)) > u64::MAX / 2);
        let less = Remaining { left: 100, ..said };
        assert_eq!(
            (less.ready_in(100), less.ready_in(101)),
            (Duration::ZERO, Duration::from_mins(1))
        );
    }
}
