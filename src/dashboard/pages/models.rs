//! What each model cost, how it does, what it is priced at, and which one would be cheaper.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::{
    page::PageContext,
    usage::{chart_of, links},
};
use crate::{
    app::App,
    chart,
    dashboard::{
        caller::Onlooker,
        parts::{self, share},
        query::PERIODS,
        tools,
    },
    domain::{ModelRef, thousands},
    error::Result,
    services::{
        price_lookup::{self, Pricing},
        usage_matrix::{self, UsageMatrix},
        usage_report::MAX_GROUPS,
    },
    storage::ledger::Dimension,
    tools::view::{precise, tokens},
};

pub(super) async fn models(context: &PageContext<'_>) -> Result<Markup> {
    let (app, query) = (context.app, context.query);
    let filter = query.filter();
    let matrix = usage_matrix::matrix(app, query.period(), &filter, Dimension::Model)?;
    let metric = query.metric(&matrix.totals);
    let (chart, zoom) = chart_of(&matrix, metric, &metric.chart_title("model"));
    let legend = links(context, &matrix, metric, Dimension::Model);
    let cheaper = cheaper(context).await;
    let periods: Vec<(String, &str)> = PERIODS.iter().map(|(days, title)| (days.to_string(), *title)).collect();
    let chosen = query.days().to_string();
    Ok(html! {
        (context.choice("Period", "days", &chosen, periods.iter().map(|(days, title)| (days.as_str(), *title))))
        section .panel {
            (parts::figure(&chart, &chart::stacked_bars(&chart), &zoom, &legend))
            (parts::basis(context, &matrix.totals, &query.with("by", Some("model"))))
        }
        @if !cheaper.is_empty() {
            section .panel {
                h2 { "Cheaper, and as good by the figures" }
                ul .advice { @for (message, fix) in &cheaper { li { (parts::prose(message)) small { (parts::prose(fix)) } } } }
            }
        }
        section .panel {
            div .head {
                h2 { "Models" }
                div .actions { input type="search" placeholder="Filter" aria-label="Filter the tables" #filter; }
            }
            @if matrix.groups.is_empty() { p .empty { "No requests in this period." } } @else {
                (table(context, &matrix)?)
                p .basis { "Latency is that of the last 2,000 requests that passed the gateway or were reported with one. Prices are those of now; what was recorded was priced when it was." }
            }
        }
    })
}

/// What each model cost, how its last requests went, and its price now.
fn table(context: &PageContext<'_>, matrix: &UsageMatrix) -> Result<Markup> {
    let app = context.app;
    let last = last_requests(app, matrix.span.from)?;
    let (config, catalog) = app.in_force()?;
    let price = |name: &str| {
        let model = name.parse::<ModelRef>().ok()?;
        match price_lookup::price_of(&catalog, &config, &model, app.now()) {
            Pricing::Priced(priced) => Some((priced.price.offered.standard, priced.source)),
            Pricing::Unpriced(_) => None,
        }
    };
    Ok(html! {
        div .scroll tabindex="0" role="region" aria-label="Models" {
            table .data data-filter="" {
                thead { tr {
                    th scope="col" { "Model" }
                    th .num scope="col" { "Cost" }
                    th .num scope="col" { "Requests" }
                    th .num scope="col" { "Failed" }
                    th .num.wide scope="col" { "Input" }
                    th .num.wide scope="col" { "Cached" }
                    th .num.wide scope="col" { "Output" }
                    th .num scope="col" title="half of the last requests took less" { "P50" }
                    th .num.wide scope="col" title="19 of 20 of the last requests took less" { "P95" }
                    th .num scope="col" title="US dollars per million input tokens, now" { "Input/M" }
                    th .num scope="col" title="US dollars per million output tokens, now" { "Output/M" }
                } }
                tbody {
                    @for group in matrix.groups.iter().take(MAX_GROUPS) {
                        @let name = group.name.as_deref().unwrap_or("not named");
                        @let recent = last.get(name);
                        @let rates = price(name);
                        tr {
                            th scope="row" { (name) }
                            td .num { (parts::cost(&group.totals)) @if group.totals.plan_requests > 0 { small { "+ " (group.totals.plan_cost) " by plan" } } }
                            td .num { (thousands(group.totals.requests)) }
                            td .num { @if group.totals.errors > 0 { span .bad { (share(group.totals.errors, group.totals.requests)) } } }
                            td .num.wide { (tokens(group.totals.input_tokens)) }
                            td .num.wide { (share(group.totals.cache_read_tokens, group.totals.input_tokens)) }
                            td .num.wide { (tokens(group.totals.output_tokens)) }
                            td .num { (at(recent, 50)) }
                            td .num.wide { (at(recent, 95)) }
                            @match &rates {
                                Some((rates, source)) => {
                                    td .num title=(source) { (precise(rates.input.per_million().into())) }
                                    td .num title=(source) { (precise(rates.output.per_million().into())) }
                                }
                                None => { td .num { span .attention { "unknown" } } td .num { span .attention { "unknown" } } }
                            }
                        }
                    }
                }
            }
        }
    })
}

/// How long the last requests of each model that succeeded took, in milliseconds, sorted.
fn last_requests(app: &App, since: Timestamp) -> Result<BTreeMap<String, Vec<u32>>> {
    let mut last: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for past in app.ledger().outcomes(since)?.iter().filter(|past| past.outcome.success) {
        let latencies = last.entry(past.asked.model.to_string()).or_default();
        latencies.extend(past.outcome.latency_ms);
    }
    for latencies in last.values_mut() {
        latencies.sort_unstable();
    }
    Ok(last)
}

fn at(latencies: Option<&Vec<u32>>, percent: usize) -> String {
    let Some(latencies) = latencies else {
        return String::new();
    };
    let rank = (latencies.len() * percent).div_ceil(100).saturating_sub(1);
    latencies
        .get(rank)
        .map_or_else(String::new, |ms| format!("{} ms", thousands((*ms).into())))
}

/// What routing recommends in place of the models in use.
async fn cheaper(context: &PageContext<'_>) -> Vec<(String, String)> {
    // What advice says of keys is not needed here, and a closed vault is no reason to show no models.
    let Ok(advice) = tools::call(context.app, &Onlooker, "get_routing_recommendations", Map::new()).await else {
        return Vec::new();
    };
    let advice: Value = serde_json::from_str(advice.get()).unwrap_or_default();
    let notes = advice["recommendations"].as_array().cloned().unwrap_or_default();
    let text = |note: &Value, name: &str| note[name].as_str().unwrap_or_default().to_owned();
    notes
        .iter()
        .filter(|note| note["type"] == "cheaper_model")
        .map(|note| (text(note, "message"), text(note, "fix")))
        .collect()
}
