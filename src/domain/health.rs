//! The health of one API key: what request outcomes say about it, and when it is tried again.
//!
//! ```text
//! healthy ──429, or half of the last requests failed──▶ cooling(until) ──time──▶ due ──claimed──▶ probing ──answer──▶ healthy
//!    ▲ └──401, 402──▶ out ──key validated or changed──┐     ▲                                        │
//!    └─────────────────────────────────────────────────┘     └──────────── 429 or failure ───────────┘
//! ```
//!
//! Passive: health is learned from client requests only; no request is made to find out. The state is shared by all
//! processes, so every transition is a pure function of the state, the signal and the time.

use jiff::{SignedDuration, Timestamp};

use super::RequestOutcome;

/// The first cooldown after a refusal without a `Retry-After`.
const FIRST_COOLDOWN: SignedDuration = SignedDuration::from_secs(30);
/// The longest such cooldown; each one in a row doubles.
const MAX_COOLDOWN: SignedDuration = SignedDuration::from_mins(10);
/// The longest `Retry-After` that is believed.
const MAX_RETRY_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// How long a circuit stays open before one request may probe.
const CIRCUIT_OPEN_TIME: SignedDuration = SignedDuration::from_secs(30);
/// How long a probe has for its answer before another request may probe.
const PROBE_TIMEOUT: SignedDuration = SignedDuration::from_secs(60);
/// How long after a cooldown without a probe the key counts as healthy again.
const RECOVERY_TIME: SignedDuration = SignedDuration::from_mins(10);
/// How far back requests count for the circuit, in time and in number, and the fewest that can open it.
const WINDOW: SignedDuration = SignedDuration::from_secs(60);
const MAX_IN_WINDOW: usize = 20;
const MIN_IN_WINDOW: u32 = 5;

/// What is stored about one key's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// What is wrong with it, if anything.
    pub trouble: Option<Trouble>,
    /// When that began or ended; requests before it count no more.
    pub since: Timestamp,
    /// When a cooldown ends.
    pub until: Timestamp,
    /// Cooldowns in a row.
    pub strikes: u32,
    /// Until when one request is probing.
    pub probe_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// The provider's rate limit is reached.
    RateLimited,
    /// The provider answers with failures, or not at all.
    Failing,
    /// The account has no credit.
    NoCredit,
    /// The provider does not accept the key.
    Refused,
}

/// What an outcome says about the key of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The key works.
    Success,
    /// The request was at fault; the provider answers.
    Rejected,
    /// The provider failed, and may have said when to retry.
    Failed {
        retry_after: Option<SignedDuration>,
    },
    /// The provider's rate limit is reached; it may have said for how long.
    RateLimited {
        retry_after: Option<SignedDuration>,
    },
    NoCredit,
    Refused,
    /// Nothing about the key: the client closed the connection, or the provider does not serve this region.
    NoVerdict,
}

/// Whether a key may be used at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    Healthy,
    Cooling {
        trouble: Trouble,
        until: Timestamp,
    },
    /// The cooldown is over: one request may probe.
    Due {
        trouble: Trouble,
    },
    /// One request is probing; another may from `until` on.
    Probing {
        trouble: Trouble,
        until: Timestamp,
    },
    /// Not before the key is validated or changed.
    Out {
        trouble: Trouble,
    },
}

/// The last requests of a key: how many there were, and how many of them failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastRequests {
    pub requests: u32,
    pub failures: u32,
}

impl Signal {
    /// What `outcome` says, with the wait that the provider requested.
    pub fn of(outcome: &RequestOutcome, retry_after: Option<SignedDuration>) -> Self {
        match outcome.status_code {
            Some(RequestOutcome::CLIENT_CLOSED_REQUEST | RequestOutcome::REGION_BLOCKED) => Self::NoVerdict,
            Some(401) => Self::Refused,
            Some(402) => Self::NoCredit,
            Some(429) => Self::RateLimited { retry_after },
            // A 403 may be about the model or the network: the key cools down, but is not out.
            Some(403 | 408 | 500..) => Self::Failed { retry_after },
            Some(400..) => Self::Rejected,
            None | Some(_) if outcome.success => Self::Success,
            None | Some(_) => Self::Failed { retry_after },
        }
    }

    /// Whether it counts against the provider in a [`LastRequests`].
    pub fn is_failure(self) -> bool {
        match self {
            Self::Failed { .. } => true,
            Self::Success
            | Self::Rejected
            | Self::RateLimited { .. }
            | Self::NoCredit
            | Self::Refused
            | Self::NoVerdict => false,
        }
    }
}

impl LastRequests {
    /// Whether so many failed that the circuit opens.
    fn is_failing(self) -> bool {
        self.requests >= MIN_IN_WINDOW && self.failures * 2 >= self.requests
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            trouble: None,
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
            strikes: 0,
            probe_until: None,
        }
    }
}

impl Health {
    /// How far back outcomes matter to [`Health::window`].
    pub fn window_start(now: Timestamp) -> Timestamp {
        now - WINDOW
    }

    /// The last requests that count at `now`, of outcomes given newest first.
    pub fn window(&self, newest_first: impl IntoIterator<Item = (Timestamp, Signal)>, now: Timestamp) -> LastRequests {
        newest_first
            .into_iter()
            .take_while(|(at, _)| *at > self.since && *at > Self::window_start(now))
            .filter(|(_, signal)| *signal != Signal::NoVerdict)
            .take(MAX_IN_WINDOW)
            .fold(LastRequests::default(), |window, (_, signal)| LastRequests {
                requests: window.requests + 1,
                failures: window.failures + u32::from(signal.is_failure()),
            })
    }

    /// Whether the key may be used at `now`; `restored_at` is when it was last changed or found valid.
    pub fn state(&self, restored_at: Option<Timestamp>, now: Timestamp) -> HealthState {
        match self.trouble {
            None => HealthState::Healthy,
            Some(trouble @ (Trouble::Refused | Trouble::NoCredit)) => {
                if restored_at.is_some_and(|at| at > self.since) {
                    HealthState::Healthy
                } else {
                    HealthState::Out { trouble }
                }
            }
            Some(trouble @ (Trouble::RateLimited | Trouble::Failing)) => {
                if now < self.until {
                    HealthState::Cooling {
                        trouble,
                        until: self.until,
                    }
                } else if now >= self.until + RECOVERY_TIME {
                    HealthState::Healthy
                } else if let Some(until) = self.probe_until.filter(|until| now < *until) {
                    HealthState::Probing { trouble, until }
                } else {
                    HealthState::Due { trouble }
                }
            }
        }
    }

    /// The state with one request probing; nothing where none is due, or another is probing.
    #[must_use]
    pub fn claimed(&self, now: Timestamp) -> Option<Self> {
        match self.state(None, now) {
            HealthState::Due { .. } => Some(Self {
                probe_until: Some(now + PROBE_TIMEOUT),
                ..*self
            }),
            HealthState::Healthy
            | HealthState::Cooling { .. }
            | HealthState::Probing { .. }
            | HealthState::Out { .. } => None,
        }
    }

    /// The state after `signal`; `window` holds the last requests, this one included.
    #[must_use]
    #[expect(clippy::match_same_arms, reason = "the rules stand in their order, each by itself")]
    pub fn after(&self, signal: Signal, window: LastRequests, restored_at: Option<Timestamp>, now: Timestamp) -> Self {
        let state = self.state(restored_at, now);
        let old = match state {
            // The key was changed, found valid, or not probed for long: its past is dropped.
            HealthState::Healthy if self.trouble.is_some() => Self::recovered(self.since),
            HealthState::Healthy
            | HealthState::Due { .. }
            | HealthState::Cooling { .. }
            | HealthState::Probing { .. }
            | HealthState::Out { .. } => *self,
        };
        match (signal, state) {
            // A probe that learned nothing runs out by itself, and another request may probe.
            (Signal::NoVerdict, _) => *self,
            (Signal::Success | Signal::Rejected, HealthState::Due { .. } | HealthState::Probing { .. })
            | (Signal::Success, HealthState::Out { .. }) => Self::recovered(now),
            (Signal::Success | Signal::Rejected, _) => old,
            (Signal::Refused, _) => old.out(Trouble::Refused, now),
            (Signal::NoCredit, _) => old.out(Trouble::NoCredit, now),
            (
                Signal::RateLimited {
                    retry_after: Some(wait),
                },
                _,
            ) => old.cooling(Trouble::RateLimited, believed(wait), now),
            (
                Signal::Failed {
                    retry_after: Some(wait),
                },
                _,
            ) => old.cooling(Trouble::Failing, believed(wait), now),
            // Answers to requests from before the cooldown.
            (_, HealthState::Cooling { .. }) => old,
            // A rate limit is reported only to a key that is accepted.
            (Signal::RateLimited { retry_after: None }, _) => {
                old.cooling(Trouble::RateLimited, old.next_cooldown(), now)
            }
            (Signal::Failed { retry_after: None }, HealthState::Healthy | HealthState::Out { .. })
                if !window.is_failing() =>
            {
                old
            }
            (Signal::Failed { retry_after: None }, _) => old.cooling(Trouble::Failing, CIRCUIT_OPEN_TIME, now),
        }
    }

    fn recovered(now: Timestamp) -> Self {
        Self {
            since: now,
            ..Self::default()
        }
    }

    fn out(&self, trouble: Trouble, now: Timestamp) -> Self {
        Self {
            trouble: Some(trouble),
            since: now,
            probe_until: None,
            ..*self
        }
    }

    /// A cooldown that ends no sooner than one that runs already.
    fn cooling(&self, trouble: Trouble, time: SignedDuration, now: Timestamp) -> Self {
        let runs = now < self.until;
        Self {
            trouble: Some(trouble),
            since: if runs { self.since } else { now },
            until: self.until.max(now + time),
            strikes: if runs {
                self.strikes
            } else {
                self.strikes.saturating_add(1)
            },
            probe_until: None,
        }
    }

    fn next_cooldown(&self) -> SignedDuration {
        let doubled = 2i32.saturating_pow(self.strikes.min(16));
        FIRST_COOLDOWN.saturating_mul(doubled).min(MAX_COOLDOWN)
    }
}

impl Trouble {
    pub const ALL: [Self; 4] = [Self::RateLimited, Self::Failing, Self::NoCredit, Self::Refused];

    /// The trouble as results and the ledger spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Failing => "failing",
            Self::NoCredit => "no_credit",
            Self::Refused => "refused",
        }
    }
}

/// A `Retry-After` within what is believed: a second to an hour.
fn believed(wait: SignedDuration) -> SignedDuration {
    wait.clamp(SignedDuration::from_secs(1), MAX_RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + second)
    }

    const LIMITED: Signal = Signal::RateLimited { retry_after: None };
    const FAILED: Signal = Signal::Failed { retry_after: None };

    fn wait(seconds: i64) -> Signal {
        Signal::RateLimited {
            retry_after: Some(SignedDuration::from_secs(seconds)),
        }
    }

    /// The health after `signals` at their seconds, each with a window of nothing but itself.
    fn after(signals: &[(i64, Signal)]) -> Health {
        signals.iter().fold(Health::default(), |health, (second, signal)| {
            health.after(*signal, LastRequests::default(), None, at(*second))
        })
    }

    #[test]
    fn a_status_says_what_is_at_fault() {
        let signal = |success, status_code| {
            let outcome = RequestOutcome {
                success,
                status_code,
                latency_ms: None,
            };
            Signal::of(&outcome, None)
        };
        for (success, status, expected) in [
            (true, None, Signal::Success),
            (true, Some(200), Signal::Success),
            (false, None, FAILED),
            (false, Some(200), FAILED),
            (false, Some(400), Signal::Rejected),
            (false, Some(401), Signal::Refused),
            (false, Some(402), Signal::NoCredit),
            (false, Some(403), FAILED),
            (false, Some(404), Signal::Rejected),
            (false, Some(408), FAILED),
            (false, Some(429), LIMITED),
            (false, Some(451), Signal::NoVerdict),
            (false, Some(499), Signal::NoVerdict),
            (true, Some(499), Signal::NoVerdict),
            (false, Some(500), FAILED),
            (false, Some(529), FAILED),
        ] {
            assert_eq!(signal(success, status), expected, "{success} {status:?}");
        }
    }

    #[test]
    fn without_retry_after_each_cooldown_in_a_row_doubles_to_ten_minutes() {
        let mut health = Health::default();
        let mut now = at(0);
        for seconds in [30, 60, 120, 240, 480, 600, 600] {
            health = health.after(LIMITED, LastRequests::default(), None, now);
            assert_eq!(health.until, now + SignedDuration::from_secs(seconds));
            now = health.until;
        }
        health = health.after(Signal::Success, LastRequests::default(), None, now);
        assert_eq!(health.state(None, now), HealthState::Healthy);
        assert_eq!(
            health.after(LIMITED, LastRequests::default(), None, now).until,
            now + FIRST_COOLDOWN
        );
    }

    #[test]
    fn a_longer_retry_after_extends_a_cooldown_and_a_shorter_one_never_shortens_it() {
        assert_eq!(after(&[(0, wait(100)), (10, wait(300))]).until, at(310));
        assert_eq!(after(&[(0, wait(100)), (10, wait(5))]).until, at(100));
        assert_eq!(after(&[(0, wait(100)), (10, LIMITED)]).until, at(100));
        assert_eq!(after(&[(0, wait(1_000_000))]).until, at(3600), "an hour is believed");
        assert_eq!(after(&[(0, wait(-7))]).until, at(1));
        let late = after(&[(0, wait(100)), (10, Signal::Success)]);
        assert!(matches!(late.state(None, at(11)), HealthState::Cooling { .. }));
    }

    #[test]
    fn one_request_probes_and_its_answer_decides() {
        let cooling = after(&[(0, wait(30))]);
        assert_eq!(cooling.claimed(at(29)), None);
        assert!(matches!(cooling.state(None, at(30)), HealthState::Due { .. }));
        let probing = cooling.claimed(at(30)).expect("due");
        assert_eq!(probing.claimed(at(89)), None, "one at a time");
        assert!(matches!(probing.state(None, at(89)), HealthState::Probing { .. }));
        assert!(probing.claimed(at(90)).is_some(), "the first probe got no answer");
        for good in [Signal::Success, Signal::Rejected] {
            let healthy = probing.after(good, LastRequests::default(), None, at(40));
            assert_eq!(healthy.state(None, at(40)), HealthState::Healthy);
        }
        let again = probing.after(FAILED, LastRequests::default(), None, at(40));
        assert_eq!(again.until, at(70), "one failed probe opens the circuit again");
        assert_eq!(
            cooling.state(None, at(30 + 600)),
            HealthState::Healthy,
            "not probed for ten minutes"
        );
    }

    #[test]
    fn a_circuit_opens_when_half_of_the_last_requests_failed() {
        for (requests, failures, opens) in [
            (4, 4, false),
            (5, 2, false),
            (5, 3, true),
            (20, 10, true),
            (20, 9, false),
        ] {
            let window = LastRequests { requests, failures };
            let health = Health::default().after(FAILED, window, None, at(0));
            let open = matches!(health.state(None, at(0)), HealthState::Cooling { .. });
            assert_eq!(open, opens, "{failures} of {requests}");
        }
        let newest_first = |failures_from: i64| {
            (0..30).map(move |age| (at(-2 * age), if age < failures_from { FAILED } else { Signal::Success }))
        };
        let window = Health::default().window(newest_first(12), at(0));
        assert_eq!(
            window,
            LastRequests {
                requests: 20,
                failures: 12
            },
            "the last twenty"
        );
        let health = Health {
            since: at(-10),
            ..Health::default()
        };
        let window = health.window(newest_first(12), at(0));
        assert_eq!(
            window,
            LastRequests {
                requests: 5,
                failures: 5
            },
            "only since the last change"
        );
        let window = Health::default().window(newest_first(12), at(40));
        assert_eq!(window.requests, 10, "only of the last minute");
    }

    #[test]
    fn a_refused_key_is_out_until_it_is_validated_changed_or_seen_to_work() {
        for (signal, trouble) in [
            (Signal::Refused, Trouble::Refused),
            (Signal::NoCredit, Trouble::NoCredit),
        ] {
            let out = after(&[(0, signal), (10, Signal::Rejected), (20, FAILED)]);
            assert_eq!(out.state(Some(at(-5)), at(1_000_000)), HealthState::Out { trouble });
            assert_eq!(out.state(Some(at(5)), at(6)), HealthState::Healthy);
            let works = out.after(Signal::Success, LastRequests::default(), None, at(30));
            assert_eq!(works.state(None, at(30)), HealthState::Healthy);
            let limited = out.after(LIMITED, LastRequests::default(), Some(at(5)), at(30));
            assert_eq!(limited.until, at(60), "a key found valid cools down like any other");
        }
        let both = after(&[(0, Signal::Refused), (1, Signal::NoCredit)]);
        assert_eq!(both.trouble, Some(Trouble::NoCredit), "the newest refusal counts");
    }

    #[test]
    fn a_client_that_hangs_up_and_a_region_block_say_nothing_about_the_key() {
        let hang_ups = std::iter::repeat_n((at(-1), Signal::NoVerdict), 40);
        assert_eq!(Health::default().window(hang_ups, at(0)), LastRequests::default());
        let mixed = (0..30).map(|age| (at(-age), if age % 2 == 0 { Signal::NoVerdict } else { FAILED }));
        let window = Health::default().window(mixed, at(0));
        assert_eq!(
            (window.requests, window.failures),
            (15, 15),
            "they do not hide failures either"
        );
        for before in [
            Health::default(),
            after(&[(0, LIMITED)]),
            after(&[(0, Signal::Refused)]),
            after(&[(0, wait(30))]).claimed(at(30)).expect("due"),
        ] {
            for second in [1, 31, 10_000] {
                let health = before.after(Signal::NoVerdict, window, None, at(second));
                assert_eq!(health, before, "at {second}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn a_running_cooldown_is_never_shortened(steps in proptest::collection::vec((0i64..100, 0usize..8, 0i64..7_200), 1..60)) {
            let mut health = Health::default();
            let mut now = at(0);
            for (pause, which, seconds) in steps {
                now += SignedDuration::from_secs(pause);
                let before = health.state(None, now);
                let wait = Some(SignedDuration::from_secs(seconds));
                let signal = [Signal::Success, Signal::Rejected, FAILED, LIMITED, Signal::RateLimited { retry_after: wait }, Signal::Failed { retry_after: wait }, Signal::Refused, Signal::NoVerdict][which];
                health = health.after(signal, LastRequests { requests: 6, failures: 6 }, None, now);
                if let HealthState::Cooling { until, .. } = before {
                    match health.state(None, now) {
                        HealthState::Cooling { until: later, .. } => proptest::prop_assert!(later >= until),
                        HealthState::Out { .. } => proptest::prop_assert_eq!(signal, Signal::Refused),
                        other => proptest::prop_assert!(false, "{:?} after {:?}", other, signal),
                    }
                }
                proptest::prop_assert!(health.until <= now + SignedDuration::from_hours(1));
            }
        }
    }
}
