//! Tests at the border, in one binary: it builds once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    clippy::needless_pass_by_value,
    reason = "a test stops at what it does not expect"
)]

mod agent_logs;
mod alerts;
mod arguments;
mod backup;
mod chart;
mod cli;
mod cli_output;
mod cli_prompt;
mod cli_run;
mod cli_vault;
mod clients;
mod command_center;
mod concurrency;
mod crash;
mod dashboard;
mod differential;
mod discovery;
mod elicitation;
mod files;
mod forecast;
mod gateway;
mod intake;
mod key_import;
mod keychain;
mod keys;
mod layers;
mod leaks;
mod ledger;
mod mcp;
mod prices;
mod prompts;
mod protocol;
mod providers;
mod races;
mod readme;
mod rotation;
mod routing;
mod scan;
mod settings;
mod statusline;
mod stdio;
mod support;
mod tokenizer;
mod usage;
mod validation;
mod vault;
