//! When a message is due: grouped, not too many, not in quiet hours, and again where it was not accepted.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::Destination;
use crate::domain::{AlertSeverity, Notice};

/// What comes within this time after a message is sent together.
pub const GROUPING_TIME: SignedDuration = SignedDuration::from_secs(30);
/// The most messages to a destination within an hour; what is beyond waits, and is sent as one.
pub const MAX_PER_HOUR: usize = 20;
/// The pauses before the next attempts; then hourly for a day.
const BACKOFF: [SignedDuration; 4] = [
    SignedDuration::from_secs(5),
    SignedDuration::from_secs(30),
    SignedDuration::from_mins(2),
    SignedDuration::from_mins(10),
];
const LONGEST_BACKOFF: SignedDuration = SignedDuration::from_hours(1);
const MAX_HOURLY: usize = 24;

/// Those of the `waiting` notices that make a message to `destination` now, where the messages of the last hour were made
/// at `made`, oldest first.
pub fn due(
    destination: &Destination,
    waiting: &[Notice],
    made: &[Timestamp],
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<Notice> {
    let is_too_soon = made
        .last()
        .is_some_and(|last| now.duration_since(*last) < GROUPING_TIME);
    if is_too_soon || made.len() >= MAX_PER_HOUR {
        return Vec::new();
    }
    let is_quiet = destination.quiet.is_some_and(|hours| hours.contain(now, zone));
    let passes =
        |notice: &&Notice| !is_quiet || (destination.critical_always && notice.severity == AlertSeverity::Critical);
    waiting.iter().filter(passes).cloned().collect()
}

/// The pause before the next attempt after so many that failed, at least what the receiver `asked` for; nothing where it
/// is given up.
pub fn next_attempt(failed: u32, asked: Option<SignedDuration>) -> Option<SignedDuration> {
    let failed = usize::try_from(failed).unwrap_or(usize::MAX);
    let pause = match BACKOFF.get(failed.saturating_sub(1)) {
        Some(pause) => *pause,
        None if failed <= BACKOFF.len() + MAX_HOURLY => LONGEST_BACKOFF,
        None => return None,
    };
    let asked = asked.unwrap_or_default().min(SignedDuration::from_hours(24));
    Some(pause.max(asked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alerts::Channel,
        domain::{AlertChange, AlertKind},
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    fn notice(severity: AlertSeverity) -> Notice {
        Notice {
            id: 1,
            alert: 1,
            kind: AlertKind::Budget,
            subject: "daily".to_owned(),
            change: AlertChange::Firing,
            severity,
            at: at(0),
            text: "text".to_owned(),
            command: "command".to_owned(),
        }
    }

    fn destination() -> Destination {
        Destination::new("ops".parse().expect("a name"), Channel::Slack)
    }

    fn count(destination: &Destination, made: &[Timestamp], second: i64) -> usize {
        let waiting = [notice(AlertSeverity::Info), notice(AlertSeverity::Critical)];
        due(destination, &waiting, made, at(second), &TimeZone::UTC).len()
    }

    #[test]
    fn what_follows_within_30_seconds_is_grouped_and_an_hour_has_20_messages() {
        let ops = destination();
        assert_eq!(count(&ops, &[], 0), 2);
        assert_eq!(count(&ops, &[at(0)], 29), 0);
        assert_eq!(count(&ops, &[at(0)], 30), 2);
        let made: Vec<_> = (0..20).map(|minute| at(60 * minute)).collect();
        assert_eq!(count(&ops, &made, 3_000), 0);
        assert_eq!(count(&ops, &made[1..], 3_601), 2);
    }

    #[test]
    fn quiet_hours_let_only_critical_alerts_pass_if_those() {
        let mut ops = destination();
        ops.quiet = Some("00:00-07:00".parse().expect("hours"));
        assert_eq!(count(&ops, &[], 60), 1);
        ops.critical_always = false;
        assert_eq!(count(&ops, &[], 60), 0);
        assert_eq!(count(&ops, &[], 7 * 3_600), 2);
    }

    #[test]
    fn attempts_are_made_for_a_day_and_the_receiver_is_heeded() {
        let pauses: Vec<i64> = (1..)
            .map_while(|failed| next_attempt(failed, None))
            .map(|pause| pause.as_secs())
            .collect();
        assert_eq!(pauses[..5], [5, 30, 120, 600, 3_600]);
        assert_eq!(pauses.len(), 28);
        let asked = |seconds| next_attempt(1, Some(SignedDuration::from_secs(seconds))).map(|pause| pause.as_secs());
        assert_eq!(
            (asked(1), asked(90), asked(i64::MAX)),
            (Some(5), Some(90), Some(86_400))
        );
    }
}
