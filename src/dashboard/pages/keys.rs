//! The stored keys: masked, with state, expiry, last check, last use and health. Keys are typed on the one-time page.

use maud::{Markup, html};

use super::page::PageContext;
use crate::{
    dashboard::parts,
    domain::{HealthState, KeyRecord, KeyState},
    error::Result,
    providers::PROVIDERS,
    services::{health, keys as stored, last_use::last_uses, vault_access},
    tools::{attention, view::ago},
};

pub(super) async fn keys(context: &PageContext<'_>) -> Result<Markup> {
    let app = context.app;
    let adding = adding();
    if let Err(error) = vault_access::open_unasked(app).await {
        return Ok(html! { (parts::error_note(&error)) });
    }
    let records = stored::list(app)?;
    let (now, uses, healths) = (app.now(), last_uses(app, &records), health::all(app)?);
    let state = |record: &KeyRecord| match record.state(now) {
        KeyState::Usable => ("good", "active"),
        KeyState::Unfinished => ("attention", "rotation unfinished"),
        KeyState::Expired => ("bad", "expired"),
        KeyState::Removed => ("faint", "removed"),
    };
    let health = |record: &KeyRecord| {
        let known = healths.get(&(record.provider.clone(), record.label.clone()));
        match known.map(|it| it.state(health::restored_at(record), now)) {
            None | Some(HealthState::Healthy) => ("good", "healthy".to_owned()),
            Some(HealthState::Cooling { trouble, until }) => {
                let minutes = until.duration_since(now).as_mins().max(0) + 1;
                (
                    "attention",
                    format!("{}, retried in {minutes} min", trouble.as_str().replace('_', " ")),
                )
            }
            Some(HealthState::Due { trouble } | HealthState::Probing { trouble, .. }) => (
                "attention",
                format!("{}, being tried again", trouble.as_str().replace('_', " ")),
            ),
            Some(HealthState::Out { trouble }) => ("bad", trouble.as_str().replace('_', " ")),
        }
    };
    Ok(html! {
        @if let Some(problem) = vault_access::standing(app)? { p .note.careful { (parts::prose(&problem)) } }
        section .panel {
            div .head {
                h2 { "Stored keys" }
                div .actions { input type="search" placeholder="Filter" aria-label="Filter the tables" #filter; }
            }
            @if records.is_empty() { p .empty { "No keys are stored." } } @else {
                div .scroll tabindex="0" role="region" aria-label="Stored keys" {
                    table .data data-filter="" {
                        thead { tr {
                            th scope="col" { "Key" }
                            th scope="col" { "Masked" }
                            th scope="col" { "State" }
                            th scope="col" { "Health" }
                            th scope="col" { "Checked" }
                            th scope="col" { "Used" }
                            th .wide scope="col" { "Expires" }
                            th scope="col" { span .quiet { "Action" } }
                        } }
                        tbody {
                            @for record in &records {
                                @let active = record.active();
                                @let (tone, word) = state(record);
                                @let (health_tone, health_word) = health(record);
                                @let used = uses.get(&(record.provider.to_string(), record.label.to_string()));
                                tr {
                                    th scope="row" {
                                        (record.provider) ":" (record.label)
                                        @if let Some(text) = &record.description { small { (text) } }
                                        @for what in attention(record, now) { small .attention { (parts::prose(&what)) } }
                                    }
                                    td { code { (active.map(|active| active.masked.as_str()).unwrap_or_default()) } }
                                    td { span class=(tone) { (word) } @if record.rotation_count > 0 { small { "rotated " (record.rotation_count) "×" } } }
                                    td .text { span class=(health_tone) { (health_word) } }
                                    td {
                                        @match active.and_then(|active| active.validation.as_ref()) {
                                            Some(check) => { (check.status.as_str().replace('_', " ")) small { (ago(check.validated_at, now)) } }
                                            None => { span .faint { "never" } }
                                        }
                                    }
                                    td { @match used { Some(at) => (ago(*at, now)), None => { span .faint { "never" } } } }
                                    td .wide {
                                        @if let Some(at) = record.expires_at {
                                            span class=(if record.expiry_notice(now).is_none() { "plain" } else { "attention" }) { (at.strftime("%Y-%m-%d")) }
                                        }
                                    }
                                    td { button type="button" data-key="rotate" data-provider=(record.provider) data-label=(record.label) { "Replace…" } }
                                }
                            }
                        }
                    }
                }
                p .basis { "Keys are never shown or typed here: the buttons open a one-time page for the new key. Use is as the audit trail and the ledger have it; health as the gateway learned it." }
            }
        }
        (adding)
    })
}

/// Where a key of another provider is begun.
fn adding() -> Markup {
    html! {
        section .panel {
            h2 { "Add a key" }
            div .actions.start {
                label for="provider" { "Provider" }
                select #provider { @for provider in PROVIDERS { option value=(provider.id) { (provider.title) } } }
                label for="label" { "Label" }
                input #label type="text" value="default" maxlength="64" autocomplete="off" spellcheck="false";
                button type="button" data-key="add" { "Type the key…" }
            }
        }
    }
}
