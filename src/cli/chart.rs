//! `usage --chart`: the same data as the table below it, over time.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::command::Session;
use crate::{
    app::App,
    chart::{Chart, ChartColumn, ChartSeries, ChartUnit, PALETTE},
    domain::UsageSource,
    error::Result,
    services::{
        usage_matrix::{self, MatrixGroup, UsagePeriod},
        usage_report::{self, GroupBy},
    },
    storage::ledger::{Dimension, Filter, Totals},
};

const CHART: &str = "chart";

/// The option that draws a chart above the table.
pub(super) fn option(command: Command) -> Command {
    command.arg(
        Arg::new(CHART)
            .long(CHART)
            .action(ArgAction::SetTrue)
            .conflicts_with("export")
            .help("Also draw the days as a chart, by what is grouped by"),
    )
}

/// Draws the chart, if that was requested and a person reads it.
pub(super) fn draw(session: &Session, matches: &ArgMatches) -> Result<()> {
    let is_wanted = matches
        .try_get_one::<bool>(CHART)
        .ok()
        .flatten()
        .copied()
        .unwrap_or(false);
    if is_wanted && !session.console.is_json() {
        let chart = chart(&session.app, matches)?;
        if !chart.series.is_empty() {
            session.console.chart(&chart)?;
        }
    }
    Ok(())
}

fn chart(app: &App, matches: &ArgMatches) -> Result<Chart> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let provider = text("provider")
        .map(|name| usage_report::recorded_provider(app, &name))
        .transpose()?;
    let filter = Filter {
        provider,
        tag: text("tag"),
        agent: text("agent"),
        sources: matches
            .get_many::<UsageSource>("source")
            .unwrap_or_default()
            .copied()
            .collect(),
        ..Filter::default()
    };
    let days = matches.get_one::<u16>("days").copied().unwrap_or(30);
    let by = match matches
        .get_one::<GroupBy>("group_by")
        .copied()
        .unwrap_or(GroupBy::Provider)
    {
        // Time is on the other axis.
        GroupBy::Provider | GroupBy::Day | GroupBy::Month | GroupBy::Block => Dimension::Provider,
        GroupBy::Model => Dimension::Model,
        GroupBy::Task => Dimension::Task,
        GroupBy::Project => Dimension::Project,
        GroupBy::Key => Dimension::Key,
        GroupBy::Client => Dimension::Client,
        GroupBy::Session => Dimension::Session,
        GroupBy::Agent => Dimension::Agent,
        GroupBy::Tag => Dimension::Tag,
    };
    let matrix = usage_matrix::matrix(app, UsagePeriod::Last(days), &filter, by)?;
    let (unit, title, of): (_, _, fn(&Totals) -> u64) =
        match (matrix.totals.cost.nano(), matrix.totals.plan_cost.nano()) {
            (0, 0) => (ChartUnit::Tokens, "tokens", |it| {
                it.input_tokens.saturating_add(it.output_tokens)
            }),
            (_, 0) => (ChartUnit::Usd, "cost", |it| u64::try_from(it.cost.nano()).unwrap_or(0)),
            _ => (ChartUnit::Usd, "cost, with what plans cover at API prices", |it| {
                u64::try_from((it.cost + it.plan_cost).nano()).unwrap_or(0)
            }),
        };
    let (leading, rest) = matrix.leading(PALETTE);
    let series = |group: &MatrixGroup| ChartSeries {
        name: group.name.clone().unwrap_or_else(|| "–".to_owned()),
        values: group.values.iter().map(of).collect(),
    };
    Ok(Chart {
        id: CHART.to_owned(),
        title: title.to_owned(),
        unit,
        columns: matrix
            .columns
            .iter()
            .map(|column| ChartColumn {
                name: column.first.to_string(),
                short: column.first.strftime("%b %-d").to_string(),
            })
            .collect(),
        series: leading
            .into_iter()
            .map(series)
            .chain(rest.as_ref().map(series))
            .collect(),
        limit: None,
    })
}
