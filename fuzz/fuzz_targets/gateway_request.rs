//! Any body to any path is read or refused; what goes on is the same but for the model, and stays below its provider.

#![no_main]

use api_keys::{domain::MAX_TOKENS, gateway};
use libfuzzer_sys::fuzz_target;

const PATHS: [&str; 9] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages",
    "/p/openai/completions",
    "/p/google/v1beta/models/m:generateContent",
    "/p/bedrock/model/m/converse",
    "/p/cohere/v2/chat",
    "/p/openai/files",
];

fuzz_target!(|input: (u8, &str, &[u8])| {
    let (row, rest, body) = input;
    let path = match usize::from(row).checked_sub(PATHS.len()) {
        None => PATHS[usize::from(row)].to_owned(),
        Some(_) => format!("/p/openai/{rest}"),
    };
    let Some(probe) = gateway::probe(&path, body, "m") else { return };
    assert!(probe.most_input <= MAX_TOKENS && probe.most_output <= MAX_TOKENS);
    let path = probe.path.split('?').next().unwrap_or_default();
    assert!(path.split('/').all(|segment| segment != ".."), "leads elsewhere");
    let parsed = |body: &[u8]| serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body);
    if let Ok(mut before) = parsed(body) {
        let mut after = parsed(&probe.body).expect("still JSON");
        for changed in ["model", "stream_options"] {
            before.shift_remove(changed);
            after.shift_remove(changed);
        }
        assert_eq!(before, after, "nothing else changes");
        assert!(body.len() < 1_000 || probe.most_input > 0, "what is sent is counted");
    }
});
