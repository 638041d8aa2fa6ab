//! One key of every cloud provider, on a fresh install: its models have a price, so that the default budget admits them.

use api_keys::providers::PROVIDERS;

use super::*;

/// What a program sends to each provider: the path, and the model in the body; nothing where the path names it.
const ASKED: &[(&str, &str, &str)] = &[
    ("anthropic", "/v1/messages", "claude-opus-5-5"),
    ("openai", "/v1/chat/completions", "gpt-6.1-sol"),
    ("google", "/v1/chat/completions", "gemini-3.8-flash"),
    ("mistral", "/v1/chat/completions", "mistral-medium-latest"),
    ("groq", "/v1/chat/completions", "openai/gpt-oss-120b"),
    ("deepseek", "/v1/chat/completions", "deepseek-chat"),
    ("xai", "/v1/chat/completions", "grok-4.7"),
    ("openrouter", "/v1/chat/completions", "~anthropic/claude-opus-latest"),
    ("cohere", "/v1/chat/completions", "command-a-03-2025"),
    ("together", "/v1/chat/completions", "moonshotai/Kimi-K3.1-Pro"),
    ("fireworks", "/v1/chat/completions", "accounts/fireworks/models/glm-5p3"),
    ("perplexity", "/v1/chat/completions", "sonar"),
    (
        "azure-openai",
        "/p/azure-openai/openai/deployments/gpt-4o/chat/completions?api-version=2026-01-01",
        "",
    ),
    ("voyage", "/v1/embeddings", "voyage-3"),
    (
        "huggingface",
        "/p/huggingface/v1/chat/completions",
        "MiniMaxAI/MiniMax-M3:novita",
    ),
    (
        "replicate",
        "/p/replicate/v1/models/meta/llama-2-70b-chat/predictions",
        "",
    ),
    ("cerebras", "/v1/chat/completions", "gpt-oss-120b"),
    ("moonshot", "/v1/chat/completions", "kimi-k2.6"),
    ("zai", "/v1/chat/completions", "glm-5.3"),
    ("minimax", "/v1/chat/completions", "MiniMax-M3"),
    ("vercel", "/v1/chat/completions", "zai/glm-4.6"),
    (
        "elevenlabs",
        "/p/elevenlabs/v1/text-to-speech/voice",
        "eleven_multilingual_v2",
    ),
    ("nvidia", "/v1/chat/completions", "meta/llama-3.3-70b-instruct"),
    (
        "bedrock",
        "/p/bedrock/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/converse",
        "",
    ),
    ("ollama-cloud", "/v1/chat/completions", "gpt-oss:120b"),
];

#[test]
fn a_key_of_every_cloud_provider_works_with_the_default_budget() {
    let provider = StandIn::answering(Reply::json(200, &completion()));
    let home = Home::new();
    let cloud = PROVIDERS.iter().map(|provider| provider.id).filter(|id| *id != "local");
    let cloud: Vec<&str> = cloud.collect();
    let asked: Vec<&str> = ASKED.iter().map(|(provider, ..)| *provider).collect();
    assert_eq!(
        cloud.iter().collect::<std::collections::BTreeSet<_>>(),
        asked.iter().collect(),
        "every provider is tried"
    );
    let address = |id: &&str| format!("[providers.{id}]\nbase_url = \"{}\"\n", provider.url());
    let addresses = cloud.iter().map(address).collect::<Vec<_>>().concat();
    home.config(&format!("[vault]\nmaster_key = \"key-file\"\n{addresses}"));
    for id in &cloud {
        home.key(&[id], &format!("{id}-0123456789abcdef0123456789abcdef"));
    }
    let client = home.client(&["tester"]);
    let gateway = home.gateway(&[]);
    let mut refused = Vec::new();
    for (id, path, model) in ASKED {
        let named = if path.starts_with("/p/") {
            (*model).to_owned()
        } else {
            format!("{id}/{model}")
        };
        let mut body = json!({"messages": [{"role": "user", "content": "hi"}], "input": "hi", "max_tokens": 10});
        if !model.is_empty() {
            body["model"] = named.into();
        }
        let answer = gateway.post(path, &client, &body);
        if answer.status != 200 {
            refused.push(format!("{id}: {} {}", answer.status, answer.text()));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    assert_eq!(home.totals(25)["unpriced_requests"], 0);
}
