//! The model that a request is translated for.

use super::loss::Losses;
use crate::domain::Effort;

/// What is known of the model that answers.
#[derive(Debug, Clone, Copy)]
pub struct TargetModel<'a> {
    /// The provider's id.
    pub provider: &'a str,
    /// As the provider names it.
    pub model: &'a str,
    /// The most that it writes, in tokens, where that is known.
    pub max_output: Option<u64>,
    /// The efforts that it knows.
    pub efforts: &'a [Effort],
    /// About how many tokens the prompt has.
    pub input_estimate: u64,
    /// Seconds since 1970.
    pub now: i64,
}

impl TargetModel<'_> {
    /// The limit of the response's tokens: no more than the model writes.
    pub(super) fn output_limit(&self, asked: Option<u64>, losses: &mut Losses) -> Option<u64> {
        match (asked, self.max_output) {
            (Some(asked), Some(max)) if asked > max => {
                losses.add("max_tokens");
                Some(max)
            }
            (asked, _) => asked,
        }
    }

    /// The name of that limit in the chat format.
    pub(super) fn limit_field(&self) -> &'static str {
        if matches!(self.provider, "openai" | "azure-openai") {
            "max_completion_tokens"
        } else {
            "max_tokens"
        }
    }

    /// The effort, or the nearest lower one that the model knows.
    pub(super) fn effort(&self, asked: Option<Effort>, losses: &mut Losses) -> Option<&'static str> {
        let asked = asked?;
        let known = self
            .efforts
            .iter()
            .filter(|effort| **effort != Effort::Thinking && **effort <= asked)
            .max();
        if known != Some(&asked) && asked != Effort::None {
            losses.add("effort");
        }
        known.map(|effort| effort.as_str())
    }
}
