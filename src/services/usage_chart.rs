//! Usage over time as a chart, for the terminal and for pages.

use super::usage_matrix::{MatrixColumn, MatrixGroup, UsageMatrix};
use crate::{
    chart::{Chart, ChartColumn, ChartSeries, ChartUnit, PALETTE},
    domain::Usd,
    storage::ledger::Totals,
};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// What is billed by the token.
    Cost,
    /// That, and what plans cover at API prices.
    Value,
    Tokens,
    Requests,
    Errors,
}

impl Metric {
    pub const ALL: [Self; 5] = [Self::Cost, Self::Value, Self::Tokens, Self::Requests, Self::Errors];

    /// The one that `totals` has something of.
    pub fn usual(totals: &Totals) -> Self {
        match (totals.cost.nano(), totals.plan_cost.nano()) {
            (0, 0) => Self::Tokens,
            (_, 0) => Self::Cost,
            _ => Self::Value,
        }
    }

    /// The metric in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Value => "value",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
            Self::Errors => "errors",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Cost => "Cost",
            Self::Value => "Cost, plans at API prices",
            Self::Tokens => "Tokens",
            Self::Requests => "Requests",
            Self::Errors => "Errors",
        }
    }

    /// What a chart of it is called, by the property that is called `by`.
    pub fn chart_title(self, by: &str) -> String {
        let by = by.to_lowercase();
        match self {
            Self::Value => format!("Cost by {by}, with plans at API prices"),
            other => format!("{} by {by}", other.title()),
        }
    }

    pub fn of(self, totals: &Totals) -> u64 {
        let nano = |amount: Usd| u64::try_from(amount.nano()).unwrap_or(0);
        match self {
            Self::Cost => nano(totals.cost),
            Self::Value => nano(totals.cost + totals.plan_cost),
            Self::Tokens => totals.input_tokens.saturating_add(totals.output_tokens),
            Self::Requests => totals.requests,
            Self::Errors => totals.errors,
        }
    }

    pub fn unit(self) -> ChartUnit {
        match self {
            Self::Cost | Self::Value => ChartUnit::Usd,
            Self::Tokens => ChartUnit::Tokens,
            Self::Requests | Self::Errors => ChartUnit::Requests,
        }
    }
}

/// The matrix as a chart; `unnamed` stands for the name of what was not named.
pub fn chart(matrix: &UsageMatrix, metric: Metric, title: &str, unnamed: &str) -> Chart {
    let (leading, rest) = matrix.leading(PALETTE);
    let series = |group: &MatrixGroup| ChartSeries {
        name: group.name.clone().unwrap_or_else(|| unnamed.to_owned()),
        values: group.values.iter().map(|totals| metric.of(totals)).collect(),
    };
    Chart {
        id: format!("by-{}", title.replace(|c: char| !c.is_ascii_alphanumeric(), "-")),
        title: title.to_owned(),
        unit: metric.unit(),
        columns: matrix.columns.iter().map(column).collect(),
        series: leading
            .into_iter()
            .map(series)
            .chain(rest.as_ref().map(series))
            .collect(),
        limit: None,
    }
}

fn column(column: &MatrixColumn) -> ChartColumn {
    ChartColumn {
        name: if column.first == column.last {
            column.first.strftime("%a %b %-d, %Y").to_string()
        } else {
            format!(
                "{} to {}",
                column.first.strftime("%b %-d, %Y"),
                column.last.strftime("%b %-d, %Y")
            )
        },
        short: column.first.strftime("%b %-d").to_string(),
    }
}
