//! Servers of models on this machine: whether one answers where the usual ones listen.

use futures_util::future::join_all;

use super::{Address, Checker, ModelListing, Provider};

/// A program that serves models on this machine, and where it listens by default.
#[derive(Debug, Clone)]
pub struct LocalServer {
    pub title: &'static str,
    /// As a provider: the built-in one, or one that the configuration could have.
    pub provider: Provider,
}

impl LocalServer {
    /// Ollama at its address, and whatever it is that speaks OpenAI's API at the others.
    pub fn usual() -> Vec<Self> {
        [
            ("local", "Ollama", "http://127.0.0.1:11434"),
            ("lm-studio", "LM Studio", "http://127.0.0.1:1234/v1"),
            ("vllm", "vLLM", "http://127.0.0.1:8000/v1"),
            ("llama-cpp", "llama.cpp", "http://127.0.0.1:8080/v1"),
        ]
        .into_iter()
        .filter_map(|(id, title, url)| {
            let id = id.parse().ok()?;
            let mut provider = Provider::built_in(&id).unwrap_or_else(|| Provider::own(id));
            provider.move_to(&Address::parse(url).ok()?);
            Some(Self { title, provider })
        })
        .collect()
    }
}

impl Checker {
    /// Those of `servers` that list their models, with how many those are. No key is sent, and nothing that costs.
    pub async fn find_local(&self, servers: Vec<LocalServer>) -> Vec<(LocalServer, usize)> {
        let listings = join_all(servers.iter().map(|server| self.installed(&server.provider))).await;
        let found = servers.into_iter().zip(listings);
        found
            .filter_map(|(server, listing)| match listing {
                ModelListing::Models(models) => Some((server, models.len())),
                ModelListing::Unsaid | ModelListing::Unreachable => None,
            })
            .collect()
    }
}
