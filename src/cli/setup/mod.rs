//! `setup`: the first run, safe to repeat. Makes the vault, tries everything out over MCP, takes keys in, and registers
//! this server with the clients found.

mod agent_logs;
mod command;
mod gateway;
mod mcp_clients;
mod offers;
mod report;
mod trial;

pub(super) use self::command::COMMAND;
