//! Which provider and model should take a request, and why.

mod balance;
mod decide;
mod score;
mod supply;

pub use self::{
    decide::{Considered, Decision, Turn, decide},
    score::Estimate,
    supply::{Ask, Expected, KeySupply, Offer, Policy, Purse, Supply, Variant, Verdict},
};
