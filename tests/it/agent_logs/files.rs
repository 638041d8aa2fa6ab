//! Agents that keep files, and what lies beside them.

use super::*;

/// The logs of agents that write a line, or a list, of messages.
fn put_messages(home: &Home) {
    put(
        home,
        ".gemini/tmp/0a1b/chats/session-2026-11-20T10-00-1.json",
        &json!({
        "sessionId": "gem", "messages": [
            {"id": "u", "type": "user", "timestamp": "2026-11-20T10:00:00Z", "content": "usage"},
            {"id": "g", "type": "gemini", "timestamp": "2026-11-20T10:00:05Z", "model": "gemini-2.5-pro",
                "tokens": {"input": 100, "output": 10, "cached": 30, "thoughts": 5, "tool": 2, "total": 117}},
        ]})
        .to_string(),
    );
    put(
        home,
        ".qwen/projects/p/chats/q.jsonl",
        &lines(&[json!({
        "uuid": "q1", "sessionId": "qw", "timestamp": "2026-11-20T10:00:00Z", "type": "assistant", "model": "qwen3-coder-plus",
        "usageMetadata": {"promptTokenCount": 50, "candidatesTokenCount": 5, "thoughtsTokenCount": 1,
            "cachedContentTokenCount": 20, "totalTokenCount": 56}})]),
    );
    put(
        home,
        ".kimi-code/sessions/wd_1/k1/agents/main/wire.jsonl",
        &lines(&[
            json!({"type": "usage.record", "usageScope": "turn", "model": "kimi-code/kimi-k2", "time": 1_763_632_800_000_u64,
            "usage": {"inputOther": 10, "output": 4, "inputCacheRead": 5, "inputCacheCreation": 1}}),
            json!({"type": "usage.record", "usageScope": "session", "model": "kimi-k2", "time": 1_763_632_800_001_u64,
            "usage": {"inputOther": 999, "output": 999, "inputCacheRead": 0, "inputCacheCreation": 0}}),
        ]),
    );
    put(
        home,
        ".pi/agent/sessions/p/1_a.jsonl",
        &lines(&[
            json!({"type": "session", "id": "pi1", "cwd": "/home/me/acme", "timestamp": "2026-11-20T10:00:00Z"}),
            json!({"type": "message", "id": "e1", "timestamp": "2026-11-20T10:00:00Z", "message": {"role": "assistant",
            "provider": "openai", "model": "gpt-made-up", "usage": {"input": 8, "output": 2, "cacheRead": 1,
            "cacheWrite": 1, "cost": {"total": 0.5}}}}),
        ]),
    );
    put(
        home,
        ".openclaw/agents/main/sessions/o.jsonl.reset.2026",
        &lines(&[
            json!({"type": "model_change", "provider": "openai", "modelId": "gpt-made-up"}),
            json!({"type": "message", "id": "e2", "timestamp": "2026-11-20T10:00:00Z", "message": {"role": "assistant",
            "usage": {"input": 3, "output": 1}}}),
        ]),
    );
}

/// The logs of agents that write tasks, sessions and turns.
fn put_turns(home: &Home) {
    let request = json!({"tokensIn": 20, "tokensOut": 6, "cacheReads": 4, "cacheWrites": 0, "cost": 0.01}).to_string();
    put(home, ".config/Code/User/globalStorage/saoudrizwan.claude-dev/tasks/17/ui_messages.json", &json!([
        {"ts": 1_763_632_800_000_u64, "type": "say", "say": "api_req_started", "text": request},
        {"ts": 1_763_632_900_000_u64, "type": "say", "say": "api_req_started", "text": "{\"request\": \"under way\"}"},
    ]).to_string());
    put(
        home,
        ".config/Code/User/globalStorage/saoudrizwan.claude-dev/tasks/17/api_conversation_history.json",
        &json!([{"role": "user", "content": "<model>claude-made-up</model>"}]).to_string(),
    );
    put(
        home,
        ".factory/sessions/d.settings.json",
        &json!({"model": "gpt-made-up", "providerLock": "openai",
        "providerLockTimestamp": "2026-11-20T10:00:00Z", "tokenUsage": {"inputTokens": 30, "outputTokens": 3,
        "cacheCreationTokens": 2, "cacheReadTokens": 1, "thinkingTokens": 4}})
        .to_string(),
    );
    let turn = json!({"timestamp": 1_763_632_800_u64, "params": {"update": {"sessionUpdate": "turn_completed",
        "usage": {"inputTokens": 90, "outputTokens": 9, "cachedReadTokens": 40, "reasoningTokens": 2,
        "costUsdTicks": 5_000_000_000_u64, "modelUsage": {"grok-made-up": {}}}}}});
    put(
        home,
        ".grok/sessions/%2Fhome%2Fme%2Facme/g1/updates.jsonl",
        &lines(&[turn]),
    );
}

#[test]
fn each_agents_files_are_read_by_its_own_rules() {
    let home = home();
    put_messages(&home);
    put_turns(&home);
    let told = import(&home);
    assert_eq!((&told["new"], &told["unreadable"]), (&8.into(), &0.into()), "{told}");
    let expected = [
        "cline",
        "droid",
        "gemini-cli",
        "grok-build",
        "kimi-code",
        "openclaw",
        "pi",
        "qwen-code",
    ];
    assert_eq!(groups(&home, "agent"), expected.map(|agent| (agent.to_owned(), 1)));
    assert_eq!(
        totals(&home),
        [
            8,
            102 + 50 + 16 + 10 + 3 + 24 + 33 + 90,
            15 + 6 + 4 + 2 + 1 + 6 + 7 + 9,
            30 + 20 + 5 + 1 + 4 + 1 + 40,
            1 + 1 + 2
        ]
    );
    import(&home);
    assert_eq!(totals(&home)[0], 8);
    expect_whole(&home);
}

#[test]
fn a_file_that_is_not_json_is_reported_and_holds_nothing_up() {
    let home = home();
    put(&home, ".gemini/tmp/0a1b/chats/session-1.json", "{\"messages\": [}");
    put(&home, CLAUDE, &lines(&[said("msg_1", "req_1", 1, [1, 1, 0, 0]).line()]));
    let ended = home.run(["import", "logs"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("Imported 1 new request"), "{ended:?}");
    assert!(
        format!("{}{}", ended.stdout, ended.stderr).contains("session-1.json"),
        "{ended:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_opened_but_logs() {
    use crate::support::strace;
    if !strace::can_trace_files() {
        return;
    }
    let home = home();
    put(&home, CLAUDE, &lines(&[said("msg_1", "req_1", 1, [1, 1, 0, 0]).line()]));
    let canaries = [
        ".claude/.credentials.json",
        ".claude.json",
        ".codex/auth.json",
        ".codex/config.toml",
        ".gemini/oauth_creds.json",
        ".local/share/opencode/auth.json",
        ".copilot/config.json",
        ".qwen/oauth_creds.json",
        ".kimi/credentials.json",
        ".factory/auth.json",
        ".pi/agent/auth.json",
        ".openclaw/openclaw.json",
    ];
    for canary in canaries {
        put(&home, canary, "{\"token\": \"canary\"}");
    }
    let log = home.beside("strace.log");
    let traced = strace::command(
        &home.command(["import", "logs"]),
        &log,
        &["-f", "-e", "trace=openat,open"],
    );
    let ended = home.run_with(traced, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let opened = fs::read_to_string(&log).unwrap();
    assert!(
        opened.contains("11111111-1111-4111-8111-111111111111.jsonl"),
        "the log itself is opened"
    );
    for canary in canaries {
        assert!(!opened.contains(canary), "{canary} was opened");
    }
}
