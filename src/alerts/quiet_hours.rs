//! Hours of the day in which messages wait.

use std::str::FromStr;

use jiff::{Timestamp, civil::Time, tz::TimeZone};

/// Hours of the day in which messages wait, such as `22:00-07:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: Time,
    to: Time,
}

impl QuietHours {
    /// Whether the clock on the wall of `zone` shows one of them at `at`.
    pub fn contain(self, at: Timestamp, zone: &TimeZone) -> bool {
        let now = at.to_zoned(zone.clone()).time();
        if self.from <= self.to {
            (self.from..self.to).contains(&now)
        } else {
            now >= self.from || now < self.to
        }
    }
}

impl FromStr for QuietHours {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "must be two different times, such as \"22:00-07:00\"";
        let time = |text: &str| {
            let (hour, minute) = text.trim().split_once(':').filter(|(_, minute)| minute.len() == 2)?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        let (from, to) = text.split_once('-').ok_or(RULE)?;
        match (time(from), time(to)) {
            (Some(from), Some(to)) if from != to => Ok(Self { from, to }),
            _ => Err(RULE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_quiet(hours: &str, at: &str) -> bool {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let hours: QuietHours = hours.parse().expect("hours");
        hours.contain(at.parse().expect("a time"), &zone)
    }

    #[test]
    fn quiet_hours_go_by_the_clock_on_the_wall_over_midnight_and_clock_changes() {
        for (at, expected) in [
            ("2026-11-24T20:59:00Z", false),
            ("2026-11-24T21:00:00Z", true),
            ("2026-11-25T05:59:59Z", true),
            ("2026-11-25T06:00:00Z", false),
            // Summer time begins on 29 March and ends on 25 October.
            ("2026-03-28T21:00:00Z", true),
            ("2026-03-29T04:59:59Z", true),
            ("2026-03-29T05:00:00Z", false),
            ("2026-10-24T20:00:00Z", true),
            ("2026-10-25T05:59:59Z", true),
            ("2026-10-25T06:00:00Z", false),
        ] {
            assert_eq!(is_quiet("22:00-07:00", at), expected, "{at}");
        }
        // Half past two does not exist on that day, and exists twice on the other.
        assert!(!is_quiet("02:00-03:00", "2026-03-29T01:00:00Z"));
        assert!(is_quiet("02:00-03:00", "2026-10-25T00:30:00Z"));
        assert!(is_quiet("02:00-03:00", "2026-10-25T01:30:00Z"));
    }

    #[test]
    fn what_is_not_two_times_is_refused() {
        for text in [
            "",
            "22-7",
            "22:00",
            "24:00-07:00",
            "22:00-22:00",
            "22:0-07:00",
            "a:00-b:00",
            "22:00-07:60",
        ] {
            assert!(text.parse::<QuietHours>().is_err(), "{text}");
        }
    }
}
