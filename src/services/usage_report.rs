//! What was used in some days, summed up in one of several ways.

use std::cmp::Ordering;

use jiff::{Timestamp, civil::Date};

use super::usage_blocks::{self, UsageBlock};
use crate::{
    app::App,
    domain::{ProviderId, Span, Window, last_days, months_of},
    error::Result,
    storage::ledger::{Dimension, Filter, Totals},
};

/// The longest stretch of days that is summed up.
pub const MAX_DAYS: u16 = 3_660;
/// The most groups that a report has: results are read by models.
pub const MAX_GROUPS: usize = 100;

/// What groups are made by.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum GroupBy {
    Provider,
    Model,
    Day,
    Month,
    Task,
    Project,
    Key,
    Client,
    Session,
    Agent,
    Tag,
    // The five-hour windows of subscriptions.
    Block,
}

/// Usage of some days.
#[derive(Debug)]
pub struct UsageReport {
    pub span: Span,
    pub totals: Totals,
    /// Most expensive first; days and months in order. `None` is the name of what was not named.
    pub groups: Vec<(Option<String>, Totals)>,
    /// How many groups more there are.
    pub omitted: usize,
    /// Every day, oldest first.
    pub days: Vec<(Date, Totals)>,
    /// The five-hour windows that have not ended, where groups are made by them.
    pub open_blocks: Vec<UsageBlock>,
}

/// The provider called `name`: one that is configured, or else one that usage is recorded of.
pub fn recorded_provider(app: &App, name: &str) -> Result<ProviderId> {
    let unknown = match app.settings().current().provider(name) {
        Ok(provider) => return Ok(provider.id),
        Err(unknown) => unknown,
    };
    let ever = Span {
        from: Timestamp::UNIX_EPOCH,
        to: app.now(),
    };
    if let Ok(id) = name.parse::<ProviderId>()
        && app.ledger().totals(ever, &of_provider(id.clone()))?.requests > 0
    {
        return Ok(id);
    }
    Err(unknown.into())
}

/// Sorts groups by what they cost, plans at API prices included.
pub fn most_expensive_first(groups: &mut [(Option<String>, Totals)]) {
    groups.sort_by(|(one, a), (other, b)| by_cost(a, b).then_with(|| one.cmp(other)));
}

/// The more expensive of two before the other.
pub(super) fn by_cost(one: &Totals, other: &Totals) -> Ordering {
    let weight = |totals: &Totals| (totals.cost + totals.plan_cost, totals.requests);
    weight(other).cmp(&weight(one))
}

/// The usage of the last `days` days, today included.
pub fn report(app: &App, filter: &Filter, days: u16, group_by: GroupBy) -> Result<UsageReport> {
    let (now, ledger) = (app.now(), app.ledger());
    let zone = app.settings().current().budget.time_zone.clone();
    let calendar = last_days(days, now, &zone);
    let span = Span {
        from: calendar.first().map_or(now, |(_, day)| day.from),
        to: calendar.last().map_or(now, |(_, day)| day.to),
    };
    let by_window = |named: Vec<(Date, Span)>| -> Result<Vec<(Date, Totals)>> {
        let spans: Vec<Span> = named.iter().map(|(_, span)| *span).collect();
        let totals = ledger.windows(&spans, filter)?;
        Ok(named.into_iter().map(|(date, _)| date).zip(totals).collect())
    };
    let by = |dimension| -> Result<Vec<(Option<String>, Totals)>> {
        let mut groups = ledger.grouped(span, filter, dimension)?;
        most_expensive_first(&mut groups);
        Ok(groups)
    };
    let used = |totals: &Totals| totals.requests > 0;
    let days = by_window(calendar)?;
    let blocks = if group_by == GroupBy::Block {
        usage_blocks::blocks(app, span, filter)?
    } else {
        Vec::new()
    };
    let mut groups = match group_by {
        GroupBy::Provider => by(Dimension::Provider)?,
        GroupBy::Model => by(Dimension::Model)?,
        GroupBy::Task => by(Dimension::Task)?,
        GroupBy::Project => by(Dimension::Project)?,
        GroupBy::Key => by(Dimension::Key)?,
        GroupBy::Client => by(Dimension::Client)?,
        GroupBy::Session => by(Dimension::Session)?,
        GroupBy::Agent => by(Dimension::Agent)?,
        GroupBy::Tag => by(Dimension::Tag)?,
        GroupBy::Block => blocks
            .iter()
            .rev()
            .map(|block| (Some(block.name(&zone)), block.totals))
            .collect(),
        GroupBy::Day => named(days.iter().rev().filter(|(_, day)| used(day)).copied(), "%Y-%m-%d"),
        GroupBy::Month => named(
            by_window(months_of(span, &zone))?
                .into_iter()
                .rev()
                .filter(|(_, month)| used(month)),
            "%Y-%m",
        ),
    };
    let omitted = groups.len().saturating_sub(MAX_GROUPS);
    groups.truncate(MAX_GROUPS);
    if matches!(group_by, GroupBy::Day | GroupBy::Month | GroupBy::Block) {
        groups.reverse();
    }
    Ok(UsageReport {
        span: Span { to: now, ..span },
        totals: ledger.totals(span, filter)?,
        groups,
        omitted,
        days,
        open_blocks: blocks.into_iter().filter(|block| block.rate.is_some()).collect(),
    })
}

/// What is spent and done in the day and the month that it is now, by provider.
pub fn now_by_provider(app: &App, window: Window) -> Result<Vec<(Option<String>, Totals)>> {
    let zone = &app.settings().current().budget.time_zone;
    Ok(app
        .ledger()
        .grouped(window.around(app.now(), zone), &Filter::default(), Dimension::Provider)?)
}

fn of_provider(provider: ProviderId) -> Filter {
    Filter {
        provider: Some(provider),
        ..Filter::default()
    }
}

fn named(dated: impl Iterator<Item = (Date, Totals)>, format: &str) -> Vec<(Option<String>, Totals)> {
    dated
        .map(|(date, totals)| (Some(date.strftime(format).to_string()), totals))
        .collect()
}
