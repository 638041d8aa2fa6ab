//! The logs that coding agents write on this machine, read as requests: one file per agent.
//!
//! An agent's file says where its logs are, what one request is in them, and by what it is recognized when it is met
//! again ([`LoggedRequest::identity`]). A row of [`AGENTS`] makes it known. Nothing here writes, and nothing is opened but
//! what a row names: credentials lie beside many logs. What becomes of the requests is decided by
//! [`services::log_import`](crate::services::log_import).

mod agent;
mod antigravity;
mod claude_code;
mod cline;
mod codex;
mod copilot_cli;
mod database;
mod fault;
mod files;
mod gemini_cli;
mod grok_build;
mod json;
mod kimi_code;
mod lines;
mod opencode;
mod pi;
mod qwen_code;
mod request;
mod session_totals;
mod table;

pub use self::{
    agent::{Agent, LogReader},
    fault::LogFault,
    files::{FileMark, LogFile, LogForm},
    request::{LogKind, LogReading, LoggedRequest},
    table::{AGENTS, agent_named},
};
