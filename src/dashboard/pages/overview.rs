//! What people look at first: the budgets, the last days, the cache, and what needs attention.

use maud::{Markup, html};

use super::{
    page::PageContext,
    usage::{chart_of, group_name, links},
};
use crate::{
    chart::{self, LimitBar},
    dashboard::{
        parts::{self, nano, share},
        query::{GROUPINGS, PageQuery},
    },
    domain::Usd,
    error::Result,
    services::{
        budget_status, keys, usage_matrix,
        usage_report::most_expensive_first,
        usage_views::{BudgetReport, BudgetView},
    },
    storage::{
        ledger::{Dimension, Totals},
        vault::VaultStatus,
    },
    tools::attention,
};

/// How many rows the tables of leaders have.
const LEADERS: usize = 6;

pub(in crate::dashboard) fn overview(context: &PageContext<'_>) -> Result<Markup> {
    let app = context.app;
    let (period, filter) = (context.query.period(), context.query.filter());
    let (by, title, dimension) = context.query.grouping();
    let budgets = BudgetReport::from(&budget_status::check(app)?);
    let matrix = usage_matrix::matrix(app, period, &filter, dimension)?;
    let mut models = app.ledger().grouped(matrix.span, &filter, Dimension::Model)?;
    let named = models
        .iter()
        .filter_map(|(name, totals)| Some((name.as_deref()?, totals)));
    let savings = usage_matrix::cache_savings(app, named)?;
    most_expensive_first(&mut models);
    let mut projects = app.ledger().grouped(matrix.span, &filter, Dimension::Project)?;
    most_expensive_first(&mut projects);
    let metric = context.query.metric(&matrix.totals);
    let (chart, zoom) = chart_of(&matrix, metric, &metric.chart_title(title));
    let legend = links(context, &matrix, metric, dimension);
    let daily: Vec<u64> = matrix.columns.iter().map(|column| column.totals.requests).collect();
    let all = &matrix.totals;
    let choices = GROUPINGS
        .into_iter()
        .filter(|(name, ..)| matches!(*name, "provider" | "model" | "agent" | "project"));
    Ok(html! {
        (attention_list(context, &budgets)?)
        div .cards {
            (budget_card(context, "Today", &budgets, &budgets.daily, "1"))
            (budget_card(context, "This month", &budgets, &budgets.monthly, "30"))
            (parts::card(
                "Input from cache",
                &html! { (if all.input_tokens == 0 { "–".to_owned() } else { share(all.cache_read_tokens, all.input_tokens) }) },
                &html! {
                    p {
                        @if savings.saved >= Usd::ZERO { "Saved " strong { (savings.saved) } } @else { "Cost " strong { (Usd::ZERO - savings.saved) } " more than without" }
                        " at today's prices."
                    }
                    p .basis {
                        (crate::tools::view::tokens(all.cache_read_tokens)) " tokens read, " (crate::tools::view::tokens(all.cache_write_tokens)) " written"
                        @if savings.unpriced_tokens > 0 { "; " (crate::tools::view::tokens(savings.unpriced_tokens)) " of models without a price are not in it" }
                        ". " (context.link("/models", &html! { "By model" }))
                    }
                },
            ))
            (parts::card(
                "Requests",
                &html! { (crate::domain::thousands(all.requests)) },
                &html! {
                    (chart::sparkline(&daily))
                    p .basis {
                        @if all.errors > 0 { span .bad { (crate::domain::thousands(all.errors)) " failed" } " (" (share(all.errors, all.requests)) ")" } @else { "None failed" }
                        ", " (crate::tools::view::tokens(all.input_tokens)) " tokens in, " (crate::tools::view::tokens(all.output_tokens)) " out."
                    }
                },
            ))
        }
        section .panel {
            (context.choice("By", "by", by, choices.map(|(name, title, _)| (name, title))))
            (parts::figure(&chart, &chart::stacked_bars(&chart), &zoom, &legend))
            (parts::basis(context, all, &context.query.with("by", Some(by))))
        }
        div .columns {
            (leaders(context, "Model", &models))
            (leaders(context, "Project", &projects))
        }
    })
}

fn leaders(context: &PageContext<'_>, title: &'static str, groups: &[(Option<String>, Totals)]) -> Markup {
    let by = title.to_lowercase();
    let rows: Vec<(Markup, Totals)> = groups
        .iter()
        .take(LEADERS)
        .map(|(name, totals)| (html! { (group_name(name.as_deref())) }, *totals))
        .collect();
    let rest = groups.len().saturating_sub(rows.len());
    html! {
        section .panel {
            h2 { "Top " (by) "s" }
            @if rows.is_empty() { p .empty { "No requests in this period." } } @else {
                (parts::usage_table(title, &format!("Top {by}s"), &rows, None))
                p .basis {
                    (context.link(&context.query.with("by", Some(&by)).link("/usage"), &html! { "All " (by) "s" }))
                    @if rest > 0 { ", " (rest) " more" }
                }
            }
        }
    }
}

fn budget_card(
    context: &PageContext<'_>,
    title: &str,
    report: &BudgetReport,
    budget: &BudgetView,
    days: &str,
) -> Markup {
    let expected = budget.forecast_low_usd.zip(budget.forecast_high_usd);
    let bar = LimitBar {
        value: nano(budget.spent_usd),
        limit: nano(budget.limit_usd),
        expected: expected.map(|(low, high)| (nano(low), nano(high))),
        is_alert: budget.alert,
        is_exceeded: budget.exceeded,
    };
    let rows = PageQuery::default().with("days", Some(days)).link("/usage");
    parts::card(
        title,
        &html! {
            @if budget.unpriced_requests > 0 { "≥ " } (budget.spent_usd)
            small { "of " (budget.limit_usd) @if let Some(percent) = budget.percent { ", " (percent) "%" } }
        },
        &html! {
            (chart::meter(&bar))
            @if let (Some((low, high)), Some(middle)) = (expected, budget.forecast_usd) {
                p { "Expected " strong { (middle) } @if low < high { ", " (low) " to " (high) } "." }
            }
            p .basis {
                @if report.enabled { "Resets " (budget.resets) } @else { "Limits are off" }
                @if budget.reserved_usd > Usd::ZERO { "; " (budget.reserved_usd) " reserved for open requests" }
                ". " @if budget.unpriced_requests > 0 { strong { (parts::requests(budget.unpriced_requests)) " without a known price." } " " }
                (context.link(&rows, &html! { "Requests" }))
            }
        },
    )
}

/// Budgets that are nearly spent, and keys that need a person; keys only where the vault is open already.
fn attention_list(context: &PageContext<'_>, budgets: &BudgetReport) -> Result<Markup> {
    let app = context.app;
    let mut notes: Vec<(bool, String, &str)> = budgets
        .alerts
        .iter()
        .map(|alert| (alert.threshold_percent >= 100, alert.message.clone(), "/usage"))
        .collect();
    if let Some(problem) = app.settings().problem() {
        notes.push((true, format!("config.toml: {problem}"), "/doctor"));
    }
    if !context.is_report && matches!(app.vault().status(), Ok(VaultStatus::Unlocked { .. })) {
        let now = app.now();
        for record in keys::list(app)? {
            for what in attention(&record, now) {
                notes.push((false, format!("{}:{} {what}", record.provider, record.label), "/keys"));
            }
        }
    }
    Ok(html! {
        @if !notes.is_empty() {
            section .panel.attention-list aria-label="Needs attention" {
                ul { @for (is_wrong, text, address) in &notes {
                    li class=(if *is_wrong { "wrong" } else { "careful" }) { (parts::prose(text)) " " (context.link(address, &html! { "Show" })) }
                } }
            }
        }
    })
}
