//! Which model, what it is for, and what it can do.

use std::{fmt, str::FromStr, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{IdentityError, ProviderId};

/// The longest name of a model, in characters.
const MAX_LENGTH: usize = 200;

/// A model as its provider calls it, such as `gpt-6-sol`; of an aggregator with the maker in front.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelId(Arc<str>);

/// A model of a provider, spelled `provider/model`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelRef {
    pub provider: ProviderId,
    pub model: ModelId,
}

/// What a model takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    Chat,
    Embedding,
    Rerank,
    Image,
    Speech,
}

/// What a request may need of a model.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Capability {
    Tools,
    Vision,
    JsonSchema,
    Reasoning,
    PromptCaching,
}

impl ModelId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ProviderId {
    /// The model that this provider calls `name`.
    pub fn model(&self, name: &ModelId) -> ModelRef {
        ModelRef {
            provider: self.clone(),
            model: name.clone(),
        }
    }
}

impl FromStr for ModelId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=MAX_LENGTH).contains(&text.len())
            && text
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || b"-._:/@+~".contains(&c));
        let error = IdentityError::new("a model", "1 to 200 letters, digits and characters of `-._:/@+~`");
        fits.then(|| Self(text.into())).ok_or(error)
    }
}

impl FromStr for ModelRef {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = IdentityError::new("a model", "spelled `provider/model`");
        let (provider, model) = text.split_once('/').ok_or(error)?;
        Ok(Self {
            provider: provider.parse()?,
            model: model.parse()?,
        })
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl TryFrom<String> for ModelId {
    type Error = IdentityError;
    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

impl From<ModelId> for String {
    fn from(model: ModelId) -> Self {
        model.as_str().to_owned()
    }
}

impl ModelKind {
    /// The kind as results and files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
            Self::Rerank => "rerank",
            Self::Image => "image",
            Self::Speech => "speech",
        }
    }
}

impl Capability {
    pub const ALL: [Self; 5] = [
        Self::Tools,
        Self::Vision,
        Self::JsonSchema,
        Self::Reasoning,
        Self::PromptCaching,
    ];

    /// The capability as results and files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Vision => "vision",
            Self::JsonSchema => "json_schema",
            Self::Reasoning => "reasoning",
            Self::PromptCaching => "prompt_caching",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregators_model_keeps_its_makers_name() {
        let model: ModelRef = "openrouter/z-ai/glm-5.3".parse().expect("a model");
        assert_eq!(model.provider.as_str(), "openrouter");
        assert_eq!(model.model.as_str(), "z-ai/glm-5.3");
        assert_eq!(model.to_string(), "openrouter/z-ai/glm-5.3");
        for text in [
            "gpt",
            "openai/",
            "openai/a b",
            "/x",
            &format!("openai/{}", "x".repeat(201)),
        ] {
            assert!(text.parse::<ModelRef>().is_err(), "{text}");
        }
    }
}
