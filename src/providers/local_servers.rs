//! Servers of models on this machine: found where such programs listen by default, and told apart by what they answer.
//!
//! Ports collide (vLLM and others on 8000, llama.cpp, llama-swap and LocalAI on 8080), so a port says nothing. Every
//! request is a GET to loopback, without a key; there is no scan of ports.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::{Address, Checker, Provider};

/// How long one answer may take.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);
/// Where such programs listen unless told otherwise.
const PORTS: [u16; 14] = [
    11434, 1234, 8080, 8000, 30000, 1337, 4891, 5001, 5000, 12434, 13305, 4000, 3000, 8787,
];
/// What is asked of each.
const PATHS: [&str; 6] = [
    "/v1/models",
    "/api/version",
    "/api/v0/models",
    "/props",
    "/api/extra/version",
    "/engines/v1/models",
];

/// A server of models that answered.
#[derive(Debug, Clone)]
pub struct LocalServer {
    pub title: &'static str,
    /// As a provider: the built-in one, or one that the configuration could have.
    pub provider: Provider,
    /// How many models it lists.
    pub models: usize,
}

/// What a server is, by its answers to [`PATHS`] in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    id: &'static str,
    title: &'static str,
    /// Where below its address OpenAI's API is; nothing for the built-in provider.
    api: Option<&'static str>,
    models: usize,
}

impl Checker {
    /// The servers of models that answer on this machine, at the usual ports and at `others`; our own gateway is none.
    pub async fn local_servers(&self, others: &[u16]) -> Vec<LocalServer> {
        let mut ports = PORTS.to_vec();
        ports.extend(others);
        ports.sort_unstable();
        ports.dedup();
        let found = join_all(ports.into_iter().map(|port| async move {
            let answers = join_all(PATHS.map(|path| self.probe(port, path, PROBE_TIMEOUT))).await;
            Some((port, identify(&answers)?))
        }));
        let mut servers: Vec<LocalServer> = Vec::new();
        for (port, identity) in found.await.into_iter().flatten() {
            let is_taken = |id: &str| servers.iter().any(|server| server.provider.id.as_str() == id);
            let id = if is_taken(identity.id) {
                format!("{}-{port}", identity.id)
            } else {
                identity.id.to_owned()
            };
            let url = format!("http://127.0.0.1:{port}{}", identity.api.unwrap_or_default());
            let (Ok(id), Ok(address)) = (id.parse(), Address::parse(&url)) else {
                continue;
            };
            let mut provider = Provider::built_in(&id).unwrap_or_else(|| Provider::own(id));
            provider.move_to(&address);
            servers.push(LocalServer {
                title: identity.title,
                provider,
                models: identity.models,
            });
        }
        servers
    }
}

/// What answers so; nothing where it is no server of models.
fn identify(answers: &[Option<Value>]) -> Option<Identity> {
    let answer = |path: &str| {
        let at = PATHS.iter().position(|known| *known == path)?;
        answers.get(at)?.as_ref()
    };
    let entries = |path: &str| answer(path)?.get("data")?.as_array();
    let listed = entries("/v1/models");
    let models = listed.map_or(0, Vec::len);
    let says = |id, title, api: &'static str| {
        Some(Identity {
            id,
            title,
            api: Some(api),
            models,
        })
    };
    let owner = listed.and_then(|models| models.first()?.get("owned_by")?.as_str());
    if owner == Some("api-keys") {
        return None;
    }
    if answer("/api/extra/version").is_some_and(|said| said["result"] == "KoboldCpp") {
        return says("koboldcpp", "KoboldCpp", "/v1");
    }
    if let Some(models) = entries("/api/v0/models")
        && models
            .iter()
            .all(|model| model.get("state").is_some() || model.get("arch").is_some())
    {
        return says("lm-studio", "LM Studio", "/v1");
    }
    if answer("/api/version").is_some_and(|said| said.get("version").is_some_and(Value::is_string)) {
        return Some(Identity {
            id: "local",
            title: "Ollama",
            api: None,
            models,
        });
    }
    match owner {
        Some("llama-swap") => return says("llama-swap", "llama-swap", "/v1"),
        Some("vllm") => return says("vllm", "vLLM", "/v1"),
        Some("sglang") => return says("sglang", "SGLang", "/v1"),
        Some("llamacpp") => return says("llama-cpp", "llama.cpp", "/v1"),
        Some(_) | None => {}
    }
    if answer("/props").is_some_and(|said| said.get("build_info").is_some()) {
        return says("llama-cpp", "llama.cpp", "/v1");
    }
    if let Some(models) = entries("/engines/v1/models") {
        return Some(Identity {
            id: "docker-models",
            title: "Docker Model Runner",
            api: Some("/engines/v1"),
            models: models.len(),
        });
    }
    // It speaks OpenAI's API, and does not say what it is.
    listed?;
    says("local-openai", "a server of OpenAI's API", "/v1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Answers to some paths.
    fn answers(given: &[(&str, Value)]) -> Vec<Option<Value>> {
        let answer = |path: &&str| {
            given
                .iter()
                .find(|(known, _)| known == path)
                .map(|(_, value)| value.clone())
        };
        PATHS.iter().map(answer).collect()
    }

    #[test]
    fn a_server_is_known_by_its_answers() {
        let owned = |by: &str| json!({"object": "list", "data": [{"id": "m", "owned_by": by}]});
        for (given, id) in [
            (
                vec![
                    ("/api/version", json!({"version": "0.12.0"})),
                    ("/v1/models", owned("library")),
                ],
                Some("local"),
            ),
            (
                vec![(
                    "/api/v0/models",
                    json!({"data": [{"id": "m", "arch": "llama", "state": "loaded"}]}),
                )],
                Some("lm-studio"),
            ),
            (vec![("/v1/models", owned("vllm"))], Some("vllm")),
            (vec![("/v1/models", owned("sglang"))], Some("sglang")),
            (
                vec![
                    ("/v1/models", owned("llamacpp")),
                    ("/props", json!({"build_info": "b1"})),
                ],
                Some("llama-cpp"),
            ),
            (
                vec![("/v1/models", owned("me")), ("/props", json!({"build_info": "b1"}))],
                Some("llama-cpp"),
            ),
            (vec![("/v1/models", owned("llama-swap"))], Some("llama-swap")),
            (
                vec![("/api/extra/version", json!({"result": "KoboldCpp", "version": "1"}))],
                Some("koboldcpp"),
            ),
            (vec![("/engines/v1/models", json!({"data": []}))], Some("docker-models")),
            (vec![("/v1/models", owned("someone"))], Some("local-openai")),
            (vec![("/v1/models", owned("api-keys"))], None),
            (vec![("/v1/models", json!({"error": "no"}))], None),
            (vec![], None),
        ] {
            let found = identify(&answers(&given)).map(|identity| identity.id);
            assert_eq!(found, id, "{given:?}");
        }
    }
}
