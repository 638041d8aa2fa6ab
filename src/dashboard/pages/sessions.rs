//! What sessions of agents and clients used, latest first, and projects over time.

use maud::{Markup, html};

use super::{
    page::PageContext,
    usage::{chart_of, group_name, links},
};
use crate::{
    chart,
    dashboard::parts,
    error::Result,
    services::{usage_matrix, usage_report::MAX_GROUPS},
    storage::ledger::{Dimension, Totals},
    tools::view::ago,
};

pub(super) fn sessions(context: &PageContext<'_>) -> Result<Markup> {
    let (app, query) = (context.app, context.query);
    let days = query.text("days").unwrap_or("7");
    let query = query.with("days", Some(days));
    let filter = query.filter();
    let matrix = usage_matrix::matrix(app, query.period(), &filter, Dimension::Project)?;
    let metric = query.metric(&matrix.totals);
    let (chart, zoom) = chart_of(&matrix, metric, &metric.chart_title("project"));
    let legend = links(context, &matrix, metric, Dimension::Project);
    let projects: Vec<(Markup, Totals)> = matrix
        .groups
        .iter()
        .take(MAX_GROUPS)
        .map(|group| (html! { (group_name(group.name.as_deref())) }, group.totals))
        .collect();
    let mut sessions = app.ledger().sessions(matrix.span, &filter)?;
    let omitted = sessions.len().saturating_sub(MAX_GROUPS);
    sessions.truncate(MAX_GROUPS);
    let rows: Vec<(Markup, Totals)> = sessions
        .iter()
        .map(|session| {
            let name = html! {
                span .name { (session.session) }
                small {
                    @if let Some(agent) = &session.agent { (agent) " · " }
                    @if let Some(project) = &session.project { (project) " · " }
                    (session.models.join(", ")) " · "
                    time datetime=(session.last.to_string()) { (ago(session.last, app.now())) }
                }
            };
            (name, session.totals)
        })
        .collect();
    let periods = [("1", "Today"), ("7", "7 days"), ("30", "30 days"), ("90", "90 days")];
    Ok(html! {
        (context.choice("Period", "days", days, periods.into_iter()))
        section .panel {
            (parts::figure(&chart, &chart::stacked_bars(&chart), &zoom, &legend))
            (parts::basis(context, &matrix.totals, &query.with("by", Some("project"))))
        }
        section .panel {
            h2 { "Projects" }
            @if projects.is_empty() { p .empty { "No requests in this period." } } @else {
                (parts::usage_table("Project", "Projects", &projects, None))
                @if matrix.groups.len() > projects.len() { p .basis { "And " (matrix.groups.len() - projects.len()) " more of lower cost." } }
            }
        }
        section .panel {
            div .head {
                h2 { "Sessions" }
                div .actions { input type="search" placeholder="Filter" aria-label="Filter the tables" #filter; }
            }
            @if rows.is_empty() {
                p .empty { "No requests of sessions are recorded in these days. " code { "api-keys import logs" } " reads agents' logs." }
            } @else {
                (parts::usage_table("Session", "Sessions", &rows, None))
                @if omitted > 0 { p .basis { "And " (omitted) " earlier ones." } }
            }
        }
    })
}
