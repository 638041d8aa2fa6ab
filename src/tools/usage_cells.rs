//! Usage and budgets as tables show them.

use super::view::{self, Block, Cell, Column, Tone, View};
use crate::{
    domain::Usd,
    services::usage_views::{AlertView, BudgetReport, BudgetView, TotalsView},
};

/// The columns that [`cells`] fills; that of plans where a plan covers some of it.
pub(crate) fn columns(has_plan: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::new("REQUESTS").rank(2),
        Column::new("ERRORS").rank(3),
        Column::new("INPUT"),
        Column::new("OUTPUT").rank(1),
        Column::new("CACHED").rank(4),
        Column::new("COST"),
    ];
    if has_plan {
        columns.push(Column::new("AT API PRICES"));
    }
    columns
}

/// What was used, as fields of a row.
pub(crate) fn cells(totals: &TotalsView, has_plan: bool) -> Vec<Cell> {
    let number = |count: u64| Cell::number(if count == 0 { String::new() } else { view::tokens(count) });
    let amount = |cost: Usd, requests: u64, unpriced: u64| {
        if requests == unpriced && requests > 0 {
            Cell::number("unknown").toned(Tone::Attention)
        } else if unpriced > 0 {
            Cell::number(format!("≥ {cost}")).toned(Tone::Attention)
        } else {
            Cell::number(cost.to_string())
        }
    };
    let billed = totals.requests - totals.plan_requests.min(totals.requests);
    let cost = amount(totals.cost_usd, billed, totals.unpriced_requests);
    let plan = match totals.plan_requests {
        0 => Cell::number(String::new()),
        requests => amount(totals.plan_cost_usd, requests, totals.plan_unpriced_requests),
    };
    let mut cells = vec![
        Cell::number(view::count(totals.requests)),
        number(totals.errors).toned(Tone::Bad),
        number(totals.input_tokens),
        number(totals.output_tokens),
        number(totals.cache_read_tokens),
        cost,
    ];
    if has_plan {
        cells.push(plan);
    }
    cells
}

/// Both budgets as a table with bars.
pub(super) fn budgets(report: &BudgetReport) -> View {
    let columns = [
        Column::new("BUDGET"),
        Column::new("").rank(3),
        Column::new("USED"),
        Column::new("SPENT"),
        Column::new("LIMIT"),
        Column::new("LEFT").rank(2),
        Column::new("FORECAST").rank(1),
        Column::new("RESETS"),
    ];
    let rows = vec![row("today", &report.daily), row("this month", &report.monthly)];
    let mut shown = View::default().and(Block::table(columns, rows));
    if !report.enabled {
        let said = "Limits are off: budget.enabled is false";
        shown = shown.and(Block::Line(Tone::Faint, said.to_owned()));
    }
    if report.monthly.unpriced_requests > 0 {
        shown = shown.and(Block::Warning(format!(
            "{} this month not included: no price is known; add it as [[prices]] in config.toml",
            view::requests(report.monthly.unpriced_requests)
        )));
    }
    with_alerts(shown, &report.alerts)
}

fn row(name: &str, budget: &BudgetView) -> Vec<Cell> {
    let tone = if budget.exceeded {
        Tone::Bad
    } else if budget.alert {
        Tone::Attention
    } else {
        Tone::Good
    };
    let nano = |amount: Usd| u64::try_from(amount.nano()).unwrap_or(0);
    let percent = budget.percent.map_or_else(String::new, |percent| format!("{percent}%"));
    let forecast = match (budget.forecast_low_usd, budget.forecast_high_usd) {
        (Some(low), Some(high)) if low == high => low.to_string(),
        (Some(low), Some(high)) => format!("{low}–{high}"),
        (None, _) | (_, None) => String::new(),
    };
    vec![
        name.into(),
        Cell::new(tone, view::bar(nano(budget.spent_usd), nano(budget.limit_usd))),
        Cell::number(percent).toned(tone),
        Cell::number(budget.spent_usd.to_string()),
        Cell::number(budget.limit_usd.to_string()),
        Cell::number(budget.remaining_usd.to_string()),
        Cell::number(forecast).toned(Tone::Faint),
        Cell::new(Tone::Faint, budget.resets.as_str()),
    ]
}

/// The view with its alerts below.
pub(super) fn with_alerts(view: View, alerts: &[AlertView]) -> View {
    alerts
        .iter()
        .fold(view, |view, alert| view.and(Block::Warning(alert.message.clone())))
}
