//! How much is taken from a file of models and prices.

use crate::domain::Billionths;

/// The highest price that is taken, in US dollars per million tokens.
pub(super) const MAX_PER_MILLION: Billionths = Billionths(100_000 * Billionths::ONE.0);
/// The most models that a file may list.
pub(super) const MAX_MODELS: usize = 20_000;
