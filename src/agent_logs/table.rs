//! All agents.

use super::{
    agent::Agent, antigravity, claude_code, cline, codex, copilot_cli, gemini_cli, grok_build, kimi_code, opencode, pi,
    qwen_code, session_totals,
};

/// Every agent, most used first.
pub const AGENTS: &[Agent] = &[
    claude_code::AGENT,
    codex::AGENT,
    opencode::OPENCODE,
    copilot_cli::AGENT,
    antigravity::AGENT,
    gemini_cli::AGENT,
    grok_build::AGENT,
    kimi_code::AGENT,
    pi::PI,
    qwen_code::AGENT,
    cline::CLINE,
    cline::ROO_CODE,
    cline::KILO_CODE,
    opencode::KILO_CLI,
    opencode::MIMO_CODE,
    pi::OPENCLAW,
    session_totals::GOOSE,
    session_totals::DROID,
    session_totals::CRUSH,
    session_totals::ZED,
];

/// The agent of that name.
pub fn agent_named(name: &str) -> Option<&'static Agent> {
    AGENTS.iter().find(|agent| agent.name == name)
}
