//! Where a budget's window will end: on simulated ledgers the truth lies in the range as often as it should.

use std::collections::BTreeMap;

use api_keys::{
    app::{App, Clock},
    domain::{Outlook, PastDay, RequestOutcome, Service, TokenCounts, Tokens, Usd, forecast},
    services::{budget_status, usage_tracking},
    settings::{Environment, Settings},
};

use crate::support::Home;

/// Hours of cost, by day.
type Simulated = Vec<[i64; 24]>;

/// A small generator of numbers; the same seed gives the same ones.
struct Numbers(u64);

impl Numbers {
    /// From 0 up to `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A factor around 100: nearly normal, by the sum of twelve.
    fn around_100(&mut self, deviation: u64) -> i64 {
        let sum: u64 = (0..12).map(|_| self.below(1_001)).sum();
        let off = (i64::try_from(sum).unwrap_or(0) - 6_000) * i64::try_from(deviation).unwrap_or(0) / 1_000;
        (100 + off).max(2)
    }

    /// A factor of a distribution with a long tail, in hundredths.
    fn long_tailed(&mut self) -> i64 {
        const QUANTILES: [i64; 16] = [20, 31, 40, 48, 56, 65, 75, 88, 102, 118, 138, 165, 200, 250, 340, 520];
        QUANTILES[usize::try_from(self.below(16)).unwrap_or(0)]
    }
}

/// Kinds whose days grow, in percent a day.
const GROWTH: [(&str, i64); 5] = [
    ("growing slowly", 2),
    ("growing in weeks", 2),
    ("growing", 5),
    ("growing fast", 10),
    ("shrinking", -5),
];

/// A ledger of `days` days, the first a Monday.
fn simulated(kind: &str, days: usize, numbers: &mut Numbers) -> Simulated {
    let mut level = 100;
    // In hundredths, so that growth of small costs is not rounded away.
    let mut grown = 10_000;
    (0..days)
        .map(|day| {
            let is_weekend = day % 7 >= 5;
            let noise = numbers.around_100(if kind == "flat" { 8 } else { 30 });
            let percent = GROWTH
                .iter()
                .find(|(of, _)| *of == kind)
                .map_or(0, |(_, percent)| *percent);
            grown += grown * percent / 100;
            let of_day = noise
                * match kind {
                    "working hours" if is_weekend => 6,
                    "no weekends" | "growing in weeks" if is_weekend => 0,
                    "bursty" => numbers.long_tailed(),
                    "sparse" if numbers.below(10) >= 5 => 0,
                    "drifting" => {
                        level = (level * numbers.around_100(5) / 100).clamp(20, 500);
                        level
                    }
                    "one burst" if day == 9 => 4_000,
                    "bursts" if numbers.below(12) == 0 => 600,
                    _ => grown / 100,
                };
            let mut hours = [0; 24];
            for (hour, cost) in hours.iter_mut().enumerate() {
                let is_work = (9..18).contains(&hour);
                let of_hour = match kind {
                    "flat" | "steady" | "bursty" | "drifting" => 10 + 60 * i64::from((7..22).contains(&hour)),
                    _ => 2 + 98 * i64::from(is_work),
                };
                let of_request = if kind == "flat" { 100 } else { numbers.long_tailed() };
                *cost = of_day * of_hour * of_request / 100;
            }
            hours
        })
        .collect()
}

fn sum(hours: &[i64]) -> i64 {
    hours.iter().sum()
}

/// Whether the truth lies in the range that is told at `hour` of `day` for the days up to `last`; `first` is the
/// window's first day.
fn holds(ledger: &Simulated, (day, hour): (usize, usize), first: usize, last: usize) -> Option<bool> {
    let past: Vec<PastDay> = (day.saturating_sub(28)..day)
        .map(|day| PastDay {
            is_weekend: day % 7 >= 5,
            before: Usd::from_nano(sum(&ledger[day][..hour])),
            after: Usd::from_nano(sum(&ledger[day][hour..])),
        })
        .collect();
    let today = sum(&ledger[day][..hour]);
    let before: i64 = ledger[first..day].iter().map(|day| sum(day)).sum();
    let mut ahead = [0, 0];
    (day + 1..=last).for_each(|day| ahead[usize::from(day % 7 >= 5)] += 1);
    let seconds = |hours: usize| u64::try_from(hours * 3_600).unwrap_or(0);
    let told = forecast(&Outlook {
        past: &past,
        is_weekend: day % 7 >= 5,
        today: Usd::from_nano(today),
        spent: Usd::from_nano(before + today),
        ahead,
        gone: seconds((day - first) * 24 + hour),
        left: seconds((last - day) * 24 + 24 - hour),
    })?;
    let truth: i64 = ledger[first..=last].iter().map(|day| sum(day)).sum();
    Some((told.low.nano()..=told.high.nano()).contains(&truth))
}

#[test]
fn eight_in_ten_windows_end_within_the_range() {
    let mut shares = BTreeMap::new();
    let others = [
        "flat",
        "steady",
        "working hours",
        "no weekends",
        "bursty",
        "bursts",
        "sparse",
        "drifting",
        "one burst",
    ];
    for kind in others.into_iter().chain(GROWTH.map(|(kind, _)| kind)) {
        let (mut days, mut months) = (Vec::new(), Vec::new());
        for seed in 1..=60 {
            let ledger = simulated(kind, 60, &mut Numbers(seed * 7_919));
            for day in [4, 8, 12, 17, 23, 33, 38, 44, 50, 56] {
                for hour in [4, 9, 12, 15, 18, 21] {
                    days.extend(holds(&ledger, (day, hour), day, day));
                    // What weeks have in common, growth above all, needs two of them.
                    if day >= 14 {
                        let first = day / 30 * 30;
                        months.extend(holds(&ledger, (day, hour), first, first + 29));
                    }
                }
            }
        }
        for (window, held) in [("day", days), ("month", months)] {
            let share = held.iter().filter(|held| **held).count() * 100 / held.len();
            shares.insert((window, kind), share);
        }
    }
    assert!(shares.values().all(|share| (70..=92).contains(share)), "{shares:?}");
}

/// The program at `now` with the ledger in `home`.
fn at(home: &Home, now: &str) -> App {
    let environment = Environment::of([("API_KEYS_HOME", home.path().to_str().expect("a path"))]);
    let settings = Settings::open(&environment).expect("settings");
    App::new(settings, Clock::Fixed(now.parse().expect("a time")))
}

async fn spend(app: &App, tokens: u64) {
    let counts = TokenCounts {
        input: tokens,
        ..TokenCounts::default()
    };
    let reported = usage_tracking::ReportedRequest {
        model: "openai/test".parse().expect("a model"),
        occurred_at: None,
        service: Service::Standard,
        cost: None,
        label: None,
        task: None,
        project: None,
        tokens: Tokens::new(counts).expect("possible"),
        outcome: RequestOutcome {
            success: true,
            status_code: None,
            latency_ms: None,
        },
        retry_after: None,
        request_id: None,
    };
    usage_tracking::track(app, reported).await.expect("recorded");
}

#[tokio::test]
async fn what_the_days_before_cost_says_what_today_and_the_month_will() {
    let home = Home::new();
    home.config("[[prices]]\nmodel = \"openai/test\"\ninput = 1.0\noutput = 1.0\n");
    let app = at(&home, "2026-11-02T05:00:00Z");
    spend(&app, 1_000_000).await;
    let budgets = budget_status::check(&app).expect("budgets");
    assert_eq!(
        (budgets.daily.forecast, budgets.monthly.forecast),
        (None, None),
        "five hours say nothing"
    );

    // A dollar each morning and two each evening.
    for day in 3..=12 {
        for (hour, tokens) in [(9, 1_000_000), (20, 2_000_000)] {
            spend(&at(&home, &format!("2026-11-{day:02}T{hour:02}:30:00Z")), tokens).await;
        }
    }
    let app = at(&home, "2026-11-13T10:07:00Z");
    spend(&app, 1_000_000).await;
    let budgets = budget_status::check(&app).expect("budgets");
    let (day, month) = (
        budgets.daily.forecast.expect("a day"),
        budgets.monthly.forecast.expect("a month"),
    );
    let dollars = |dollars: i64| Usd::from_nano(dollars * 1_000_000_000);
    assert!(
        day.low <= dollars(3) && day.high >= dollars(3) && day.high <= dollars(4),
        "{day:?}"
    );
    // One day of one dollar, ten of three, and eighteen to come.
    assert!(month.low <= dollars(85) && month.high >= dollars(80), "{month:?}");
    assert!(month.low >= dollars(60) && month.high <= dollars(110), "{month:?}");
    // It is seen at once what is recorded in between.
    spend(&app, 3_000_000).await;
    let later = budget_status::check(&app)
        .expect("budgets")
        .daily
        .forecast
        .expect("a day");
    assert!(later.low > day.low, "{day:?} {later:?}");
}
