//! Two days of traffic in virtual time, against providers that fail, limit and recover.
//!
//! The same weather and the same requests for each way of routing: ours, a plain ordered fallback, and chance. The
//! figures stand in `src/services/routing/ROUTING.md`, between its markers; `UPDATE_README=1` writes them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    fmt::Write as _,
    fs,
    path::Path,
};

use api_keys::{
    domain::{Health, HealthState, Signal, Task},
    services::routing::{Policy, RouteQuery, Supply, Verdict, decide},
};
use jiff::{SignedDuration, Timestamp};

use super::{at, offer, policy, supply};

const PROVIDERS: [&str; 4] = ["anthropic", "openai", "google", "local"];
const LENGTH_MS: i64 = 2 * 24 * 3_600_000;
/// The mean pause between requests, and how much denser they are in a rush.
const PAUSE_MS: i64 = 5_000;
const RUSH: i64 = 6;
const SEED: u64 = 4;

/// SplitMix64.
struct Chance(u64);

impl Chance {
    /// A number below `end`.
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let number = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((number ^ (number >> 31)) % end.unsigned_abs()).unwrap()
    }
}

/// How a provider fares over the days.
#[derive(Clone)]
struct Weather {
    spells: Vec<Spell>,
    /// Requests that it takes in a minute, and whether it says when to come again.
    per_minute: usize,
    says_when: bool,
    latency_ms: i64,
}

/// A time in which part of the requests fails.
#[derive(Clone)]
struct Spell {
    from: i64,
    to: i64,
    failing_percent: i64,
    /// How long a failure takes to show.
    takes_ms: i64,
}

impl Weather {
    fn make(chance: &mut Chance, provider: usize) -> Self {
        let mut spells = Vec::new();
        let mut from = chance.below(4 * 3_600_000);
        while from < LENGTH_MS {
            let to = from + 2 * 60_000 + chance.below(30 * 60_000);
            spells.push(Spell {
                from,
                to,
                failing_percent: [100, 100, 60, 30][usize::try_from(chance.below(4)).unwrap()],
                takes_ms: [300, 300, 10_000][usize::try_from(chance.below(3)).unwrap()],
            });
            // The machine itself fails less often than what is far away.
            let pause = if provider == 3 { 16 } else { 6 };
            from = to + chance.below(pause * 3_600_000);
        }
        Self {
            spells,
            per_minute: [60, 60, 40, 30][provider],
            says_when: provider != 2,
            latency_ms: [900, 700, 500, 2_500][provider],
        }
    }

    /// How a request at `now` ends, after how long; `recent` are the times of those it took.
    fn answer(&self, chance: &mut Chance, recent: &mut Vec<i64>, now: i64) -> (Signal, i64) {
        if let Some(spell) = self.spells.iter().find(|spell| (spell.from..spell.to).contains(&now))
            && chance.below(100) < spell.failing_percent
        {
            return (Signal::Failed { retry_after: None }, spell.takes_ms);
        }
        recent.retain(|at| *at > now - 60_000);
        if recent.len() >= self.per_minute {
            let wait = recent.first().map_or(0, |first| first + 60_000 - now);
            let retry_after = self.says_when.then(|| SignedDuration::from_secs(wait / 1_000 + 1));
            return (Signal::RateLimited { retry_after }, 50);
        }
        recent.push(now);
        (Signal::Success, self.latency_ms)
    }
}

/// When requests come.
fn requests(chance: &mut Chance) -> Vec<i64> {
    let mut times = Vec::new();
    let mut now = 0;
    while now < LENGTH_MS {
        times.push(now);
        // Ten minutes of rush every three hours.
        let is_rush = now % (3 * 3_600_000) < 10 * 60_000;
        let pause = if is_rush { PAUSE_MS / RUSH } else { PAUSE_MS };
        now += 1 + chance.below(2 * pause);
    }
    times
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Ours,
    Ordered,
    Chance,
}

#[derive(Debug, PartialEq, Eq)]
struct Result {
    requests: i64,
    served: i64,
    /// By the provider that is first in the order.
    first_choice: i64,
    wasted: i64,
    /// Milliseconds that requests spent on attempts that failed.
    lost_ms: i64,
    /// For each trouble of the first provider: milliseconds from its end to its next answer.
    recoveries: Vec<i64>,
}

/// What happens next: an attempt of a request, or its outcome.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Outcome {
        request: usize,
        provider: usize,
        began: i64,
        signal: usize,
    },
    Attempt {
        request: usize,
    },
}

/// What ours knows of the providers.
struct Known {
    health: Vec<Health>,
    outcomes: Vec<Vec<(Timestamp, Signal)>>,
    supplies: Vec<Supply>,
    policy: Policy,
}

impl Known {
    fn new() -> Self {
        Self {
            health: vec![Health::default(); PROVIDERS.len()],
            outcomes: vec![Vec::new(); PROVIDERS.len()],
            supplies: PROVIDERS
                .map(|name| supply(name, vec![offer("model", 1, 7_000)]))
                .to_vec(),
            policy: policy(),
        }
    }

    fn choose(&mut self, tried: &[usize], now: Timestamp) -> Option<usize> {
        for (index, supply) in self.supplies.iter_mut().enumerate() {
            supply.obstacle = tried.contains(&index).then_some(Verdict::Disabled);
            supply.keys[0].health = self.health[index];
        }
        let decision = decide(&self.policy, &self.supplies, &RouteQuery::of(Task::Chat), now);
        let chosen = decision.chosen()?.supply.provider.as_str();
        let index = PROVIDERS.iter().position(|name| *name == chosen).unwrap();
        if let Some(claimed) = self.health[index].claimed(now) {
            self.health[index] = claimed;
        }
        Some(index)
    }

    fn observe(&mut self, provider: usize, signal: Signal, now: Timestamp) {
        let outcomes = &mut self.outcomes[provider];
        outcomes.push((now, signal));
        outcomes.drain(..outcomes.len().saturating_sub(20));
        let window = self.health[provider].window(outcomes.iter().rev().copied(), now);
        self.health[provider] = self.health[provider].after(signal, window, None, now);
    }
}

fn simulate(way: Way, attempts: usize, weather: &[Weather], times: &[i64]) -> Result {
    let mut chance = Chance(SEED + 1);
    let mut known = Known::new();
    let mut recent = vec![Vec::new(); PROVIDERS.len()];
    let mut tried: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut result = Result {
        requests: 0,
        served: 0,
        first_choice: 0,
        wasted: 0,
        lost_ms: 0,
        recoveries: Vec::new(),
    };
    let mut troubles = weather[0].spells.iter().map(|spell| spell.to).peekable();
    let mut signals = Vec::new();
    let mut events: BinaryHeap<Reverse<(i64, Event)>> = times
        .iter()
        .enumerate()
        .map(|(request, at)| Reverse((*at, Event::Attempt { request })))
        .collect();
    while let Some(Reverse((now, event))) = events.pop() {
        let time = at(0) + SignedDuration::from_millis(now);
        match event {
            Event::Attempt { request } => {
                let tried = tried.entry(request).or_default();
                result.requests += i64::from(tried.is_empty());
                let chosen = match way {
                    Way::Ours => known.choose(tried, time),
                    Way::Ordered => (0..PROVIDERS.len()).find(|provider| !tried.contains(provider)),
                    Way::Chance => {
                        let left: Vec<usize> = (0..PROVIDERS.len())
                            .filter(|provider| !tried.contains(provider))
                            .collect();
                        left.get(usize::try_from(chance.below(4)).unwrap() % left.len().max(1))
                            .copied()
                    }
                };
                let Some(provider) = chosen else { continue };
                tried.push(provider);
                let (signal, takes) = weather[provider].answer(&mut chance, &mut recent[provider], now);
                let outcome = Event::Outcome {
                    request,
                    provider,
                    began: now,
                    signal: signals.len(),
                };
                signals.push(signal);
                events.push(Reverse((now + takes, outcome)));
            }
            Event::Outcome {
                request,
                provider,
                began,
                signal,
            } => {
                let signal = signals[signal];
                known.observe(provider, signal, time);
                if signal == Signal::Success {
                    result.served += 1;
                    result.first_choice += i64::from(provider == 0);
                    while provider == 0 && troubles.peek().is_some_and(|end| *end <= began) {
                        result.recoveries.push(began - troubles.next().unwrap());
                    }
                    tried.remove(&request);
                } else {
                    result.wasted += 1;
                    result.lost_ms += now - began;
                    if tried[&request].len() < attempts {
                        events.push(Reverse((now, Event::Attempt { request })));
                    }
                }
            }
        }
    }
    if way == Way::Ours {
        assert!(known.health.iter().all(|health| !matches!(
            health.state(None, at(LENGTH_MS / 1_000 + 3_600)),
            HealthState::Out { .. }
        )));
    }
    result
}

/// `part` of `whole`, as percent with two places.
fn percent(part: i64, whole: i64) -> String {
    let hundredths = part * 10_000 / whole;
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

#[test]
fn more_is_served_and_less_wasted_than_by_order_or_chance() {
    let mut chance = Chance(SEED);
    let weather: Vec<Weather> = (0..PROVIDERS.len())
        .map(|provider| Weather::make(&mut chance, provider))
        .collect();
    let times = requests(&mut chance);
    let mut table = String::from(
        "| attempts | strategy | served | by the first choice | failed calls per 1,000 requests | time lost to them per request | first choice used again after, mean and longest |\n|---|---|---|---|---|---|---|\n",
    );
    for attempts in [1, 2, 4] {
        let results =
            [Way::Ours, Way::Ordered, Way::Chance].map(|way| (way, simulate(way, attempts, &weather, &times)));
        for (way, it) in &results {
            let name = match way {
                Way::Ours => "this one",
                Way::Ordered => "plain ordered fallback",
                Way::Chance => "random",
            };
            let count = i64::try_from(it.recoveries.len()).unwrap();
            let mean = it.recoveries.iter().sum::<i64>() / count / 1_000;
            let longest = it.recoveries.iter().max().unwrap() / 1_000;
            let _ = writeln!(
                table,
                "| {attempts} | {name} | {} | {} | {} | {} ms | {mean} s, {longest} s |",
                percent(it.served, it.requests),
                percent(it.first_choice, it.requests),
                it.wasted * 1_000 / it.requests,
                it.lost_ms / it.requests,
            );
        }
        let [(_, ours), (_, ordered), (_, by_chance)] = &results;
        assert_eq!(ours, &simulate(Way::Ours, attempts, &weather, &times), "the same twice");
        for other in [ordered, by_chance] {
            assert!(ours.served >= other.served, "{attempts} attempts:\n{table}");
            assert!(
                ours.wasted < other.wasted && ours.lost_ms * 2 <= other.lost_ms,
                "{attempts} attempts:\n{table}"
            );
        }
        assert!(ours.wasted * 3 <= ordered.wasted, "{attempts} attempts:\n{table}");
        assert!(
            ours.recoveries.iter().all(|ms| *ms <= 2 * 60_000),
            "within two minutes:\n{table}"
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/services/routing/ROUTING.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- simulation -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let now = format!("{before}<!-- simulation -->\n{table}<!-- end -->{after}");
    if std::env::var_os("UPDATE_README").is_some() {
        return fs::write(&path, &now).unwrap();
    }
    assert_eq!(
        text.replace("\r\n", "\n"),
        now,
        "UPDATE_README=1 cargo test --test it simulation"
    );
}
