//! What a request uses beside plain text, and what that costs: sound, images, citations, searches and fees.

use super::{Rate, Usd};

/// What a request used beside plain text, as its provider counts it.
///
/// Sound and images are parts of the request's [`Tokens`](super::Tokens); all else is charged beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extras {
    /// Tokens of sound in the input, cached or not.
    pub audio_input: u64,
    /// The part of it that was read from a cache.
    pub audio_cache_read: u64,
    /// Tokens of images in the input.
    pub image_input: u64,
    pub audio_output: u64,
    pub image_output: u64,
    /// Tokens of the sources that an answer cites.
    pub citations: u64,
    /// Searches of the web that the provider made.
    pub searches: u64,
    /// Characters of text that were read out.
    pub characters: u64,
    /// How much of the web the answer drew on, where the provider charges a fee for that.
    pub search_context: Option<SearchContext>,
    /// Whether something was used that no count includes.
    pub has_uncounted: bool,
}

/// How much of the web an answer draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchContext {
    #[default]
    Low,
    Medium,
    High,
}

/// What that costs; what has no rate is of unknown price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ExtraRates {
    pub audio_input: Option<Rate>,
    pub audio_cache_read: Option<Rate>,
    /// Nothing where images cost what text does.
    pub image_input: Option<Rate>,
    pub audio_output: Option<Rate>,
    pub image_output: Option<Rate>,
    pub citations: Option<Rate>,
    /// Of a million characters that are read out.
    pub characters: Option<Rate>,
    /// Of a million searches.
    pub searches: Option<Rate>,
    /// Of a million requests, by how much of the web they draw on, from low to high.
    pub requests: Option<[Rate; 3]>,
}

/// What a request costs with all that it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullCost {
    pub cost: Usd,
    /// Whether everything that was used has a known price.
    pub is_whole: bool,
}

impl FullCost {
    /// The cost of this and of `other`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            cost: self.cost + other.cost,
            is_whole: self.is_whole && other.is_whole,
        }
    }
}

impl ExtraRates {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
