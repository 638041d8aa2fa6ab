#![doc = include_str!("ARCHITECTURE.md")]

// In reading order, lowest first: a module uses only what stands above it, and a test holds that.

// Values and pure rules.
pub mod domain;

// Charts as SVG and as text.
pub mod chart;

// What the process asks of its system before it touches a secret.
pub mod process;

// The models, their prices and abilities.
pub mod catalog;

// Bytes on disk.
pub mod storage;

// The providers, and the only HTTP client.
pub mod providers;

// What other programs keep of keys.
pub mod imports;

// Requests and responses from one provider's format to another's.
pub mod translation;

// Messages of alerts, and when they are due.
pub mod alerts;

// Configuration, environment and places.
pub mod settings;

// The logs that agents write on this machine.
pub mod agent_logs;

// The one error that crosses borders.
pub mod error;

// Composition root.
pub mod app;

// What the product does.
pub mod services;

// The tools, each declared once.
pub mod tools;

// The resources, each declared once.
pub mod resources;

// The prompts, each declared once.
pub mod prompts;

// The README's tables.
pub mod docs;

// This program in the settings of MCP clients.
pub mod mcp_clients;

// What every page on the loopback address demands of a browser.
pub(crate) mod loopback;

// The one-time loopback page.
pub mod intake;

// The gateway.
pub mod gateway;

// The dashboard.
pub mod dashboard;

// The MCP server.
pub mod mcp;

// The command line.
pub mod cli;
