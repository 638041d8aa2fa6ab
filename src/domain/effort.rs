//! How long a model is to think before it answers.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A degree of reasoning, as the providers' own APIs spell it; least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    // Switched on, where the model knows no degrees.
    Thinking,
    High,
    Xhigh,
}

impl Effort {
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::Thinking,
        Self::High,
        Self::Xhigh,
    ];

    /// The effort as results and files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::Thinking => "thinking",
            Self::High => "high",
            Self::Xhigh => "xhigh",
        }
    }

    /// How many reasoning tokens to expect for each token of the answer.
    ///
    /// An assumption of ours: providers publish no such figure. It doubles from degree to degree, as
    /// what they say of their degrees suggests, and orders efforts of one model by what they cost.
    pub fn reasoning_per_output(self) -> u64 {
        match self {
            Self::None | Self::Minimal => 0,
            Self::Low => 1,
            Self::Medium => 2,
            Self::Thinking | Self::High => 4,
            Self::Xhigh => 8,
        }
    }
}

impl FromStr for Effort {
    type Err = super::IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|effort| effort.as_str() == text);
        found.ok_or(super::IdentityError::new(
            "an effort",
            "one of none, minimal, low, medium, thinking, high, xhigh",
        ))
    }
}
