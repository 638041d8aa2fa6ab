//! What a request is for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ModelKind;

/// The task types that requests are routed by.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Task {
    CodeGeneration,
    CodeReview,
    Embeddings,
    Analysis,
    Chat,
    Summarization,
    DataExtraction,
}

/// What a route is chosen for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Objective {
    Balanced,
    Quality,
    Cost,
    Latency,
}

impl Task {
    pub const ALL: [Self; 7] = [
        Self::CodeGeneration,
        Self::CodeReview,
        Self::Embeddings,
        Self::Analysis,
        Self::Chat,
        Self::Summarization,
        Self::DataExtraction,
    ];

    /// The task as results and files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CodeGeneration => "code_generation",
            Self::CodeReview => "code_review",
            Self::Embeddings => "embeddings",
            Self::Analysis => "analysis",
            Self::Chat => "chat",
            Self::Summarization => "summarization",
            Self::DataExtraction => "data_extraction",
        }
    }

    /// The only kind of model that can do it.
    pub fn model_kind(self) -> ModelKind {
        match self {
            Self::Embeddings => ModelKind::Embedding,
            Self::CodeGeneration
            | Self::CodeReview
            | Self::Analysis
            | Self::Chat
            | Self::Summarization
            | Self::DataExtraction => ModelKind::Chat,
        }
    }
}

impl Objective {
    pub const ALL: [Self; 4] = [Self::Balanced, Self::Quality, Self::Cost, Self::Latency];

    /// The objective as results and files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Quality => "quality",
            Self::Cost => "cost",
            Self::Latency => "latency",
        }
    }
}
