//! Sets of prices that others publish, read as an overlay: LiteLLM's `model_prices_and_context_window.json` and
//! genai-prices' `data.json`.
//!
//! A set is taken as a whole or not at all: one price that cannot be true, and nothing is. What it says of a model that
//! this program cannot read in full is left out, counted, and the built-in price stays.

mod changes;
mod entry;
mod genai;
mod litellm;
mod taken;

pub use self::{
    changes::RateChange,
    entry::{MAX_SET_BYTES, SetError, Skip},
    taken::{PriceChange, Taken, name, read},
};
