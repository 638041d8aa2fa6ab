//! `check_budget`: how much may still be spent?

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Hints, Tool, usage_cells, view::View};
use crate::{
    app::App,
    error::Result,
    services::{budget_status, caller::Caller, usage_views::BudgetReport},
};

/// Show what is spent of the daily and monthly budget, what is left, and where it is heading
#[derive(Debug, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckBudget {}

impl Tool for CheckBudget {
    const NAME: &'static str = "check_budget";
    const COMMAND: &'static str = "budget";
    const TITLE: &'static str = "Check budget";
    const SEARCH_HINT: &'static str =
        "budget limit spent, how much money is left today this month, forecast alert over budget";
    const HINTS: Hints = Hints::READ_ONLY;
    type Output = BudgetReport;

    async fn call(self, app: &App, _caller: &dyn Caller) -> Result<BudgetReport> {
        Ok(BudgetReport::from(&budget_status::check(app)?))
    }

    fn view(output: &BudgetReport) -> View {
        usage_cells::budgets(output)
    }
}
