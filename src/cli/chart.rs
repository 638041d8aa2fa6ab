//! `usage --chart`: the same data as the table below it, over time.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::command::Session;
use crate::{
    app::App,
    chart::Chart,
    domain::UsageSource,
    error::Result,
    services::{
        usage_chart::{self, Metric},
        usage_matrix::{self, UsagePeriod},
        usage_report::{self, GroupBy},
    },
    storage::ledger::{Dimension, Filter},
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
    let metric = Metric::usual(&matrix.totals);
    Ok(usage_chart::chart(&matrix, metric, metric.title(), "–"))
}
