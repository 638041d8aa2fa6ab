//! What each provider's answers mean.

use super::answer::{Answer, Verdict};
use crate::domain::KeyStatus;

/// What status codes mean everywhere.
pub(super) fn usual(answer: &Answer<'_>) -> Verdict {
    Verdict::new(KeyStatus::Unreachable, format!("{} was not asked", answer.title))
}
