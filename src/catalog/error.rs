//! Why a file of models and prices cannot be read.

use super::limits::MAX_MODELS;
use crate::domain::ModelRef;

/// Why a file of models and prices is not one; never quotes what stands in it but a model's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Not JSON, or not of this form.
    #[error("it is not of the expected form at line {line}, column {column}")]
    Form { line: usize, column: usize },
    /// Another kind of file.
    #[error("it is another kind of file")]
    Format,
    /// Written by a newer version.
    #[error("it has version {version}, which this program does not know")]
    TooNew { version: u32 },
    #[error("it lists more than {} models", MAX_MODELS)]
    TooManyModels,
    /// Something of a model breaks a rule.
    #[error("{model} {rule}")]
    Model { model: ModelRef, rule: &'static str },
}
