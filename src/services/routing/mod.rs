#![doc = include_str!("ROUTING.md")]

mod balance;
mod decide;
mod reason;
mod score;
mod supply;

pub use self::{
    decide::{Considered, Decision, Turn, decide},
    reason::{phrase, reason},
    score::Estimate,
    supply::{Ask, Expected, KeySupply, Offer, Policy, Purse, Supply, Variant, Verdict},
};
