//! How a server on this machine lists its models, and what it says.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::Value;

use super::{
    looks_like_key,
    windows::{self, Detail},
};
use crate::domain::{ModelId, ModelKind};

/// How long a server has to answer: one on this machine needs no longer, and a route waits for it.
pub(super) const LISTING_TIMEOUT: Duration = Duration::from_millis(300);
/// The most models that are listened to.
const MAX_MODELS: usize = 1_000;
/// The most models that are looked up one by one.
const MAX_ASKED: usize = 50;
/// What embedding models are called, or their families.
const EMBEDDING: &[&str] = &["embed", "bert", "minilm", "bge-", "gte-", "e5-"];

/// How a server lists its models.
#[derive(Debug, Clone, Copy)]
pub struct ModelList {
    /// Below the base URL.
    pub path: &'static str,
    /// Where in the answer the list is, as a JSON pointer.
    pub items: &'static str,
    /// Where in an item its name is.
    pub name: &'static str,
    /// Where in an item the architecture's name is, if anywhere.
    pub family: &'static str,
    /// How it says what its list leaves open.
    pub detail: Detail,
}

/// What a server says of its models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelListing {
    Models(Arc<[Installed]>),
    /// It is there, and does not say.
    Unsaid,
    Unreachable,
}

/// A model that a server on this machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    pub id: ModelId,
    pub kind: ModelKind,
    /// The most tokens of input and output together, where the server says so.
    pub context_window: Option<u64>,
}

impl ModelList {
    /// The models in the answer `body`; nothing where it is something else.
    pub(super) fn read(&self, body: &[u8]) -> Option<Vec<Installed>> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let items = answer.pointer(self.items)?.as_array()?;
        let text = |item: &Value, pointer: &str| item.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let models = items.iter().take(MAX_MODELS).filter_map(|item| {
            let name = text(item, self.name).filter(|name| !looks_like_key(name))?;
            let family = text(item, self.family).unwrap_or_default();
            Some(Installed {
                kind: kind(&name, &family),
                context_window: windows::listed(item),
                id: name.parse().ok()?,
            })
        });
        Some(models.collect())
    }

    /// Fills in what the list left open, with what `ask` answers for a path and a body.
    pub(super) async fn complete<A, F>(&self, models: &mut [Installed], ask: A)
    where
        A: Fn(&'static str, Option<String>) -> F,
        F: Future<Output = Option<Vec<u8>>>,
    {
        let open = models.iter_mut().filter(|model| model.context_window.is_none());
        let most = match self.detail {
            Detail::Show => MAX_ASKED,
            // It serves one model, whatever it lists.
            Detail::Props => 1,
        };
        let asked = open.take(most).map(|model| {
            let (path, body) = self.detail.request(model.id.as_str());
            let answer = ask(path, body);
            async move { model.context_window = answer.await.and_then(|body| self.detail.read(&body)) }
        });
        join_all(asked).await;
    }
}

/// What a model is for, by its name and its architecture's: lists do not say it otherwise.
pub fn kind(name: &str, family: &str) -> ModelKind {
    let (name, family) = (name.to_ascii_lowercase(), family.to_ascii_lowercase());
    let embeds = EMBEDDING
        .iter()
        .any(|word| name.contains(word) || family.contains(word));
    if embeds { ModelKind::Embedding } else { ModelKind::Chat }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_listing_models_are_read_and_strange_answers_are_not() {
        let ollama = ModelList {
            path: "",
            items: "/models",
            name: "/name",
            family: "/details/family",
            detail: Detail::Show,
        };
        let listed = ollama.read(
            br#"{"models": [{"name": "llama3.2:latest", "details": {"family": "llama"}},
                {"name": "nomic-embed-text:latest", "details": {"family": "nomic-bert"}},
                {"name": "two words"}, {"name": 7}, {}]}"#,
        );
        let listed = listed.expect("a list");
        let names: Vec<_> = listed.iter().map(|it| (it.id.as_str(), it.kind)).collect();
        assert_eq!(
            names,
            [
                ("llama3.2:latest", ModelKind::Chat),
                ("nomic-embed-text:latest", ModelKind::Embedding)
            ]
        );
        for body in ["", "[]", "{}", r#"{"models": {}}"#, "<html>"] {
            assert_eq!(ollama.read(body.as_bytes()), None, "{body}");
        }
        for name in [
            "text-embedding-3-small",
            "mxbai-embed-large",
            "all-minilm",
            "BAAI/bge-m3",
            "intfloat/e5-large",
        ] {
            assert_eq!(kind(name, ""), ModelKind::Embedding, "{name}");
        }
    }
}
