//! What the gateway is doing: providers with latency and cooldowns, the last requests, and its clients with their limits.

use jiff::Timestamp;
use maud::{Markup, html};

use super::page::PageContext;
use crate::{
    chart::{self, LimitBar},
    dashboard::{
        caller::Onlooker,
        parts::{self, nano},
        query::PageQuery,
        tools,
    },
    domain::{Usd, thousands},
    error::Result,
    services::{
        budget_status,
        gateway_clients::{self, Spending},
    },
    storage::ledger::Past,
    tools::view::ago,
};

/// How many of the last requests are shown.
const LAST: usize = 30;

pub(super) async fn gateway(context: &PageContext<'_>) -> Result<Markup> {
    let app = context.app;
    let now = app.now();
    let stats = tools::view(app, &Onlooker, "get_provider_stats", &[]).await?;
    let clients = gateway_clients::list(app)?;
    let reserved = budget_status::standing(app)?.daily.reserved;
    let outcomes = app.ledger().outcomes(now - jiff::SignedDuration::from_hours(24))?;
    let last: Vec<&Past> = outcomes.iter().collect();
    let in_minute = last
        .iter()
        .filter(|past| now.duration_since(past.at).as_secs() < 60)
        .count();
    let failed = last.iter().filter(|past| !past.outcome.success).count();
    let mut latencies: Vec<u32> = last
        .iter()
        .filter(|past| past.outcome.success)
        .filter_map(|past| past.outcome.latency_ms)
        .collect();
    latencies.sort_unstable();
    let at = |percent: usize| {
        let rank = (latencies.len() * percent).div_ceil(100).saturating_sub(1);
        latencies
            .get(rank)
            .map_or_else(|| "–".to_owned(), |ms| format!("{} ms", thousands((*ms).into())))
    };
    let none = |text: &str| html! { p .basis { (text) } };
    Ok(html! {
        div .cards {
            @if let Some((under_way, waiting)) = context.live {
                (parts::card("Now", &html! { (under_way) small { " under way" } }, &html! { p .basis { (waiting) " wait for a key." } }))
            }
            (parts::card("Last minute", &html! { (in_minute) small { " requests" } }, &none("Ended in the last 60 seconds.")))
            (parts::card("Open requests", &html! { (reserved) }, &none("Reserved for what has not ended yet, at its highest possible cost.")))
            (parts::card("Latency", &html! { (at(50)) }, &html! { p { "95% within " strong { (at(95)) } "." } p .basis { "Of " (thousands(latencies.len() as u64)) " requests of the last day." } }))
            (parts::card("Failed", &html! { (thousands(failed as u64)) small { " of " (thousands(last.len() as u64)) } }, &none("Of the newest 2,000 requests of the last day.")))
        }
        section .panel { h2 { "Providers" } (parts::view("Providers", &stats)) }
        section .panel {
            h2 { "Clients" }
            @if clients.is_empty() { p .empty { "No program has a client key. " code { "api-keys client add NAME" } " creates one." } } @else {
                (clients_table(context, &clients))
            }
        }
        section .panel {
            h2 { "Last requests" }
            @if last.is_empty() { p .empty { "No requests in the last day." } } @else {
                (last_requests(&last, now))
            }
        }
    })
}

fn clients_table(context: &PageContext<'_>, clients: &[Spending]) -> Markup {
    html! {
        div .scroll tabindex="0" role="region" aria-label="Clients" {
            table .data data-filter="" {
                thead { tr { th scope="col" { "Client" } th scope="col" { "Today" } th scope="col" { "This month" } th .num scope="col" { "Requests/min" } th scope="col" { "May use" } } }
                tbody {
                    @for spending in clients {
                        @let client = &spending.client;
                        tr {
                            th scope="row" {
                                (context.link(&PageQuery::default().with("client", Some(client.name.as_str())).with("by", Some("model")).link("/usage"), &html! { (client.name) }))
                                @if let Some(project) = &client.project { small { "project " (project) } }
                                @if let Some(at) = client.expires_at { small { "until " (at.strftime("%Y-%m-%d %H:%MZ")) } }
                            }
                            td { (limited(spending.today, client.daily_limit)) }
                            td { (limited(spending.this_month, client.monthly_limit)) }
                            td .num { @match client.requests_per_minute { Some(rate) => (rate), None => { span .faint { "any" } } } }
                            td .text {
                                @if client.providers.is_empty() && client.models.is_empty() { span .faint { "everything" } }
                                (client.providers.iter().map(ToString::to_string).chain(client.models.iter().cloned()).collect::<Vec<_>>().join(", "))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn last_requests(last: &[&Past], now: Timestamp) -> Markup {
    html! {
        div .scroll tabindex="0" role="region" aria-label="Last requests" {
            table .data data-filter="" {
                thead { tr { th scope="col" { "When" } th scope="col" { "Model" } th scope="col" { "Key" } th scope="col" { "Outcome" } th .num scope="col" { "Took" } } }
                tbody {
                    @for past in last.iter().rev().take(LAST) {
                        tr {
                            td { time datetime=(past.at.to_string()) { (ago(past.at, now)) } }
                            td { (past.asked.model) }
                            td { @if let Some(label) = &past.asked.label { (label) } }
                            td {
                                @if past.outcome.success { span .good { "ok" } } @else {
                                    span .bad { @match past.outcome.status_code { Some(status) => { "failed, " (status) }, None => "no answer" } }
                                }
                            }
                            td .num { @if let Some(ms) = past.outcome.latency_ms { (thousands(ms.into())) " ms" } }
                        }
                    }
                }
            }
        }
    }
}

fn limited(spent: Usd, limit: Option<Usd>) -> Markup {
    html! {
        (spent)
        @if let Some(limit) = limit {
            small { "of " (limit) }
            (chart::meter(&LimitBar {
                value: nano(spent),
                limit: nano(limit),
                expected: None,
                is_alert: spent.percent_of(limit).is_some_and(|percent| percent >= 80),
                is_exceeded: spent >= limit,
            }))
        }
    }
}
