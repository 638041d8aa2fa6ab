//! What is looked at besides the budgets' thresholds: each condition raises its alerts, and ends those that are over.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::digest;
use crate::{
    app::App,
    domain::{
        AlertKind, AlertSeverity, BudgetStatus, KeyRecord, NewAlert, ProviderId, Span, Trouble, Usd, Window, last_days,
    },
    error::Result,
    services::{
        backup::{self, MAX_BACKUP_AGE},
        budget_status, health, keys, last_use, vault_access,
    },
    storage::{
        ledger::{Dimension, Filter},
        vault::VaultFreshness,
    },
};

/// How often what is cheap is looked at, over all processes, and what is not.
const OFTEN: SignedDuration = SignedDuration::from_mins(1);
const SELDOM: SignedDuration = SignedDuration::from_hours(1);
/// How long a provider must have been unusable.
const DOWN_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// How long a key must have been unused.
const UNUSED_AFTER: SignedDuration = SignedDuration::from_hours(90 * 24);
/// What today must have cost to be unusual, beside three times the mean of a week.
const MIN_ANOMALY: Usd = Usd::from_nano(10_000_000_000);
/// The days before a key expires, or a model retires, on which that is reported.
const EXPIRY_DAYS: [i64; 3] = [14, 7, 1];
const RETIREMENT_DAYS: [i64; 3] = [30, 7, 1];
/// How far ahead and back a change of price is news.
const PRICE_NEWS_DAYS: i64 = 14;

/// Raises what is due. What cannot be looked at now is looked at the next time.
pub async fn look(app: &App) {
    let (ledger, now) = (app.ledger(), app.now());
    let is_due = |what, interval| ledger.is_check_due(what, interval, now).unwrap_or(false);
    let mut outcomes = Vec::new();
    if is_due("often", OFTEN) {
        outcomes.push(budgets(app, now));
        outcomes.push(keys_in_use(app, now));
        outcomes.push(unpriced(app, now));
        outcomes.push(digest::raise(app, now));
    }
    if is_due("seldom", SELDOM) {
        outcomes.push(forecasts(app, now));
        outcomes.push(anomaly(app, now));
        outcomes.push(models_in_use(app, now));
        outcomes.push(vault(app, now).await);
    }
    for why in outcomes.into_iter().filter_map(Result::err) {
        tracing::debug!(
            error = why.code().as_str(),
            "a condition of alerts could not be checked"
        );
    }
}

/// Thresholds that were crossed by what is not recorded one request at a time, such as an import of logs.
fn budgets(app: &App, now: Timestamp) -> Result<()> {
    let watched = budget_status::watched(&app.settings().current().budget, now);
    app.ledger().watch_budgets(&watched, now)?;
    Ok(())
}

fn forecasts(app: &App, now: Timestamp) -> Result<()> {
    let budgets = budget_status::check(app)?;
    if !budgets.enabled {
        return Ok(());
    }
    let exceeding = |standing: &BudgetStatus| {
        let expected = standing.forecast?.expected;
        (expected > standing.limit && !standing.is_exceeded()).then_some((standing.window, standing.span, expected))
    };
    for standing in budgets.standings() {
        if let Some((window, span, expected)) = exceeding(standing) {
            let (name, limit) = (window.as_str(), standing.limit);
            let text = format!("the {name} budget will be exceeded: {expected} forecast, {limit} allowed");
            let alert = NewAlert::new(AlertKind::BudgetForecast, name, &text, "api-keys budget");
            app.ledger().raise(&alert.within(span.from), now)?;
        }
    }
    Ok(())
}

fn anomaly(app: &App, now: Timestamp) -> Result<()> {
    let config = app.settings().current();
    let days = last_days(8, now, &config.budget.time_zone);
    let spans: Vec<Span> = days.iter().map(|(_, span)| *span).collect();
    let costs: Vec<Usd> = app
        .ledger()
        .windows(&spans, &Filter::default())?
        .into_iter()
        .map(|totals| totals.cost)
        .collect();
    let Some((today, week)) = costs.split_last() else {
        return Ok(());
    };
    let sum: Usd = week.iter().copied().sum();
    // Without a week to compare with, nothing is unusual.
    if sum == Usd::ZERO || *today < MIN_ANOMALY || *today <= sum.scaled(3, 7) {
        return Ok(());
    }
    let start = spans.last().map_or(now, |span| span.from);
    let mean = sum.scaled(1, 7);
    let text = format!("unusual spending: {today} today, {mean} a day in the last week");
    let alert = NewAlert::new(
        AlertKind::SpendAnomaly,
        "daily",
        &text,
        "api-keys usage --group-by model --days 1",
    );
    app.ledger().raise(&alert.within(start), now)?;
    Ok(())
}

/// Keys that are refused, and providers of which no key can be used.
fn keys_in_use(app: &App, now: Timestamp) -> Result<()> {
    let mut refused = Vec::new();
    let mut down: BTreeMap<&ProviderId, bool> = BTreeMap::new();
    let healths = health::all(app)?;
    for ((provider, label), health) in &healths {
        let subject = format!("{provider}:{label}");
        let says = match health.trouble {
            Some(Trouble::Refused) => Some("is refused by its provider"),
            Some(Trouble::NoCredit) => Some("has no credit left"),
            Some(Trouble::RateLimited | Trouble::Failing) | None => None,
        };
        if let Some(says) = says {
            let text = format!("the key {subject} {says}");
            let command = format!("api-keys validate {subject}");
            let alert = NewAlert::new(AlertKind::KeyRefused, &subject, &text, &command);
            app.ledger().raise(&alert, now)?;
            refused.push(subject);
        }
        let is_down = matches!(health.trouble, Some(Trouble::Failing | Trouble::RateLimited))
            && now.duration_since(health.since) >= DOWN_AFTER
            && now.duration_since(health.until) < DOWN_AFTER;
        let all = down.entry(provider).or_insert(true);
        *all &= is_down;
    }
    let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
    app.ledger().resolve_others(AlertKind::KeyRefused, &refused, now)?;
    let down: Vec<&ProviderId> = down
        .into_iter()
        .filter(|(_, is_down)| *is_down)
        .map(|(provider, _)| provider)
        .collect();
    for provider in &down {
        let text = format!("{provider} has not answered for over five minutes: all of its keys are cooling down");
        let command = format!("api-keys stats {provider}");
        let alert = NewAlert::new(AlertKind::ProviderDown, provider.as_str(), &text, &command);
        app.ledger().raise(&alert, now)?;
    }
    let down: Vec<&str> = down.into_iter().map(ProviderId::as_str).collect();
    app.ledger().resolve_others(AlertKind::ProviderDown, &down, now)?;
    Ok(())
}

/// Models whose requests of today have no known price.
fn unpriced(app: &App, now: Timestamp) -> Result<()> {
    let span = Window::Day.around(now, &app.settings().current().budget.time_zone);
    for (model, totals) in app.ledger().grouped(span, &Filter::default(), Dimension::Model)? {
        let Some(model) = model.filter(|_| totals.unpriced_requests > 0) else {
            continue;
        };
        let count = totals.unpriced_requests;
        let requests = if count == 1 {
            "1 request".to_owned()
        } else {
            format!("{count} requests")
        };
        let text = format!("{requests} to {model} today without a known price: not counted in budgets");
        let command = format!("api-keys prices explain {model}");
        let alert = NewAlert::new(AlertKind::UnpricedRequests, &model, &text, &command);
        app.ledger().raise(&alert.within(span.from), now)?;
    }
    Ok(())
}

/// Retirements and changes of price of the models that were used in the last 30 days.
fn models_in_use(app: &App, now: Timestamp) -> Result<()> {
    let zone = &app.settings().current().budget.time_zone;
    let today = now.to_zoned(zone.clone()).date();
    let from = now.checked_sub(SignedDuration::from_hours(30 * 24)).unwrap_or(now);
    let used = app
        .ledger()
        .grouped(Span { from, to: now }, &Filter::default(), Dimension::Model)?;
    let catalog = app.catalog()?;
    for name in used.into_iter().filter_map(|(model, _)| model) {
        let Some(model) = catalog.models().find(|model| model.id.to_string() == name) else {
            continue;
        };
        if let Some(end) = model.retires_on {
            let left = i64::from((end - today).get_days());
            if let Some(level) = step(left, &RETIREMENT_DAYS) {
                let text = match left {
                    ..=0 => format!("{name}, which you use, retired on {end}"),
                    days => format!("{name}, which you use, retires on {end}, in {days} days"),
                };
                let alert = NewAlert::new(AlertKind::ModelRetirement, &name, &text, "api-keys route --task chat");
                app.ledger()
                    .raise(&alert.at_level(AlertSeverity::Warning, level), now)?;
            }
        }
        for dated in &model.prices {
            let Some(day) = dated.from else {
                continue;
            };
            let ahead = i64::from((day - today).get_days());
            if ahead.abs() <= PRICE_NEWS_DAYS {
                let text = match ahead {
                    1.. => format!("the price of {name}, which you use, changes on {day}, in {ahead} days"),
                    _ => format!("the price of {name}, which you use, changed on {day}"),
                };
                let command = format!("api-keys prices show {name}");
                let subject = format!("{name} {day}");
                let level = if ahead > 0 { 1 } else { 2 };
                let alert = NewAlert::new(AlertKind::PriceChange, &subject, &text, &command);
                app.ledger().raise(&alert.at_level(AlertSeverity::Info, level), now)?;
            }
        }
    }
    Ok(())
}

/// What is known of the vault and its keys, where it opens without a person.
async fn vault(app: &App, now: Timestamp) -> Result<()> {
    let contents = vault_access::contents_unasked(app).await?;
    let mut tampered: Vec<(&str, String)> = Vec::new();
    if contents.standing != VaultFreshness::Current {
        let text = "the vault file is not the one last written here: keys can be read but not changed";
        tampered.push(("vault", text.to_owned()));
    }
    if app.vault().verify_audit().is_ok_and(|report| report.fault.is_some()) {
        tampered.push(("audit trail", "the audit trail was cut, modified or damaged".to_owned()));
    }
    for (subject, text) in &tampered {
        let alert = NewAlert::new(AlertKind::VaultTampered, subject, text, "api-keys doctor --offline");
        app.ledger().raise(&alert, now)?;
    }
    let lasting: Vec<&str> = tampered.iter().map(|(subject, _)| *subject).collect();
    app.ledger().resolve_others(AlertKind::VaultTampered, &lasting, now)?;
    let stored = keys::list_of(&contents);
    let uses = last_use::last_uses(app, &stored);
    let mut expiring = Vec::new();
    let mut unused = Vec::new();
    for record in &stored {
        let subject = format!("{}:{}", record.provider, record.label);
        if let Some(alert) = expiry(record, &subject, now) {
            app.ledger().raise(&alert, now)?;
            expiring.push(subject.clone());
        }
        let used = uses.get(&(record.provider.to_string(), record.label.to_string()));
        let idle = now.duration_since(used.copied().unwrap_or(record.created_at).max(record.created_at));
        if idle >= UNUSED_AFTER {
            let text = format!("the key {subject} was not used for {} days", idle.as_hours() / 24);
            let command = format!("api-keys remove {subject}");
            app.ledger()
                .raise(&NewAlert::new(AlertKind::KeyUnused, &subject, &text, &command), now)?;
            unused.push(subject);
        }
    }
    for (kind, subjects) in [(AlertKind::KeyExpiring, expiring), (AlertKind::KeyUnused, unused)] {
        let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
        app.ledger().resolve_others(kind, &subjects, now)?;
    }
    backups(app, &stored, now)
}

/// Keys that were there for as long as a backup may be old, without a newer one that was verified.
fn backups(app: &App, stored: &[KeyRecord], now: Timestamp) -> Result<()> {
    let is_old = |at: Timestamp| now.duration_since(at) > MAX_BACKUP_AGE;
    let history = backup::history(app.settings().paths().data_folder());
    let newest = history.newest_verified().map(|event| event.created_at);
    let mut overdue = Vec::new();
    if stored.iter().any(|record| is_old(record.created_at)) && newest.is_none_or(is_old) {
        let text = match newest {
            Some(at) => format!(
                "the newest verified backup is {} days old",
                now.duration_since(at).as_hours() / 24
            ),
            None => "there is no verified backup of the keys and the ledger".to_owned(),
        };
        let alert = NewAlert::new(
            AlertKind::BackupOverdue,
            "backup",
            &text,
            "api-keys backup create --verify DIR",
        );
        app.ledger().raise(&alert, now)?;
        overdue.push("backup");
    }
    app.ledger().resolve_others(AlertKind::BackupOverdue, &overdue, now)?;
    Ok(())
}

fn expiry(record: &KeyRecord, subject: &str, now: Timestamp) -> Option<NewAlert> {
    let end = record.expires_at?;
    let left = end.duration_since(now);
    let days = if left.is_negative() { -1 } else { left.as_hours() / 24 };
    let level = step(days, &EXPIRY_DAYS)?;
    let text = match days {
        ..0 => format!("the key {subject} has expired and is no longer used"),
        0 => format!("the key {subject} expires within a day"),
        1 => format!("the key {subject} expires in 1 day"),
        days => format!("the key {subject} expires in {days} days"),
    };
    let command = format!("api-keys rotate {subject}");
    let alert = NewAlert::new(AlertKind::KeyExpiring, subject, &text, &command);
    Some(alert.at_level(AlertSeverity::Warning, level))
}

/// How many of the steps are reached with so many days left, one more where none is left; nothing before the first.
fn step(left: i64, steps: &[i64]) -> Option<u32> {
    let reached = steps.iter().filter(|days| left <= **days).count() + usize::from(left < 0);
    u32::try_from(reached).ok().filter(|reached| *reached > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_step_of_14_7_and_1_days_and_its_end() {
        let steps = [15, 14, 8, 7, 1, 0, -1].map(|left| step(left, &EXPIRY_DAYS));
        assert_eq!(steps, [None, Some(1), Some(1), Some(2), Some(3), Some(3), Some(4)]);
    }
}
