//! Digests: the figures of yesterday, or of last week.

use jiff::{Timestamp, ToSpan, civil::Weekday};

use crate::{
    app::App,
    domain::{AlertKind, NewAlert, Span, Usd, Window, last_days, thousands},
    error::Result,
    storage::ledger::{Dimension, Filter},
};

/// Raises the digests of the day, once in it, where a destination gets them; the weekly one on Mondays.
pub(super) fn raise(app: &App, now: Timestamp) -> Result<()> {
    let config = app.settings().current();
    let zone = &config.budget.time_zone;
    let today = Window::Day.around(now, zone);
    let is_wanted = |kind| config.alerts.iter().any(|destination| destination.digest == Some(kind));
    let is_monday = now.to_zoned(zone.clone()).date().weekday() == Weekday::Monday;
    let digests = [
        (AlertKind::DailyDigest, 1, "Yesterday", true),
        (AlertKind::WeeklyDigest, 7, "Last week", is_monday),
    ];
    for (kind, days, period, is_due) in digests {
        if !is_due || !is_wanted(kind) {
            continue;
        }
        let before = now
            .to_zoned(zone.clone())
            .checked_sub(1.day())
            .map_or(now, |before| before.timestamp());
        let spans = last_days(days, before, zone);
        let from = spans.first().map_or(today.from, |(_, span)| span.from);
        let text = figures(app, period, Span { from, to: today.from })?;
        let command = format!("api-keys usage --days {days} --group-by model");
        app.ledger()
            .raise(&NewAlert::new(kind, period, &text, &command).within(today.from), now)?;
    }
    Ok(())
}

/// Cost, requests, the share of cached input, and the models and projects that cost most.
fn figures(app: &App, period: &str, span: Span) -> Result<String> {
    let ledger = app.ledger();
    let all = ledger.totals(span, &Filter::default())?;
    let top = |by: Dimension| -> Result<Option<(String, Usd)>> {
        let groups = ledger.grouped(span, &Filter::default(), by)?.into_iter();
        let named = groups.filter_map(|(name, totals)| Some((name?, totals.cost)));
        Ok(named
            .filter(|(_, cost)| *cost > Usd::ZERO)
            .max_by_key(|(_, cost)| *cost))
    };
    let requests = match all.requests {
        1 => "1 request".to_owned(),
        count => format!("{} requests", thousands(count)),
    };
    let mut parts = vec![format!("{period}: {}, {requests}", all.cost)];
    let cached = all.cache_read_tokens.saturating_mul(100).checked_div(all.input_tokens);
    if let Some(cached) = cached.filter(|cached| *cached > 0) {
        parts.push(format!("{cached}% cached"));
    }
    for by in [Dimension::Model, Dimension::Project] {
        parts.extend(top(by)?.map(|(name, cost)| format!("{name} {cost}")));
    }
    Ok(parts.join("; "))
}
