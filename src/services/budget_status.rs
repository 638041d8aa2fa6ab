//! Budgets: how much of them is spent, the forecast, and the alerts given.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};

use super::ledger_writes;
use crate::{
    app::App,
    domain::{
        Billionths, BudgetStatus, BudgetWatch, Forecast, NewAlert, Outlook, PastDay, Span, Usd, Window, forecast,
        last_days, zone_text,
    },
    error::Result,
    settings::BudgetConfig,
    storage::ledger::Ledger,
};

/// How many whole days before today say what is usual.
const HISTORY_DAYS: u16 = 28;
/// What the ledger's sums are over, in seconds.
const QUARTER: i64 = 900;

/// The budgets as they stand.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// Whether limits are on; where they are off, nothing alerts and nothing is exceeded.
    pub enabled: bool,
    /// The part of a limit at which an alert is due, from 0 to 1.
    pub alert_threshold: Billionths,
    /// Where days and months begin.
    pub time_zone: String,
    pub zone: TimeZone,
    pub daily: BudgetStatus,
    pub monthly: BudgetStatus,
}

/// What may still be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub remaining: Usd,
    /// Whether a budget has reached its alert threshold.
    pub is_alert: bool,
}

/// A threshold that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    pub window: Window,
    pub threshold_percent: u8,
    pub spent: Usd,
    pub limit: Usd,
}

impl Budgets {
    pub fn standings(&self) -> [&BudgetStatus; 2] {
        [&self.daily, &self.monthly]
    }

    pub fn is_alert(&self, standing: &BudgetStatus) -> bool {
        self.enabled && standing.is_alert(self.alert_threshold)
    }

    pub fn is_exceeded(&self, standing: &BudgetStatus) -> bool {
        self.enabled && standing.is_exceeded()
    }

    /// The highest threshold that each budget has reached.
    pub fn reached(&self) -> Vec<Alert> {
        let reached = |standing: &&BudgetStatus| {
            standing.reached(self.alert_threshold).map(|threshold_percent| Alert {
                window: standing.window,
                threshold_percent,
                spent: standing.spent,
                limit: standing.limit,
            })
        };
        self.standings()
            .iter()
            .filter(|_| self.enabled)
            .filter_map(reached)
            .collect()
    }
}

impl Alert {
    /// The alert for people.
    pub fn message(&self) -> String {
        self.raised_at(Timestamp::UNIX_EPOCH).text().to_owned()
    }

    /// The alert as it is raised, of the period that began at `start`.
    fn raised_at(&self, start: Timestamp) -> NewAlert {
        NewAlert::of_budget(self.window, start, self.threshold_percent, (self.spent, self.limit))
    }
}

/// The budgets whose thresholds raise alerts at `now`: none where limits are off.
pub fn watched(budget: &BudgetConfig, now: Timestamp) -> Vec<BudgetWatch> {
    let limits = [(Window::Day, budget.daily_limit), (Window::Month, budget.monthly_limit)];
    let watched = limits.map(|(window, limit)| BudgetWatch {
        window,
        span: window.around(now, &budget.time_zone),
        limit,
        threshold: budget.alert_threshold,
    });
    if budget.enabled { watched.to_vec() } else { Vec::new() }
}

/// The budgets now, and what they will come to.
pub fn check(app: &App) -> Result<Budgets> {
    let mut budgets = standing(app)?;
    let [daily, monthly] = forecasts(app, [budgets.daily, budgets.monthly])?;
    budgets.daily.forecast = daily;
    budgets.monthly.forecast = monthly;
    Ok(budgets)
}

/// The budgets now, without a forecast.
pub fn standing(app: &App) -> Result<Budgets> {
    let settings = app.settings().current();
    let budget = &settings.budget;
    let (now, zone) = (app.now(), &budget.time_zone);
    let windows = Window::ALL.map(|window| (window, window.around(now, zone)));
    let spent = app.ledger().spent(None, &windows.map(|(_, span)| span), now)?;
    let standing = |at: usize, limit| {
        let ((window, span), spent) = (windows[at], &spent[at]);
        BudgetStatus {
            window,
            span,
            limit,
            spent: spent.recorded,
            reserved: spent.reserved,
            unpriced_requests: spent.unpriced_requests,
            forecast: None,
        }
    };
    Ok(Budgets {
        enabled: budget.enabled,
        alert_threshold: budget.alert_threshold,
        time_zone: zone_text(zone, now),
        zone: zone.clone(),
        daily: standing(0, budget.daily_limit),
        monthly: standing(1, budget.monthly_limit),
    })
}

/// What may still be spent: of the budget that has least left; nothing where the limits are not in force.
pub fn left(app: &App) -> Result<Option<Left>> {
    let settings = app.settings().current();
    let budget = &settings.budget;
    if !budget.enabled {
        return Ok(None);
    }
    let (now, zone) = (app.now(), &budget.time_zone);
    let spent = app
        .ledger()
        .spent(None, &Window::ALL.map(|window| window.around(now, zone)), now)?;
    let limits = [budget.daily_limit, budget.monthly_limit];
    let budgets = || limits.into_iter().zip(&spent);
    Ok(Some(Left {
        remaining: budgets()
            .map(|(limit, spent)| (limit - spent.recorded - spent.reserved).or_zero())
            .min()
            .unwrap_or_default(),
        is_alert: budgets().any(|(limit, spent)| {
            let threshold = limit.scaled(budget.alert_threshold.0, Billionths::ONE.0);
            spent.recorded > Usd::ZERO && spent.recorded >= threshold
        }),
    }))
}

/// Where today and this month will end, by the days before.
fn forecasts(app: &App, [daily, monthly]: [BudgetStatus; 2]) -> Result<[Option<Forecast>; 2]> {
    let settings = app.settings().current();
    let zone = &settings.budget.time_zone;
    let now = app.now();
    // The ledger's sums are over quarters of an hour; what a day is cut at stands still that long, and so does what is kept.
    let gone = (now.as_second() - daily.span.from.as_second()) / QUARTER * QUARTER;
    let cut = daily.span.from + SignedDuration::from_secs(gone);
    let totals = app.ledger().kept_windows((daily.span.from, cut), || {
        let days = last_days(HISTORY_DAYS + 1, now, zone);
        let before_today = days.iter().take(usize::from(HISTORY_DAYS));
        let cut = |day: &Span| (day.from + SignedDuration::from_secs(gone)).min(day.to);
        let parts = before_today.flat_map(|(_, day)| {
            let cut = cut(day);
            [Span { to: cut, ..*day }, Span { from: cut, ..*day }]
        });
        parts.collect()
    })?;
    let today = now.to_zoned(zone.clone()).date();
    let is_weekend = |day: Date| matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let back = (1..=i64::from(HISTORY_DAYS))
        .rev()
        .map(|back| today.saturating_sub(back.days()));
    let past: Vec<PastDay> = back
        .zip(totals.chunks_exact(2))
        // The days before the first use say nothing of what is usual.
        .skip_while(|(_, parts)| parts.iter().all(|part| part.requests == 0))
        .filter_map(|(day, parts)| match parts {
            [before, after] => Some(PastDay {
                is_weekend: is_weekend(day),
                before: before.cost,
                after: after.cost,
            }),
            _ => None,
        })
        .collect();
    let seconds = |from: Timestamp, to: Timestamp| u64::try_from(to.as_second() - from.as_second()).unwrap_or(0);
    let first_use = today.saturating_sub(i64::try_from(past.len()).unwrap_or(0).days());
    let first_use = first_use
        .to_zoned(zone.clone())
        .map_or(daily.span.from, |first| first.timestamp());
    let of = |standing: &BudgetStatus| {
        let mut ahead = [0, 0];
        if standing.window == Window::Month {
            let rest = today
                .series(1.day())
                .skip(1)
                .take_while(|day| day.month() == today.month());
            rest.for_each(|day| ahead[usize::from(is_weekend(day))] += 1);
        }
        forecast(&Outlook {
            past: &past,
            is_weekend: is_weekend(today),
            today: daily.spent,
            spent: standing.spent,
            ahead,
            gone: seconds(standing.span.from.max(first_use), now),
            left: seconds(now, standing.span.to),
        })
    };
    Ok([of(&daily), of(&monthly)])
}

/// The thresholds that `budgets` have reached and that were not given yet: each once, over all processes.
pub async fn new_alerts(app: &App, budgets: &Budgets) -> Result<Vec<Alert>> {
    let mut new = Vec::new();
    for alert in budgets.reached() {
        let span = match alert.window {
            Window::Day => budgets.daily.span,
            Window::Month => budgets.monthly.span,
        };
        let raised = alert.raised_at(span.from);
        let give = |ledger: &Ledger| ledger.alert_once(&raised, app.now());
        if ledger_writes::turn(app, give).await? {
            new.push(alert);
        }
    }
    Ok(new)
}
