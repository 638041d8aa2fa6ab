//! Usage of a period by any property: a chart, its table, when it was, and the records to take along.

use maud::{Markup, html};

use super::page::PageContext;
use crate::{
    chart::{self, Chart, HeatMap, PALETTE},
    dashboard::{
        parts,
        query::{GROUPINGS, PERIODS},
    },
    error::Result,
    services::{
        usage_chart::{self, Metric},
        usage_matrix::{self, MatrixColumn, MatrixGroup, UsageMatrix, UsagePeriod},
        usage_report::MAX_GROUPS,
    },
    storage::ledger::{Dimension, Totals},
};

/// The longest period whose hours are shown, in days.
const MAX_HEAT_DAYS: usize = 92;

pub(in crate::dashboard) fn usage(context: &PageContext<'_>) -> Result<Markup> {
    let (app, query) = (context.app, context.query);
    let (by, title, dimension) = query.grouping();
    let filter = query.filter();
    let matrix = usage_matrix::matrix(app, query.period(), &filter, dimension)?;
    let metric = query.metric(&matrix.totals);
    let (chart, zoom) = chart_of(&matrix, metric, &metric.chart_title(title));
    let legend = links(context, &matrix, metric, dimension);
    let rows: Vec<(Markup, Totals)> = matrix
        .groups
        .iter()
        .take(MAX_GROUPS)
        .map(|group| (narrowed(context, dimension, group), group.totals))
        .collect();
    let omitted = matrix.groups.len().saturating_sub(rows.len());
    let days = query.days().to_string();
    let chosen = if matches!(query.period(), UsagePeriod::Last(_)) {
        days.as_str()
    } else {
        ""
    };
    let periods: Vec<(String, &str)> = PERIODS.iter().map(|(days, title)| (days.to_string(), *title)).collect();
    let export = query.link("/ui/v1/export");
    Ok(html! {
        (period_choice(context, chosen, &periods))
        (context.choice("By", "by", by, GROUPINGS.into_iter().map(|(name, title, _)| (name, title))))
        (context.choice("Show", "show", metric.name(), Metric::ALL.into_iter().map(|metric| (metric.name(), metric.title()))))
        (filters(context))
        section .panel {
            (parts::figure(&chart, &chart::stacked_bars(&chart), &zoom, &legend))
            (parts::basis(context, &matrix.totals, query))
        }
        section .panel {
            div .head {
                h2 { (title) }
                @if !context.is_report {
                    div .actions {
                        input type="search" placeholder="Filter" aria-label="Filter the tables" #filter;
                        button type="button" data-download=(format!("{export}{}format=csv", joint(&export))) data-name="usage.csv" { "CSV" }
                        button type="button" data-download=(format!("{export}{}format=jsonl", joint(&export))) data-name="usage.jsonl" { "JSON" }
                    }
                }
            }
            @if rows.is_empty() {
                p .empty { "No requests in this period. " code { "api-keys run --gateway -- PROGRAM" } " records what a program uses, " code { "api-keys import logs" } " what agents logged." }
            } @else {
                (parts::usage_table(title, &format!("Usage by {}", title.to_lowercase()), &rows, Some(&matrix.totals)))
                @if omitted > 0 { p .basis { "And " (omitted) " more of lower cost, which the CSV has." } }
            }
        }
        (hours(context, &matrix, metric)?)
    })
}

fn joint(address: &str) -> char {
    if address.contains('?') { '&' } else { '?' }
}

fn period_choice(context: &PageContext<'_>, chosen: &str, periods: &[(String, &str)]) -> Markup {
    let query = context.query.with("from", None).with("to", None);
    let path = context.page.path();
    html! {
        @if context.is_report {} @else {
            div .choice role="group" aria-label="Period" {
                span .label { "Period" }
                @for (days, title) in periods {
                    a href=(query.with("days", Some(days)).link(&path)) aria-current=[(days == chosen).then_some("true")] { (title) }
                }
                @if let (Some(from), to) = (context.query.text("from"), context.query.text("to")) {
                    a href=(query.link(&path)) aria-current="true" title="Back to whole days" { (from) @if let Some(to) = to { "–" (to) } " ×" }
                }
            }
        }
    }
}

/// The filters that are set, each with the way to be rid of it.
fn filters(context: &PageContext<'_>) -> Markup {
    html! {
        @if context.query.filters().next().is_some() && !context.is_report {
            div .choice role="group" aria-label="Filters" {
                span .label { "Only" }
                @for (name, value) in context.query.filters() {
                    a aria-current="true" href=(context.query.with(name, None).link(&context.page.path())) title="Remove this filter" { (name) ": " (value) " ×" }
                }
            }
        }
    }
}

/// The name of a group, which leads to its parts where usage can be narrowed to it.
fn narrowed(context: &PageContext<'_>, dimension: Dimension, group: &MatrixGroup) -> Markup {
    let text = html! { (group_name(group.name.as_deref())) };
    let (filter, next) = match dimension {
        Dimension::Provider => ("provider", "model"),
        Dimension::Agent => ("agent", "project"),
        Dimension::Client => ("client", "model"),
        Dimension::Source => ("source", "agent"),
        Dimension::Tag => ("tag", "model"),
        Dimension::Model | Dimension::Task | Dimension::Project | Dimension::Key | Dimension::Session => return text,
    };
    match &group.name {
        Some(name) => {
            let query = context.query.with(filter, Some(name)).with("by", Some(next));
            context.link(&query.link("/usage"), &text)
        }
        None => text,
    }
}

pub(super) fn group_name(name: Option<&str>) -> Markup {
    html! { @match name { Some(name) => (name), None => span .faint { "not named" } } }
}

/// The entries of the chart's legend.
pub(super) fn links(context: &PageContext<'_>, matrix: &UsageMatrix, metric: Metric, by: Dimension) -> Vec<Markup> {
    let (leading, rest) = matrix.leading(PALETTE);
    let value = |group: &MatrixGroup| metric.unit().text(metric.of(&group.totals));
    let entries = leading
        .iter()
        .map(|group| html! { (narrowed(context, by, group)) " " b { (value(group)) } });
    entries
        .chain(rest.map(|rest| html! { (group_name(rest.name.as_deref())) " " b { (value(&rest)) } }))
        .collect()
}

/// The matrix as a chart, with the days of each of its columns.
pub(in crate::dashboard) fn chart_of(
    matrix: &UsageMatrix,
    metric: Metric,
    title: &str,
) -> (Chart, Vec<(String, String)>) {
    let chart = usage_chart::chart(matrix, metric, title, "not named");
    let days = |column: &MatrixColumn| (column.first.to_string(), column.last.to_string());
    (chart, matrix.columns.iter().map(days).collect())
}

/// When in the week it was, of periods that are not too long.
fn hours(context: &PageContext<'_>, matrix: &UsageMatrix, metric: Metric) -> Result<Markup> {
    let zone = context.app.settings().current().budget.time_zone.clone();
    let days = context.query.period().days(context.app.now(), &zone).len();
    // A report has it once.
    let is_shown = !context.is_report || context.query.grouping().0 == "model";
    if !is_shown || !(2..=MAX_HEAT_DAYS).contains(&days) {
        return Ok(html! {});
    }
    let mut values = [[0_u64; 24]; 7];
    for quarter in context.app.ledger().quarters(matrix.span, &context.query.filter())? {
        let at = quarter.from.to_zoned(zone.clone());
        let day = usize::try_from(at.weekday().to_monday_zero_offset()).unwrap_or(0);
        let hour = usize::try_from(at.hour()).unwrap_or(0);
        let sum = &mut values[day.min(6)][hour.min(23)];
        *sum = sum.saturating_add(metric.of(&quarter.totals));
    }
    let map = HeatMap {
        id: format!("hours-{}", context.query.grouping().0),
        title: format!("{} by hour and weekday", metric.title()),
        unit: metric.unit(),
        values,
    };
    Ok(html! {
        section .panel {
            figure {
                figcaption { (map.title) }
                (chart::heat_map(&map))
                details { summary { "Show as a table" } div .scroll tabindex="0" role="region" aria-label=(map.title) { (map.table()) } }
            }
        }
    })
}
