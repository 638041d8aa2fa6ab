//! Stretches of time: days and months begin where the user's time zone says.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

/// A stretch of time, from its first moment up to the first one after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// What a budget is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    Day,
    Month,
}

impl Window {
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// The day or month that `at` falls into: 23 to 25 hours, 28 to 31 days.
    pub fn around(self, at: Timestamp, zone: &TimeZone) -> Span {
        let today = at.to_zoned(zone.clone()).date();
        match self {
            Self::Day => day(today, zone),
            Self::Month => month(today.first_of_month(), zone),
        }
    }

    /// The budget's name in results and alerts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "daily",
            Self::Month => "monthly",
        }
    }
}

/// The last `count` days up to the one that `at` falls into, oldest first.
pub fn last_days(count: u16, at: Timestamp, zone: &TimeZone) -> Vec<(Date, Span)> {
    let today = at.to_zoned(zone.clone()).date();
    (0..i64::from(count))
        .rev()
        .map(|back| today.saturating_sub(back.days()))
        .map(|date| (date, day(date, zone)))
        .collect()
}

/// The days from `first` to `last`, both included; at most ten years of them.
pub fn spanned_days(first: Date, last: Date, zone: &TimeZone) -> Vec<(Date, Span)> {
    const MAX_DAYS: usize = 3_660;
    let days = first.series(1.day()).take_while(|date| *date <= last);
    days.take(MAX_DAYS).map(|date| (date, day(date, zone))).collect()
}

/// The months that `span` touches, each by its first day, oldest first.
pub fn months_of(span: Span, zone: &TimeZone) -> Vec<(Date, Span)> {
    let last = span.to.to_zoned(zone.clone()).date();
    let mut first = span.from.to_zoned(zone.clone()).date().first_of_month();
    let mut months = Vec::new();
    while first <= last {
        let whole = month(first, zone);
        // The first and the last month only as far as `span` goes.
        let cut = Span {
            from: whole.from.max(span.from),
            to: whole.to.min(span.to),
        };
        if cut.from < cut.to {
            months.push((first, cut));
        }
        let next = first.saturating_add(1.month());
        if next == first {
            break;
        }
        first = next;
    }
    months
}

/// The name of `zone`, else how far it is from UTC at `at`.
pub fn zone_text(zone: &TimeZone, at: Timestamp) -> String {
    zone.iana_name().map_or_else(
        || at.to_zoned(zone.clone()).strftime("local (%:z)").to_string(),
        str::to_owned,
    )
}

/// A moment as results spell it: RFC 3339 in UTC, to the second.
pub fn utc_text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn day(date: Date, zone: &TimeZone) -> Span {
    Span {
        from: start_of(date, zone),
        to: start_of(date.saturating_add(1.day()), zone),
    }
}

fn month(first: Date, zone: &TimeZone) -> Span {
    Span {
        from: start_of(first, zone),
        to: start_of(first.saturating_add(1.month()), zone),
    }
}

/// The first moment of `date`: not midnight where the clocks skip it.
fn start_of(date: Date, zone: &TimeZone) -> Timestamp {
    date.to_zoned(zone.clone())
        .and_then(|midnight| midnight.start_of_day())
        .map_or(Timestamp::MAX, |start| start.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a zone")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_zone_without_a_name_is_told_by_its_distance() {
        let nameless = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").expect("a zone");
        for (zone, moment, text) in [
            (TimeZone::UTC, "2026-11-24T12:00:00Z", "UTC"),
            (zone("Asia/Kathmandu"), "2026-11-24T12:00:00Z", "Asia/Kathmandu"),
            (nameless.clone(), "2026-11-24T12:00:00Z", "local (-05:00)"),
            (nameless, "2026-06-24T12:00:00Z", "local (-04:00)"),
        ] {
            assert_eq!(zone_text(&zone, at(moment)), text);
        }
    }

    #[test]
    fn days_are_as_long_as_the_clocks_make_them() {
        for (name, moment, from, to) in [
            (
                "UTC",
                "2026-11-24T12:00:00Z",
                "2026-11-24T00:00:00Z",
                "2026-11-25T00:00:00Z",
            ),
            // 23 hours: clocks go forward at 2 o'clock on 8 March 2026.
            (
                "America/New_York",
                "2026-03-08T12:00:00Z",
                "2026-03-08T05:00:00Z",
                "2026-03-09T04:00:00Z",
            ),
            // 25 hours: clocks go back at 2 o'clock on 1 November 2026.
            (
                "America/New_York",
                "2026-11-01T12:00:00Z",
                "2026-11-01T04:00:00Z",
                "2026-11-02T05:00:00Z",
            ),
            // 24 and a half hours: clocks go back by half an hour on 5 April 2026.
            (
                "Australia/Lord_Howe",
                "2026-04-05T00:00:00Z",
                "2026-04-04T13:00:00Z",
                "2026-04-05T13:30:00Z",
            ),
            (
                "Asia/Kathmandu",
                "2026-11-24T18:20:00Z",
                "2026-11-24T18:15:00Z",
                "2026-11-25T18:15:00Z",
            ),
            (
                "Asia/Kathmandu",
                "2026-11-24T18:10:00Z",
                "2026-11-23T18:15:00Z",
                "2026-11-24T18:15:00Z",
            ),
            // Midnight does not exist on 6 September 2026.
            (
                "America/Santiago",
                "2026-09-06T12:00:00Z",
                "2026-09-06T04:00:00Z",
                "2026-09-07T03:00:00Z",
            ),
        ] {
            let span = Window::Day.around(at(moment), &zone(name));
            assert_eq!(
                span,
                Span {
                    from: at(from),
                    to: at(to)
                },
                "{name} {moment}"
            );
        }
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let span = Window::Month.around(at("2026-12-31T23:30:00Z"), &zone("Asia/Tokyo"));
        assert_eq!(span.from, at("2026-12-31T15:00:00Z"));
        assert_eq!(span.to, at("2027-01-31T15:00:00Z"));
    }

    #[test]
    fn days_and_months_leave_no_gap() {
        for name in [
            "America/New_York",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "America/Santiago",
        ] {
            let zone = zone(name);
            let days = last_days(400, at("2026-11-24T12:00:00Z"), &zone);
            assert!(days.windows(2).all(|pair| pair[0].1.to == pair[1].1.from), "{name}");
            let span = Span {
                from: days[0].1.from,
                to: days[399].1.to,
            };
            let months = months_of(span, &zone);
            assert_eq!(months.len(), 14, "{name}");
            assert!(months.windows(2).all(|pair| pair[0].1.to == pair[1].1.from), "{name}");
            assert_eq!((months[0].1.from, months[13].1.to), (span.from, span.to), "{name}");
        }
    }
}
