//! Usage and budgets in the form of results: what tools answer and resources show.

use schemars::JsonSchema;
use serde::Serialize;

use super::budget_status::{self, Budgets};
use crate::{
    domain::{Billionths, BudgetStatus, Usd, utc_text},
    storage::ledger,
};

/// What requests used and cost.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TotalsView {
    pub requests: u64,
    pub errors: u64,
    /// From 0 to 1; null without requests
    pub success_rate: Option<Billionths>,
    /// Cached input included
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub reasoning_tokens: u64,
    /// Of the requests whose cost is known
    pub cost_usd: Usd,
    /// Requests whose cost is unknown
    pub unpriced_requests: u64,
    /// Requests whose tokens the provider did not say
    pub estimated_requests: u64,
    /// Requests that cost more than their tokens: searches, sound and images are not in it
    pub lower_bound_requests: u64,
    /// Requests whose cost the provider stated
    pub provider_cost_requests: u64,
    /// What our own prices make of it all, beside costs that providers stated
    pub own_cost_usd: Usd,
    /// How much more the providers stated than our own prices make of it
    pub cost_difference_usd: Usd,
    /// Requests that a plan covers; their cost is in none of the amounts above
    pub plan_requests: u64,
    /// What those would cost at API prices
    pub plan_cost_usd: Usd,
    /// Those for which no price is known
    pub plan_unpriced_requests: u64,
}

impl From<&ledger::Totals> for TotalsView {
    fn from(totals: &ledger::Totals) -> Self {
        Self {
            requests: totals.requests,
            errors: totals.errors,
            success_rate: Billionths::ratio(totals.requests - totals.errors, totals.requests),
            input_tokens: totals.input_tokens,
            output_tokens: totals.output_tokens,
            cache_read_tokens: totals.cache_read_tokens,
            cache_write_tokens: totals.cache_write_tokens,
            reasoning_tokens: totals.reasoning_tokens,
            cost_usd: totals.cost,
            unpriced_requests: totals.unpriced_requests,
            estimated_requests: totals.estimated_requests,
            lower_bound_requests: totals.lower_bound_requests,
            provider_cost_requests: totals.stated_requests,
            own_cost_usd: totals.own_cost,
            cost_difference_usd: totals.cost - totals.own_cost,
            plan_requests: totals.plan_requests,
            plan_cost_usd: totals.plan_cost,
            plan_unpriced_requests: totals.plan_unpriced_requests,
        }
    }
}

/// One budget.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BudgetView {
    pub spent_usd: Usd,
    /// What open requests may cost at most
    pub reserved_usd: Usd,
    pub limit_usd: Usd,
    pub remaining_usd: Usd,
    /// Of the limit; null where the limit is 0
    pub percent: Option<i64>,
    /// Whether the alert threshold is reached
    pub alert: bool,
    pub exceeded: bool,
    pub resets_at: String,
    /// The same for people, in the budget's time zone.
    #[serde(skip)]
    pub resets: String,
    /// Expected at the end of the window; null where too little is known
    pub forecast_usd: Option<Usd>,
    /// Eight in ten windows end between this and forecast_high_usd
    pub forecast_low_usd: Option<Usd>,
    pub forecast_high_usd: Option<Usd>,
    /// Requests whose cost is unknown; not included
    pub unpriced_requests: u64,
}

/// Both budgets.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BudgetReport {
    /// Whether limits are on
    pub enabled: bool,
    /// The part of a limit, from 0 to 1, that triggers an alert
    pub alert_threshold: Billionths,
    /// Where days and months begin
    pub time_zone: String,
    /// `gateway`: requests through the gateway are refused over a limit, reported ones are only counted; `advisory`:
    /// limits are off, and nothing is refused
    pub enforcement: &'static str,
    pub daily: BudgetView,
    pub monthly: BudgetView,
    /// The highest thresholds that are reached now
    pub alerts: Vec<AlertView>,
}

/// A threshold that was reached.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AlertView {
    /// `daily` or `monthly`
    pub budget: &'static str,
    pub threshold_percent: u8,
    pub message: String,
}

impl From<&budget_status::Alert> for AlertView {
    fn from(alert: &budget_status::Alert) -> Self {
        Self {
            budget: alert.window.as_str(),
            threshold_percent: alert.threshold_percent,
            message: alert.message(),
        }
    }
}

impl BudgetView {
    fn of(budgets: &Budgets, standing: &BudgetStatus) -> Self {
        Self {
            spent_usd: standing.spent,
            reserved_usd: standing.reserved,
            limit_usd: standing.limit,
            remaining_usd: standing.remaining(),
            percent: standing.spent.percent_of(standing.limit),
            alert: budgets.is_alert(standing),
            exceeded: budgets.is_exceeded(standing),
            resets_at: utc_text(standing.span.to),
            resets: standing
                .span
                .to
                .to_zoned(budgets.zone.clone())
                .strftime("%b %-d %H:%M %Z")
                .to_string(),
            forecast_usd: standing.forecast.map(|it| it.expected),
            forecast_low_usd: standing.forecast.map(|it| it.low),
            forecast_high_usd: standing.forecast.map(|it| it.high),
            unpriced_requests: standing.unpriced_requests,
        }
    }
}

impl From<&Budgets> for BudgetReport {
    fn from(budgets: &Budgets) -> Self {
        Self {
            enabled: budgets.enabled,
            alert_threshold: budgets.alert_threshold,
            time_zone: budgets.time_zone.clone(),
            enforcement: if budgets.enabled { "gateway" } else { "advisory" },
            daily: BudgetView::of(budgets, &budgets.daily),
            monthly: BudgetView::of(budgets, &budgets.monthly),
            alerts: budgets.reached().iter().map(AlertView::from).collect(),
        }
    }
}
