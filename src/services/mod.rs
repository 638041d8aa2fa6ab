//! What the product does, for tools, commands, resources and the gateway.
//!
//! - Keys: [`keys`] stores and lists them, [`validation`] asks their providers, [`rotation`] and [`undo`] change them;
//!   [`child_environment`] and [`gateway_keys`] use them; [`vault_access`] opens the vault for all of them.
//! - Prices: [`price_lookup`] is what a model costs, [`cost_estimate`] what a request would cost, [`price_updates`] where
//!   newer prices come from.
//! - Usage: [`usage_tracking`] records a request, [`usage_report`] sums requests up, [`usage_matrix`] over time,
//!   which [`usage_chart`] draws, [`usage_export`] writes them out, [`usage_views`] is the form of both in results.
//! - Agents' logs: [`log_import`] takes in what is new in them.
//! - Budgets: [`budget_status`] is what is spent and left, [`budget_claim`] what a request must reserve.
//! - Alerts: [`alerts`] looks at what is not raised by the ledger itself, and sends.
//! - Routing: [`routing`] decides by what [`health`] has learned.
//! - The gateway's clients: [`gateway_clients`].
//! - Backups: [`backup`] makes, verifies and restores them.

pub mod agents;
pub mod alerts;
pub mod backup;
pub mod budget_claim;
pub mod budget_status;
pub mod caller;
pub mod child_environment;
pub mod cost_estimate;
pub mod gateway_clients;
pub mod gateway_keys;
pub mod health;
pub mod keys;
pub mod last_use;
mod ledger_writes;
pub mod log_import;
mod log_prices;
mod log_reading;
mod new_secret;
pub mod price_lookup;
pub mod price_updates;
pub mod rotation;
pub mod routing;
pub mod scan;
pub mod sdks;
pub mod undo;
pub mod usage_blocks;
pub mod usage_chart;
pub mod usage_export;
pub mod usage_matrix;
pub mod usage_report;
pub mod usage_tracking;
pub mod usage_views;
pub mod validation;
pub mod vault_access;
