#![doc = include_str!("ROUTING.md")]

mod balance;
mod decide;
mod gather;
mod reason;
mod route;
mod score;
mod supply;
mod tail;

pub use self::{
    decide::{Candidate, Decision, Turn, decide},
    gather::{State, open_for},
    reason::{phrase, reason},
    route::{Considered, Route, Wanted, look, route},
    score::Estimate,
    supply::{Ask, Expected, KeySupply, Offer, Policy, Purse, Supply, Variant, Verdict},
};
