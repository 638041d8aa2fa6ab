//! What agents' own logs brought in, by agent, beside what passed the gateway.

use maud::{Markup, html};

use super::{
    page::PageContext,
    usage::{chart_of, group_name, links},
};
use crate::{
    agent_logs::AGENTS,
    chart,
    dashboard::{parts, query::PageQuery},
    domain::{UsageSource, thousands},
    error::Result,
    services::usage_matrix,
    storage::ledger::{Dimension, Filter, Totals},
};

pub(super) fn logs(context: &PageContext<'_>) -> Result<Markup> {
    let app = context.app;
    let filter = Filter {
        sources: vec![UsageSource::Log, UsageSource::CumulativeLog],
        ..Filter::default()
    };
    let matrix = usage_matrix::matrix(app, context.query.period(), &filter, Dimension::Agent)?;
    let metric = context.query.metric(&matrix.totals);
    let (chart, zoom) = chart_of(&matrix, metric, &metric.chart_title("agent"));
    let legend = links(context, &matrix, metric, Dimension::Agent);
    let by_source = app
        .ledger()
        .grouped(matrix.span, &Filter::default(), Dimension::Source)?;
    let sources: Vec<(Markup, Totals)> = by_source
        .iter()
        .map(|(name, totals)| {
            let query = PageQuery::default()
                .with("source", name.as_deref())
                .with("by", Some("agent"));
            (
                context.link(
                    &query.link("/usage"),
                    &html! { (group_name(name.as_deref().map(title))) },
                ),
                *totals,
            )
        })
        .collect();
    let agents: Vec<(Markup, Totals)> = matrix
        .groups
        .iter()
        .map(|group| {
            let known = AGENTS.iter().find(|agent| Some(agent.name) == group.name.as_deref());
            let name = known.map_or(group.name.as_deref(), |agent| Some(agent.title));
            (html! { (group_name(name)) }, group.totals)
        })
        .collect();
    let files = app.ledger().log_positions()?.len();
    let is_automatic = app.settings().current().agent_logs.auto_import;
    Ok(html! {
        p {
            (thousands(files as u64)) " log files are read. "
            @if is_automatic { "New lines are imported whenever usage is shown." } @else {
                "They are read when " code { "api-keys import logs" } " runs; " code { "[agent_logs] auto_import = true" } " in config.toml does it whenever usage is shown."
            }
        }
        section .panel {
            (parts::figure(&chart, &chart::stacked_bars(&chart), &zoom, &legend))
            (parts::basis(context, &matrix.totals, &PageQuery::default().with("source", Some("log"))))
        }
        section .panel {
            h2 { "By agent" }
            @if agents.is_empty() { p .empty { "No usage from logs in this period." } } @else { (parts::usage_table("Agent", "Usage by agent", &agents, None)) }
        }
        section .panel {
            h2 { "By source" }
            @if sources.is_empty() { p .empty { "No usage in this period." } } @else { (parts::usage_table("Source", "Usage by source", &sources, None)) }
            p .basis { "A request that passed the gateway, or was reported, and is in a log as well counts once, by the better source." }
        }
    })
}

fn title(source: &str) -> &str {
    match source {
        "gateway" => "passed the gateway",
        "reported" => "reported",
        "log" => "agents' logs",
        "cumulative_log" => "agents' logs, as sums",
        other => other,
    }
}
