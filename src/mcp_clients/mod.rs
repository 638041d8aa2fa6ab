//! Registering this program with the MCP clients on the machine, and pointing agents to the gateway: their settings are
//! theirs, and are changed with care.
//!
//! A client's settings are read, one entry is put in or taken out, and everything else stays, with its comments and
//! in its order. What cannot be changed safely is reported, with what to do by hand.

mod client;
mod document;
mod dotenv;
mod gateway_settings;
mod gateway_setup;
mod launch;
mod registration;
mod slash_commands;

pub use self::{
    client::{CLIENTS, McpClient, Scope},
    gateway_settings::{ClientKeyPlace, GATEWAY_AGENTS, GatewayAccess, GatewayAgent},
    gateway_setup::{FilePlan, GatewayPlan, GatewaySetup},
    launch::{Launch, shell_word},
    registration::{Intent, Registration, RegistrationState},
    slash_commands::{CommandState, SlashCommand},
};

/// The name that clients know this server by.
pub const SERVER: &str = env!("CARGO_PKG_NAME");
