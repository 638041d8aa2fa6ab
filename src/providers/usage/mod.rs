//! The usage of a request, read from the provider's response: whole, or as a stream that passes through.
//!
//! A response is searched for its `usage` object, wherever the provider puts it; the names in that object tell how the
//! provider counts. The objects of a stream are merged, because later counts replace earlier ones. The conversion to
//! [`Tokens`](crate::domain::Tokens), where input includes cached input and output includes reasoning, is done once, at
//! the end.
//!
//! Counts that cannot be true (negative, fractions, words, above a billion) are dropped, and the meter is not trusted any
//! more: what the request cost is then an estimate.

mod chunks;
mod conversion;
mod counts;
mod extras;
mod frames;
mod known;
mod meter;
mod reader;
mod scan;
mod stated_cost;

pub use self::{
    meter::Meter,
    reader::{Framing, UsageReader},
};

#[cfg(test)]
mod tests;
