//! What the product does, for tools, commands and resources.

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
mod new_secret;
pub mod price_lookup;
pub mod price_updates;
pub mod rotation;
pub mod routing;
pub mod scan;
pub mod sdks;
pub mod undo;
pub mod usage;
pub mod usage_views;
pub mod validation;
pub mod vault;
