//! `api://usage`: what is used and spent today and this month.

use serde_json::{Value, json};

use super::resource::{ResourceDef, written};
use crate::{
    app::App,
    domain::Window,
    error::Result,
    services::{
        budget_status, usage_report,
        usage_views::{BudgetReport, TotalsView},
    },
    storage::ledger,
};

pub(super) const USAGE: ResourceDef = ResourceDef {
    uri: "api://usage",
    name: "usage",
    title: "Usage",
    description: "Requests, tokens and cost of today and this month, by provider, and how the budgets stand",
    read: |app| Box::pin(async { read(app) }),
    stamp: |app| {
        // The ledger, and the settings that say what a budget is and when a day begins.
        format!("{} {:?}", app.ledger().stamp(), app.settings().current().budget)
    },
};

fn read(app: &App) -> Result<Value> {
    let window = |window| -> Result<Value> {
        let mut all = ledger::Totals::default();
        let mut by_provider = Vec::new();
        for (provider, totals) in usage_report::now_by_provider(app, window)? {
            all += totals;
            let mut row = sums(&totals)?;
            row["provider"] = provider.into();
            by_provider.push(row);
        }
        let mut window = sums(&all)?;
        window["by_provider"] = by_provider.into();
        Ok(window)
    };
    Ok(json!({
        "today": window(Window::Day)?,
        "this_month": window(Window::Month)?,
        "budget": written(&BudgetReport::from(&budget_status::check(app)?))?,
    }))
}

fn sums(totals: &ledger::Totals) -> Result<Value> {
    written(&TotalsView::from(totals))
}
