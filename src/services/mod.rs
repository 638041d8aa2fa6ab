//! What the product does, for whoever asks: tools, commands, resources.

pub mod budget;
pub mod caller;
pub mod clients;
pub mod cost;
pub mod health;
mod incoming;
pub mod injection;
pub mod keys;
mod ledger;
pub mod lending;
pub mod prices;
pub mod pricing;
pub mod rotation;
pub mod routing;
pub mod scan;
pub mod sdks;
pub mod spending;
pub mod undo;
pub mod usage;
pub mod validation;
pub mod vault;
