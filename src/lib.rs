#![doc = include_str!("ARCHITECTURE.md")]

pub mod app;
pub mod cli;
pub mod domain;
pub mod error;
pub mod intake;
pub mod mcp;
pub mod process;
pub mod providers;
pub mod resources;
pub mod services;
pub mod settings;
pub mod storage;
pub mod tools;
