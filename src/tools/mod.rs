//! The tools: each declared once, in a file of its own.
//!
//! A tool is a struct of arguments. Its doc comment is the description, its fields are the
//! arguments, and [`Tool`] adds the name, the hints and what it does. From the entry in [`TOOLS`]
//! come the MCP tool, the shell command with its help, the table in the README and the schema snapshot.

mod add_api_key;
mod arguments;
mod check_budget;
mod definition;
mod estimate_cost;
mod get_provider_stats;
mod get_routing_recommendations;
mod get_usage;
mod key;
mod labels;
mod list_api_keys;
mod remove_api_key;
mod rotate_key;
mod route_request;
mod schema;
mod tool;
mod track_request;
pub(crate) mod usage_cells;
mod validate_all_keys;
mod validate_key;
pub mod view;

pub use self::{
    definition::{Area, Input, ToolDef, ToolOutput},
    key::attention,
    tool::{Hints, Tool},
    view::View,
};
pub use crate::services::caller::{Caller, CallerKind, Question};

/// Every tool, in the order in which people and models read them.
pub const TOOLS: &[ToolDef] = &[
    ToolDef::of::<add_api_key::AddApiKey>(Area::Keys),
    ToolDef::of::<remove_api_key::RemoveApiKey>(Area::Keys),
    ToolDef::of::<rotate_key::RotateKey>(Area::Keys),
    ToolDef::of::<list_api_keys::ListApiKeys>(Area::Keys),
    ToolDef::of::<validate_key::ValidateKey>(Area::Keys),
    ToolDef::of::<validate_all_keys::ValidateAllKeys>(Area::Keys),
    ToolDef::of::<get_usage::GetUsage>(Area::Usage),
    ToolDef::of::<estimate_cost::EstimateCost>(Area::Usage),
    ToolDef::of::<check_budget::CheckBudget>(Area::Usage),
    ToolDef::of::<track_request::TrackRequest>(Area::Usage),
    ToolDef::of::<route_request::RouteRequest>(Area::Routing),
    ToolDef::of::<get_routing_recommendations::GetRoutingRecommendations>(Area::Routing),
    ToolDef::of::<get_provider_stats::GetProviderStats>(Area::Routing),
];
